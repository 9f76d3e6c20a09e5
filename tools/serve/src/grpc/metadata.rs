//! What the server is, and what a model takes and gives.

use crate::{
    error::Result,
    metadata::{EXTENSIONS, NAME, VERSION},
    model::{PLATFORM, TensorSpec},
    repository::Repository,
};
use open_inference::grpc::proto::{
    ModelMetadataResponse, ServerMetadataResponse, model_metadata_response::TensorMetadata,
};

/// What the server is.
pub fn server() -> ServerMetadataResponse {
    ServerMetadataResponse {
        name: NAME.into(),
        version: VERSION.into(),
        extensions: EXTENSIONS.map(str::to_owned).to_vec(),
    }
}

/// What a model takes and gives.
pub fn model(repository: &Repository, name: &str, version: &str) -> Result<ModelMetadataResponse> {
    let model = repository.find(name, Some(version))?;
    let tensors = |specs: &[TensorSpec]| {
        let tensors = specs.iter().map(|spec| TensorMetadata {
            name: spec.name.clone(),
            datatype: spec.data_type.name().into(),
            shape: model.spec.shape(spec),
        });
        tensors.collect()
    };
    Ok(ModelMetadataResponse {
        name: model.name.clone(),
        versions: repository.versions(&model.name),
        platform: PLATFORM.into(),
        inputs: tensors(&model.spec.inputs),
        outputs: tensors(&model.spec.outputs),
    })
}
