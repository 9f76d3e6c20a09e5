//! The time of an exchange by the size of its messages, between the ranks that a launcher has started: a line for each size,
//! bytes and seconds. `scripts/bench/data_parallel` computes latency and bandwidth from it.

use collective::{Communicator, Launch, Result, connect};
use std::{
    io::Write,
    time::{Duration, Instant},
};

/// Bytes to each other rank.
const SIZES: [usize; 7] = [8, 1 << 10, 1 << 14, 1 << 17, 1 << 20, 1 << 23, 1 << 25];
/// Time of a measurement, of the fastest of its exchanges.
const TIME: Duration = Duration::from_millis(300);
const TIMEOUT: Duration = Duration::from_secs(60);

fn main() -> Result<()> {
    let launch = Launch::detect()?.ok_or_else(|| std::io::Error::other("no launcher; see docs/data-parallel.md"))?;
    let mut ranks = connect(&launch, TIMEOUT)?;
    for size in SIZES {
        let seconds = fastest(ranks.as_mut(), size)?;
        if ranks.rank() == 0 {
            writeln!(std::io::stdout(), "{size} {seconds:e}")?;
        }
    }
    Ok(())
}

fn fastest(ranks: &mut dyn Communicator, size: usize) -> Result<f64> {
    let message = vec![1; size];
    let mut received = vec![vec![0; size]; ranks.size()];
    let outgoing = vec![message.as_slice(); ranks.size()];
    let (began, mut fastest) = (Instant::now(), f64::INFINITY);
    // Rank 0 says when it is over.
    let mut goes_on = [1];
    while goes_on[0] == 1 {
        let start = Instant::now();
        let mut incoming: Vec<&mut [u8]> = received.iter_mut().map(Vec::as_mut_slice).collect();
        ranks.exchange(&outgoing, &mut incoming)?;
        fastest = fastest.min(start.elapsed().as_secs_f64());
        goes_on[0] = u8::from(began.elapsed() < TIME);
        collective::broadcast(ranks, &mut goes_on)?;
    }
    Ok(fastest)
}
