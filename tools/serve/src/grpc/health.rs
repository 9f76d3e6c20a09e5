//! `grpc.health.v1`: whether the server is ready, for orchestrators and clients that balance load.

use crate::repository::Repository;
use open_inference::grpc::proto::grpc_inference_service_server::SERVICE_NAME;
use std::{pin::Pin, sync::Arc, time::Duration};
use tokio_stream::{Stream, StreamExt, wrappers::ReceiverStream};
use tonic::{Request, Response, Status};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus, health_server::Health,
};

/// How often a watched status is looked at.
const WATCH: Duration = Duration::from_millis(500);

/// The health of the server.
pub struct Service {
    repository: Arc<Repository>,
}

impl Service {
    pub fn new(repository: Arc<Repository>) -> Self {
        Self { repository }
    }
}

/// The status of a service: the server's (the empty name) and the protocol's are one. Another is None.
fn status(repository: &Repository, service: &str) -> Option<ServingStatus> {
    let status = if repository.is_ready() { ServingStatus::Serving } else { ServingStatus::NotServing };
    ["", SERVICE_NAME].contains(&service).then_some(status)
}

fn response(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status.into() }
}

#[tonic::async_trait]
impl Health for Service {
    async fn check(&self, request: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        let service = request.into_inner().service;
        let status = status(&self.repository, &service);
        let unknown = || Status::not_found(format!("no service {service:?}; the server's is \"\" or {SERVICE_NAME:?}"));
        status.map(|status| Response::new(response(status))).ok_or_else(unknown)
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    /// The status now, and whenever it is another.
    async fn watch(&self, request: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let service = request.into_inner().service;
        let repository = Arc::clone(&self.repository);
        let (changes, watched) = tokio::sync::mpsc::channel(1);
        tokio::spawn(async move {
            let mut last = None;
            while !changes.is_closed() {
                let now = status(&repository, &service).unwrap_or(ServingStatus::ServiceUnknown);
                if last.replace(now) != Some(now) && changes.send(response(now)).await.is_err() {
                    return;
                }
                let _ = tokio::time::timeout(WATCH, changes.closed()).await;
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(watched).map(Ok))))
    }
}
