//! The Open Inference Protocol, version 2, with the extensions of Triton's that its clients use: tensors, HTTP bodies
//! (JSON and binary), gRPC messages, and the configuration of a model (`config.pbtxt`).
//!
//! In the pipe: `serve` reads requests and writes responses with it. It opens no socket and runs no model.

pub mod classification;
mod data_type;
pub mod grpc;
pub mod http;
pub mod model_config;
mod request;
mod tensor;

pub use data_type::DataType;
pub use request::{InferRequest, InferResponse, Limits, RequestedOutput};
pub use tensor::{Tensor, TensorError};
