//! `GET /v2/models/M/features`: what a form for a model needs beyond its metadata.

use super::{Shared, json::Json};
use crate::{error::Result, model::Model};
use axum::extract::{Path, State};
use serde_json::{Map, Value, json};

pub async fn latest(State(repository): State<Shared>, Path(model): Path<String>) -> Result<Json> {
    Ok(Json(describe(&*repository.find(&model, None)?)))
}

pub async fn version(State(repository): State<Shared>, Path((model, version)): Path<(String, String)>) -> Result<Json> {
    Ok(Json(describe(&*repository.find(&model, Some(&version))?)))
}

/// `features`, null for a model that `export` did not write, and `labels`, the class names of each output that has some.
fn describe(model: &Model) -> Value {
    let outputs = model.spec.outputs.iter().zip(&model.labels).filter(|(_, labels)| !labels.is_empty());
    let labels: Map<String, Value> = outputs.map(|(output, labels)| (output.name.clone(), json!(labels))).collect();
    json!({ "model_name": model.name, "model_version": model.version, "features": model.features, "labels": labels })
}
