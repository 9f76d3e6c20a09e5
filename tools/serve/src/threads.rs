//! Network threads: each has an executor of its own, and a connection stays on the thread that it is given to.
//!
//! With one executor over all threads, a request wakes a second thread, which finds nothing to do: at one connection that
//! doubles latency and processor time. Here a request is read, run and answered by one thread.

use crate::error::{Error, Result};
use anyhow::Context;
use std::{
    cell::Cell,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
};
use tokio::{
    net::TcpStream,
    runtime::Builder,
    sync::mpsc::{self, UnboundedReceiver, UnboundedSender},
};

thread_local! {
    static INDEX: Cell<usize> = const { Cell::new(0) };
}

/// The index of this network thread; 0 on any other thread.
pub fn index() -> usize {
    INDEX.get()
}

/// Does long work, away from the network threads.
///
/// # Errors
/// What the work says; that it ended without a result, if it panicked.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let ended = |_| Err(Error::Internal("the work ended without an answer".into()));
    tokio::task::spawn_blocking(work).await.unwrap_or_else(ended)
}

type Work = Pin<Box<dyn Future<Output = ()>>>;
type Start = Box<dyn FnOnce() -> Work + Send>;

/// The network threads. They end when this is dropped.
pub struct Threads(Vec<Worker>);

struct Worker {
    start: UnboundedSender<Start>,
    /// Connections on the thread.
    open: Arc<AtomicUsize>,
}

impl Threads {
    /// Starts `count` threads.
    ///
    /// # Errors
    /// When the system has no thread to give.
    pub fn start(count: usize) -> anyhow::Result<Self> {
        (0..count).map(Worker::start).collect::<anyhow::Result<_>>().map(Self)
    }

    /// Serves a connection on the thread that has the fewest.
    ///
    /// # Errors
    /// When the system does not let the connection change its thread.
    pub fn serve<F>(
        &self,
        stream: TcpStream,
        serve: impl FnOnce(TcpStream) -> F + Send + 'static,
    ) -> std::io::Result<()>
    where
        F: Future<Output = ()> + 'static,
    {
        let Some(worker) = self.0.iter().min_by_key(|worker| worker.open.load(Relaxed)) else { return Ok(()) };
        let stream = stream.into_std()?;
        let open = Open::new(&worker.open);
        let start: Start = Box::new(move || {
            Box::pin(async move {
                let _open = open;
                // A stream that cannot be registered is closed.
                if let Ok(stream) = TcpStream::from_std(stream) {
                    serve(stream).await;
                }
            })
        });
        // A thread ends only with the server.
        let _ = worker.start.send(start);
        Ok(())
    }
}

impl Worker {
    fn start(index: usize) -> anyhow::Result<Self> {
        let (start, work) = mpsc::unbounded_channel();
        let runtime = Builder::new_current_thread().enable_all().build().context("cannot start a network thread")?;
        let run = move || {
            INDEX.set(index);
            runtime.block_on(tokio::task::LocalSet::new().run_until(start_all(work)));
        };
        thread::Builder::new().name("network".into()).spawn(run).context("cannot start a network thread")?;
        Ok(Self { start, open: Arc::default() })
    }
}

async fn start_all(mut work: UnboundedReceiver<Start>) {
    while let Some(start) = work.recv().await {
        tokio::task::spawn_local(start());
    }
}

/// Counts a connection while it is open.
struct Open(Arc<AtomicUsize>);

impl Open {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}
