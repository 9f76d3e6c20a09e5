//! MLflow's scoring protocol: the body of `POST /invocations` as tensors or rows of a model, and its predictions as JSON.
//!
//! What the keys of the data name says what it is: the graph's inputs, or the fields of the model's features. Tensors are
//! answered as `mlflow models serve` answers for an ONNX model with a signature of tensors, by output. Rows are answered as
//! by `infer`: an object a row.

mod answer;
mod columns;
mod csv;
mod error;
mod json;
mod plan;
mod predict;

pub use error::{Error, Result};
pub use predict::{ContentType, Settings, predict};

/// What errors call the body.
const BODY: &str = "request";
