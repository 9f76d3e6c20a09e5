//! ONNX graphs: built, read, checked, rewritten and written.
//!
//! In the pipe: `export` builds the graph of a trained network here, and rewrites it for production; `profile` counts its
//! work; `runtime` runs it. [`GraphBuilder`] puts a graph together node by node; [`Model`] is a graph that was read: constants
//! as typed tensors, nodes in topological order; [`proto`] is the format itself, generated from `proto/onnx.proto` of the ONNX project
//! (Apache-2.0), as released with ONNX 1.23. Shapes of inputs and outputs omit the batch axis, which is the first and
//! dynamic.
//!
//! ```
//! use onnx::{GraphBuilder, ModelInfo, proto::ModelProto};
//! use prost::Message;
//!
//! let mut graph = GraphBuilder::new("double");
//! let x = graph.input("x", &[2], "a row of two values"); // [batch, 2]
//! let y = graph.node("Add", &[&x, &x], "y", &[]);
//! graph.output(&y, &[2], "twice the row");
//! let info = ModelInfo { opset: 17, description: String::new(), metadata: vec![] };
//! let model = ModelProto::decode(graph.to_bytes(&info).as_slice())?;
//! assert_eq!(model.graph.unwrap_or_default().node[0].op_type(), "Add");
//! # Ok::<(), prost::DecodeError>(())
//! ```

mod builder;
mod check;
mod constants;
pub mod cost;
mod error;
mod external;
pub mod fp16;
mod fuse;
mod graph;
mod model;
mod node;
mod operators;
pub mod quantize;
pub mod shape;
pub mod simplify;
mod sort;
pub mod surround;
mod tensor;
mod value;

pub use builder::{Attribute, GraphBuilder, ModelInfo};
pub use check::{NEWEST_IR_VERSION, OPSETS};
pub use error::{Error, Problem, Result, WeightsError};
pub use fuse::{Layer, fuse};
pub use graph::{Graph, Links, Names};
pub use model::Model;
pub use node::Node;
pub use operators::operators;
pub use proto::tensor_proto::DataType;
pub use tensor::{Tensor, bits, type_name};
pub use value::{Dim, TensorType, Value};

/// The messages of the ONNX format.
#[allow(missing_docs, clippy::all, reason = "generated")]
pub mod proto {
    include!(concat!(env!("OUT_DIR"), "/onnx.rs"));
}
