//! Ranks that `mpirun` has started, over the MPI library.
//!
//! MPI's own failures end the job: a rank that is killed, or ends without `MPI_Finalize`, makes `mpirun` kill the others.

use crate::{Communicator, Error, Launch, Result};
use ::mpi::{
    Threading,
    environment::Universe,
    initialize_with_threading,
    point_to_point::{Destination, Source},
    request,
    topology::{Communicator as _, SimpleCommunicator},
};
use std::{
    io::{self, Write},
    thread,
    time::{Duration, Instant},
};

/// Most bytes of a message: MPI counts in 31 bits.
const MAX_BYTES: usize = 1 << 30;
/// How long a rank polls before it sleeps between two polls: a step's messages come within this time, a checkpoint's do not.
const SPIN: Duration = Duration::from_millis(2);
/// Between two polls after that.
const PAUSE: Duration = Duration::from_micros(50);
/// Exit status of a job that may be started again: EX_TEMPFAIL of sysexits.h.
const TEMPORARY_FAILURE: i32 = 75;

/// A rank of `MPI_COMM_WORLD`.
pub struct Mpi {
    /// `MPI_Finalize` when dropped; None once this rank is to end without it.
    universe: Option<Universe>,
    world: SimpleCommunicator,
    timeout: Duration,
}

impl Mpi {
    /// Initializes MPI.
    pub fn connect(launch: &Launch, timeout: Duration) -> Result<Self> {
        // Other threads compute, and call no MPI.
        let initialized = initialize_with_threading(Threading::Funneled);
        let (universe, _) = initialized.ok_or_else(|| io::Error::other("MPI is initialized already"))?;
        let world = universe.world();
        let (started, found) = (launch.size, world.size() as usize);
        if found != started {
            return Err(Error::OtherMpi { started, found });
        }
        Ok(Self { universe: Some(universe), world, timeout })
    }

    /// Ends all ranks. Requests that are not complete hold the buffers, so that there is no way back from here.
    fn give_up(&self) -> ! {
        let (rank, size, seconds) = (self.rank(), self.size(), self.timeout.as_secs_f64());
        let line = format!(
            "train: rank {rank} of {size} has waited {seconds} s for another rank (trainer.distributed.timeout); the job ends\n"
        );
        // Nobody is left to tell if this fails.
        let _ = io::stderr().write_all(line.as_bytes());
        self.world.abort(TEMPORARY_FAILURE)
    }
}

impl Communicator for Mpi {
    fn rank(&self) -> usize {
        self.world.rank() as usize
    }

    fn size(&self) -> usize {
        self.world.size() as usize
    }

    fn exchange(&mut self, outgoing: &[&[u8]], incoming: &mut [&mut [u8]]) -> Result<()> {
        let (own, began) = (self.rank(), Instant::now());
        request::scope(|scope| {
            let mut receives = Vec::new();
            for (rank, message) in incoming.iter_mut().enumerate().filter(|(rank, _)| *rank != own) {
                let process = self.world.process_at_rank(rank as i32);
                let blocks = message.chunks_mut(MAX_BYTES);
                receives.extend(blocks.map(|block| process.immediate_receive_into(scope, block)));
            }
            let mut sends = Vec::new();
            for (rank, message) in outgoing.iter().enumerate().filter(|(rank, _)| *rank != own) {
                let process = self.world.process_at_rank(rank as i32);
                sends.extend(message.chunks(MAX_BYTES).map(|block| process.immediate_send(scope, block)));
            }
            while !(receives.is_empty() && sends.is_empty()) {
                receives = receives.into_iter().filter_map(|request| request.test().err()).collect();
                sends = sends.into_iter().filter_map(|request| request.test().err()).collect();
                match began.elapsed() {
                    waited if waited > self.timeout => self.give_up(),
                    waited if waited > SPIN => thread::sleep(PAUSE),
                    _ => thread::yield_now(),
                }
            }
        });
        Ok(())
    }

    /// This rank ends without `MPI_Finalize`, which would wait for the others; `mpirun` then ends them.
    fn abort(&mut self, _: Option<&Error>) {
        std::mem::forget(self.universe.take());
    }
}
