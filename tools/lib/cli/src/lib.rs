//! What every main shares: arguments, exit codes, one-line errors, signals, broken pipes, streams, threads.
//!
//! A tool declares its flags with [`arguments!`], which adds those that every tool has, and runs
//! with [`run`]:
//!
//! ```no_run
//! cli::arguments! {
//!     groups: [],
//!     input: File,
//!     /// Doubles field `x` of every row.
//!     #[argh(example = "echo '{{\"x\":1}}' | {command_name}")]
//!     struct Args {
//!         /// field to double
//!         #[argh(option, default = "\"x\".into()")]
//!         field: String,
//!     }
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     cli::run("double", |args: Args, common| {
//!         println!("{} {:?}", args.field, common.input);
//!         Ok(cli::Outcome::Done)
//!     })
//! }
//! ```

mod address;
mod args;
mod complete;
mod exit;
mod message;
mod pull;
mod signals;
mod stream;

pub use address::redacted;
#[doc(hidden)]
pub use args::RawCommon;
pub use args::{Arguments, Common, Input, flag, not_dash, text_flag};
pub use exit::{Outcome, complain, is_broken_pipe, print, run};
pub use pull::open_or_pull;
pub use signals::{Signal, Signals};
pub use stream::{Delimiter, Streams};

use anyhow::Context;

/// Limits the threads of this process; without a number, as many as there are cores.
///
/// # Errors
/// When `threads` is 0 or the threads cannot be started.
pub fn use_threads(threads: Option<usize>) -> anyhow::Result<()> {
    let Some(threads) = threads else { return Ok(()) };
    anyhow::ensure!(threads > 0, "--threads 0: at least one thread is needed");
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().context("--threads")
}
