//! `ModelStreamInfer`: requests come as they like, and are answered in their order. Several run at the same time.

use super::{Readiness, infer::infer};
use crate::repository::Repository;
use open_inference::grpc::proto::{
    InferParameter, ModelInferRequest, ModelInferResponse, ModelStreamInferResponse, infer_parameter::ParameterChoice,
};
use prost::Message;
use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    task::JoinHandle,
};
use tokio_stream::{Stream, StreamExt, wrappers::ReceiverStream};
use tonic::{Status, Streaming};

/// Requests of a stream that run at the same time; the next is read when the oldest is answered.
const RUNNING: u32 = 64;
/// Bytes of answers that a stream computes ahead of a client that does not take them.
const AHEAD: usize = 16 << 20;

/// Parameter of an answer: no other follows to the same request.
const FINAL: &str = "triton_final_response";

/// The answers of a stream.
pub type Answers = Pin<Box<dyn Stream<Item = Result<ModelStreamInferResponse, Status>> + Send>>;

/// Answers each request that comes. An error of one is in its answer; the stream goes on.
pub fn answers(repository: Arc<Repository>, requests: Streaming<ModelInferRequest>, readiness: Readiness) -> Answers {
    let (running, answers) = mpsc::channel(RUNNING as usize);
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
    let pace = Pace::new();
    loop {
        let place = tokio::select! {
            () = running.closed() => return,
            place = pace.next() => place,
        };
        let Some(place) = place else { return };
        let message = tokio::select! {
            () = running.closed() => return,
            message = requests.message() => message,
        };
        match message {
            Ok(None) => return,
            Ok(Some(message)) => {
                let (repository, largest) = (Arc::clone(&repository), Arc::clone(&pace.largest));
                let run = tokio::spawn(async move {
                    let answer = answer(repository, message).await;
                    largest.fetch_max(answer.encoded_len(), Relaxed);
                    answer
                });
                if running.send(Running::Request(Task { run, _place: place })).await.is_err() {
                    return;
                }
            }
            Err(status) => {
                // Where the reader of the answers has gone, nobody is to be told.
                let _ = running.send(Running::Failed(status)).await;
                return;
            }
        }
    }
}

/// How far a stream runs ahead of its client: [`RUNNING`] requests, or as many as have [`AHEAD`] bytes of answers; one until
/// the first answer tells how large they are.
struct Pace {
    places: Arc<Semaphore>,
    /// Bytes of the largest answer.
    largest: Arc<AtomicUsize>,
}

impl Pace {
    fn new() -> Self {
        Self { places: Arc::new(Semaphore::new(RUNNING as usize)), largest: Arc::default() }
    }

    /// The place of the next request, which it has until its answer is taken.
    async fn next(&self) -> Option<OwnedSemaphorePermit> {
        let ahead = match self.largest.load(Relaxed) {
            0 => 1,
            bytes => u32::try_from(AHEAD / bytes).unwrap_or(RUNNING).clamp(1, RUNNING),
        };
        Arc::clone(&self.places).acquire_many_owned(RUNNING / ahead).await.ok()
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
                (&mut task.run).await.map_err(|_| Status::internal("the run ended without an answer"))
            }
            Self::Failed(status) => Err(status),
        }
    }
}

/// A request that runs, and its place. Dropped, it is cancelled.
struct Task {
    run: JoinHandle<ModelStreamInferResponse>,
    /// Given back when the answer is taken.
    _place: OwnedSemaphorePermit,
}

impl Drop for Task {
    fn drop(&mut self) {
        self.run.abort();
    }
}
