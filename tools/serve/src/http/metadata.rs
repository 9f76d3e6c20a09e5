//! What the server and its models are, what they do, and whether they are ready.

use super::{Shared, json::Json};
use crate::{
    error::Result,
    metadata::{EXTENSIONS, NAME, VERSION},
    model::{Model, PLATFORM, TensorSpec},
    repository::Repository,
    statistics::{BatchStatistics, Durations, Statistics},
};
use axum::{
    Router,
    extract::{Path, State},
    http::StatusCode,
    routing::get,
};
use open_inference::model_config;
use serde_json::{Value, json};
use std::sync::{Arc, atomic::Ordering::Relaxed};

/// A model's name and version in a path.
type Versioned = Path<(String, String)>;

/// The routes.
pub fn routes() -> Router<Shared> {
    Router::new()
        .route("/v2", get(server))
        .route("/v2/", get(server))
        .route("/v2/health/live", get(StatusCode::OK))
        .route("/v2/health/ready", get(ready))
        .route("/v2/models/stats", get(all_statistics))
        .route("/v2/models/{model}", get(model))
        .route("/v2/models/{model}/ready", get(model_ready))
        .route("/v2/models/{model}/config", get(config))
        .route("/v2/models/{model}/stats", get(statistics))
        .route("/v2/models/{model}/versions/{version}", get(version))
        .route("/v2/models/{model}/versions/{version}/ready", get(version_ready))
        .route("/v2/models/{model}/versions/{version}/config", get(version_config))
        .route("/v2/models/{model}/versions/{version}/stats", get(version_statistics))
}

async fn server() -> Json {
    Json(json!({ "name": NAME, "version": VERSION, "extensions": EXTENSIONS }))
}

async fn ready(State(repository): State<Shared>) -> StatusCode {
    if repository.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

async fn model_ready(State(repository): State<Shared>, Path(name): Path<String>) -> StatusCode {
    is_ready(&repository, &name, None)
}

async fn version_ready(State(repository): State<Shared>, Path((name, version)): Versioned) -> StatusCode {
    is_ready(&repository, &name, Some(&version))
}

fn is_ready(repository: &Repository, name: &str, version: Option<&str>) -> StatusCode {
    if repository.find(name, version).is_ok() { StatusCode::OK } else { StatusCode::BAD_REQUEST }
}

async fn model(State(repository): State<Shared>, Path(name): Path<String>) -> Result<Json> {
    Ok(metadata(&*repository.find(&name, None)?, &repository))
}

async fn version(State(repository): State<Shared>, Path((name, version)): Versioned) -> Result<Json> {
    Ok(metadata(&*repository.find(&name, Some(&version))?, &repository))
}

fn metadata(model: &Model, repository: &Repository) -> Json {
    let spec = &model.spec;
    let tensor = |it: &TensorSpec| json!({ "name": it.name, "datatype": it.data_type.name(), "shape": spec.shape(it) });
    Json(json!({
        "name": model.name,
        "versions": repository.versions(&model.name),
        "platform": PLATFORM,
        "runtime": model.runtime,
        "inputs": spec.inputs.iter().map(tensor).collect::<Vec<_>>(),
        "outputs": spec.outputs.iter().map(tensor).collect::<Vec<_>>(),
    }))
}

async fn config(State(repository): State<Shared>, Path(name): Path<String>) -> Result<Json> {
    Ok(Json(model_config::to_json(&repository.find(&name, None)?.config)))
}

async fn version_config(State(repository): State<Shared>, Path((name, version)): Versioned) -> Result<Json> {
    Ok(Json(model_config::to_json(&repository.find(&name, Some(&version))?.config)))
}

async fn all_statistics(State(repository): State<Shared>) -> Result<Json> {
    Ok(model_statistics(&repository.select("", None)?))
}

async fn statistics(State(repository): State<Shared>, Path(name): Path<String>) -> Result<Json> {
    Ok(model_statistics(&repository.select(&name, None)?))
}

async fn version_statistics(State(repository): State<Shared>, Path((name, version)): Versioned) -> Result<Json> {
    Ok(model_statistics(&repository.select(&name, Some(&version))?))
}

fn model_statistics(models: &[Arc<Model>]) -> Json {
    Json(json!({ "model_stats": models.iter().map(|model| of_model(model)).collect::<Vec<_>>() }))
}

/// Upper bounds of buckets, and the events of each; one more has those beyond all bounds.
fn histogram(durations: &Durations) -> Value {
    let (bounds, counts): (Vec<_>, Vec<_>) = durations.buckets().into_iter().unzip();
    json!({ "bounds_us": bounds.into_iter().flatten().collect::<Vec<_>>(), "counts": counts })
}

fn of_model(model: &Model) -> Value {
    let all = &model.engine.statistics;
    let mut batches = Vec::new();
    all.for_batches(|rows, batch| batches.push(of_batch(rows, batch)));
    json!({
        "name": model.name,
        "version": model.version,
        "last_inference": all.last_milliseconds(),
        "inference_count": all.inferences.load(Relaxed),
        "execution_count": all.executions.load(Relaxed),
        "inference_stats": inference_stats(all),
        "response_stats": {},
        "batch_stats": batches,
        "memory_usage": [],
        "histogram": histogram(&all.success),
    })
}

/// Requests that were refused or timed out have failed, as in Triton. There is no cache.
fn inference_stats(all: &Statistics) -> Value {
    let failed = [&all.fail, &all.reject, &all.cancel];
    let (count, nanoseconds) = failed.iter().fold((0, 0), |sum, it| (sum.0 + it.count(), sum.1 + it.nanoseconds()));
    json!({
        "success": durations(&all.success),
        "fail": { "count": count, "ns": nanoseconds },
        "queue": durations(&all.queue),
        "compute_input": durations(&all.input),
        "compute_infer": durations(&all.infer),
        "compute_output": durations(&all.output),
        "cache_hit": durations(&Durations::default()),
        "cache_miss": durations(&Durations::default()),
    })
}

fn of_batch(rows: usize, batch: &BatchStatistics) -> Value {
    json!({
        "batch_size": rows,
        "compute_input": durations(&batch.input),
        "compute_infer": durations(&batch.infer),
        "compute_output": durations(&batch.output),
    })
}

fn durations(durations: &Durations) -> Value {
    json!({ "count": durations.count(), "ns": durations.nanoseconds() })
}
