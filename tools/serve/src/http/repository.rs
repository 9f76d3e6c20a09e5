//! What manages the server: the repository's index, loading and unloading; log and trace settings; shared memory.

use super::{Shared, json::Json};
use crate::{
    error::{Error, Result},
    log_settings,
    repository::Indexed,
    threads::blocking,
    trace_settings,
};
use axum::{
    Router,
    extract::{Path, State},
    http::StatusCode,
    routing::{get, post},
};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The routes.
pub fn routes() -> Router<Shared> {
    Router::new()
        .route("/v2/repository/index", post(index))
        .route("/v2/repository/{repository}/index", post(index_of))
        .route("/v2/repository/models/{model}/load", post(load))
        .route("/v2/repository/models/{model}/unload", post(unload))
        .route("/v2/logging", get(log).post(update_log))
        .route("/v2/trace/setting", get(trace).post(update_trace))
        .route("/v2/models/{model}/trace/setting", get(trace_of_model).post(update_trace_of_model))
        .merge(shared_memory("/v2/systemsharedmemory"))
        .merge(shared_memory("/v2/cudasharedmemory"))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct IndexRequest {
    ready: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct LoadRequest {
    parameters: BTreeMap<String, Value>,
}

async fn index(State(repository): State<Shared>, body: Bytes) -> Result<Json> {
    let IndexRequest { ready } = parse(&body)?;
    let index = blocking(move || Ok(repository.index(ready))).await?;
    Ok(Json(index.iter().map(indexed).collect()))
}

async fn index_of(Path(repository): Path<String>) -> Error {
    Error::Unsupported(format!("'repository' specification is not supported: '{repository}'"))
}

fn indexed(it: &Indexed) -> Value {
    let mut fields = Map::from_iter([("name".to_owned(), json!(it.name))]);
    fields.extend(it.version.map(|version| ("version".to_owned(), json!(version.to_string()))));
    if let Some(state) = it.state {
        fields.insert("state".into(), json!(state.name()));
        fields.insert("reason".into(), json!(it.reason));
    }
    fields.into()
}

async fn load(State(repository): State<Shared>, Path(model): Path<String>, body: Bytes) -> Result<()> {
    let LoadRequest { parameters } = parse(&body)?;
    let texts = parameters.into_iter().map(|(name, value)| match value {
        Value::String(text) => Ok((name, text)),
        other => Err(Error::Invalid(format!("parameter '{name}' is {other}, expected a string"))),
    });
    let parameters = texts.collect::<Result<_>>()?;
    blocking(move || repository.load(&model, &parameters)).await
}

async fn unload(State(repository): State<Shared>, Path(model): Path<String>, body: Bytes) -> Result<()> {
    // `unload_dependents` is about ensembles, which there are none of.
    let LoadRequest { .. } = parse(&body)?;
    blocking(move || repository.unload(&model)).await
}

async fn log() -> Json {
    let value = |value| match value {
        log_settings::Value::Bool(is) => json!(is),
        log_settings::Value::Number(number) => json!(number),
        log_settings::Value::Text(text) => json!(text),
    };
    let settings = log_settings::SETTINGS.into_iter().map(|(name, it)| (name.to_owned(), value(it)));
    Json(Value::Object(settings.collect()))
}

async fn update_log(body: Bytes) -> Result<Json> {
    let settings: Map<String, Value> = parse(&body)?;
    for (name, value) in &settings {
        let value = match value {
            Value::Bool(is) => log_settings::Value::Bool(*is),
            Value::String(text) => log_settings::Value::Text(text),
            Value::Number(number) if number.is_u64() => log_settings::Value::Number(number.as_u64().unwrap_or(0)),
            other => return Err(Error::Invalid(format!("log setting '{name}' cannot be {other}"))),
        };
        log_settings::update(name, value)?;
    }
    Ok(log().await)
}

async fn trace() -> Json {
    // Only the level is a list.
    let value = |name: &str, values: &[&str]| match values {
        [only] if name != "trace_level" => json!(only),
        all => json!(all),
    };
    let settings = trace_settings::SETTINGS.into_iter().map(|(name, it)| (name.to_owned(), value(name, it)));
    Json(Value::Object(settings.collect()))
}

async fn update_trace(body: Bytes) -> Result<Json> {
    let settings: Map<String, Value> = parse(&body)?;
    for (name, value) in &settings {
        let values = match value {
            Value::Null => Vec::new(),
            Value::Array(values) => values.iter().map(text).collect(),
            value => vec![text(value)],
        };
        trace_settings::update(name, &values)?;
    }
    Ok(trace().await)
}

async fn trace_of_model(State(repository): State<Shared>, Path(model): Path<String>) -> Result<Json> {
    repository.find(&model, None)?;
    Ok(trace().await)
}

async fn update_trace_of_model(
    State(repository): State<Shared>,
    Path(model): Path<String>,
    body: Bytes,
) -> Result<Json> {
    repository.find(&model, None)?;
    update_trace(body).await
}

/// A value as it stands in a list of strings.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// No region is ever registered.
fn shared_memory(path: &str) -> Router<Shared> {
    let status = get(|| async { Json(json!([])) });
    let unknown = |Path(name): Path<String>| async move {
        Error::NotFound(format!("Unable to find shared memory region: '{name}'"))
    };
    let register = |Path(name): Path<String>| async move {
        Error::Unsupported(format!(
            "shared memory region '{name}': shared memory is not supported; send tensors as binary data"
        ))
    };
    Router::new()
        .route(&format!("{path}/status"), status)
        .route(&format!("{path}/unregister"), post(StatusCode::OK))
        .route(&format!("{path}/region/{{name}}/status"), get(unknown))
        .route(&format!("{path}/region/{{name}}/register"), post(register))
        .route(&format!("{path}/region/{{name}}/unregister"), post(StatusCode::OK))
}

/// The JSON of a request; without a body, that of nothing.
fn parse<T: Default + serde::de::DeserializeOwned>(body: &[u8]) -> Result<T> {
    if body.trim_ascii().is_empty() {
        return Ok(T::default());
    }
    serde_json::from_slice(body)
        .map_err(|problem| Error::Invalid(format!("failed to parse the request JSON buffer: {problem}")))
}
