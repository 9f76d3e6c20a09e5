//! Ranks over TCP: a connection between each two.
//!
//! | file | content |
//! |---|---|
//! | `rendezvous.rs` | rank 0 collects the others; each connects to those below it |
//! | `hello.rs` | the first bytes of a connection |
//! | `frame.rs` | the header of a message |
//! | `transfer.rs` | one message each way, without blocking |
//!
//! Nothing is encrypted, and a peer is known by a token that rank 0 hands out: the network must be trusted, as with MPI,
//! Gloo and NCCL.

mod frame;
mod hello;
mod rendezvous;
#[cfg(test)]
mod tests;
mod transfer;

use crate::{Communicator, Error, Launch, Result};
use frame::Header;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::{
    io::{self, Write},
    net::{Shutdown, TcpStream},
    time::{Duration, Instant},
};
use transfer::Transfer;

/// A rank with a connection to every other.
#[derive(Debug)]
pub struct Mesh {
    rank: usize,
    /// By rank; None for this one.
    peers: Vec<Option<TcpStream>>,
    timeout: Duration,
    /// Exchanges so far: both ends count alike.
    sequence: u32,
    /// Whether the others have been told that this rank ends.
    is_over: bool,
}

impl Mesh {
    /// Joins the ranks that meet at `host` and `port`, where rank 0 listens.
    pub fn connect(launch: &Launch, host: &str, port: u16, timeout: Duration) -> Result<Self> {
        let peers = rendezvous::meet(launch, host, port, Instant::now() + timeout, timeout)?;
        for peer in peers.iter().flatten() {
            peer.set_nodelay(true)?;
            peer.set_nonblocking(true)?;
        }
        Ok(Self { rank: launch.rank, peers, timeout, sequence: 0, is_over: false })
    }

    fn lost(&self, rank: usize, source: io::Error) -> Error {
        Error::Lost { rank, size: self.peers.len(), source }
    }

    /// Waits until one of the transfers can go on.
    fn wait(&self, transfers: &[Option<Transfer<'_>>], deadline: Instant) -> Result<()> {
        let mut pending = Vec::new();
        let mut fds = Vec::new();
        for (rank, (peer, transfer)) in self.peers.iter().zip(transfers).enumerate() {
            let (Some(peer), Some(transfer)) = (peer, transfer) else { continue };
            let mut flags = PollFlags::empty();
            flags.set(PollFlags::IN, transfer.receives());
            flags.set(PollFlags::OUT, transfer.sends());
            if !flags.is_empty() {
                pending.push(rank);
                fds.push(PollFd::new(peer, flags));
            }
        }
        let left = deadline.saturating_duration_since(Instant::now());
        let limit = Timespec::try_from(left).ok();
        match poll(&mut fds, limit.as_ref()) {
            Ok(0) => {
                let seconds = self.timeout.as_secs_f64();
                let problem = format!("nothing came for {seconds} s (trainer.distributed.timeout)");
                Err(self.lost(pending[0], io::Error::new(io::ErrorKind::TimedOut, problem)))
            }
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(Error::Io(error.into())),
        }
    }
}

impl Communicator for Mesh {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.peers.len()
    }

    fn exchange(&mut self, outgoing: &[&[u8]], incoming: &mut [&mut [u8]]) -> Result<()> {
        if self.is_over {
            return Err(Error::Failed { rank: self.rank, size: self.peers.len() });
        }
        self.sequence = self.sequence.wrapping_add(1);
        let (deadline, sequence) = (Instant::now() + self.timeout, self.sequence);
        let messages = outgoing.iter().zip(incoming);
        let transfers = self
            .peers
            .iter()
            .zip(messages)
            .map(|(peer, (outgoing, incoming))| peer.as_ref().map(|_| Transfer::new(sequence, outgoing, incoming)));
        let mut transfers: Vec<Option<Transfer<'_>>> = transfers.collect();
        loop {
            let mut is_done = true;
            for (rank, (peer, transfer)) in self.peers.iter().zip(&mut transfers).enumerate() {
                let (Some(peer), Some(transfer)) = (peer, transfer) else { continue };
                transfer.advance(peer).map_err(|problem| problem.of(rank, self.peers.len()))?;
                is_done &= transfer.is_done();
            }
            if is_done {
                return Ok(());
            }
            self.wait(&transfers, deadline)?;
        }
    }

    fn abort(&mut self, error: Option<&Error>) {
        let header = match error {
            Some(Error::Lost { rank, .. }) => Header::lost(*rank),
            Some(Error::Failed { rank, .. }) => Header::failed(*rank),
            _ => Header::failed(self.rank),
        };
        self.is_over = true;
        for peer in self.peers.iter_mut().flatten() {
            // Best effort: a peer that is gone notices nothing, and one that is busy sees the connection closed.
            let _ = peer.write_all(&header.to_bytes());
            let _ = peer.shutdown(Shutdown::Write);
        }
    }
}
