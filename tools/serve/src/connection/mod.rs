//! HTTP connections, and how long each may wait for its client.
//!
//! A request sets no timer. Its connection notes what it waits for and since when; several times a second a sweep looks
//! for those that have waited for too long. Time is the sweep's: it is off by one [`TICK`] at most.

pub mod http2;
mod io;
mod registry;

use crate::front::Front;
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use io::Watched;
use std::{
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::sync::Notify;

pub use registry::{Registry, TICK};

/// How long a connection may wait for its client.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For the first byte of a request.
    pub idle: Duration,
    /// From there to the end of its headers, and for a TLS handshake.
    pub header: Duration,
    /// For a body, in all; a body of `body_bytes_per_second` may take as long as it wants.
    pub body: Duration,
    pub body_bytes_per_second: u32,
    /// For the client to take more of an answer.
    pub write: Duration,
}

/// What a connection waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Phase {
    /// A request.
    Idle,
    /// The rest of a request's headers.
    Header,
    /// An answer: the server's turn, or the body's, which has a timer.
    Busy,
}

/// Why a request's body was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum BodyFailure {
    /// It did not come in time.
    Slow = 1,
    /// It is larger than the server takes.
    Large = 2,
}

/// What a connection is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
enum Order {
    /// End with the request that is being answered.
    Close = 1,
    /// End now.
    Abort = 2,
}

/// An HTTP connection that is open.
pub struct Connection {
    pub peer: SocketAddr,
    pub is_tls: bool,
    registry: Arc<Registry>,
    phase: AtomicU8,
    /// When the phase began, by the registry's clock.
    since: AtomicU64,
    /// When the client stopped taking bytes, by the registry's clock; 0 while it takes them.
    stalled: AtomicU64,
    body_failure: AtomicU8,
    order: AtomicU8,
    ordered: Notify,
}

impl Connection {
    /// A request's headers are complete.
    pub fn begin_request(&self) {
        self.body_failure.store(0, Relaxed);
        self.enter(Phase::Busy);
    }

    /// The last of an answer has been handed over to be written.
    pub fn end_request(&self) {
        self.enter(Phase::Idle);
    }

    /// The body of the request cannot be read.
    pub fn fail_body(&self, failure: BodyFailure) {
        self.body_failure.store(failure as u8, Relaxed);
    }

    /// Why the body of the request could not be read.
    pub fn body_failure(&self) -> Option<BodyFailure> {
        match self.body_failure.load(Relaxed) {
            1 => Some(BodyFailure::Slow),
            2 => Some(BodyFailure::Large),
            _ => None,
        }
    }

    fn received(&self) {
        if self.phase.load(Relaxed) == Phase::Idle as u8 {
            self.enter(Phase::Header);
        }
    }

    fn enter(&self, phase: Phase) {
        self.since.store(self.registry.now(), Relaxed);
        self.phase.store(phase as u8, Relaxed);
    }

    fn wrote(&self, is_taken: bool) {
        match (is_taken, self.stalled.load(Relaxed)) {
            (true, 0) => {}
            (true, _) => self.stalled.store(0, Relaxed),
            (false, 0) => self.stalled.store(self.registry.now(), Relaxed),
            (false, _) => {}
        }
    }

    fn order(&self, order: Order) {
        if self.order.fetch_max(order as u8, Relaxed) < order as u8 {
            self.ordered.notify_one();
        }
    }
}

/// Serves the requests of a connection until it ends.
pub async fn serve(stream: crate::stream::Stream, connection: Arc<Connection>, front: Arc<Front>) {
    let io = Watched::new(TokioIo::new(stream), Arc::clone(&connection));
    let service = service_fn(|request| {
        let (front, connection) = (Arc::clone(&front), Arc::clone(&connection));
        async move { Ok::<_, std::convert::Infallible>(front.answer(connection, request).await) }
    });
    let mut http = http1::Builder::new();
    http.max_header_size(front.max_header_bytes).max_headers(front.max_headers).header_read_timeout(None);
    let mut serving = pin!(http.serve_connection(io, service));
    loop {
        tokio::select! {
            biased;
            () = connection.ordered.notified() => {
                if connection.order.load(Relaxed) == Order::Abort as u8 {
                    return;
                }
                serving.as_mut().graceful_shutdown();
            }
            // Errors are the client's: it left, or spoke no HTTP and was told.
            _ = serving.as_mut() => return,
        }
    }
}
