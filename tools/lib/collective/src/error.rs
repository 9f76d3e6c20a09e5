//! What can go wrong between ranks.

use std::io;

/// A result of this library.
pub type Result<T> = std::result::Result<T, Error>;

/// A problem with the launcher's environment or with another rank.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A rank was killed, its machine is gone, or it says nothing; starting the job again may help.
    #[error("rank {rank} of {size} was lost")]
    Lost {
        /// The rank that is gone.
        rank: usize,
        /// Ranks of the job.
        size: usize,
        /// `ConnectionReset` or `TimedOut`, most often.
        source: io::Error,
    },
    /// A rank ended with an error of its own, which it has printed.
    #[error("rank {rank} of {size} ended with an error; see its own message")]
    Failed {
        /// The rank that ended.
        rank: usize,
        /// Ranks of the job.
        size: usize,
    },
    /// Not all ranks have come.
    #[error(
        "{address}: {arrived} of {size} ranks came within {seconds} s (trainer.distributed.timeout); start all with the \
         same MASTER_ADDR, MASTER_PORT and number of ranks"
    )]
    Missing {
        /// Where rank 0 listens.
        address: String,
        /// Ranks that came, rank 0 included.
        arrived: usize,
        /// Ranks of the job.
        size: usize,
        /// The time limit.
        seconds: u64,
    },
    /// Rank 0 cannot be reached.
    #[error("{address}: rank 0 is not there (MASTER_ADDR, MASTER_PORT)")]
    Unreachable {
        /// Where it should listen.
        address: String,
        /// What the operating system says.
        source: io::Error,
    },
    /// Rank 0 cannot listen.
    #[error("{address}: rank 0 cannot listen there (MASTER_ADDR, MASTER_PORT); is another job running?")]
    Listen {
        /// Where it should listen.
        address: String,
        /// What the operating system says.
        source: io::Error,
    },
    /// The launcher has started ranks of different jobs.
    #[error("rank {rank}: {problem}")]
    Refused {
        /// The rank that does not fit.
        rank: usize,
        /// Why not.
        problem: String,
    },
    /// A rank has other data or settings than rank 0.
    #[error("rank {rank} has another {what} than rank 0; all ranks must be given the same")]
    Differs {
        /// The rank that differs.
        rank: usize,
        /// What differs, in the singular.
        what: &'static str,
    },
    /// The bytes of a rank are not those of this protocol.
    #[error("rank {rank} of {size} sent something else than expected")]
    Protocol {
        /// The rank.
        rank: usize,
        /// Ranks of the job.
        size: usize,
    },
    /// A variable of the environment cannot be read, or does not fit the others.
    #[error("{variable}={value}: {expected}")]
    Variable {
        /// Its name.
        variable: &'static str,
        /// What it holds.
        value: String,
        /// What was expected.
        expected: String,
    },
    /// A variable of the environment is missing.
    #[error("{given} is set and {missing} is not; a launcher sets both")]
    MissingVariable {
        /// One that is set.
        given: &'static str,
        /// The one that is not.
        missing: &'static str,
    },
    /// `mpirun` has started a program that cannot speak MPI.
    #[error(
        "mpirun has started {size} ranks, and this build is without MPI: build with --features mpi, or let the ranks use \
         TCP with mpirun -x MASTER_ADDR=HOST -x MASTER_PORT=29500"
    )]
    WithoutMpi {
        /// Ranks of the job.
        size: usize,
    },
    /// The program is linked to another MPI than `mpirun` is of.
    #[cfg(feature = "mpi")]
    #[error(
        "mpirun has started {started} ranks, and this program's MPI library sees {found}; build it with mpirun's MPI"
    )]
    OtherMpi {
        /// Ranks by the environment.
        started: usize,
        /// Ranks by the library.
        found: usize,
    },
    /// What the operating system says.
    #[error(transparent)]
    Io(#[from] io::Error),
}
