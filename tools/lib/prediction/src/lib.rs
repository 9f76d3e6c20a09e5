//! Rows in, the same rows with a prediction out: what is the same wherever a model runs.
//!
//! In the pipe: `infer` and `serve` encode rows with an [`Encoder`] as the model takes them, and add what it computes with
//! [`Outputs`].
//!
//! ```
//! use prediction::{Encoder, OptionNames, OutputOptions, Outputs, Values};
//! use records::{Batch, DType, Field};
//! use runtime::TensorSpec;
//!
//! let input = TensorSpec { name: "x".into(), dtype: DType::F4, batch: None, row_shape: vec![Some(2)] };
//! let encoder = Encoder::new(None, input)?;
//! let columns = [(Field::new("x", DType::U1, &[2]), records::Values::Packed(&[1, 2, 3, 4]))];
//! let mut batch = Batch::from_columns("example", 0, 2, &columns)?;
//! let rows = encoder.encode(&batch)?; // [2, 2]
//! assert_eq!((rows.shape, rows.values), (vec![2], Values::F32(vec![1.0, 2.0, 3.0, 4.0])));
//!
//! let options = OutputOptions { out_field: "sum".into(), label_field: None, probabilities: false };
//! let outputs = Outputs::new(options, &OptionNames::settings_of("example"), encoder.classes())?;
//! outputs.add(&mut batch, &[], &[3.0, 7.0])?;
//! assert_eq!(batch.schema().to_string(), "x u1[2], sum f4");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod encoder;
mod error;
mod outputs;

pub use encoder::{Encoder, Rows, Values};
pub use error::{Error, Result};
pub use outputs::{OptionNames, OutputOptions, Outputs};

/// Key of a model's metadata under which `export` writes its [`dataset::Features`].
pub const FEATURES_KEY: &str = "pipegrad.features";

/// Key of a model's metadata under which `export` writes the names of classes that it puts into a graph, one a line.
pub const LABELS_KEY: &str = "pipegrad.labels";
