//! From a body to predictions.

use super::{Error, Result, answer, columns::Data, csv, json};
use crate::{
    error::Error as ServeError,
    model::Model,
    rows::{self, Blocks},
};
use bytes::{Bytes, BytesMut};
use open_inference::{InferRequest, Limits, Tensor};
use prediction::{OptionNames, OutputOptions, Outputs};
use records::Batch;
use std::sync::Arc;

/// How requests are read, run and answered.
#[derive(Debug, Clone)]
pub struct Settings {
    pub limits: Limits,
    pub blocks: Blocks,
    pub outputs: OutputOptions,
}

/// A type of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentType {
    Json,
    Csv,
}

impl ContentType {
    /// Of the value of a header, with MLflow's rules: UTF-8, and no parameter but `charset`.
    ///
    /// # Errors
    /// When it is another one.
    pub fn parse(value: &str) -> Result<Self> {
        let mut parts = value.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        for parameter in parts.filter(|parameter| !parameter.is_empty()) {
            let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            if key != "charset" {
                return Err(Error::ContentType(format!(
                    "Unrecognized content type parameters: {}.",
                    key.escape_debug()
                )));
            }
            if !value.trim_matches('"').eq_ignore_ascii_case("utf-8") {
                return Err(Error::ContentType("The scoring server only supports UTF-8".into()));
            }
        }
        match name {
            "application/json" => Ok(Self::Json),
            "text/csv" => Ok(Self::Csv),
            _ => Err(Error::ContentType(format!(
                "This predictor only supports the following content types: Types: ['text/csv', 'application/json']. Got '{}'.",
                value.escape_debug()
            ))),
        }
    }
}

/// The predictions for a body, as JSON.
///
/// # Errors
/// When the body is not data of the model's, or the model fails.
pub async fn predict(model: Arc<Model>, content_type: ContentType, body: Bytes, settings: Settings) -> Result<Vec<u8>> {
    let parsed = {
        let (model, limits) = (Arc::clone(&model), settings.limits);
        off_thread(body.len(), move || parse(&model, content_type, &body, limits)).await?
    };
    match parsed {
        Data::Tensors(tensors) => {
            let outputs = run(&model, tensors).await?;
            let bytes = outputs.iter().map(|output| output.data().len()).sum();
            off_thread(bytes, move || answer::of_tensors(&outputs)).await
        }
        Data::Rows(batches) => {
            let encoder = rows::encoder(&model)?;
            let outputs = Outputs::new(settings.outputs, &OptionNames::settings_of("serve"), encoder.classes())?;
            let mut predicted = Vec::with_capacity(batches.len());
            for mut batch in batches.into_iter().filter(|batch| batch.rows() > 0) {
                let encoded = encoder.encode(&batch)?;
                let (row_shape, values) = rows::predict(&model, encoded, batch.rows(), settings.blocks).await?;
                outputs.add(&mut batch, &row_shape, &values)?;
                predicted.push((batch, row_shape));
            }
            let bytes = predicted.iter().map(|(batch, _): &(Batch, _)| batch.packed().len()).sum();
            off_thread(bytes, move || answer::of_rows(&outputs, &predicted)).await
        }
    }
}

fn parse(model: &Model, content_type: ContentType, body: &Bytes, limits: Limits) -> Result<Data> {
    match content_type {
        ContentType::Csv => csv::parse(model, rows::encoder(model).ok().as_ref(), body),
        ContentType::Json => json::parse(model, body, limits),
    }
}

/// The outputs for tensors of any number of rows, in runs of as many as the model takes.
async fn run(model: &Model, inputs: Vec<Tensor>) -> Result<Vec<Tensor>> {
    let most = model.spec.max_batch_size;
    let rows = inputs.first().and_then(|input| input.shape().first().copied()).unwrap_or(0);
    let agree = inputs.iter().all(|input| input.shape().first() == Some(&rows));
    if most == 0 || rows <= most || !agree {
        let request = InferRequest { inputs, ..InferRequest::default() };
        return Ok(model.infer(request).await.map_err(misfit)?.outputs);
    }
    let mut parts: Vec<Vec<Tensor>> = Vec::new();
    for begin in (0..rows).step_by(most) {
        let part = inputs.iter().map(|input| rows::slice(input, begin, most.min(rows - begin)));
        let request = InferRequest { inputs: part.collect::<std::result::Result<_, _>>()?, ..InferRequest::default() };
        parts.push(model.infer(request).await.map_err(misfit)?.outputs);
    }
    let outputs = (0..parts.first().map_or(0, Vec::len)).map(|at| joined(parts.iter().filter_map(|part| part.get(at))));
    outputs.collect()
}

/// What does not fit the model is the data's fault.
fn misfit(error: ServeError) -> Error {
    match error {
        ServeError::Invalid(message) => Error::Misfit(message),
        other => other.into(),
    }
}

/// The parts, one after the other.
fn joined<'t>(parts: impl Iterator<Item = &'t Tensor> + Clone) -> Result<Tensor> {
    let Some(first) = parts.clone().next() else {
        return Err(ServeError::Internal("there are no outputs".into()).into());
    };
    let rows = parts.clone().filter_map(|part| part.shape().first()).sum();
    let shape = std::iter::once(rows).chain(first.shape().iter().skip(1).copied()).collect();
    let mut data = BytesMut::with_capacity(parts.clone().map(|part| part.data().len()).sum());
    parts.for_each(|part| data.extend_from_slice(part.data()));
    let joined = Tensor::new(first.name().to_owned(), first.data_type(), shape, data.freeze());
    Ok(joined.map_err(ServeError::from)?)
}

/// Runs `work` here, or on a thread for long work where `bytes` are many.
async fn off_thread<T: Send + 'static>(bytes: usize, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    /// Bytes from which on another thread does it, so that other connections of this one do not wait.
    const LARGE: usize = 256 << 10;
    if bytes < LARGE {
        return work();
    }
    tokio::task::spawn_blocking(work).await.map_err(|e| ServeError::Internal(e.to_string()))?
}
