//! `POST /v2/models/M/infer`.

use super::{Shared, encoding::Encoding};
use crate::{
    error::{Error, Result},
    model::Model,
    threads::blocking,
};
use axum::{
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use open_inference::{InferRequest, InferResponse, Tensor, http};
use std::sync::Arc;

/// Length of the JSON in front of binary tensors.
const HEADER_LENGTH: HeaderName = HeaderName::from_static("inference-header-content-length");

/// Bytes of a body from which on another thread reads and writes it, so that other connections of this one do not wait.
const LARGE: usize = 256 * 1024;

pub async fn latest(
    State(repository): State<Shared>,
    Path(model): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response> {
    answer(repository.find(&model, None)?, &repository, &headers, body).await
}

pub async fn version(
    State(repository): State<Shared>,
    Path((model, version)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response> {
    answer(repository.find(&model, Some(&version))?, &repository, &headers, body).await
}

/// Answers a request for inference.
pub async fn answer(model: Arc<Model>, repository: &Shared, headers: &HeaderMap, body: Bytes) -> Result<Response> {
    let accepted = Encoding::of_response(headers);
    let request = read(Arc::clone(&model), repository, headers, body).await?;
    let (outputs, binary_output) = (request.outputs.clone(), request.binary_output);
    let response = model.infer(request).await?;
    let asked = InferRequest { outputs, binary_output, ..InferRequest::default() };
    write(response, asked, accepted).await
}

/// The request in a body.
async fn read(model: Arc<Model>, repository: &Shared, headers: &HeaderMap, body: Bytes) -> Result<InferRequest> {
    let settings = repository.settings();
    let (limits, most) = (settings.limits(), settings.max_body_bytes);
    let (header_length, encoding) = (header_length(headers)?, Encoding::of_request(headers)?);
    off_thread(body.len(), move || {
        let body = match encoding {
            None => body,
            Some(encoding) => encoding.decode(&body, most)?,
        };
        match header_length {
            Some(0) => raw(&model, body),
            _ => http::parse_request(&body, header_length, &limits).map_err(|e| Error::Invalid(e.to_string())),
        }
    })
    .await
}

/// The response as `asked` wants it, compressed if the client accepts that.
async fn write(response: InferResponse, asked: InferRequest, accepted: Option<Encoding>) -> Result<Response> {
    let bytes = response.outputs.iter().map(|output| output.data().len()).sum();
    let (body, header_length) = off_thread(bytes, move || {
        let written = http::write_response(&response, &asked).map_err(|e| Error::Invalid(e.to_string()))?;
        let body = accepted.map_or(Ok(written.bytes.clone()), |encoding| encoding.encode(&written.bytes))?;
        Ok((body, written.header_length))
    })
    .await?;
    let mut answer = Body::from(body).into_response();
    let headers = answer.headers_mut();
    headers.extend(accepted.map(|encoding| (header::CONTENT_ENCODING, encoding.header())));
    let content_type = match header_length {
        None => "application/json",
        Some(length) => {
            headers.insert(HEADER_LENGTH, HeaderValue::from(length));
            "application/octet-stream"
        }
    };
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    Ok(answer)
}

/// Runs `work` here, or on a thread for long work where `bytes` are many.
async fn off_thread<T: Send + 'static>(bytes: usize, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    if bytes < LARGE {
        return work();
    }
    blocking(work).await
}

fn header_length(headers: &HeaderMap) -> Result<Option<usize>> {
    let Some(value) = headers.get(HEADER_LENGTH) else { return Ok(None) };
    let length = value.to_str().ok().and_then(|value| value.parse().ok());
    length.map(Some).ok_or_else(|| Error::Invalid(format!("{HEADER_LENGTH}: expected a number of bytes")))
}

/// A body that is the data of the model's only input. A dimension of any size, the batch axis included, is what the length
/// of the body makes it.
fn raw(model: &Model, body: Bytes) -> Result<InferRequest> {
    let [input] = model.spec.inputs.as_slice() else {
        let count = model.spec.inputs.len();
        return Err(Error::Invalid(format!(
            "a raw binary request is for models with 1 input; '{}' has {count}",
            model.name
        )));
    };
    let shape = model.spec.shape(input);
    let free: Vec<usize> = (0..shape.len()).filter(|at| shape[*at] < 0).collect();
    let fixed = shape
        .iter()
        .filter(|dim| **dim >= 0)
        .try_fold(1_usize, |product, dim| usize::try_from(*dim).ok().and_then(|dim| product.checked_mul(dim)));
    let row_bytes = fixed.and_then(|elements| elements.checked_mul(input.data_type.size()?)).filter(|bytes| *bytes > 0);
    let (Some(row_bytes), true) = (row_bytes, free.len() <= 1) else {
        return Err(Error::Invalid(format!("input '{}' has no shape that the length of a body can tell", input.name)));
    };
    let count = body.len() / row_bytes;
    let shape = shape.iter().map(|dim| usize::try_from(*dim).unwrap_or(count)).collect();
    let tensor = Tensor::new(input.name.clone(), input.data_type, shape, body)?;
    Ok(InferRequest { inputs: vec![tensor], binary_output: true, ..InferRequest::default() })
}
