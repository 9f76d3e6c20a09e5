//! Data parallelism: several processes, the ranks, train one network.
//!
//! Each rank computes the gradients of its share of a step's batches ([`Ranks::share`]); [`reduction`] adds them in the
//! order in which one process adds them, so that any number of ranks gives the same bytes. Every rank then makes the same
//! update. Rank 0 alone reads checkpoints, writes files and events, and watches the clock.
//!
//! | file | content |
//! |---|---|
//! | `join.rs` | which rank this process is; whether all have the same data and settings |
//! | `request.rs` | what a rank wants: to stop, by a signal or the clock |
//! | `reduction.rs` | the exchange of a step |
//! | `beginning.rs` | what rank 0 tells the others at the start |

mod beginning;
mod join;
mod reduction;
mod request;

pub use beginning::{Beginning, read as read_beginning};
pub use join::{detect, join};
pub use optim::pairwise::mean_factor;
pub use reduction::{Contribution, Reduction};
pub use request::Request;

use collective::{Alone, Communicator, Error};
use std::ops::Range;

/// The ranks of a run, as one of them sees them.
pub struct Ranks {
    communicator: Box<dyn Communicator>,
    /// What this rank wants.
    own: Request,
    /// What all have agreed on, at the last exchange.
    agreed: Request,
    is_over: bool,
}

impl Ranks {
    /// The only rank of its run.
    pub fn alone() -> Self {
        Self::new(Box::new(Alone))
    }

    fn new(communicator: Box<dyn Communicator>) -> Self {
        Self { communicator, own: Request::default(), agreed: Request::default(), is_over: false }
    }

    pub fn is_alone(&self) -> bool {
        self.communicator.size() == 1
    }

    /// Whether this rank reads and writes files, and reports.
    pub fn is_first(&self) -> bool {
        self.communicator.rank() == 0
    }

    pub fn rank(&self) -> usize {
        self.communicator.rank()
    }

    pub fn size(&self) -> usize {
        self.communicator.size()
    }

    /// This rank's share of `count` things in order.
    pub fn share(&self, count: usize) -> Range<usize> {
        share(count, self.rank(), self.size())
    }

    /// What is told to the other ranks in the next exchange.
    pub fn propose(&mut self, request: Request) {
        self.own = request;
    }

    /// What all ranks have agreed on.
    pub fn agreed(&self) -> Request {
        self.agreed
    }

    /// Agrees on what was proposed, outside of a step.
    pub fn agree(&mut self) -> anyhow::Result<()> {
        if self.is_alone() {
            return Ok(());
        }
        let own = self.own.to_words();
        let all = self.run(|ranks| collective::all_gather(ranks, bytemuck::bytes_of(&own)))?;
        self.agreed = Request::merge(all.iter().map(|words| bytemuck::pod_read_unaligned(words)));
        Ok(())
    }

    /// Sends `own` to every rank and receives `widths[r]` values from each rank r, its own at its index.
    pub fn all_gather(&mut self, own: &[f32], widths: &[usize]) -> anyhow::Result<Vec<Vec<f32>>> {
        let mut gathered: Vec<Vec<f32>> = widths.iter().map(|&width| vec![0.0; width]).collect();
        gathered[self.rank()].copy_from_slice(own);
        if self.is_alone() {
            return Ok(gathered);
        }
        let mut incoming: Vec<&mut [u8]> = gathered.iter_mut().map(|values| bytemuck::cast_slice_mut(values)).collect();
        let outgoing = vec![bytemuck::cast_slice(own); self.size()];
        self.run(|ranks| ranks.exchange(&outgoing, &mut incoming))?;
        Ok(gathered)
    }

    /// Overwrites `values` with rank 0's.
    pub fn broadcast(&mut self, values: &mut [f32]) -> anyhow::Result<()> {
        if self.is_alone() {
            return Ok(());
        }
        self.run(|ranks| collective::broadcast(ranks, bytemuck::cast_slice_mut(values)))
    }

    /// Does `work` with the ranks; on an error, the others are told at once, as what follows may take a while.
    fn run<T>(&mut self, work: impl FnOnce(&mut dyn Communicator) -> collective::Result<T>) -> anyhow::Result<T> {
        let result = work(self.communicator.as_mut());
        if let Err(error) = &result {
            self.is_over = true;
            self.communicator.abort(Some(error));
        }
        Ok(result?)
    }

    /// The run ends here, and the other ranks know.
    pub fn finish(&mut self) {
        self.is_over = true;
    }
}

/// A rank that ends early, by an error of its own, tells the others.
impl Drop for Ranks {
    fn drop(&mut self) {
        if !self.is_over {
            self.communicator.abort(None);
        }
    }
}

/// The share of a rank: contiguous, and no larger by more than one than another's.
fn share(count: usize, rank: usize, size: usize) -> Range<usize> {
    let bound = |rank: usize| rank * count / size;
    bound(rank)..bound(rank + 1)
}

/// Whether an error is that a rank was lost.
pub fn is_lost(error: &anyhow::Error) -> bool {
    error.chain().filter_map(|cause| cause.downcast_ref::<Error>()).any(|error| matches!(error, Error::Lost { .. }))
}
