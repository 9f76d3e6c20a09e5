//! `POST /v2/models/M/records`: rows of NDJSON, NPY or CSV in, the same rows with predictions out.

use super::{Shared, encoding::Encoding as Compression};
use crate::{
    error::{Error, Result},
    model::Model,
    rows::{self, Options, Started},
    settings::Settings,
};
use axum::{
    Router,
    body::Body,
    extract::{Path, Query, State},
    http::{HeaderMap, HeaderValue, Uri, header},
    response::{IntoResponse, Response},
    routing::post,
};
use prediction::{OptionNames, OutputOptions, Outputs};
use records::{DType, Encoding};
use serde::Deserialize;
use std::sync::Arc;
use tokio_stream::wrappers::ReceiverStream;

/// The routes of records.
pub fn routes() -> Router<Shared> {
    Router::new()
        .route("/v2/models/{model}/records", post(latest))
        .route("/v2/models/{model}/versions/{version}/records", post(version))
}

async fn latest(
    State(repository): State<Shared>,
    Path(model): Path<String>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Response> {
    answer(repository.find(&model, None)?, repository.settings(), &uri, &headers, body).await
}

async fn version(
    State(repository): State<Shared>,
    Path((model, version)): Path<(String, String)>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Response> {
    answer(repository.find(&model, Some(&version))?, repository.settings(), &uri, &headers, body).await
}

async fn answer(
    model: Arc<Model>,
    settings: &Settings,
    uri: &Uri,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response> {
    let options = options(&model, settings, uri, headers)?;
    let permit = rows::Permit::acquire(settings.max_streams)?;
    let Started { encoding, chunks } = rows::start(model, options, body, permit).await?;
    let mut response = Body::from_stream(ReceiverStream::new(chunks)).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type(encoding)));
    Ok(response)
}

/// What a client chooses in the query; otherwise the settings do.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Choices {
    to: Option<String>,
    out_field: Option<String>,
    label_field: Option<String>,
    probabilities: Option<bool>,
    dtype: Option<String>,
    delimiter: Option<String>,
    expect_rows: Option<u64>,
}

fn options(model: &Model, settings: &Settings, uri: &Uri, headers: &HeaderMap) -> Result<Options> {
    let invalid = |e: &dyn std::fmt::Display| Error::Invalid(e.to_string());
    let Query(choices) = Query::<Choices>::try_from_uri(uri)
        .map_err(|e| Error::Invalid(format!("query: {}", std::error::Error::source(&e).unwrap_or(&e))))?;
    let delimiter = choices.delimiter.as_deref().map(str::parse::<cli::Delimiter>).transpose();
    let delimiter = delimiter.map_err(|e| Error::Invalid(format!("delimiter={e}")))?;
    let delimiter = delimiter.map(|cli::Delimiter(byte)| byte).or_else(|| tabs(headers));
    let to = match &choices.to {
        Some(to) => Some(to.parse().map_err(|e| invalid(&format_args!("to: {e}")))?),
        None => accepted(headers),
    };
    let defaults = settings.outputs();
    let outputs = OutputOptions {
        out_field: choices.out_field.unwrap_or(defaults.out_field),
        label_field: choices.label_field.or(defaults.label_field),
        probabilities: choices.probabilities.unwrap_or(defaults.probabilities),
    };
    let classes = model.features.as_ref().and_then(|features| features.target.classes.as_deref());
    let outputs = Outputs::new(outputs, &option_names(), classes).map_err(|e| invalid(&e))?;
    Ok(Options {
        outputs,
        to,
        float: float(choices.dtype.as_deref())?,
        delimiter,
        expect_rows: choices.expect_rows,
        compression: Compression::of_request(headers)?,
        max_row_bytes: settings.max_body_bytes,
        blocks: settings.blocks(),
    })
}

/// What errors call the options.
fn option_names() -> OptionNames {
    OptionNames {
        out_field: "out_field".into(),
        other_out_field: "?out_field=NAME".into(),
        label_field: "?label_field=NAME".into(),
        probabilities: "probabilities".into(),
    }
}

fn float(dtype: Option<&str>) -> Result<DType> {
    match dtype {
        None | Some("f8") => Ok(DType::F8),
        Some("f4") => Ok(DType::F4),
        Some(other) => Err(Error::Invalid(format!("dtype={other}: expected f4 or f8"))),
    }
}

/// A tab, for a request of tab-separated values. Otherwise the type of a request says nothing: its first bytes do.
fn tabs(headers: &HeaderMap) -> Option<u8> {
    let content_type = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    content_type.starts_with(TSV).then_some(b'\t')
}

const NDJSON: &str = "application/x-ndjson";
const NPY: &str = "application/x-npy";
const CSV: &str = "text/csv";
const TSV: &str = "text/tab-separated-values";

/// The first encoding that the client accepts; None where it does not say, and then it gets that of its request.
fn accepted(headers: &HeaderMap) -> Option<Encoding> {
    let accepted = headers.get(header::ACCEPT)?.to_str().ok()?;
    accepted.split(',').find_map(|one| match one.split(';').next().unwrap_or("").trim() {
        NDJSON => Some(Encoding::Ndjson),
        NPY => Some(Encoding::Npy),
        CSV => Some(Encoding::Csv { delimiter: b',' }),
        TSV => Some(Encoding::Csv { delimiter: b'\t' }),
        _ => None,
    })
}

fn content_type(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::Ndjson => NDJSON,
        Encoding::Npy => NPY,
        Encoding::Csv { delimiter: b'\t' } => TSV,
        Encoding::Csv { .. } => CSV,
    }
}
