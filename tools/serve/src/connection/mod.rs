//! Connections of HTTP and gRPC, and how long each may wait for its client.
//!
//! A request sets no timer. Its connection notes what it waits for and since when; several times a second a sweep looks
//! for those that have waited for too long. Time is the sweep's: it is off by one [`TICK`] at most.

mod io;
mod registry;

use crate::{
    front::{Front, Protocol},
    grpc,
    stream::Stream,
};
use axum::http::Request;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use io::Watched;
use std::{
    convert::Infallible,
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::sync::Notify;

pub use registry::{Entry, Registry, TICK};

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

/// A connection that is open.
pub struct Connection {
    pub peer: SocketAddr,
    pub is_tls: bool,
    protocol: Protocol,
    registry: Arc<Registry>,
    /// Requests that are being answered: at most one in HTTP.
    requests: AtomicUsize,
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
        self.requests.fetch_add(1, Relaxed);
        self.enter(Phase::Busy);
    }

    /// The last of an answer has been handed over to be written.
    pub fn end_request(&self) {
        if self.requests.fetch_sub(1, Relaxed) == 1 {
            self.enter(Phase::Idle);
        }
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
        // What comes between two requests of gRPC may be a ping.
        if self.protocol == Protocol::Http && self.phase.load(Relaxed) == Phase::Idle as u8 {
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

    /// Waits for the connection to end, or to be told to.
    async fn next_order(&self, serving: impl Future) -> Option<Order> {
        tokio::select! {
            biased;
            () = self.ordered.notified() => match self.order.load(Relaxed) {
                order if order == Order::Abort as u8 => Some(Order::Abort),
                _ => Some(Order::Close),
            },
            _ = serving => None,
        }
    }

    fn order(&self, order: Order) {
        if self.order.fetch_max(order as u8, Relaxed) < order as u8 {
            self.ordered.notify_one();
        }
    }
}

/// Serves the requests of a connection until it ends.
pub async fn serve(stream: Stream, connection: Arc<Connection>, front: Arc<Front>) {
    let io = Watched::new(TokioIo::new(stream), Arc::clone(&connection));
    let service = service_fn(|request: Request<Incoming>| {
        let (front, connection) = (Arc::clone(&front), Arc::clone(&connection));
        async move { Ok::<_, Infallible>(front.answer(connection, request).await) }
    });
    // Errors are the client's: it left, or spoke another protocol and was told.
    match connection.protocol {
        Protocol::Http => {
            let mut http = http1::Builder::new();
            http.max_header_size(front.max_header_bytes).max_headers(front.max_headers).header_read_timeout(None);
            let mut serving = pin!(http.serve_connection(io, service));
            while let Some(Order::Close) = connection.next_order(serving.as_mut()).await {
                serving.as_mut().graceful_shutdown();
            }
        }
        Protocol::Grpc => {
            let mut http = grpc::http2();
            http.max_header_list_size(u32::try_from(front.max_header_bytes).unwrap_or(u32::MAX));
            let mut serving = pin!(http.serve_connection(io, service));
            while let Some(Order::Close) = connection.next_order(serving.as_mut()).await {
                serving.as_mut().graceful_shutdown();
            }
        }
    }
}
