//! The models of the repository: index, load and unload.

use crate::{error::Error, repository::Repository};
use open_inference::grpc::proto::{RepositoryIndexResponse, repository_index_response::ModelIndex};

/// The state of a model that answers requests.
const READY: &str = "READY";

/// Every version of every model.
pub fn index(repository: &Repository) -> RepositoryIndexResponse {
    let models = repository.all().into_iter().map(|model| ModelIndex {
        name: model.name.clone(),
        version: model.version.clone(),
        state: READY.into(),
        reason: String::new(),
    });
    RepositoryIndexResponse { models: models.collect() }
}

/// The answer to load and unload of a server that serves what it has found at its start, as Triton's.
pub fn no_control() -> Error {
    Error::Unavailable("explicit model load / unload is not allowed if polling is enabled".into())
}
