//! Failures that may pass by themselves: an engine starts the tool again after these, and after no others.

use files::Error;
use std::{
    error::Error as StdError,
    io::{self, ErrorKind},
};

/// A failure that may pass by itself and that no [`io::Error`] tells: another process holds a lock, a server does not answer
/// or is overloaded. Anywhere in the chain of a tool's error, it makes the exit status 75.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Transient(String);

impl Transient {
    /// With the line that the user sees.
    pub fn new(problem: impl Into<String>) -> Self {
        Self(problem.into())
    }
}

/// Whether the same work may succeed later, by what the types of the error and its causes say.
pub fn may_pass(error: &(dyn StdError + 'static)) -> bool {
    chain(error).any(is_transient)
}

/// Whether an error of a connection is one of what came over it ([`ErrorKind::InvalidData`], such as a certificate that is not
/// trusted, or a server that does not speak TLS), and not of the way there: a retry meets it again.
pub fn is_invalid_data(error: &(dyn StdError + 'static)) -> bool {
    let has_it = |error: &io::Error| {
        error.kind() == ErrorKind::InvalidData || error.get_ref().is_some_and(|inner| is_invalid_data(inner))
    };
    chain(error).filter_map(|cause| cause.downcast_ref::<io::Error>()).any(has_it)
}

/// An error and its causes.
fn chain<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

fn is_transient(cause: &(dyn StdError + 'static)) -> bool {
    match (cause.downcast_ref::<io::Error>(), cause.downcast_ref::<Error>()) {
        // `io::Error::source` leaves out the error that it wraps itself.
        (Some(error), _) => is_of_moment(error) || error.get_ref().is_some_and(|inner| is_transient(inner)),
        (_, Some(Error::Locked { .. })) => true,
        _ => cause.is::<Transient>(),
    }
}

/// Whether the operating system may answer otherwise at another time, or on another machine. Not among these: a file or
/// folder that is missing, read-only or forbidden, which somebody has to change; and a lack of memory, since the same work
/// needs as much again.
fn is_of_moment(error: &io::Error) -> bool {
    match error.kind() {
        // Somebody may delete files.
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => true,
        // Another process has it, or there are too many (EAGAIN of `fork`); an interrupted call is to be repeated.
        ErrorKind::ResourceBusy | ErrorKind::ExecutableFileBusy | ErrorKind::WouldBlock | ErrorKind::Interrupted => {
            true
        }
        // A port is taken: the server before this one may still be answering its last requests.
        ErrorKind::AddrInUse => true,
        // A network, a server, or a file system behind them.
        ErrorKind::TimedOut
        | ErrorKind::ConnectionRefused
        | ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::NetworkDown
        | ErrorKind::NetworkUnreachable
        | ErrorKind::HostUnreachable
        | ErrorKind::StaleNetworkFileHandle => true,
        _ => has_passing_code(error),
    }
}

/// Errors of Unix that have no [`ErrorKind`]: a disk or a network file system that does not answer (EIO), no file descriptors
/// in the whole system, no locks from the server of a network file system, no buffers for a connection.
#[cfg(unix)]
fn has_passing_code(error: &io::Error) -> bool {
    use rustix::io::Errno;
    Errno::from_io_error(error)
        .is_some_and(|code| [Errno::IO, Errno::NFILE, Errno::NOLCK, Errno::NOBUFS].contains(&code))
}

#[cfg(not(unix))]
fn has_passing_code(_: &io::Error) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::{Context, anyhow};

    fn of_kind(kind: ErrorKind) -> bool {
        may_pass(&io::Error::from(kind))
    }

    #[test]
    fn a_kind_says_whether_an_error_may_pass() {
        use ErrorKind::*;
        let may = [StorageFull, QuotaExceeded, ResourceBusy, ExecutableFileBusy, WouldBlock, Interrupted, AddrInUse];
        let network = [TimedOut, ConnectionRefused, ConnectionReset, ConnectionAborted, StaleNetworkFileHandle];
        let route = [NetworkDown, NetworkUnreachable, HostUnreachable];
        assert!(may.into_iter().chain(network).chain(route).all(of_kind));
        let file = [NotFound, PermissionDenied, ReadOnlyFilesystem, IsADirectory, NotADirectory, AlreadyExists];
        let content =
            [InvalidData, InvalidInput, UnexpectedEof, WriteZero, FileTooLarge, OutOfMemory, Unsupported, Other];
        assert!(!file.into_iter().chain(content).any(of_kind));
    }

    #[cfg(unix)]
    #[test]
    fn codes_without_a_kind_are_known() {
        use rustix::io::Errno;
        let may = |code: Errno| may_pass(&io::Error::from(code));
        assert!(
            [Errno::IO, Errno::NFILE, Errno::NOLCK, Errno::NOBUFS, Errno::NOSPC, Errno::STALE].map(may) == [true; 6]
        );
        assert!([Errno::MFILE, Errno::NOMEM, Errno::NXIO, Errno::NOENT, Errno::ROFS].map(may) == [false; 5]);
    }

    #[test]
    fn the_cause_is_found_wherever_it_is() {
        let full = || io::Error::from(ErrorKind::StorageFull);
        let file = files::Error::io("rows.npy", full());
        let locked = files::Error::Locked { path: "run".into(), holder: "train, process 1".into() };
        let passing: [anyhow::Error; 6] = [
            anyhow::Error::from(full()).context("outer").context("outermost"),
            file.into(),
            records::Error::from(files::Error::io("rows.npy", full())).into(),
            io::Error::other(io::Error::other(full())).into(),
            anyhow::Error::from(locked).context("the run"),
            Err::<(), _>(Transient::new("no answer")).context("the server").expect_err("an error"),
        ];
        passing.iter().for_each(|error| assert!(may_pass(error.as_ref()), "{error:?}"));
        // The words do not count.
        assert!(!may_pass(anyhow!("No space left on device (os error 28)").as_ref()));
    }

    #[test]
    fn what_came_is_told_from_the_way_there() {
        let of = |kind| is_invalid_data(&io::Error::other(io::Error::new(kind, "of TLS")));
        let nested =
            |kind| is_invalid_data(anyhow::Error::from(io::Error::new(kind, "of TLS")).context("request").as_ref());
        assert!(nested(ErrorKind::InvalidData) && of(ErrorKind::InvalidData));
        assert!(!nested(ErrorKind::ConnectionRefused) && !of(ErrorKind::TimedOut));
    }
}
