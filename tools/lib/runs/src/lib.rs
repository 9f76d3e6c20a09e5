//! Run folders of `train`, as tools that compare runs read them: settings, metrics, status, and what tells runs apart.
//!
//! ```no_run
//! let folders = runs::find("runs/sweep".as_ref())?;
//! let runs = folders.iter().map(|folder| runs::Run::read(folder)).collect::<Result<Vec<_>, _>>()?;
//! let runs: Vec<&runs::Run> = runs.iter().collect();
//! for (run, label) in runs.iter().zip(runs::labels(&runs)) {
//!     println!("{label}: {:?}", run.metric(&run.monitor.metric)); // optimizer=adam, seed=0: Some(0.0123)
//! }
//! # Ok::<(), runs::Error>(())
//! ```
//!
//! What the files hold is not trusted: they are regular files of bounded size, and what is wrong with one is an error of
//! one line that names it.

mod error;
mod file;
mod find;
mod flat;
mod known;
mod labels;
mod log;
mod monitor;
mod run;
mod settings;

pub use error::Error;
pub use find::find;
pub use flat::metric_name;
pub use known::{read_settings, settings_of};
pub use labels::{folder_names, labels};
pub use metrics::Direction;
pub use monitor::Monitor;
pub use run::{Run, Status};
pub use settings::{differing, identity, is_volatile, short_names, short_text, text};
