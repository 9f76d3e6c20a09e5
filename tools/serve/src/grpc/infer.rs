//! `ModelInfer`: one request, one answer.

use crate::{
    error::{Error, Result},
    repository::Repository,
};
use open_inference::grpc::{
    from_response,
    proto::{ModelInferRequest, ModelInferResponse},
    to_request,
};

/// Answers a request.
pub async fn infer(repository: &Repository, message: ModelInferRequest) -> Result<ModelInferResponse> {
    let model = repository.find(&message.model_name, Some(&message.model_version))?;
    let limits = repository.settings().limits();
    let request = to_request(message, &limits).map_err(|error| Error::Invalid(error.to_string()))?;
    Ok(from_response(model.infer(request).await?))
}
