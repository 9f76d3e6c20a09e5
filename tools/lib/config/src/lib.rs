//! Settings: composing YAML groups and overrides into one resolved document, and typed settings
//! from it.
//!
//! A *primary config* (`configs/entropy.yaml`) has a *defaults list*, which chooses an *option* of
//! each *group* (`data: line` is `configs/data/line.yaml`). Overrides choose other options
//! (`data=edge`) and change values (`data.rows=10`). Then interpolations (`${data.rows}`) are
//! resolved. The rules are those of Hydra 1.3 and OmegaConf 2.3.
//!
//! In the pipe: every tool starts here. `cli` passes the overrides of the command line and what the tool's flags set, and
//! the tool reads its settings struct from the [`Document`] (see `docs/design/config.md`, also for where an override
//! becomes a number).
//!
//! Config files are looked for in `./configs`, then in the folders given, then in a copy of the
//! repository's `configs/` that is part of the binary and called `builtin:` in errors.
//!
//! ```
//! #[derive(serde::Deserialize)]
//! #[serde(deny_unknown_fields)]
//! struct Relu {
//!     field: String,
//!     out_field: Option<String>,
//!     slope: f64,
//!     fortran_bytes: u64,
//!     device: String,
//! }
//!
//! let overrides = ["slope=1e-2".to_owned()];
//! let document = config::compose_for(&["relu"], &config::Sources::default(), &overrides)?;
//! let relu: Relu = document.section("relu")?;
//! assert_eq!(relu.slope, 1e-2);
//! # Ok::<(), config::Error>(())
//! ```

mod apply;
mod candidates;
mod comments;
mod compose;
mod defaults;
mod document;
mod emit;
mod error;
mod explain;
mod fallback;
mod header;
mod hydra;
mod interpolate;
mod merge;
mod node;
mod number;
mod origin;
pub mod overrides;
mod reference;
mod repository;
mod resolved;
mod scalar;
mod search;
mod searchpath;
mod sections;
mod settings;
mod shadow;
mod suggest;
mod sweep;
mod unknown;
mod yaml;

pub use candidates::{Candidate, candidates, primaries};
pub use comments::Comments;
pub use compose::{Sources, compose, compose_for, compose_for_tools, compose_raw, explain};
pub use document::Document;
pub use error::{Error, ErrorKind, Origin, Result};
pub use explain::Explanation;
pub use interpolate::InterpolationError;
pub use node::{Map, Node, Value};
pub use origin::origins;
pub use reference::{Group, Setting, hint_at_setting, reference};
pub use suggest::{did_you_mean, nearest};
pub use sweep::{Grid, Sweeper};
pub use unknown::is_read;
pub use yaml::YamlError;
