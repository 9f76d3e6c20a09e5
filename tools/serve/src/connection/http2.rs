//! HTTP/2 connections: many requests at a time.

use super::{Connection, Order, io::Watched};
use crate::{grpc::Front, stream::Stream};
use http_body_util::BodyExt;
use hyper::{body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::{
    convert::Infallible,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};
use tonic::codegen::http::{Request, Response};

/// Bytes of a request, and of all requests of a connection, that may come before they are read: the 64 KB of HTTP/2 let a
/// large tensor wait for the network's round trips.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;
/// Bytes of a frame at most.
const FRAME: u32 = 1 << 20;
/// Requests of a connection that run at the same time; the client keeps more.
const REQUESTS: u32 = 1024;
/// A client that sends nothing for so long is asked whether it is there, and has gone if it does not answer.
const KEEP_ALIVE: Duration = Duration::from_secs(60);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// Serves the requests of a connection until it ends.
pub async fn serve(stream: Stream, connection: Arc<Connection>, front: Arc<Front>) {
    let io = Watched::http2(TokioIo::new(stream), Arc::clone(&connection));
    let requests = Arc::new(Requests { connection: Arc::clone(&connection), running: AtomicUsize::new(0) });
    let service = service_fn(|request: Request<Incoming>| {
        let (front, running, connection) = (Arc::clone(&front), Running::new(&requests), Arc::clone(&connection));
        async move {
            let response: Response<_> = front.answer(connection, request).await;
            // Runs until the last of the answer is handed over, or the client has gone.
            Ok::<_, Infallible>(response.map(|body| {
                body.map_frame(move |frame| {
                    let _held = &running;
                    frame
                })
            }))
        }
    });
    let mut http = http2::Builder::new(TokioExecutor::new());
    http.timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(FRAME)
        .max_concurrent_streams(REQUESTS)
        .max_header_list_size(front.max_header_bytes)
        .keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT);
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
            // Errors are the client's: it left, or spoke no HTTP/2.
            _ = serving.as_mut() => return,
        }
    }
}

/// The requests of a connection.
struct Requests {
    connection: Arc<Connection>,
    running: AtomicUsize,
}

/// A request that runs. The connection is idle when none does.
struct Running(Arc<Requests>);

impl Running {
    fn new(requests: &Arc<Requests>) -> Self {
        if requests.running.fetch_add(1, Relaxed) == 0 {
            requests.connection.begin_request();
        }
        Self(Arc::clone(requests))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // All requests of a connection are on one thread.
        if self.0.running.fetch_sub(1, Relaxed) == 1 {
            self.0.connection.end_request();
        }
    }
}
