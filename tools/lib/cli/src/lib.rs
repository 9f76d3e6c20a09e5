//! What the `main` of every tool shares: arguments, exit codes, one-line errors and notes, progress, signals, broken pipes,
//! streams, threads.
//!
//! It is the outermost library: the binaries of `tools/<tool>` call it first, and it calls `config` for settings, `files`
//! for input and output, and `records` for the streams of a filter ([`filter_arguments!`], [`Streams`]). Of the other
//! libraries only `dvc` uses it.
//!
//! | what | where |
//! |---|---|
//! | flags of every tool, and which arguments are settings | [`arguments!`], [`Common`] |
//! | a flag that gives a setting | [`set`], [`Common::settings`] |
//! | exit status, the line of an error | [`run`], [`Outcome`], [`describe`] |
//! | a failure that may pass by itself | [`Transient`], [`may_pass`] |
//! | a tool within the front command | [`run_contained`], [`this_tool`] |
//! | how a tool writes a table | [`Encoding`] |
//! | lines and progress bars on standard error | [`note`], [`Report`], [`Bar`] |
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
mod dash;
mod encoding;
mod exit;
mod help;
mod man;
mod message;
mod notes;
mod open;
mod program;
mod report;
mod signals;
mod stream;
mod threads;
mod transient;

pub use address::redacted;
#[doc(hidden)]
pub use args::RawCommon;
pub use args::{Arguments, Common, Input, Shown, set};
pub use dash::{no_dash, not_dash};
pub use encoding::Encoding;
pub use exit::{Outcome, TRANSIENT, describe, is_broken_pipe, print, run, run_command, run_without_arguments};
pub use message::printable;
pub use notes::{note, note_if_terminal};
pub use open::open;
pub use program::{called_as, run_contained, this_tool};
pub use report::{Bar, Report, Unit, clock};
pub use signals::{Signal, Signals};
pub use stream::{Ahead, Delimiter, InvalidDelimiter, Streams, output_encoding};
pub use threads::{limited as limited_threads, use_shared_threads, use_threads};
pub use transient::{Transient, is_invalid_data, may_pass};
