//! What a model knows of its data set: the contract between a run, its exported model, and whoever feeds it rows.
//!
//! [`Features`] says which fields go in, in which order, what becomes of text and of missing values, and what the
//! outputs mean. `train` fits it on the training rows; it goes into the run folder, the checkpoint and the ONNX file, and
//! `infer` encodes new rows by it:
//!
//! ```
//! use dataset::{Column, FeatureSettings, Features, Source, Texts};
//!
//! let sqft = Source { name: "sqft".into(), shape: vec![], column: Column::numbers(vec![900.0, f32::NAN, 1500.0], 1) };
//! let city = Source { name: "city".into(), shape: vec![], column: Column::Texts(["b", "a", "b"].into_iter().collect()) };
//! let settings = FeatureSettings { missing: dataset::Missing::Mean, ..FeatureSettings::default() };
//! let features = Features::fit(&[sqft.clone(), city.clone()], &[0, 1, 2], &settings).unwrap();
//! let raw = features.encode([&sqft.column, &city.column]).unwrap(); // [rows, raw width]
//! assert_eq!(raw[..3], [900.0, 0.0, 1.0]);
//! assert_eq!(features.complete(&raw)[3..6], [1200.0, 1.0, 0.0]);
//! ```
//!
//! | matrix | shape | what it is |
//! |---|---|---|
//! | raw | `[rows, raw width]` | the input of the exported graph: numbers as they are, a missing one NaN, and a one-hot vector for each text |
//! | complete | `[rows, complete width]` | what the network takes, before it is scaled: missing numbers filled, indicators behind the rest |

pub mod classes;
mod column;
mod encode;
mod error;
mod features;
mod fit;
mod rows;
mod statistics;

pub use column::{Column, Source, Texts};
pub use error::{Error, Result, RowError};
pub use features::{Features, Input, Scaled, Target, Unseen, VERSION};
pub use fit::{FeatureSettings, Missing};
pub use rows::{raw_rows, read_options, texts};
pub use statistics::{ByteSums, Statistics, channels};
