//! What rank 0 tells the others before the first step: where the run begins.

use super::Ranks;
use anyhow::{Context, ensure};
use nets::Checkpoint;

/// Where a run begins.
pub enum Beginning {
    /// At its first step: each rank draws the same initial parameters.
    New,
    /// At the state that a checkpoint holds, which only rank 0 need be able to read.
    Resumed(Vec<u8>),
    /// Nowhere: the run has finished already.
    Finished,
}

/// First byte of a message.
const NEW: u8 = 0;
const RESUMED: u8 = 1;
const FINISHED: u8 = 2;

/// Most bytes of a checkpoint besides its arrays: architecture, features and history.
const METADATA_BYTES: u64 = 1 << 28;
/// Most arrays of a checkpoint: parameters, three of an optimizer, the moving average.
const ARRAYS: u64 = 5;

impl Beginning {
    /// Rank 0's, on every rank. The network has `parameters` values.
    ///
    /// # Errors
    /// When a rank is lost, or sends something else.
    pub fn share(self, ranks: &mut Ranks, parameters: usize) -> anyhow::Result<Self> {
        if ranks.is_alone() {
            return Ok(self);
        }
        let mut bytes = match self {
            Self::New => vec![NEW],
            Self::Finished => vec![FINISHED],
            Self::Resumed(mut checkpoint) => {
                checkpoint.push(RESUMED);
                checkpoint
            }
        };
        let limit = METADATA_BYTES + ARRAYS * 4 * parameters as u64;
        bytes = ranks.run(|ranks| collective::broadcast_sized(ranks, bytes, limit))?;
        match bytes.pop() {
            Some(NEW) => Ok(Self::New),
            Some(RESUMED) => Ok(Self::Resumed(bytes)),
            Some(FINISHED) => Ok(Self::Finished),
            _ => anyhow::bail!("rank 0 sent something else than the beginning of a run"),
        }
    }
}

/// The checkpoint that rank 0 has sent.
pub fn read(bytes: &[u8]) -> anyhow::Result<Checkpoint> {
    ensure!(!bytes.is_empty(), "the checkpoint from rank 0: empty");
    Checkpoint::from_safetensors(bytes).context("the checkpoint from rank 0")
}
