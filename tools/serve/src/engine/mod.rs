//! Runs the requests of a model: at once where an instance is idle, together with others where none is.
//!
//! A request that finds an idle instance runs on it. Where its run is expected to be short, it runs on the thread of its
//! connection, with others that this thread has just read: no other thread is woken. Otherwise the request waits in the queue; whoever gives an instance back starts
//! the next batch from it.

mod alarm;
mod batch;
mod gather;
mod policy;
mod queue;

use crate::{
    error::{Error, Result},
    model::Job,
    statistics::{RunTimes, Statistics},
    threads,
};
use alarm::Alarm;
use batch::Answer;
use gather::Lane;
use open_inference::DataType;
pub use policy::Policy;
use queue::{Pending, Queue};
use runtime::Model;
use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::sync::{Notify, oneshot};

/// The instances of a model, and the requests that wait for one.
pub struct Engine {
    model: String,
    /// Name and type of each output.
    outputs: Vec<(String, DataType)>,
    policy: Policy,
    state: Mutex<State>,
    /// One for each network thread.
    lanes: Vec<Lane>,
    /// Tells a batch that waits for rows that some came.
    arrived: Notify,
    /// Expected nanoseconds a row.
    row_nanoseconds: AtomicU64,
    pub statistics: Statistics,
}

struct State {
    idle: Vec<Model>,
    queue: Queue,
}

/// What becomes of a job on arrival.
enum Admitted {
    /// It runs on this instance now.
    Run(Model, Job),
    /// It waits; its answer comes here.
    Wait(oneshot::Receiver<Answer>),
}

/// Weight of the latest run in the moving average of its time: 1 / 8.
const SMOOTHING: u64 = 8;

impl Engine {
    /// An engine of `instances` of one model, which `threads` network threads use.
    pub fn new(
        model: String,
        outputs: Vec<(String, DataType)>,
        instances: Vec<Model>,
        policy: Policy,
        threads: usize,
    ) -> Self {
        let state = State { idle: instances, queue: Queue::default() };
        let statistics = Statistics::new(&policy.histogram);
        Self {
            model,
            outputs,
            policy,
            state: Mutex::new(state),
            lanes: (0..threads).map(|_| Lane::default()).collect(),
            arrived: Notify::new(),
            row_nanoseconds: AtomicU64::new(0),
            statistics,
        }
    }

    /// Requests that wait.
    pub fn waiting(&self) -> usize {
        self.state().queue.len()
    }

    /// Runs a job. Its future may be dropped: a job that still waits then does not run.
    ///
    /// # Errors
    /// When the queue is full, the job waits for too long, or the model fails.
    pub async fn run(self: &Arc<Self>, job: Job, timeout: Option<Duration>) -> Answer {
        let arrived = Instant::now();
        let answer = self.answer(job, arrived, timeout).await;
        let counter = match &answer {
            Ok(_) => &self.statistics.success,
            Err(Error::Overloaded { .. } | Error::Timeout { .. }) => &self.statistics.reject,
            Err(Error::Internal(_)) => {
                self.statistics.backend_failures.fetch_add(1, Relaxed);
                &self.statistics.fail
            }
            Err(_) => &self.statistics.fail,
        };
        counter.add(1, arrived.elapsed());
        answer
    }

    async fn answer(self: &Arc<Self>, job: Job, arrived: Instant, timeout: Option<Duration>) -> Answer {
        let answer = match self.lane(&job) {
            Some(lane) => {
                let (answer, waiting) = oneshot::channel();
                let gathered = lane.gather(Pending { job, arrived, answer }).await;
                self.run_gathered(gathered);
                waiting
            }
            None => match self.admit(job, arrived)? {
                Admitted::Run(instance, job) if self.is_short(job.rows) => {
                    self.statistics.queue.add(1, arrived.elapsed());
                    return self.lease(instance).run(&[&job]).pop().unwrap_or_else(no_answer);
                }
                Admitted::Run(instance, job) => {
                    self.statistics.queue.add(1, arrived.elapsed());
                    let mut lease = self.lease(instance);
                    let (answer, waiting) = oneshot::channel();
                    tokio::task::spawn_blocking(move || {
                        // Who has gone needs no answer.
                        let _ = answer.send(lease.run(&[&job]).pop().unwrap_or_else(no_answer));
                    });
                    waiting
                }
                Admitted::Wait(answer) => answer,
            },
        };
        wait(answer, self.policy.timeout(timeout)).await
    }

    /// Where a short job meets others of its thread; None where it runs at once or waits for an instance.
    fn lane(&self, job: &Job) -> Option<&Lane> {
        let may_meet = self.policy.delay.is_zero() && job.rows < self.policy.max_rows && self.is_short(job.rows);
        self.lanes.get(threads::index()).filter(|lane| may_meet && lane.should_gather())
    }

    /// Runs requests in batches, here while they are short and an instance is idle; the rest waits.
    fn run_gathered(self: &Arc<Self>, mut gathered: Queue) {
        gathered.remove_abandoned(&self.statistics);
        while !gathered.is_empty() {
            let (count, rows) = gathered.batch(self.policy.max_rows, &self.policy.preferred);
            let idle = if self.is_short(rows) { self.state().idle.pop() } else { None };
            let Some(instance) = idle else { return self.enqueue(gathered) };
            let batch = gathered.take(count);
            self.count_waiting(&batch);
            self.lease(instance).run_batch(batch);
        }
    }

    /// Puts requests into the queue, as far as there is room.
    fn enqueue(self: &Arc<Self>, mut requests: Queue) {
        for pending in requests.take(requests.len()) {
            let mut state = self.state();
            if self.is_full(&mut state) {
                // Who has gone needs no answer.
                let _ = pending.answer.send(Err(self.overloaded(&state)));
            } else {
                self.push(state, pending);
            }
        }
    }

    /// Takes an idle instance for the job, or puts it into the queue.
    ///
    /// # Errors
    /// When the queue is full.
    fn admit(self: &Arc<Self>, job: Job, arrived: Instant) -> Result<Admitted> {
        let mut state = self.state();
        if self.policy.delay.is_zero()
            && let Some(instance) = state.idle.pop()
        {
            return Ok(Admitted::Run(instance, job));
        }
        if self.is_full(&mut state) {
            return Err(self.overloaded(&state));
        }
        let (answer, waiting) = oneshot::channel();
        self.push(state, Pending { job, arrived, answer });
        Ok(Admitted::Wait(waiting))
    }

    /// Whether the queue has no room.
    fn is_full(&self, state: &mut State) -> bool {
        if state.queue.len() >= self.policy.max_queue {
            state.queue.remove_abandoned(&self.statistics);
        }
        state.queue.len() >= self.policy.max_queue
    }

    fn overloaded(&self, state: &State) -> Error {
        Error::Overloaded { model: self.model.clone(), waiting: state.queue.len() }
    }

    /// Puts a request into the queue; if an instance is idle, it starts to run it.
    fn push(self: &Arc<Self>, mut state: MutexGuard<'_, State>, pending: Pending) {
        state.queue.push(pending);
        if let Some(instance) = state.idle.pop() {
            tokio::spawn(Arc::clone(self).run_queue(instance));
        }
        drop(state);
        self.arrived.notify_one();
    }

    fn lease(self: &Arc<Self>, instance: Model) -> Lease {
        Lease { engine: Arc::clone(self), instance: Some(instance) }
    }

    fn count_waiting(&self, batch: &[Pending]) {
        let now = Instant::now();
        batch.iter().for_each(|pending| self.statistics.queue.add(1, now.duration_since(pending.arrived)));
    }

    /// Runs batches from the queue until it is empty.
    async fn run_queue(self: Arc<Self>, instance: Model) {
        let mut lease = self.lease(instance);
        while let Some(batch) = self.next_batch(&mut lease).await {
            self.count_waiting(&batch);
            let rows = batch.iter().map(|pending| pending.job.rows).sum();
            if self.is_short(rows) {
                lease.run_batch(batch);
                tokio::task::yield_now().await;
            } else {
                let run = move || {
                    lease.run_batch(batch);
                    lease
                };
                match tokio::task::spawn_blocking(run).await {
                    Ok(back) => lease = back,
                    Err(_) => return,
                }
            }
        }
    }

    /// The next batch; None if none waits, and then the instance is idle again.
    async fn next_batch(&self, lease: &mut Lease) -> Option<Vec<Pending>> {
        let mut alarm = Alarm::default();
        loop {
            let oldest = {
                let mut state = self.state();
                state.queue.remove_abandoned(&self.statistics);
                if let Some(timeout) = self.policy.timeout.filter(|_| self.policy.delays_expired) {
                    state.queue.delay_expired(timeout);
                }
                let Some(oldest) = state.queue.oldest() else {
                    state.idle.extend(lease.instance.take());
                    return None;
                };
                let (count, rows) = state.queue.batch(self.policy.max_rows, &self.policy.preferred);
                let is_full = self.policy.preferred.contains(&rows) || rows >= self.policy.max_rows;
                if is_full || oldest.elapsed() >= self.policy.delay {
                    return Some(state.queue.take(count));
                }
                oldest
            };
            // Either is a reason to look again.
            tokio::select! {
                () = self.arrived.notified() => {}
                () = alarm.at(oldest + self.policy.delay) => {}
            }
        }
    }

    /// How many rows a run of about `time` has; 0 before the first run.
    pub fn rows_within(&self, time: Duration) -> usize {
        let rows = time.as_nanos().checked_div(self.row_nanoseconds.load(Relaxed).into()).unwrap_or(0);
        usize::try_from(rows).unwrap_or(usize::MAX)
    }

    fn is_short(&self, rows: usize) -> bool {
        let expected = self.row_nanoseconds.load(Relaxed).saturating_mul(rows as u64);
        u128::from(expected) < self.policy.inline.as_nanos()
    }

    /// Runs the model with made-up rows, uncounted, and remembers how long a row takes.
    pub fn warm_up(&self, job: &Job) -> Result<()> {
        let Some(mut instance) = self.state().idle.pop() else { return Ok(()) };
        let (mut answers, times) = batch::run(&mut instance, &self.outputs, &[job]);
        self.learn(job.rows, times);
        // To the front: the next warm-up takes another.
        self.state().idle.insert(0, instance);
        answers.pop().unwrap_or_else(no_answer).map(|_| ())
    }

    fn learn(&self, rows: usize, times: RunTimes) {
        let latest = u64::try_from(times.infer.as_nanos()).unwrap_or(u64::MAX) / (rows as u64).max(1);
        let average = self.row_nanoseconds.load(Relaxed);
        let next = if average == 0 { latest } else { average - average / SMOOTHING + latest / SMOOTHING };
        self.row_nanoseconds.store(next.max(1), Relaxed);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The answer, or an error after `timeout`.
async fn wait(answer: oneshot::Receiver<Answer>, timeout: Option<Duration>) -> Answer {
    let Some(timeout) = timeout else { return answer.await.unwrap_or_else(|_| no_answer()) };
    match tokio::time::timeout(timeout, answer).await {
        Ok(answer) => answer.unwrap_or_else(|_| no_answer()),
        Err(_) => Err(Error::Timeout { milliseconds: u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX) }),
    }
}

fn no_answer() -> Answer {
    Err(Error::Internal("the run ended without an answer".into()))
}

/// An instance in use. Dropped, it takes the next batch of the queue, or is idle again.
struct Lease {
    engine: Arc<Engine>,
    instance: Option<Model>,
}

impl Lease {
    /// Runs jobs together and counts the run.
    fn run(&mut self, jobs: &[&Job]) -> Vec<Answer> {
        let Some(instance) = &mut self.instance else { return jobs.iter().map(|_| no_answer()).collect() };
        let engine = &self.engine;
        let (answers, times) = batch::run(instance, &engine.outputs, jobs);
        let rows = jobs.iter().map(|job| job.rows).sum();
        if answers.iter().any(Result::is_ok) {
            engine.learn(rows, times);
            engine.statistics.add_run(jobs.len() as u64, rows, times);
        }
        answers
    }

    /// Runs a batch and sends the answers. Where it fails, each job runs alone, so that none fails for another's sake.
    fn run_batch(&mut self, batch: Vec<Pending>) {
        let mut answers = {
            let jobs: Vec<&Job> = batch.iter().map(|pending| &pending.job).collect();
            self.run(&jobs)
        };
        if batch.len() > 1 && answers.iter().any(Result::is_err) {
            answers = batch.iter().flat_map(|pending| self.run(&[&pending.job])).collect();
        }
        for (pending, answer) in batch.into_iter().zip(answers) {
            // Who has gone needs no answer.
            let _ = pending.answer.send(answer);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(instance) = self.instance.take() else { return };
        let mut state = self.engine.state();
        match (state.queue.is_empty(), tokio::runtime::Handle::try_current()) {
            (false, Ok(handle)) => {
                drop(state);
                handle.spawn(Arc::clone(&self.engine).run_queue(instance));
            }
            _ => state.idle.push(instance),
        }
    }
}
