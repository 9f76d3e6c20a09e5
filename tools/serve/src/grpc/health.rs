//! `grpc.health.v1`: whether the server is ready, for orchestrators and clients that balance load.

use super::Readiness;
use open_inference::grpc::proto::grpc_inference_service_server::SERVICE_NAME;
use std::{pin::Pin, time::Duration};
use tokio_stream::{Stream, StreamExt, wrappers::ReceiverStream};
use tonic::{Request, Response, Status};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus, health_server::Health,
};

/// How often a watched status is looked at.
const WATCH: Duration = Duration::from_millis(500);

/// The health of the server.
pub struct Service {
    readiness: Readiness,
}

impl Service {
    pub fn new(readiness: Readiness) -> Self {
        Self { readiness }
    }
}

/// The status of a service: the server's (the empty name) and the protocol's are one. Another is None.
fn status(readiness: &Readiness, service: &str) -> Option<ServingStatus> {
    let status = if readiness.is_ready() { ServingStatus::Serving } else { ServingStatus::NotServing };
    ["", SERVICE_NAME].contains(&service).then_some(status)
}

fn response(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status.into() }
}

#[tonic::async_trait]
impl Health for Service {
    async fn check(&self, request: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        let service = request.into_inner().service;
        let status = status(&self.readiness, &service);
        let unknown = || Status::not_found(format!("no service {service:?}; the server's is \"\" or {SERVICE_NAME:?}"));
        status.map(|status| Response::new(response(status))).ok_or_else(unknown)
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    /// The status now, and whenever it is another.
    async fn watch(&self, request: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let service = request.into_inner().service;
        let readiness = self.readiness.clone();
        let (changes, watched) = tokio::sync::mpsc::channel(1);
        tokio::spawn(async move {
            let mut last = None;
            loop {
                let now = status(&readiness, &service).unwrap_or(ServingStatus::ServiceUnknown);
                if last.replace(now) != Some(now) && changes.send(response(now)).await.is_err() {
                    return;
                }
                tokio::select! {
                    () = changes.closed() => return,
                    () = readiness.closing() => return,
                    () = tokio::time::sleep(WATCH) => {}
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(watched).map(Ok))))
    }
}
