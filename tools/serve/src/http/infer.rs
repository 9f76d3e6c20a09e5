//! `POST /v2/models/M/infer`.

use super::Shared;
use crate::{
    error::{Error, Result},
    model::Model,
};
use axum::{
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use open_inference::{InferRequest, Tensor, http};

/// Length of the JSON in front of binary tensors.
const HEADER_LENGTH: HeaderName = HeaderName::from_static("inference-header-content-length");

pub async fn latest(
    State(repository): State<Shared>,
    Path(model): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response> {
    answer(&*repository.find(&model, None)?, &repository, &headers, body).await
}

pub async fn version(
    State(repository): State<Shared>,
    Path((model, version)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response> {
    answer(&*repository.find(&model, Some(&version))?, &repository, &headers, body).await
}

async fn answer(model: &Model, repository: &Shared, headers: &HeaderMap, body: Bytes) -> Result<Response> {
    let header_length = header_length(headers)?;
    let request = match header_length {
        Some(0) => raw(model, body)?,
        _ => {
            let limits = repository.settings().limits();
            http::parse_request(&body, header_length, &limits).map_err(|e| Error::Invalid(e.to_string()))?
        }
    };
    let (outputs, binary_output) = (request.outputs.clone(), request.binary_output);
    let response = model.infer(request).await?;
    let asked = InferRequest { outputs, binary_output, ..InferRequest::default() };
    let written = http::write_response(&response, &asked).map_err(|e| Error::Invalid(e.to_string()))?;
    let mut answer = Body::from(written.bytes).into_response();
    let content_type = match written.header_length {
        None => "application/json",
        Some(length) => {
            answer.headers_mut().insert(HEADER_LENGTH, HeaderValue::from(length));
            "application/octet-stream"
        }
    };
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    Ok(answer)
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
