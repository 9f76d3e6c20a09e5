//! The two bodies of a stream, for threads that read and write: a request's as a reader, a response's as a writer.

use axum::body::Body;
use bytes::Bytes;
use http_body_util::BodyExt;
use std::{
    io::{self, Read, Write},
    time::Duration,
};
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Chunks of a request that wait to be read: some hundred KiB, as HTTP reads them.
const REQUEST_CHUNKS: usize = 16;
/// Chunks of a response, a batch each, that wait to be sent.
const RESPONSE_CHUNKS: usize = 4;
/// What is still taken of a request that was refused, so that its client gets to read why: bytes, and time.
const LINGER_BYTES: usize = 64 << 20;
const LINGER: Duration = Duration::from_secs(2);

/// The body of a request. Dropped, it ends the request.
pub struct RequestReader {
    chunks: Receiver<io::Result<Bytes>>,
    chunk: Bytes,
}

impl RequestReader {
    /// Takes the body in a task of this thread's.
    pub fn new(body: Body) -> Self {
        let (sender, chunks) = channel(REQUEST_CHUNKS);
        tokio::spawn(forward(body, sender));
        Self { chunks, chunk: Bytes::new() }
    }
}

impl Read for RequestReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.chunk.is_empty() {
            match self.chunks.blocking_recv() {
                Some(chunk) => self.chunk = chunk?,
                None => return Ok(0),
            }
        }
        let count = buffer.len().min(self.chunk.len());
        buffer[..count].copy_from_slice(&self.chunk.split_to(count));
        Ok(count)
    }
}

/// Sends the chunks of a body until it ends or nobody reads them.
async fn forward(mut body: Body, chunks: Sender<io::Result<Bytes>>) {
    while let Some(frame) = body.frame().await {
        let chunk = match frame {
            Ok(frame) => match frame.into_data() {
                Ok(data) => Ok(data),
                // Trailers.
                Err(_) => continue,
            },
            Err(error) => Err(io::Error::other(error)),
        };
        let failed = chunk.is_err();
        if chunks.send(chunk).await.is_err() {
            // Over time, nothing is left to be done.
            let _ = tokio::time::timeout(LINGER, discard(body)).await;
            return;
        }
        if failed {
            return;
        }
    }
}

async fn discard(mut body: Body) {
    let mut bytes = 0;
    while let Some(Ok(frame)) = body.frame().await {
        bytes += frame.data_ref().map_or(0, Bytes::len);
        if bytes > LINGER_BYTES {
            return;
        }
    }
}

/// What a response's body is made of.
pub type Chunks = Receiver<io::Result<Bytes>>;

/// The body of a response.
pub struct ResponseWriter(Sender<io::Result<Bytes>>);

impl ResponseWriter {
    /// The writer, and what is written.
    pub fn new() -> (Self, Chunks) {
        let (sender, chunks) = channel(RESPONSE_CHUNKS);
        (Self(sender), chunks)
    }

    /// What ends the body early.
    pub fn aborter(&self) -> Sender<io::Result<Bytes>> {
        self.0.clone()
    }
}

impl Write for ResponseWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let gone = |_| io::ErrorKind::BrokenPipe.into();
        self.0.blocking_send(Ok(Bytes::copy_from_slice(bytes))).map(|()| bytes.len()).map_err(gone)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
