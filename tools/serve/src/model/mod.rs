//! A version of a model: what it takes and gives, and the engine that runs it.

mod configuration;
mod labels;
mod load;
mod spec;
mod warm_up;

use crate::{
    engine::Engine,
    error::{Error, Result},
};
use dataset::Features;
use open_inference::{InferRequest, InferResponse, RequestedOutput, Tensor, classification, model_config::ModelConfig};
use std::{sync::Arc, time::Duration};

pub use configuration::{Configuration, PLATFORM};
pub use load::{Source, load};
pub use spec::{Job, Spec, TensorSpec};

/// A version of a model that is loaded and warm.
pub struct Model {
    pub name: String,
    pub version: String,
    pub spec: Spec,
    /// The whole configuration: as it is given, and completed from the graph and the settings.
    pub config: ModelConfig,
    /// The fields that its input comes from, of a model that `export` wrote.
    pub features: Option<Features>,
    /// Class names of each output, in the graph's order; empty where it has none.
    pub labels: Vec<Vec<String>>,
    /// What runs it.
    pub runtime: runtime::Backend,
    pub engine: Arc<Engine>,
    /// Batch sizes that it has run with before it was ready.
    pub warm_sizes: usize,
}

impl Model {
    /// Answers a request of any protocol.
    ///
    /// # Errors
    /// When the request does not fit the model, or the model cannot run it.
    pub async fn infer(&self, mut request: InferRequest) -> Result<InferResponse> {
        let timeout = request.timeout_us.filter(|timeout| *timeout > 0).map(Duration::from_micros);
        let id = request.id.take();
        let job = self.spec.bind(&self.name, request).inspect_err(|_| self.count_failure())?;
        let requested: Vec<(usize, RequestedOutput)> = match job.outputs.iter().any(|(_, it)| it.classes.is_some()) {
            true => job.outputs.clone(),
            false => Vec::new(),
        };
        let mut outputs = self.engine.run(job, timeout).await?;
        for ((at, requested), output) in requested.iter().zip(&mut outputs) {
            if let Some(classes) = requested.classes {
                *output = self.classify(*at, output, classes)?;
            }
        }
        Ok(InferResponse { model_name: self.name.clone(), model_version: self.version.clone(), id, outputs })
    }

    fn classify(&self, at: usize, output: &Tensor, classes: usize) -> Result<Tensor> {
        let labels = self.labels.get(at).filter(|labels| !labels.is_empty()).map(Vec::as_slice);
        classification::top(output, classes, labels, self.spec.max_batch_size > 0)
            .map_err(|e| Error::Invalid(e.to_string()))
    }

    fn count_failure(&self) {
        self.engine.statistics.fail.add(1, Duration::ZERO);
    }
}
