//! What a model needs to know about its dataset: features, class names, statistics.
//!
//! [`Features`] is the preprocessing of a model: input fields and their order, encoding of text, replacements of
//! missing values, meaning of the outputs. `train` fits it to the training rows and writes it into the run folder, the
//! checkpoint and the ONNX file; `infer` encodes new rows by it. [`classes`] reads the names of classes, which `score` and `plot` show.
//! [`augmentation`] is what training does to images.
//! [`Statistics`] are the means and variances that `train` scales by and `fetch-data` writes into `dataset.json`.
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
//! | matrix | shape | content |
//! |---|---|---|
//! | raw | `[rows, raw width]` | the input of the exported ONNX graph: numbers unchanged, missing ones NaN, texts one-hot |
//! | complete | `[rows, complete width]` | the network's input before scaling: missing numbers filled, indicators appended |

pub mod augmentation;
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
pub use fit::{FeatureSettings, Missing, check_complete};
pub use rows::{raw_rows, read_options, texts};
pub use statistics::{ByteSums, Means, Statistics, Variances, channels};
