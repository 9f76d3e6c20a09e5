//! gRPC: the Open Inference Protocol with Triton's extensions, health and reflection.

mod compression;
mod deadline;
mod front;
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
use open_inference::grpc::{FILE_DESCRIPTOR_SET, proto::grpc_inference_service_server::GrpcInferenceServiceServer};
use service::Service;
use std::sync::Arc;
use tonic::{codec::CompressionEncoding, service::Routes};
use tonic_health::pb::health_server::HealthServer;

pub use front::Front;

/// The services, for any transport.
///
/// # Errors
/// When the descriptors for reflection cannot be read.
pub fn routes(repository: Arc<Repository>, lifecycle: &Lifecycle) -> anyhow::Result<Routes> {
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
        .add_service(reflection().build_v1alpha()?))
}

/// Whether the server takes requests.
#[derive(Clone)]
struct Readiness {
    repository: Arc<Repository>,
    lifecycle: Lifecycle,
}

impl Readiness {
    fn is_ready(&self) -> bool {
        !self.lifecycle.is_draining() && self.repository.is_ready()
    }

    /// Waits until connections are to end.
    async fn closing(&self) {
        self.lifecycle.closing().await;
    }
}
