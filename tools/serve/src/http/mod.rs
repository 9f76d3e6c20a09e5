//! HTTP: the Open Inference Protocol and what else is served on its port.

pub mod answer;
mod encoding;
mod features;
pub mod infer;
mod invocations;
mod json;
mod metadata;
mod openapi;
mod records;
mod repository;

pub use answer::not_found;
pub use encoding::Encoding;

use crate::{page, repository::Repository};
use axum::{
    Router,
    extract::DefaultBodyLimit,
    routing::{get, post},
};
use std::sync::Arc;

/// What handlers share.
pub type Shared = Arc<Repository>;

/// All routes.
pub fn router(repository: Shared) -> Router {
    routes(repository.settings().page)
        .fallback(answer::not_found)
        .method_not_allowed_fallback(answer::method_not_allowed)
        // The front limits bodies.
        .layer(DefaultBodyLimit::disable())
        .with_state(repository)
}

/// What there is, with or without the page.
fn routes(page: bool) -> Router<Shared> {
    let page = if page { page::router() } else { Router::new() };
    Router::new()
        .route("/v2/models/{model}/infer", post(infer::latest))
        .route("/v2/models/{model}/versions/{version}/infer", post(infer::version))
        .route("/v2/models/{model}/features", get(features::latest))
        .route("/v2/models/{model}/versions/{version}/features", get(features::version))
        .route("/openapi.json", get(openapi::document))
        .merge(page)
        .merge(invocations::routes())
        .merge(metadata::routes())
        .merge(records::routes())
        .merge(repository::routes())
}
