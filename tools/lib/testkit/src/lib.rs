//! What every test shares: a temporary folder, a tool's run, and fixtures. A dev-dependency: no tool contains it.
//!
//! | item | for |
//! |---|---|
//! | [`Folder`] | a temporary folder with files in it |
//! | [`tool!`], [`Tool`], [`Done`], [`Running`] | one run of the tool under test: arguments, environment, standard input, result |
//! | [`rows`], [`npy`], [`log`], [`run_folder`] | rows that a network learns, NumPy's files, a run log, a run folder |
//! | [`reference`] | values of a peer in JSON, and comparison with them |
//! | [`system`] | signals, named pipes, programs that may be missing |
//! | [`trt_run`] | a stand-in for TensorRT's process |
//!
//! ```
//! let folder = testkit::Folder::with(&[("a/rows.csv", "x,y\n1,2\n")]);
//! let done = testkit::Tool::new("cat").within(&folder).args(["a/rows.csv", "-"]).stdin("3,4\n").run();
//! assert_eq!(done.parts(), (0, "x,y\n1,2\n3,4\n".into(), String::new()));
//! ```

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod fake_gpu;
mod folder;
pub mod log;
pub mod npy;
pub mod reference;
pub mod rows;
pub mod system;
mod tool;
#[cfg(unix)]
mod trt_run;

pub use fake_gpu::FakeGpu;
pub use folder::{Folder, contents};
pub use tool::{Done, Running, Tool};
#[cfg(unix)]
pub use trt_run::trt_run;

/// A finished run as `train` leaves it: `config.yaml` and `metrics.json` in the folder `name`.
pub fn run_folder(folder: &Folder, name: &str, config: &str, metrics: &str) {
    folder.write(format!("{name}/config.yaml"), config);
    folder.write(format!("{name}/metrics.json"), metrics);
}
