//! gRPC: the Open Inference Protocol with Triton's extensions, health and reflection.

mod compression;
mod deadline;
mod health;
mod infer;
mod metadata;
mod models;
mod service;
mod settings;
mod statistics;
mod status;
mod stream;

use crate::{lifecycle::Lifecycle, repository::Repository};
use axum::Router;
use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use open_inference::grpc::{FILE_DESCRIPTOR_SET, proto::grpc_inference_service_server::GrpcInferenceServiceServer};
use service::Service;
use std::{sync::Arc, time::Duration};
use tonic::{codec::CompressionEncoding, service::Routes};
use tonic_health::pb::health_server::HealthServer;

/// Bytes of a request, and of all requests of a connection, that may come before they are read: the 64 KB of HTTP/2 let a
/// large tensor wait for the network's round trips.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;
/// Bytes of a frame at most.
const FRAME: u32 = 1 << 20;
/// Requests of a connection that run at the same time; the client keeps more.
const STREAMS: u32 = 256;
/// A client that sends nothing for so long is asked whether it is there, and has gone if it does not answer.
const KEEPALIVE: Duration = Duration::from_secs(60);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// All services.
///
/// # Errors
/// When the descriptors for reflection cannot be read.
pub fn router(repository: Arc<Repository>, lifecycle: &Lifecycle) -> anyhow::Result<Router> {
    let max_message = repository.settings().max_body_bytes;
    let readiness = Readiness { repository: Arc::clone(&repository), lifecycle: lifecycle.clone() };
    let health = HealthServer::new(health::Service::new(readiness.clone()));
    let inference = GrpcInferenceServiceServer::new(Service::new(repository, readiness))
        .max_decoding_message_size(max_message)
        .max_encoding_message_size(usize::MAX)
        .accept_compressed(CompressionEncoding::Gzip)
        .accept_compressed(CompressionEncoding::Deflate)
        .send_compressed(CompressionEncoding::Gzip)
        .send_compressed(CompressionEncoding::Deflate);
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let inference = compression::AsRequested::new(inference);
    Ok(Routes::new(inference)
        .add_service(health)
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?)
        .into_axum_router())
}

/// Whether the server takes requests.
#[derive(Clone)]
struct Readiness {
    repository: Arc<Repository>,
    lifecycle: Lifecycle,
}

impl Readiness {
    fn is_ready(&self) -> bool {
        self.repository.is_ready()
    }

    /// Waits until connections are to end.
    async fn closing(&self) {
        self.lifecycle.closing().await;
    }
}

/// How connections are served.
pub fn http2() -> http2::Builder<TokioExecutor> {
    let mut http2 = http2::Builder::new(TokioExecutor::new());
    http2
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(FRAME)
        .max_concurrent_streams(STREAMS)
        .keep_alive_interval(Some(KEEPALIVE))
        .keep_alive_timeout(KEEPALIVE_TIMEOUT);
    http2
}
