//! Listeners: sockets, and the loop that accepts connections.

use crate::{
    lifecycle::Lifecycle,
    log::{self, Level},
};
use anyhow::Context;
use std::{
    io::ErrorKind,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};

/// Connections that the system keeps until they are accepted; Linux has a limit of its own, `net.core.somaxconn`.
const BACKLOG: u32 = 4096;
/// After an error that another attempt would meet again, such as no free file descriptor.
const PAUSE: Duration = Duration::from_millis(100);

/// Binds a port; 0 is any free one.
///
/// # Errors
/// Names the address and the setting.
pub fn bind(host: IpAddr, port: u16, setting: &str) -> anyhow::Result<TcpListener> {
    let address = SocketAddr::new(host, port);
    let bind = || {
        let socket = if host.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        // A server that was killed can start again at once.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    bind().with_context(|| format!("cannot listen at {address} (the setting {setting})"))
}

/// Accepts connections until the server closes.
pub struct Acceptor {
    listener: TcpListener,
    /// One for each connection that may be open.
    permits: Arc<Semaphore>,
    lifecycle: Lifecycle,
}

/// A connection that was accepted.
pub struct Accepted {
    pub stream: TcpStream,
    pub peer: SocketAddr,
    /// Held while the connection is open.
    pub permit: OwnedSemaphorePermit,
}

impl Acceptor {
    /// Accepts from `listener`, as many connections at a time as there are permits.
    pub fn new(listener: TcpListener, permits: Arc<Semaphore>, lifecycle: Lifecycle) -> Self {
        Self { listener, permits, lifecycle }
    }

    /// Where it listens.
    ///
    /// # Errors
    /// What the system says.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The next connection; None once the server closes. A connection beyond the permits stays in the system's queue.
    pub async fn next(&mut self) -> Option<Accepted> {
        let closing = self.lifecycle.closing();
        tokio::select! {
            biased;
            () = closing => None,
            accepted = accept(&self.listener, &self.permits) => accepted,
        }
    }
}

async fn accept(listener: &TcpListener, permits: &Arc<Semaphore>) -> Option<Accepted> {
    let permit = Arc::clone(permits).acquire_owned().await.ok()?;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                // An answer is one write, which must not wait for an acknowledgement of the one before. Without, it is slow.
                let _ = stream.set_nodelay(true);
                return Some(Accepted { stream, peer, permit });
            }
            Err(error) if is_of_connection(error.kind()) => {}
            Err(error) => {
                log::write(Level::Error, "accept_failed", serde_json::json!({ "error": error.to_string() }));
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Whether an error is of one connection, which its client gave up.
fn is_of_connection(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::Interrupted)
}
