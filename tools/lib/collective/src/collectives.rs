//! Collective operations made of [`Communicator::exchange`].

use crate::{Communicator, Error, Result};

/// Sends `own` to every rank, and returns what each has sent, which is as long; `own` at this rank's index.
///
/// # Errors
/// Those of [`Communicator::exchange`].
pub fn all_gather(ranks: &mut dyn Communicator, own: &[u8]) -> Result<Vec<Vec<u8>>> {
    let mut gathered = vec![vec![0; own.len()]; ranks.size()];
    let outgoing = vec![own; ranks.size()];
    let mut incoming: Vec<&mut [u8]> = gathered.iter_mut().map(Vec::as_mut_slice).collect();
    ranks.exchange(&outgoing, &mut incoming)?;
    let rank = ranks.rank();
    gathered[rank].copy_from_slice(own);
    Ok(gathered)
}

/// Overwrites `bytes` with rank 0's, which are as long.
///
/// # Errors
/// Those of [`Communicator::exchange`].
pub fn broadcast(ranks: &mut dyn Communicator, bytes: &mut [u8]) -> Result<()> {
    let size = ranks.size();
    if ranks.rank() == 0 {
        return ranks.exchange(&vec![&*bytes; size], &mut (0..size).map(|_| &mut [][..]).collect::<Vec<_>>());
    }
    let mut first = Some(bytes);
    let mut incoming: Vec<&mut [u8]> = (0..size).map(|_| first.take().unwrap_or_default()).collect();
    ranks.exchange(&vec![&[][..]; size], &mut incoming)
}

/// As [`broadcast`], of bytes whose length only rank 0 knows: at most `limit`.
///
/// # Errors
/// [`Error::Protocol`] for more than `limit` bytes, and those of [`Communicator::exchange`].
pub fn broadcast_sized(ranks: &mut dyn Communicator, bytes: Vec<u8>, limit: u64) -> Result<Vec<u8>> {
    let mut length = (bytes.len() as u64).to_ne_bytes();
    broadcast(ranks, &mut length)?;
    let length = u64::from_ne_bytes(length);
    if length > limit {
        return Err(Error::Protocol { rank: 0, size: ranks.size() });
    }
    let mut bytes = if ranks.rank() == 0 { bytes } else { vec![0; length as usize] };
    broadcast(ranks, &mut bytes)?;
    Ok(bytes)
}

/// Checks that all ranks have the same values; each has a name, in the singular.
///
/// # Errors
/// [`Error::Differs`], on every rank, with the lowest rank and the first value that differ from rank 0's.
pub fn check_identity(ranks: &mut dyn Communicator, values: &[(&'static str, &str)]) -> Result<()> {
    let digests: Vec<String> = values.iter().map(|(_, value)| files::sha256(value.as_bytes())).collect();
    let gathered = all_gather(ranks, digests.concat().as_bytes())?;
    for (rank, other) in gathered.iter().enumerate() {
        let mut start = 0;
        for ((what, _), digest) in values.iter().zip(&digests) {
            let range = start..start + digest.len();
            start = range.end;
            if other[range.clone()] != gathered[0][range] {
                return Err(Error::Differs { rank, what });
            }
        }
    }
    Ok(())
}
