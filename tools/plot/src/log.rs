//! Runs from a run log.

use crate::{
    labels::Identity,
    run::{Measurement, Run},
};
use events::{Event, Metrics, Start};
use runs::Status;

/// The runs of a stream of events so far. A `start` that does not resume from a checkpoint begins another run.
#[derive(Debug, Default)]
pub struct Log {
    runs: Vec<LoggedRun>,
}

#[derive(Debug, Default)]
struct LoggedRun {
    run: Run,
    /// `(step, epoch)` where each epoch ended.
    epochs: Vec<(f64, f64)>,
}

impl Log {
    /// Adds an event.
    pub fn add(&mut self, event: &Event) {
        match event {
            Event::Start(start) => self.start(start),
            Event::Step(e) => self.measured(e.epoch, e.step, &e.metrics),
            Event::Validation(e) => self.measured(e.epoch, e.step, &e.metrics),
            Event::Test(e) => self.measured(e.epoch, e.step, &e.metrics),
            Event::Epoch(e) => {
                self.measured(e.epoch, e.step, &e.metrics);
                self.last().epochs.push((e.step as f64, e.epoch as f64));
            }
            Event::Checkpoint(_) => {}
            Event::End(end) => self.last().run.status = Some(Status::from(end)),
        }
    }

    fn start(&mut self, start: &Start) {
        match (&start.resumed, self.runs.last_mut()) {
            (Some(resumed), Some(last)) => last.resume_from(resumed.step as f64),
            _ => self.runs.push(LoggedRun {
                run: Run { identity: identity(start), status: Some(Status::Unfinished), ..Run::default() },
                ..LoggedRun::default()
            }),
        }
    }

    fn measured(&mut self, epoch: usize, step: usize, metrics: &Metrics) {
        for (name, value) in metrics.iter() {
            self.last().run.add(name, Measurement { step: step as f64, epoch: epoch as f64, value });
        }
    }

    /// The run that events belong to, also in a log whose `start` is missing.
    fn last(&mut self) -> &mut LoggedRun {
        if self.runs.is_empty() {
            let run = Run { status: Some(Status::Unfinished), ..Run::default() };
            self.runs.push(LoggedRun { run, ..LoggedRun::default() });
        }
        let last = self.runs.len() - 1;
        &mut self.runs[last]
    }

    /// Whether the last run came to its end.
    pub fn ended(&self) -> bool {
        self.runs.last().is_some_and(|last| last.run.status != Some(Status::Unfinished))
    }

    /// The runs as they stand.
    pub fn runs(&self) -> Vec<Run> {
        self.runs.iter().map(LoggedRun::with_fractional_epochs).collect()
    }
}

fn identity(start: &Start) -> Identity {
    Identity { path: vec![start.name.clone()], settings: runs::settings_of(&start.config) }
}

impl LoggedRun {
    /// Drops what was measured after the checkpoint.
    fn resume_from(&mut self, step: f64) {
        self.run.metrics.values_mut().for_each(|samples| samples.retain(|sample| sample.step <= step));
        self.epochs.retain(|(ended, _)| *ended <= step);
        self.run.status = Some(Status::Unfinished);
    }

    /// Within an epoch, events carry its whole number: where epochs ended tells how far into it a step was.
    fn with_fractional_epochs(&self) -> Run {
        let mut run = self.run.clone();
        if !self.epochs.is_empty() {
            run.metrics.values_mut().flatten().for_each(|sample| sample.epoch = self.epoch_at(sample.step));
        }
        run
    }

    /// Linear between the ends of epochs, and on at the last pace after them.
    fn epoch_at(&self, step: f64) -> f64 {
        let mut from = (0.0, 0.0);
        let mut pace = 0.0;
        let after = self.epochs.partition_point(|(ended, _)| *ended < step);
        if let Some(last) = after.checked_sub(1) {
            from = self.epochs[last];
            let before = last.checked_sub(1).map_or((0.0, 0.0), |i| self.epochs[i]);
            pace = slope(before, from);
        }
        if let Some(&to) = self.epochs.get(after) {
            pace = slope(from, to);
        }
        from.1 + (step - from.0) * pace
    }
}

fn slope(from: (f64, f64), to: (f64, f64)) -> f64 {
    if to.0 > from.0 { (to.1 - from.1) / (to.0 - from.0) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use events::{End, Epoch, Step};

    fn step(epoch: usize, step: usize, value: f64) -> Event {
        Event::Step(Step { epoch, step, metrics: Metrics::from([("train_loss_step", value)]), time: 0.0 })
    }

    fn epoch(epoch: usize, step: usize) -> Event {
        Event::Epoch(Epoch { epoch, step, metrics: Metrics::from([("train_loss", 1.0)]), seconds: 0.0, time: 0.0 })
    }

    fn start(name: &str, resumed: Option<usize>) -> Event {
        let start = serde_json::json!({
            "event": "start", "name": name, "run_dir": name, "config": {}, "seed": 0, "device": "cpu", "threads": 1,
            "rows": { "train": 1, "val": 0, "test": 0 }, "data_sha256": "", "parameters": 1, "git": null,
            "resumed": resumed.map(|step| serde_json::json!({ "path": "last", "step": step })),
            "version": "0", "time": 0.0
        });
        Event::from_line(&start.to_string()).expect("an event").expect("a known one")
    }

    fn steps(run: &Run, metric: &str) -> Vec<(f64, f64)> {
        run.metrics[metric].iter().map(|sample| (sample.step, sample.value)).collect()
    }

    #[test]
    fn going_on_from_a_checkpoint_voids_what_came_after_it() {
        let mut log = Log::default();
        let end = Event::End(End { status: events::Status::Killed, reason: String::new(), time: 0.0 });
        for event in [start("a", None), step(1, 10, 1.0), step(1, 20, 9.0), end] {
            log.add(&event);
        }
        assert!(log.ended());
        [start("a", Some(10)), step(1, 20, 0.5)].iter().for_each(|event| log.add(event));
        assert_eq!(steps(&log.runs()[0], "train_loss_step"), [(10.0, 1.0), (20.0, 0.5)]);
        assert!(!log.ended() && log.runs().len() == 1);
    }

    #[test]
    fn another_start_is_another_run() {
        let mut log = Log::default();
        [start("a", None), step(1, 10, 1.0), start("b", None), step(1, 5, 2.0)].iter().for_each(|e| log.add(e));
        let runs = log.runs();
        assert_eq!((runs.len(), &runs[1].identity.path[0][..]), (2, "b"));
        assert_eq!(steps(&runs[1], "train_loss_step"), [(5.0, 2.0)]);
    }

    #[test]
    fn steps_within_an_epoch_are_parts_of_it() {
        let mut log = Log::default();
        for event in [step(1, 5, 1.0), epoch(1, 10), step(2, 15, 1.0), epoch(2, 20), step(3, 25, 1.0)] {
            log.add(&event);
        }
        let epochs: Vec<f64> = log.runs()[0].metrics["train_loss_step"].iter().map(|sample| sample.epoch).collect();
        assert_eq!(epochs, [0.5, 1.5, 2.5]);
        assert_eq!(log.runs()[0].metrics["train_loss"][1].epoch, 2.0);
    }
}
