//! The connections that are open.

use super::{Connection, Order, Patience, Phase};
use crate::front::Protocol;
use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::sync::Notify;

/// Time between two sweeps.
pub const TICK: Duration = Duration::from_millis(200);

/// The connections that are open, and the clock that they share.
pub struct Registry {
    patience: Patience,
    begin: Instant,
    /// Milliseconds since `begin` at the last sweep, from 1.
    clock: AtomicU64,
    open: Mutex<HashMap<u64, Arc<Connection>>>,
    next: AtomicU64,
    is_closing: AtomicBool,
    /// Tells that a connection ended.
    ended: Notify,
}

/// A connection's entry in the registry, which it leaves when dropped.
pub struct Entry {
    pub connection: Arc<Connection>,
    number: u64,
}

impl Registry {
    /// No connections.
    pub fn new(patience: Patience) -> Self {
        Self {
            patience,
            begin: Instant::now(),
            clock: AtomicU64::new(1),
            open: Mutex::default(),
            next: AtomicU64::new(0),
            is_closing: AtomicBool::new(false),
            ended: Notify::new(),
        }
    }

    /// Enters a connection.
    pub fn enter(self: &Arc<Self>, peer: SocketAddr, protocol: Protocol, is_tls: bool) -> Entry {
        let connection = Arc::new(Connection {
            peer,
            is_tls,
            protocol,
            requests: AtomicUsize::new(0),
            registry: Arc::clone(self),
            phase: AtomicU8::new(Phase::Idle as u8),
            since: AtomicU64::new(self.now()),
            stalled: AtomicU64::new(0),
            body_failure: AtomicU8::new(0),
            order: AtomicU8::new(0),
            ordered: Notify::new(),
        });
        let number = self.next.fetch_add(1, Relaxed);
        self.open().insert(number, Arc::clone(&connection));
        if self.is_closing.load(Relaxed) {
            connection.order(Order::Close);
        }
        Entry { connection, number }
    }

    /// Connections that are open.
    pub fn count(&self) -> usize {
        self.open().len()
    }

    /// Milliseconds since the registry was made, at the last sweep.
    pub(super) fn now(&self) -> u64 {
        self.clock.load(Relaxed)
    }

    /// Ends the connections that have waited for too long. Where no other can be accepted (`is_full`), those that are idle
    /// are ended first.
    pub fn sweep(&self, is_full: bool) {
        let now = 1 + milliseconds(self.begin.elapsed());
        self.clock.store(now, Relaxed);
        let idle = if is_full { TICK } else { self.patience.idle };
        for connection in self.open().values() {
            let waited = Duration::from_millis(now.saturating_sub(connection.since.load(Relaxed)));
            let stalled = match connection.stalled.load(Relaxed) {
                0 => Duration::ZERO,
                since => Duration::from_millis(now.saturating_sub(since)),
            };
            let phase = connection.phase.load(Relaxed);
            if stalled > self.patience.write || (phase == Phase::Header as u8 && waited > self.patience.header) {
                connection.order(Order::Abort);
            } else if phase == Phase::Idle as u8 && waited > idle {
                connection.order(Order::Close);
            }
        }
    }

    /// Tells every connection to end with its request, those that come later too.
    pub fn close(&self) {
        self.is_closing.store(true, Relaxed);
        self.open().values().for_each(|connection| connection.order(Order::Close));
    }

    /// Waits until no connection is open.
    pub async fn emptied(&self) {
        loop {
            let ended = self.ended.notified();
            if self.open().is_empty() {
                return;
            }
            ended.await;
        }
    }

    fn open(&self) -> MutexGuard<'_, HashMap<u64, Arc<Connection>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let registry = &self.connection.registry;
        registry.open().remove(&self.number);
        registry.ended.notify_waiters();
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
