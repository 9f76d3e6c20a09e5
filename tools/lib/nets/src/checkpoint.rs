//! Models and the state of training runs as safetensors files.

use crate::{
    Architecture, CheckpointError, Error, Graph, OutputActivation, Parameters, Result, Scaling, TargetScaling,
};
use dataset::Features;
use records::DType;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use std::{borrow::Cow, collections::HashMap, path::Path};

/// Which field of a record the model predicts, from which.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// The input field; `features` where several fields are joined.
    pub input_field: String,
    /// Shape of its value in one row, before scaling and filling.
    pub input_shape: Vec<usize>,
    /// `f4`, or `u1` where it is bytes, as images are: the network sees them as 0 to 255. In files, no other is accepted,
    /// and none is `f4`.
    #[serde(default = "f4", deserialize_with = "input_dtype")]
    pub input_dtype: DType,
    /// The field that is predicted.
    pub target_field: String,
    /// Shape of a prediction for one row; empty for a scalar.
    pub target_shape: Vec<usize>,
    /// The function from outputs to predictions.
    #[serde(default)]
    pub output_activation: OutputActivation,
}

impl Task {
    /// The features of a model whose input is one numeric field as it is.
    pub fn features(&self) -> Features {
        Features::of_field(&self.input_field, &self.input_shape, &self.target_field, &self.target_shape)
    }
}

fn f4() -> DType {
    DType::F4
}

fn input_dtype<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<DType, D::Error> {
    match DType::deserialize(deserializer)? {
        dtype @ (DType::F4 | DType::U1) => Ok(dtype),
        other => Err(D::Error::custom(format!("input_dtype is {other}, expected f4 or u1"))),
    }
}

/// A network with parameters and all that is needed to predict from a record.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// The operations.
    pub graph: Graph,
    /// Input and target field.
    pub task: Task,
    /// Applied to the input, where it is scaled.
    pub scaling: Option<Scaling>,
    /// Inverted on the outputs, where the target is scaled.
    pub target_scaling: Option<TargetScaling>,
    /// How the fields of a row become the input, and the names of classes.
    pub features: Features,
    /// In the layout of `graph`.
    pub parameters: Parameters,
}

/// A model in training with the state from which training resumes bit for bit.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// The current model. [`Model::read`] reads a checkpoint file, too.
    pub model: Model,
    /// Arrays as long as the parameters, by name: optimizer state, and [`AVERAGE`].
    pub buffers: Vec<(String, Vec<f32>)>,
    /// The trainer's own state: epoch, step, best values.
    pub progress: serde_json::Value,
}

/// Name of the buffer with the exponential moving average of the parameters, where a run keeps one.
pub const AVERAGE: &str = "average";

/// The only key of the file's metadata: safetensors does not define the order of several, and the same model must give
/// the same bytes.
const METADATA_KEY: &str = "pipegrad";

/// The metadata, as JSON.
#[derive(Serialize, Deserialize)]
struct Metadata {
    architecture: Architecture,
    task: Task,
    /// None in files of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    features: Option<Features>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    progress: Option<serde_json::Value>,
}

impl Checkpoint {
    /// The checkpoint as a safetensors file: the model's tensors, and the buffers by name. The same
    /// checkpoint gives the same bytes.
    ///
    /// # Errors
    /// When a tensor or the metadata cannot be serialized.
    pub fn to_safetensors(&self) -> Result<Vec<u8>> {
        serialize(&self.model, &self.buffers, Some(&self.progress))
    }

    /// Reads the file at `path`.
    ///
    /// # Errors
    /// When it cannot be read, is no safetensors file, or holds a model but no training run.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = files::read_file(path, FILE_LIMIT)?;
        Self::from_safetensors(&bytes).map_err(|problem| Error::Checkpoint { path: path.to_owned(), problem })
    }

    /// The model that is evaluated: with the moving average of the parameters, where the run keeps one.
    pub fn measured(self) -> Model {
        let Self { mut model, buffers, .. } = self;
        if let Some((_, average)) = buffers.into_iter().find(|(name, _)| name == AVERAGE) {
            model.parameters.values = average;
        }
        model
    }

    /// Reads the bytes of a file.
    ///
    /// # Errors
    /// When they are no safetensors file, or hold no training run.
    pub fn from_safetensors(bytes: &[u8]) -> std::result::Result<Self, CheckpointError> {
        let (mut metadata, tensors) = deserialize(bytes)?;
        let progress = metadata.progress.take().ok_or(CheckpointError::NoTrainingState)?;
        let model = model(metadata, &tensors)?;
        let length = model.parameters.values.len();
        let mut names: Vec<_> = tensors.names().into_iter().filter(|name| name.starts_with(BUFFER)).collect();
        names.sort_unstable();
        let buffers =
            names.into_iter().map(|name| Ok((name[BUFFER.len()..].to_owned(), tensor(&tensors, name, &[length])?)));
        Ok(Self { buffers: buffers.collect::<std::result::Result<_, CheckpointError>>()?, model, progress })
    }
}

/// Prefix of the keys of buffers.
const BUFFER: &str = "state.";

impl Model {
    /// The model as a safetensors file: `layers.<i>.weight`, `layers.<i>.bias` and so on by the layers' indices,
    /// `input.mean` and `input.scale` where the input is scaled, and `output.mean` and `output.scale`
    /// where the target is. The same model gives the same bytes.
    ///
    /// # Errors
    /// When a tensor or the metadata cannot be serialized.
    pub fn to_safetensors(&self) -> Result<Vec<u8>> {
        serialize(self, &[], None)
    }

    /// Reads the file at `path`.
    ///
    /// # Errors
    /// When it cannot be read, is no safetensors file, or holds another kind of model.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = files::read_file(path, FILE_LIMIT)?;
        Self::from_safetensors(&bytes).map_err(|problem| Error::Checkpoint { path: path.to_owned(), problem })
    }

    /// Reads the bytes of a file.
    ///
    /// # Errors
    /// When they are no safetensors file, or hold another kind of model.
    pub fn from_safetensors(bytes: &[u8]) -> std::result::Result<Self, CheckpointError> {
        let (metadata, tensors) = deserialize(bytes)?;
        model(metadata, &tensors)
    }
}

/// Most bytes of a file: a billion parameters.
const FILE_LIMIT: files::Limit<'_> = files::Limit { bytes: 4 << 30, setting: None };

fn serialize(model: &Model, buffers: &[(String, Vec<f32>)], progress: Option<&serde_json::Value>) -> Result<Vec<u8>> {
    let mut tensors: Vec<(String, Vec<usize>, &[f32])> = Vec::new();
    if let Some(scaling) = &model.scaling {
        tensors.push(("input.mean".into(), vec![scaling.mean.len()], &scaling.mean));
        tensors.push(("input.scale".into(), vec![scaling.scale.len()], &scaling.scale));
    }
    if let Some(scaling) = &model.target_scaling {
        tensors.push(("output.mean".into(), vec![scaling.mean.len()], &scaling.mean));
        tensors.push(("output.scale".into(), vec![scaling.scale.len()], &scaling.scale));
    }
    for tensor in model.parameters.layout.tensors() {
        let values = &model.parameters.values[tensor.range.clone()];
        tensors.push((tensor.name.clone(), tensor.shape.clone(), values));
    }
    for (name, values) in buffers {
        tensors.push((format!("{BUFFER}{name}"), vec![values.len()], values));
    }
    let bytes: Vec<_> = tensors
        .into_iter()
        .map(|(name, shape, values)| {
            let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            (name, shape, bytes)
        })
        .collect();
    let mut views = Vec::new();
    for (name, shape, bytes) in &bytes {
        let view = TensorView::new(Dtype::F32, shape.clone(), bytes)?;
        views.push((name.as_str(), view));
    }
    let (architecture, task) = (model.graph.architecture.clone(), model.task.clone());
    let metadata = Metadata { architecture, task, features: Some(model.features.clone()), progress: progress.cloned() };
    let metadata = HashMap::from([(METADATA_KEY.to_string(), serde_json::to_string(&metadata)?)]);
    Ok(safetensors::serialize(views, Some(metadata))?)
}

fn deserialize(bytes: &[u8]) -> std::result::Result<(Metadata, SafeTensors<'_>), CheckpointError> {
    let (_, header) = SafeTensors::read_metadata(bytes)?;
    let metadata = header.metadata().as_ref().and_then(|metadata| metadata.get(METADATA_KEY));
    let metadata = serde_json::from_str(metadata.ok_or(CheckpointError::NoMetadata)?)?;
    Ok((metadata, SafeTensors::deserialize(bytes)?))
}

fn model(metadata: Metadata, tensors: &SafeTensors<'_>) -> std::result::Result<Model, CheckpointError> {
    let Metadata { architecture, task, features, .. } = metadata;
    let features = match features {
        Some(features) => features.checked().map_err(CheckpointError::Features)?,
        None => task.features(),
    };
    if features.raw_shape() != task.input_shape || features.complete_width() != architecture.inputs() {
        return Err(CheckpointError::FeatureWidth);
    }
    let graph = Graph::new(architecture)?;
    let width = [dataset::channels(&graph.architecture.input_shape)];
    let scaling = match tensors.tensor("input.mean") {
        Ok(_) => Some(Scaling {
            mean: tensor(tensors, "input.mean", &width)?,
            scale: tensor(tensors, "input.scale", &width)?,
        }),
        Err(_) => None,
    };
    let width = [graph.architecture.outputs];
    let target_scaling = match tensors.tensor("output.mean") {
        Ok(_) => Some(TargetScaling {
            mean: tensor(tensors, "output.mean", &width)?,
            scale: tensor(tensors, "output.scale", &width)?,
        }),
        // A target that is not scaled, or a file from before there was such a scaling.
        Err(_) => None,
    };
    let layout = graph.layout.clone();
    // Checked before allocating: the architecture in the metadata is not trusted.
    for one in layout.tensors() {
        checked(tensors, &one.name, &one.shape)?;
    }
    let mut values = vec![0.0; layout.len()];
    for one in layout.tensors() {
        values[one.range.clone()].copy_from_slice(&tensor(tensors, &one.name, &one.shape)?);
    }
    Ok(Model { graph, task, scaling, target_scaling, features, parameters: Parameters { layout, values } })
}

fn tensor(tensors: &SafeTensors<'_>, name: &str, shape: &[usize]) -> std::result::Result<Vec<f32>, CheckpointError> {
    let data: Cow<'_, [u8]> = checked(tensors, name, shape)?.data().into();
    Ok(data.chunks_exact(4).map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])).collect())
}

/// The tensor of that name, of f32 and that shape.
fn checked<'t>(
    tensors: &SafeTensors<'t>,
    name: &str,
    shape: &[usize],
) -> std::result::Result<TensorView<'t>, CheckpointError> {
    let view = tensors.tensor(name).map_err(|_| CheckpointError::MissingTensor { name: name.into() })?;
    if view.dtype() != Dtype::F32 || view.shape() != shape {
        return Err(CheckpointError::Tensor {
            name: name.into(),
            dtype: view.dtype(),
            shape: view.shape().to_vec(),
            expected: shape.to_vec(),
        });
    }
    Ok(view)
}
