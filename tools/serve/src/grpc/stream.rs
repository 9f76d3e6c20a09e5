//! `ModelStreamInfer`: requests come as they like, and are answered in their order. Several run at the same time.

use super::{Readiness, infer::infer};
use crate::repository::Repository;
use open_inference::grpc::proto::{
    InferParameter, ModelInferRequest, ModelInferResponse, ModelStreamInferResponse, infer_parameter::ParameterChoice,
};
use std::{pin::Pin, sync::Arc};
use tokio::{sync::mpsc, task::JoinHandle};
use tokio_stream::{Stream, StreamExt, wrappers::ReceiverStream};
use tonic::{Status, Streaming};

/// Requests of a stream that run at the same time; the next is read when the oldest is answered.
const RUNNING: usize = 64;

/// Parameter of an answer: no other follows to the same request.
const FINAL: &str = "triton_final_response";

/// The answers of a stream.
pub type Answers = Pin<Box<dyn Stream<Item = Result<ModelStreamInferResponse, Status>> + Send>>;

/// Answers each request that comes. An error of one is in its answer; the stream goes on.
pub fn answers(repository: Arc<Repository>, requests: Streaming<ModelInferRequest>, readiness: Readiness) -> Answers {
    let (running, answers) = mpsc::channel(RUNNING);
    tokio::spawn(async move {
        // The requests that were read before the server closes are answered.
        tokio::select! {
            () = read(repository, requests, running) => {}
            () = readiness.closing() => {}
        }
    });
    Box::pin(ReceiverStream::new(answers).then(Running::answer))
}

/// Starts each request that comes, until the client or the answers' reader has gone.
async fn read(repository: Arc<Repository>, mut requests: Streaming<ModelInferRequest>, running: mpsc::Sender<Running>) {
    loop {
        let place = tokio::select! {
            () = running.closed() => return,
            place = running.reserve() => place,
        };
        let Ok(place) = place else { return };
        let message = tokio::select! {
            () = running.closed() => return,
            message = requests.message() => message,
        };
        match message {
            Ok(None) => return,
            Ok(Some(message)) => {
                place.send(Running::Request(Task(tokio::spawn(answer(Arc::clone(&repository), message)))))
            }
            Err(status) => return place.send(Running::Failed(status)),
        }
    }
}

async fn answer(repository: Arc<Repository>, message: ModelInferRequest) -> ModelStreamInferResponse {
    let id = message.id.clone();
    match infer(&repository, message).await {
        Ok(mut response) => {
            let is_final = InferParameter { parameter_choice: Some(ParameterChoice::BoolParam(true)) };
            response.parameters.insert(FINAL.to_owned(), is_final);
            ModelStreamInferResponse { error_message: String::new(), infer_response: Some(response) }
        }
        // The id tells the client which request failed.
        Err(error) => ModelStreamInferResponse {
            error_message: error.to_string(),
            infer_response: Some(ModelInferResponse { id, ..Default::default() }),
        },
    }
}

/// What becomes an answer.
enum Running {
    Request(Task),
    /// The stream cannot be read any more.
    Failed(Status),
}

impl Running {
    async fn answer(self) -> Result<ModelStreamInferResponse, Status> {
        match self {
            Self::Request(mut task) => {
                (&mut task.0).await.map_err(|_| Status::internal("the run ended without an answer"))
            }
            Self::Failed(status) => Err(status),
        }
    }
}

/// A request that runs. Dropped, it is cancelled.
struct Task(JoinHandle<ModelStreamInferResponse>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}
