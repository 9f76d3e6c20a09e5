//! The Open Inference Protocol, version 2, with the extensions of Triton's that its clients use: tensors, HTTP bodies
//! (JSON and binary), gRPC messages, and the configuration of a model (`config.pbtxt`).
//!
//! In the pipe: `serve` reads requests and writes responses with it. It opens no socket and runs no model.
//!
//! ```
//! use open_inference::{DataType, InferResponse, Limits, Tensor, http};
//!
//! let body = br#"{"id":"7","inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[0.5,-1]}]}"#;
//! let limits = Limits { tensors: 16, dimensions: 8, elements: 1 << 20 };
//! let request = http::parse_request(&body.as_slice().into(), None, &limits)?;
//! let x = &request.inputs[0];
//! assert_eq!((x.name(), x.data_type(), x.shape()), ("x", DataType::Fp32, &[1, 2][..]));
//! assert_eq!(x.data()[..], [0.5_f32.to_le_bytes(), (-1.0_f32).to_le_bytes()].concat());
//!
//! let y = Tensor::new("y".into(), DataType::Int64, vec![1], 3_i64.to_le_bytes().to_vec().into())?;
//! let response =
//!     InferResponse { model_name: "m".into(), model_version: "1".into(), id: request.id.clone(), outputs: vec![y] };
//! let body = http::write_response(&response, &request)?;
//! assert_eq!(
//!     body.bytes,
//!     r#"{"id":"7","model_name":"m","model_version":"1","outputs":[{"name":"y","datatype":"INT64","shape":[1],"data":[3]}]}"#
//! );
//!
//! let error = http::parse_request(&r#"{"inputs":[{"name":"x","shape":[-1]}]}"#.into(), None, &limits).unwrap_err();
//! assert_eq!(error.to_string(), "inputs[0].shape[0]: expected an integer of at least 0, found -1");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

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
