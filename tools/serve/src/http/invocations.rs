//! MLflow's scoring protocol: `POST /invocations`, `GET /ping`, `/health` and `/version`.

use super::{Encoding, Shared};
use crate::{
    error::Error as ServeError,
    model::Model,
    repository::Repository,
    scoring::{self, ContentType, Error, Result},
};
use axum::{
    Router,
    body::Body,
    extract::{Query, State},
    http::{HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;
use std::{collections::BTreeSet, sync::Arc};

/// The version of MLflow whose protocol this is.
const VERSION: &str = "3.0.0";

/// The routes of MLflow's protocol.
pub fn routes() -> Router<Shared> {
    Router::new()
        .route("/invocations", post(invocations))
        .route("/ping", get(ping))
        .route("/health", get(ping))
        .route("/version", get(version))
}

async fn ping(State(repository): State<Shared>) -> Response {
    let status = if repository.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, [(header::CONTENT_TYPE, "application/json")], "\n").into_response()
}

async fn version() -> Response {
    // MLflow says that it is JSON, which it is not.
    VERSION.into_response()
}

/// Which model is asked.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Choice {
    model: Option<String>,
    version: Option<String>,
}

async fn invocations(State(repository): State<Shared>, uri: Uri, headers: HeaderMap, body: Bytes) -> Result<Response> {
    let content_type = headers.get(header::CONTENT_TYPE).map_or(Ok(""), |value| value.to_str());
    let content_type = ContentType::parse(content_type.unwrap_or("another"))?;
    let model = model(&repository, &uri)?;
    let settings = repository.settings();
    let body = match Encoding::of_request(&headers)? {
        None => body,
        Some(encoding) => encoding.decode(&body, settings.max_body_bytes)?,
    };
    let mut answer = Bytes::from(scoring::predict(model, content_type, body, settings.scoring()).await?);
    let accepted = Encoding::of_response(&headers);
    if let Some(encoding) = accepted {
        answer = encoding.encode(&answer)?;
    }
    let mut response = Body::from(answer).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    response.headers_mut().extend(accepted.map(|encoding| (header::CONTENT_ENCODING, encoding.header())));
    Ok(response)
}

/// The model that the query names, else the one of the settings, else the only one.
fn model(repository: &Repository, uri: &Uri) -> Result<Arc<Model>> {
    let Query(choice) = Query::<Choice>::try_from_uri(uri).map_err(|e| {
        Error::Misfit(format!("query: {}; expected model and version", std::error::Error::source(&e).unwrap_or(&e)))
    })?;
    if let Some(name) = choice.model.as_ref().or(repository.settings().scoring_model.as_ref()) {
        return Ok(repository.find(name, choice.version.as_deref())?);
    }
    let all = repository.all();
    let names: BTreeSet<&str> = all.iter().map(|model| model.name.as_str()).collect();
    match names.first() {
        Some(only) if names.len() == 1 => Ok(repository.find(only, choice.version.as_deref())?),
        Some(first) => Err(Error::Misfit(format!(
            "{} models are served: name one, for instance /invocations?model={first} (or the setting serve.scoring_model)",
            names.len()
        ))),
        None if !repository.is_ready() => Err(ServeError::Unavailable("models are being loaded".into()).into()),
        None => Err(ServeError::NotFound("no model is served".into()).into()),
    }
}

impl IntoResponse for Error {
    /// `{"error_code": …, "message": …}`, and plain text for types of bodies, as MLflow answers.
    fn into_response(self) -> Response {
        let message = self.to_string();
        let (status, code) = match self {
            Self::ContentType(_) => return (StatusCode::UNSUPPORTED_MEDIA_TYPE, message).into_response(),
            Self::Malformed(_) => (StatusCode::BAD_REQUEST, "BAD_REQUEST"),
            Self::Misfit(_) => (StatusCode::BAD_REQUEST, "INVALID_PARAMETER_VALUE"),
            Self::Serve(error) => return of_server(error),
        };
        let body = json!({ "error_code": code, "message": message }).to_string();
        (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
    }
}

/// The status and headers that the error has in every protocol, with a body of MLflow's.
fn of_server(error: ServeError) -> Response {
    let code = match &error {
        ServeError::Invalid(_) | ServeError::TooLarge { .. } => "BAD_REQUEST",
        ServeError::NotFound(_) => "RESOURCE_DOES_NOT_EXIST",
        ServeError::Unavailable(_) | ServeError::Overloaded { .. } => "TEMPORARILY_UNAVAILABLE",
        ServeError::Timeout { .. } => "DEADLINE_EXCEEDED",
        ServeError::Unsupported(_) => "NOT_IMPLEMENTED",
        _ => "INTERNAL_ERROR",
    };
    let body = json!({ "error_code": code, "message": error.to_string() }).to_string();
    let mut response = error.into_response();
    *response.body_mut() = Body::from(body);
    response.headers_mut().remove(header::CONTENT_LENGTH);
    response
}
