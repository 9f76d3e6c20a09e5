//! One message each way on a connection that does not block.

use super::frame::{HEADER, Header, Meaning};
use crate::Error;
use std::{
    io::{self, IoSlice, IoSliceMut, Read, Write},
    net::TcpStream,
};

/// What is sent to and received from one rank in an exchange.
pub struct Transfer<'a> {
    outgoing: Half<&'a [u8]>,
    incoming: Half<&'a mut [u8]>,
    /// The header that the other rank must send.
    expected: Header,
}

/// A message with its header, and how many bytes of both are through. An empty message has no header.
struct Half<T> {
    header: [u8; HEADER],
    payload: T,
    total: usize,
    done: usize,
}

/// Why a transfer cannot go on.
pub enum Problem {
    Io(io::Error),
    Said(Meaning),
}

impl Problem {
    /// The error, where `rank` is at the other end.
    pub fn of(self, rank: usize, size: usize) -> Error {
        let gone = || io::Error::new(io::ErrorKind::ConnectionReset, "another rank says so");
        match self {
            Self::Io(source) => Error::Lost { rank, size, source },
            Self::Said(Meaning::Lost(lost)) if lost < size => Error::Lost { rank: lost, size, source: gone() },
            Self::Said(Meaning::Failed(failed)) if failed < size => Error::Failed { rank: failed, size },
            Self::Said(_) => Error::Protocol { rank, size },
        }
    }
}

impl<'a> Transfer<'a> {
    pub fn new(sequence: u32, outgoing: &'a [u8], incoming: &'a mut [u8]) -> Self {
        let expected = Header::data(sequence, incoming.len());
        let header = Header::data(sequence, outgoing.len()).to_bytes();
        let total = |payload: usize| if payload == 0 { 0 } else { HEADER + payload };
        let (sent, received) = (total(outgoing.len()), total(incoming.len()));
        Self {
            outgoing: Half { header, payload: outgoing, total: sent, done: 0 },
            incoming: Half { header: [0; HEADER], payload: incoming, total: received, done: 0 },
            expected,
        }
    }

    pub fn sends(&self) -> bool {
        self.outgoing.done < self.outgoing.total
    }

    pub fn receives(&self) -> bool {
        self.incoming.done < self.incoming.total
    }

    pub fn is_done(&self) -> bool {
        !self.sends() && !self.receives()
    }

    /// Sends and receives what is possible now. Data that has come counts before an error in sending: it may say why.
    pub fn advance(&mut self, mut stream: &TcpStream) -> Result<(), Problem> {
        let sent = self.send(&mut stream);
        self.receive(&mut stream)?;
        sent
    }

    fn send(&mut self, stream: &mut &TcpStream) -> Result<(), Problem> {
        while self.sends() {
            let Half { header, payload, done, .. } = &self.outgoing;
            let header = &header[(*done).min(HEADER)..];
            let payload = &payload[done.saturating_sub(HEADER)..];
            match progress(stream.write_vectored(&[IoSlice::new(header), IoSlice::new(payload)]))? {
                Some(count) => self.outgoing.done += count,
                None => break,
            }
        }
        Ok(())
    }

    fn receive(&mut self, stream: &mut &TcpStream) -> Result<(), Problem> {
        while self.receives() {
            let Half { header, payload, done, .. } = &mut self.incoming;
            let payload = &mut payload[done.saturating_sub(HEADER)..];
            let mut slices = [IoSliceMut::new(&mut header[(*done).min(HEADER)..]), IoSliceMut::new(payload)];
            let Some(count) = progress(stream.read_vectored(&mut slices))? else { break };
            let had_header = *done >= HEADER;
            *done += count;
            if !had_header && *done >= HEADER {
                match self.expected.read(*header) {
                    Meaning::Data => {}
                    other => return Err(Problem::Said(other)),
                }
            }
        }
        Ok(())
    }
}

/// The bytes that went through; None where the call would have to wait.
fn progress(result: io::Result<usize>) -> Result<Option<usize>, Problem> {
    let closed = || io::Error::new(io::ErrorKind::ConnectionReset, "it closed the connection");
    match result {
        Ok(0) => Err(Problem::Io(closed())),
        Ok(count) => Ok(Some(count)),
        Err(error) => match error.kind() {
            io::ErrorKind::WouldBlock => Ok(None),
            io::ErrorKind::Interrupted => Ok(Some(0)),
            // EPIPE must not pass for a reader of standard output that has gone.
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => Err(Problem::Io(closed())),
            _ => Err(Problem::Io(error)),
        },
    }
}
