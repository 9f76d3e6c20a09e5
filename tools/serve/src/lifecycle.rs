//! From serving to drained: what a signal changes.

use tokio::sync::watch;

/// What the server does now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Serving,
    /// It answers as before, and says that it is not ready.
    Draining,
    /// It accepts no connection; each one ends with its request.
    Closing,
}

/// The phase of the server, which all listeners share.
#[derive(Debug, Clone)]
pub struct Lifecycle(watch::Sender<Phase>);

impl Lifecycle {
    /// Of a server that serves.
    pub fn new() -> Self {
        Self(watch::Sender::new(Phase::Serving))
    }

    /// The server is to end.
    pub fn drain(&self) {
        self.advance(Phase::Draining);
    }

    /// From here on no connection is accepted.
    pub fn close(&self) {
        self.advance(Phase::Closing);
    }

    /// Waits until the server is to end.
    pub async fn draining(&self) {
        self.reached(Phase::Draining).await;
    }

    /// Waits until no connection is to be accepted.
    pub async fn closing(&self) {
        self.reached(Phase::Closing).await;
    }

    fn advance(&self, to: Phase) {
        self.0.send_if_modified(|phase| {
            let advances = *phase < to;
            *phase = to.max(*phase);
            advances
        });
    }

    async fn reached(&self, phase: Phase) {
        // The sender lives as long as `self`.
        let _ = self.0.subscribe().wait_for(|now| *now >= phase).await;
    }
}
