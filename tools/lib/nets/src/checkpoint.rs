//! A trained model in one safetensors file.

use crate::{Architecture, Error, Layout, Parameters, Result, Scaling};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, collections::HashMap, path::Path};

/// What the model computes: which field from which.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// The field that goes in.
    pub input_field: String,
    /// Shape of its value in one row.
    pub input_shape: Vec<usize>,
    /// The field that the model learned to predict.
    pub target_field: String,
    /// Shape of its value in one row.
    pub target_shape: Vec<usize>,
}

/// A network with its numbers and what they are for.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// What it looks like.
    pub architecture: Architecture,
    /// What it computes.
    pub task: Task,
    /// What happens to the input first.
    pub scaling: Option<Scaling>,
    /// Its weights and biases.
    pub parameters: Parameters,
}

/// The one key of the file's metadata. One, because the order of several is not defined.
const METADATA_KEY: &str = "pipegrad";

/// What the metadata holds, as JSON.
#[derive(Serialize, Deserialize)]
struct Metadata {
    architecture: Architecture,
    task: Task,
}

impl Model {
    /// The model as a safetensors file: `layers.<i>.weight`, `layers.<i>.bias`, and `input.mean` and
    /// `input.scale` where the input is scaled. The same model gives the same bytes.
    ///
    /// # Errors
    /// When safetensors refuses.
    pub fn to_safetensors(&self) -> Result<Vec<u8>> {
        let mut tensors = Vec::new();
        if let Some(scaling) = &self.scaling {
            tensors.push(("input.mean".to_string(), vec![scaling.mean.len()], scaling.mean.as_slice()));
            tensors.push(("input.scale".to_string(), vec![scaling.scale.len()], scaling.scale.as_slice()));
        }
        for (i, (layer, weight, bias)) in self.parameters.layers().enumerate() {
            tensors.push((format!("layers.{i}.weight"), vec![layer.outputs, layer.inputs], weight));
            tensors.push((format!("layers.{i}.bias"), vec![layer.outputs], bias));
        }
        let bytes: Vec<_> = tensors
            .iter()
            .map(|(name, shape, values)| {
                let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
                (name, shape.clone(), bytes)
            })
            .collect();
        let mut views = Vec::new();
        for (name, shape, bytes) in &bytes {
            let view = TensorView::new(Dtype::F32, shape.clone(), bytes).map_err(|e| checkpoint("the model", e))?;
            views.push((name.as_str(), view));
        }
        let metadata = Metadata { architecture: self.architecture.clone(), task: self.task.clone() };
        let metadata = serde_json::to_string(&metadata).map_err(|e| checkpoint("the model", e))?;
        let metadata = HashMap::from([(METADATA_KEY.to_string(), metadata)]);
        safetensors::serialize(views, Some(metadata)).map_err(|e| checkpoint("the model", e))
    }

    /// Reads the file at `path`.
    ///
    /// # Errors
    /// When it cannot be read, is no safetensors file, or holds another kind of model.
    pub fn read(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let bytes = std::fs::read(path).map_err(|source| Error::Io { path: name.clone(), source })?;
        Self::from_safetensors(&bytes).map_err(|problem| Error::Checkpoint { path: name, problem })
    }

    /// Reads the bytes of a file.
    ///
    /// # Errors
    /// One line: no safetensors file, or another kind of model.
    pub fn from_safetensors(bytes: &[u8]) -> std::result::Result<Self, String> {
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(|e| format!("no safetensors file: {e}"))?;
        let metadata = header.metadata().as_ref().and_then(|metadata| metadata.get(METADATA_KEY));
        let metadata = metadata.ok_or("no model of this kind: its metadata has no \"pipegrad\"")?;
        let Metadata { architecture, task } =
            serde_json::from_str(metadata).map_err(|e| format!("damaged metadata: {e}"))?;
        let tensors = SafeTensors::deserialize(bytes).map_err(|e| format!("no safetensors file: {e}"))?;
        let read = |name: &str, shape: &[usize]| tensor(&tensors, name, shape);

        let scaling = match tensors.tensor("input.mean") {
            Ok(_) => Some(Scaling {
                mean: read("input.mean", &[architecture.inputs])?,
                scale: read("input.scale", &[architecture.inputs])?,
            }),
            Err(_) => None,
        };
        let mut values = Vec::new();
        for (i, (inputs, outputs)) in architecture.layers().enumerate() {
            values.extend(read(&format!("layers.{i}.weight"), &[outputs, inputs])?);
            values.extend(read(&format!("layers.{i}.bias"), &[outputs])?);
        }
        let parameters = Parameters { layout: Layout::new(&architecture), values };
        Ok(Self { architecture, task, scaling, parameters })
    }
}

fn tensor(tensors: &SafeTensors<'_>, name: &str, shape: &[usize]) -> std::result::Result<Vec<f32>, String> {
    let view = tensors.tensor(name).map_err(|_| format!("tensor {name:?} is missing"))?;
    if view.dtype() != Dtype::F32 || view.shape() != shape {
        return Err(format!("tensor {name:?} is {:?} {:?}, expected F32 {shape:?}", view.dtype(), view.shape()));
    }
    let data: Cow<'_, [u8]> = view.data().into();
    Ok(data.chunks_exact(4).map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])).collect())
}

fn checkpoint(path: &str, problem: impl std::fmt::Display) -> Error {
    Error::Checkpoint { path: path.into(), problem: problem.to_string() }
}
