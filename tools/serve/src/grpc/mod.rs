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

use crate::repository::Repository;
use open_inference::grpc::{FILE_DESCRIPTOR_SET, proto::grpc_inference_service_server::GrpcInferenceServiceServer};
use service::Service;
use std::{future::Future, io, sync::Arc, time::Duration};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_stream::Stream;
use tonic::{
    codec::CompressionEncoding,
    service::Routes,
    transport::{Server, server::Connected},
};
use tonic_health::pb::health_server::HealthServer;

/// Bytes of a stream, and of all streams of a connection, that a client may send before they are read: HTTP/2's 64 KB
/// make a large tensor wait for the network's round trips.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;
/// Bytes of a frame of HTTP/2 at most, as other gRPC servers have it.
const FRAME: u32 = 1 << 20;
/// Requests of a connection that run at the same time at most; more wait with their client.
const STREAMS: u32 = 1024;
/// A client that is silent is asked whether it is there, and is gone if it does not answer.
const KEEPALIVE: Duration = Duration::from_secs(60);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// The services, for any transport.
///
/// # Errors
/// When the descriptors for reflection cannot be read.
pub fn routes(repository: Arc<Repository>) -> anyhow::Result<Routes> {
    let max_message = repository.settings().max_body_bytes;
    let health = HealthServer::new(health::Service::new(Arc::clone(&repository)));
    let inference = GrpcInferenceServiceServer::new(Service::new(repository))
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
        .add_service(reflection().build_v1alpha()?))
}

/// Serves connections until `shutdown`; those that are open then end with their requests.
///
/// # Errors
/// When connections cannot be accepted any more.
pub async fn serve<C>(
    routes: Routes,
    incoming: impl Stream<Item = io::Result<C>>,
    shutdown: impl Future<Output = ()>,
) -> anyhow::Result<()>
where
    C: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
    C::ConnectInfo: Clone + Send + Sync + 'static,
{
    Server::builder()
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(FRAME)
        .max_concurrent_streams(STREAMS)
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .add_routes(routes)
        .serve_with_incoming_shutdown(incoming, shutdown)
        .await?;
    Ok(())
}
