//! Files as every tool reads and writes them: output that appears whole or not at all, input with a limit, locks,
//! digests.
//!
//! In the pipe, [`Input`] and [`Output`] are the two ends of a tool: a path, standard input or standard output.
//! `records` puts rows on them; `track`, `plot` and `compose` put other text on them.
//!
//! ```
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("params.yaml");
//! files::write_file(&path, b"seed: 1\n")?;
//! assert_eq!(files::read_file(&path, files::Limit { bytes: 1 << 10, setting: None })?, b"seed: 1\n");
//!
//! let mut output = files::Output::create(Some(&path))?;
//! output.write_all(b"seed:")?;
//! drop(output); // As after an error: the old file is untouched.
//! assert_eq!(std::fs::read(&path)?, b"seed: 1\n");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | to | call | readers see | after a power failure |
//! |---|---|---|---|
//! | write a stream | [`Output::create`], [`Output::finish`] | the old file, then the whole new one | the same |
//! | write one small file | [`write_file`] | the same | the same |
//! | write several | [`write_files`] | each as above, in the given order | the same; one wait for the disk |
//! | write often | [`write_file_unsynced`] | the same | perhaps an empty file |

mod destination;
mod error;
mod extension;
mod folders;
mod input;
mod inside;
mod lock;
mod output;
mod random_access;
mod read;
mod sha256;
#[cfg(unix)]
mod signals;
mod stdout;
mod temporary;

pub use error::{Error, Result};
pub use extension::promises_another;
pub use folders::NewFolders;
pub use input::Input;
pub use inside::{Misplaced, file_inside, is_same_file};
pub use lock::{Lock, no_follow};
pub use output::{Output, write_file, write_file_unsynced, write_files};
pub use random_access::RandomAccess;
pub use read::{Limit, read_file};
pub use sha256::{Sha256, sha256};
#[cfg(unix)]
pub use signals::{disable_signal_cleanup, remove_temporary_files, termination_signals};
pub use stdout::keep_stdout_closed;
pub use temporary::{remove_stale, remove_stale_in};
