//! Bodies: of requests, with limits on size and time; of responses, whose end is noted.

use super::access::Entry;
use crate::connection::{BodyFailure, Connection, Patience};
use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::{Instant, Sleep};

/// Longer than any body takes.
const UNLIMITED: Duration = Duration::from_secs(1 << 32);

/// How large a body may be, and how slow.
#[derive(Debug, Clone, Copy)]
pub struct Allowance {
    bytes: u64,
    /// How long the body may keep the server waiting from here on.
    time: Duration,
    /// The most that `time` can be.
    full: Duration,
    /// What each byte adds to `time`; None where any number of bytes makes it `full` again.
    per_byte: Option<Duration>,
}

impl Allowance {
    /// For a body of at most `bytes`, at the pace that settings ask for.
    pub fn of_bytes(bytes: u64, patience: &Patience) -> Self {
        let per_byte = Some(Duration::from_secs(1) / patience.body_bytes_per_second);
        Self { bytes, time: patience.body, full: patience.body, per_byte }
    }

    /// For a body of any length and pace.
    pub fn unlimited() -> Self {
        Self { bytes: u64::MAX, time: UNLIMITED, full: UNLIMITED, per_byte: None }
    }

    /// For a body of any length, which may pause.
    pub fn stream(patience: &Patience) -> Self {
        Self { bytes: u64::MAX, time: patience.body, full: patience.body, per_byte: None }
    }

    /// Takes the bytes of a frame off; None if they are too many.
    fn take(&mut self, bytes: usize) -> Option<()> {
        self.bytes = self.bytes.checked_sub(bytes as u64)?;
        let added = self.per_byte.map(|time| time.saturating_mul(u32::try_from(bytes).unwrap_or(u32::MAX)));
        self.time = added.map_or(self.full, |added| self.time.saturating_add(added).min(self.full));
        Some(())
    }
}

/// The body of a request.
pub struct RequestBody {
    body: Incoming,
    connection: Arc<Connection>,
    allowance: Allowance,
    /// Ends when `allowance.time` is used up; set while the body keeps the server waiting.
    deadline: Option<Pin<Box<Sleep>>>,
    is_waiting: bool,
    /// Bytes so far, for the log.
    read: Option<Arc<AtomicU64>>,
}

/// Why a body ends early.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    #[error("the request's body did not come in time")]
    Slow,
    #[error("the request's body is too large")]
    Large,
    #[error(transparent)]
    Connection(#[from] hyper::Error),
}

impl RequestBody {
    /// `read` counts its bytes.
    pub fn new(
        body: Incoming,
        connection: Arc<Connection>,
        allowance: Allowance,
        read: Option<Arc<AtomicU64>>,
    ) -> Self {
        Self { body, connection, allowance, deadline: None, is_waiting: false, read }
    }

    /// Ready when the body has kept the server waiting for too long.
    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let end = || Instant::now() + self.allowance.time;
        let deadline = match &mut self.deadline {
            Some(deadline) => {
                if !self.is_waiting {
                    deadline.as_mut().reset(end());
                }
                deadline
            }
            none => none.insert(Box::pin(tokio::time::sleep_until(end()))),
        };
        self.is_waiting = true;
        deadline.as_mut().poll(cx)
    }

    fn end_wait(&mut self) {
        if let (true, Some(deadline)) = (self.is_waiting, &self.deadline) {
            self.allowance.time = deadline.deadline().saturating_duration_since(Instant::now());
        }
        self.is_waiting = false;
    }

    fn fail(&self, failure: BodyFailure, error: BodyError) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.connection.fail_body(failure);
        Poll::Ready(Some(Err(error)))
    }
}

impl HttpBody for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else {
            ready!(self.poll_deadline(cx));
            return self.fail(BodyFailure::Slow, BodyError::Slow);
        };
        self.end_wait();
        let bytes = match &frame {
            Some(Ok(frame)) => frame.data_ref().map_or(0, Bytes::len),
            _ => 0,
        };
        if let Some(read) = &self.read {
            read.fetch_add(bytes as u64, Relaxed);
        }
        if self.allowance.take(bytes).is_none() {
            return self.fail(BodyFailure::Large, BodyError::Large);
        }
        Poll::Ready(frame.map(|frame| frame.map_err(BodyError::from)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The body of a response. Its end is the end of its request.
pub struct ResponseBody {
    body: Body,
    connection: Arc<Connection>,
    /// Logged at the end.
    entry: Option<Box<Entry>>,
}

impl ResponseBody {
    pub fn new(body: Body, connection: Arc<Connection>, entry: Option<Box<Entry>>) -> Self {
        Self { body, connection, entry }
    }
}

impl HttpBody for ResponseBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        let is_end = self.body.is_end_stream();
        if let Some(entry) = &mut self.entry {
            entry.wrote(frame.as_ref(), is_end);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        self.connection.end_request();
        if let Some(entry) = self.entry.take() {
            entry.log();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    const PATIENCE: Patience = Patience {
        idle: Duration::ZERO,
        header: Duration::ZERO,
        body: Duration::from_secs(10),
        body_bytes_per_second: 100,
        write: Duration::ZERO,
    };

    #[test]
    fn bytes_give_time_back_at_the_slowest_pace() {
        let mut allowance = Allowance::of_bytes(1000, &PATIENCE);
        allowance.time = Duration::from_secs(2);
        allowance.take(300).unwrap();
        assert_eq!(allowance.time, Duration::from_secs(5));
        allowance.take(700).unwrap();
        assert_eq!(allowance.time, Duration::from_secs(10));
        assert!(allowance.take(1).is_none());
    }

    #[test]
    fn any_bytes_of_a_stream_give_all_time_back() {
        let mut allowance = Allowance::stream(&PATIENCE);
        allowance.time = Duration::ZERO;
        allowance.take(1).unwrap();
        assert_eq!(allowance.time, Duration::from_secs(10));
        allowance.take(1 << 40).unwrap();
    }
}
