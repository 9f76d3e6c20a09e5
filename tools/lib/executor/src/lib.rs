//! Runs graphs on the CPU, over `kernels`: graph, fused graph, memory plan, run. No library is loaded.
//!
//! In the pipe: `runtime` runs ONNX models here ([`Executor`]), `export` checks what it has written, and `nets` computes training
//! steps ([`training`]). Results have the same bytes on every CPU and with any number of threads.
//!
//! ```
//! use executor::{Executor, Options, View};
//! use onnx::{GraphBuilder, Model, ModelInfo};
//!
//! let mut graph = GraphBuilder::new("double");
//! let x = graph.input("x", &[2], "a row of two values"); // [batch, 2]
//! let y = graph.node("Add", &[&x, &x], "y", &[]);
//! graph.output(&y, &[2], "twice the row");
//! let info = ModelInfo { opset: 17, description: String::new(), metadata: vec![] };
//! let model = Model::from_bytes("double", &graph.to_bytes(&info))?;
//! let mut executor = Executor::new(model, &Options::default())?;
//! let rows = [1.0f32, 2.0, 3.0, 4.0];
//! executor.run(&[View { shape: &[2, 2], bytes: bytemuck::cast_slice(&rows) }])?;
//! let output = executor.output(0);
//! assert_eq!(output.shape, [2, 2]);
//! assert_eq!(bytemuck::cast_slice::<u8, f32>(output.bytes), [2.0, 4.0, 6.0, 8.0]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod element;
mod error;
mod executor;
mod interpreter;
mod ops;
mod plan;
mod slots;
mod tensor;
pub mod training;

pub use error::Error;
pub use executor::{Executor, Options, View};
pub use slots::Slots;
pub use tensor::Tensor;
