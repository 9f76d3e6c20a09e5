//! Run folders: settings, metrics and status of finished and unfinished runs, and labels that distinguish them.
//!
//! In the pipe: `train` writes run folders (`config.yaml`, `metrics.json`, `events.ndjson`); `compare` and `plot` read
//! them through this library, and `train` reads the run that it resumes or replaces.
//!
//! The files are not trusted: only regular files are read, only up to a limit, and an [`Error`] is one line that begins
//! with the path.
//!
//! ```
//! let folder = tempfile::tempdir()?;
//! for (name, seed, loss) in [("a", 0, 0.25), ("b", 1, 0.5)] {
//!     let run = folder.path().join(name);
//!     std::fs::create_dir(&run)?;
//!     std::fs::write(run.join("config.yaml"), format!("trainer: {{seed: {seed}, max_epochs: 3}}\n"))?;
//!     std::fs::write(run.join("metrics.json"), format!("{{\"val\": {{\"loss\": {loss}}}}}\n"))?;
//! }
//!
//! let folders = runs::find(folder.path())?;
//! let runs = folders.iter().map(|folder| runs::Run::read(folder)).collect::<Result<Vec<_>, _>>()?;
//! assert_eq!(runs::labels(&runs.iter().collect::<Vec<_>>()), ["seed=0", "seed=1"]);
//! assert_eq!(runs[0].monitor.metric, "val_loss");
//! assert_eq!(runs[0].metric("val_loss"), Some(0.25));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod file;
mod find;
mod flat;
mod labels;
mod log;
mod monitor;
mod run;
mod settings;

pub use error::Error;
pub use find::find;
pub use flat::{metric_name, settings_of};
pub use labels::{folder_names, labels};
pub use metrics::Direction;
pub use monitor::Monitor;
pub use run::{Run, Status, read_settings};
pub use settings::{differing, identity, is_volatile, short_names, short_text, text};
