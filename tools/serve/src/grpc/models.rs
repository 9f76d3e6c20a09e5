//! The models of the repository: index, load and unload.

use crate::{
    error::{Error, Result},
    repository::{Indexed, Repository},
    threads::blocking,
};
use open_inference::grpc::proto::{
    ModelRepositoryParameter, RepositoryIndexRequest, RepositoryIndexResponse, RepositoryModelLoadRequest,
    RepositoryModelUnloadRequest, model_repository_parameter::ParameterChoice, repository_index_response::ModelIndex,
};
use std::sync::Arc;

/// Every version of every model.
pub async fn index(repository: Arc<Repository>, request: RepositoryIndexRequest) -> Result<RepositoryIndexResponse> {
    check_name(&request.repository_name)?;
    let index = blocking(move || Ok(repository.index(request.ready))).await?;
    Ok(RepositoryIndexResponse { models: index.into_iter().map(indexed).collect() })
}

fn indexed(model: Indexed) -> ModelIndex {
    ModelIndex {
        name: model.name,
        version: model.version.map(|version| version.to_string()).unwrap_or_default(),
        state: model.state.map(|state| state.name().to_owned()).unwrap_or_default(),
        reason: model.reason,
    }
}

/// Loads or reloads a model.
pub async fn load(repository: Arc<Repository>, request: RepositoryModelLoadRequest) -> Result<()> {
    check_name(&request.repository_name)?;
    let texts = request.parameters.into_iter().map(|(name, value)| {
        let value = text(&name, value)?;
        Ok((name, value))
    });
    let parameters = texts.collect::<Result<_>>()?;
    blocking(move || repository.load(&request.model_name, &parameters)).await
}

/// Unloads a model. `unload_dependents` is about ensembles, which there are none of.
pub async fn unload(repository: Arc<Repository>, request: RepositoryModelUnloadRequest) -> Result<()> {
    check_name(&request.repository_name)?;
    blocking(move || repository.unload(&request.model_name)).await
}

fn check_name(repository: &str) -> Result<()> {
    match repository {
        "" => Ok(()),
        name => Err(Error::Unsupported(format!("'repository' specification is not supported: '{name}'"))),
    }
}

fn text(name: &str, value: ModelRepositoryParameter) -> Result<String> {
    match value.parameter_choice {
        Some(ParameterChoice::StringParam(text)) => Ok(text),
        // The content of a file, which is refused by its name.
        Some(ParameterChoice::BytesParam(_)) => Ok(String::new()),
        _ => Err(Error::Invalid(format!("parameter '{name}': expected a string"))),
    }
}
