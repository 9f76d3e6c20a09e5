//! Collective operations between the processes of one job: what `train` reduces gradients with.
//!
//! A launcher (`torchrun`, `srun`, `mpirun`) starts the same program several times; each copy is a *rank*. [`Launch`] reads
//! from the environment which one this process is, [`connect`] joins the ranks, and [`Communicator::exchange`] is the one
//! primitive: every rank sends bytes to every other and receives from every other. [`all_gather`] and [`broadcast`] are
//! made of it. Nothing is reduced here: the order of a sum is the caller's.
//!
//! Both sides know the length of each message, so no length from the network is allocated.
//!
//! | transport | when |
//! |---|---|
//! | [`Alone`] | no launcher, or one rank |
//! | TCP | `RANK`, `WORLD_SIZE`, `MASTER_ADDR`, `MASTER_PORT`; Slurm's variables |
//! | MPI, with the feature `mpi` | `mpirun` |

mod alone;
mod collectives;
mod error;
mod launch;
#[cfg(feature = "mpi")]
mod mpi;
mod slurm;
mod tcp;

pub use alone::Alone;
pub use collectives::{all_gather, broadcast, broadcast_sized, check_identity};
pub use error::{Error, Result};
pub use launch::{Launch, Rendezvous};

use std::time::Duration;

/// The ranks of a job, as one of them sees them.
pub trait Communicator {
    /// This process among them, from 0.
    fn rank(&self) -> usize;

    /// How many there are.
    fn size(&self) -> usize;

    /// Sends `outgoing[r]` to each rank r and fills `incoming[r]` with what rank r sends, whose length both sides know.
    /// An empty message is not sent; this rank's own entries are ignored. All ranks must call it alike.
    ///
    /// # Errors
    /// [`Error::Lost`] when a rank has gone or says nothing for longer than the time limit; [`Error::Failed`] when it
    /// says that it ends.
    fn exchange(&mut self, outgoing: &[&[u8]], incoming: &mut [&mut [u8]]) -> Result<()>;

    /// Tells the other ranks, as far as they can be reached, that this one ends with an error.
    fn abort(&mut self, error: Option<&Error>);
}

/// Joins the ranks of a job. No step, this one included, waits longer than `timeout` for a rank.
///
/// # Errors
/// When a rank does not come in time, or is of another job.
pub fn connect(launch: &Launch, timeout: Duration) -> Result<Box<dyn Communicator>> {
    Ok(match &launch.rendezvous {
        _ if launch.size == 1 => Box::new(Alone),
        Rendezvous::Tcp { host, port } => Box::new(tcp::Mesh::connect(launch, host, *port, timeout)?),
        #[cfg(feature = "mpi")]
        Rendezvous::Mpi => Box::new(mpi::Mpi::connect(launch, timeout)?),
    })
}
