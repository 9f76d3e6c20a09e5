//! What the server is, and what a model takes and gives.

use crate::{
    error::Result,
    model::{Model, TensorSpec},
    repository::Repository,
};
use open_inference::{
    grpc::proto::{ModelMetadataResponse, ServerMetadataResponse, model_metadata_response::TensorMetadata},
    model_config::{ConfigDataType, ModelConfig, ModelInput, ModelOutput},
};

/// The extensions of the protocol that the server has.
pub const EXTENSIONS: [&str; 9] = [
    "classification",
    "model_repository",
    "schedule_policy",
    "model_configuration",
    "binary_tensor_data",
    "parameters",
    "statistics",
    "trace",
    "logging",
];

/// Triton's name for models that ONNX Runtime runs.
const PLATFORM: &str = "onnxruntime_onnx";
const BACKEND: &str = "onnxruntime";

pub fn server() -> ServerMetadataResponse {
    ServerMetadataResponse {
        name: "pipegrad".into(),
        version: env!("CARGO_PKG_VERSION").into(),
        extensions: EXTENSIONS.map(str::to_owned).to_vec(),
    }
}

pub fn model(repository: &Repository, name: &str, version: &str) -> Result<ModelMetadataResponse> {
    let model = repository.find(name, Some(version))?;
    let versions = repository.all().into_iter().filter(|other| other.name == model.name);
    let tensors = |specs: &[TensorSpec]| specs.iter().map(|spec| tensor(&model, spec)).collect();
    Ok(ModelMetadataResponse {
        name: model.name.clone(),
        versions: versions.map(|version| version.version.clone()).collect(),
        platform: PLATFORM.into(),
        inputs: tensors(&model.spec.inputs),
        outputs: tensors(&model.spec.outputs),
    })
}

fn tensor(model: &Model, spec: &TensorSpec) -> TensorMetadata {
    TensorMetadata { name: spec.name.clone(), datatype: spec.data_type.name().into(), shape: model.spec.shape(spec) }
}

/// The configuration that a model is served with.
pub fn config(model: &Model) -> ModelConfig {
    let dims = |spec: &TensorSpec| -> Vec<i64> {
        spec.dims.iter().map(|dim| dim.map_or(-1, |dim| i64::try_from(dim).unwrap_or(i64::MAX))).collect()
    };
    let data_type = |spec: &TensorSpec| ConfigDataType::from(spec.data_type).into();
    let inputs = model.spec.inputs.iter().map(|spec| ModelInput {
        name: spec.name.clone(),
        data_type: data_type(spec),
        dims: dims(spec),
        ..Default::default()
    });
    let outputs = model.spec.outputs.iter().map(|spec| ModelOutput {
        name: spec.name.clone(),
        data_type: data_type(spec),
        dims: dims(spec),
        ..Default::default()
    });
    ModelConfig {
        name: model.name.clone(),
        platform: PLATFORM.into(),
        backend: BACKEND.into(),
        max_batch_size: i32::try_from(model.spec.max_batch_size).unwrap_or(i32::MAX),
        input: inputs.collect(),
        output: outputs.collect(),
        ..Default::default()
    }
}
