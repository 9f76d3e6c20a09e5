//! Frames: what goes over standard input and output of `trt-run`.
//!
//! | bytes | what |
//! |---|---|
//! | 4 | `PGT1` |
//! | 4 | length of the head, little-endian, at most [`HEAD`] |
//! | 8 | length of the payload, little-endian, at most [`PAYLOAD`] |
//! | … | the head, a JSON object |
//! | … | the payload: a model, an engine, elements of tensors |

use serde::{Serialize, de::DeserializeOwned};
use std::io::{self, Read, Write};

const MAGIC: [u8; 4] = *b"PGT1";
/// Most bytes of a head: a list of the layers of an engine.
pub const HEAD: u32 = 64 << 20;
/// Most bytes of a payload.
pub const PAYLOAD: u64 = 16 << 30;

/// Why a frame is not read or written. Displays as one line.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The other side closed the pipe between two frames.
    #[error("the pipe was closed")]
    Closed,
    /// The other side closed the pipe within a frame, or the system refused.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// Not the beginning of a frame.
    #[error("a frame begins with {0:02x?}, expected PGT1")]
    Magic([u8; 4]),
    /// A length beyond the limits.
    #[error("a {part} of {bytes} bytes, more than {limit}")]
    TooLong {
        /// `head` or `payload`.
        part: &'static str,
        /// The length.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// The head is not the JSON that is expected.
    #[error("the head of a frame: {0}")]
    Json(#[from] serde_json::Error),
}

/// Writes a frame.
///
/// # Errors
/// When head or payload are longer than the limits, or the reader has closed the pipe.
pub fn write(output: &mut impl Write, head: &impl Serialize, payload: &[u8]) -> Result<(), FrameError> {
    let head = serde_json::to_vec(head)?;
    let head_length = u32::try_from(head.len()).ok().filter(|length| *length <= HEAD);
    let head_length =
        head_length.ok_or(FrameError::TooLong { part: "head", bytes: head.len() as u64, limit: HEAD.into() })?;
    check("payload", payload.len() as u64, PAYLOAD)?;
    output.write_all(&MAGIC)?;
    output.write_all(&head_length.to_le_bytes())?;
    output.write_all(&(payload.len() as u64).to_le_bytes())?;
    output.write_all(&head)?;
    output.write_all(payload)?;
    output.flush()?;
    Ok(())
}

/// Reads a frame.
///
/// # Errors
/// When the other side has closed the pipe, or sends what is no frame. Lengths are not trusted: memory grows with what
/// arrives.
pub fn read<T: DeserializeOwned>(input: &mut impl Read) -> Result<(T, Vec<u8>), FrameError> {
    let magic = start(input)?;
    if magic != MAGIC {
        return Err(FrameError::Magic(magic));
    }
    let (mut head_length, mut payload_length) = ([0; 4], [0; 8]);
    input.read_exact(&mut head_length)?;
    input.read_exact(&mut payload_length)?;
    let (head_length, payload_length) = (u32::from_le_bytes(head_length), u64::from_le_bytes(payload_length));
    check("head", head_length.into(), HEAD.into())?;
    check("payload", payload_length, PAYLOAD)?;
    let head = exactly(input, head_length.into())?;
    let head = serde_json::from_slice(&head)?;
    Ok((head, exactly(input, payload_length)?))
}

/// The first bytes of a frame.
fn start(input: &mut impl Read) -> Result<[u8; 4], FrameError> {
    let mut magic = [0; 4];
    loop {
        match input.read(&mut magic[..1]) {
            Ok(0) => return Err(FrameError::Closed),
            Ok(_) => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    input.read_exact(&mut magic[1..])?;
    Ok(magic)
}

fn check(part: &'static str, bytes: u64, limit: u64) -> Result<(), FrameError> {
    if bytes > limit { Err(FrameError::TooLong { part, bytes, limit }) } else { Ok(()) }
}

fn exactly(input: &mut impl Read, length: u64) -> Result<Vec<u8>, FrameError> {
    let mut bytes = Vec::new();
    if input.take(length).read_to_end(&mut bytes)? as u64 != length {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Answer, Request};

    #[test]
    fn frames_come_back_as_they_were_sent() {
        let mut pipe = Vec::new();
        let request = Request::Run { shapes: vec![vec![2, 3], vec![]] };
        write(&mut pipe, &request, &[1, 2, 3]).expect("written");
        write(&mut pipe, &Answer::Ready { protocol: 1 }, &[]).expect("written");
        assert_eq!(&pipe[..16], b"PGT1\x25\0\0\0\x03\0\0\0\0\0\0\0");
        let mut rest = pipe.as_slice();
        assert_eq!(read::<Request>(&mut rest).expect("a frame"), (request, vec![1, 2, 3]));
        assert_eq!(read::<Answer>(&mut rest).expect("a frame"), (Answer::Ready { protocol: 1 }, vec![]));
        assert!(matches!(read::<Answer>(&mut rest), Err(FrameError::Closed)));
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        let mut frame = Vec::new();
        write(&mut frame, &Answer::Ready { protocol: 1 }, &[7; 9]).expect("written");
        for length in 1..frame.len() {
            assert!(matches!(read::<Answer>(&mut &frame[..length]), Err(FrameError::Io(_))), "{length} bytes");
        }
        let refusal = |at: usize, byte: u8| {
            let mut frame = frame.clone();
            frame[at] = byte;
            read::<Answer>(&mut frame.as_slice()).expect_err("refused").to_string()
        };
        assert_eq!(refusal(0, b'p'), "a frame begins with [70, 47, 54, 31], expected PGT1");
        assert_eq!(refusal(7, 255), "a head of 4278190111 bytes, more than 67108864");
        assert_eq!(refusal(15, 1), "a payload of 72057594037927945 bytes, more than 17179869184");
        assert!(refusal(16, b'[').starts_with("the head of a frame: "));
    }
}
