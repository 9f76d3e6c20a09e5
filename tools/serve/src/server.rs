//! The listeners, from start to drained.

use crate::{
    auth::Keys,
    connection::{self, Registry, TICK},
    front::{Front, Handlers, Protocol},
    grpc, http,
    lifecycle::Lifecycle,
    listen::{self, Acceptor},
    log::{self, Level},
    metrics,
    repository::{Repository, Started},
    settings::Settings,
    stream::Stream,
    threads::Threads,
    tls::Tls,
    watched::{self, Refresh},
};
use anyhow::Context;
use rustix::process::{Resource, getrlimit, setrlimit};
use serde_json::json;
use std::{sync::Arc, time::Duration};
use tokio::{
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinHandle,
};

/// File descriptors for what is no connection of HTTP or gRPC: models, libraries, logs, metrics.
const OTHER_FILES: u64 = 256;
/// Connections of those who collect metrics: not taken from the others, so that a full server can still be looked into.
const METRICS_CONNECTIONS: usize = 64;

/// Serves until SIGHUP, SIGINT or SIGTERM.
///
/// # Errors
/// When a port cannot be had, or a file of keys or certificates is not one.
pub fn run(repository: Repository, settings: &Settings) -> anyhow::Result<()> {
    log::start(settings.log).context("cannot start a thread")?;
    let lifecycle = Lifecycle::new();
    let server = Server::new(settings, lifecycle.clone())?;
    // A second signal ends the process at once.
    let _signals = cli::Signals::listen_with(move |signal| {
        log::write(Level::Info, "signal", json!({ "signal": signal.name }));
        lifecycle.drain();
    })?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
    let result = runtime.block_on(server.run(Arc::new(repository)));
    log::flush();
    result
}

/// What the listeners share.
struct Server<'s> {
    settings: &'s Settings,
    lifecycle: Lifecycle,
    threads: Arc<Threads>,
    registry: Arc<Registry>,
    permits: Arc<Semaphore>,
    keys: Option<Arc<Keys>>,
    tls: Option<Arc<Tls>>,
}

/// What a listener needs to serve a connection.
struct Listening {
    threads: Arc<Threads>,
    registry: Arc<Registry>,
    front: Arc<Front>,
    protocol: Protocol,
    tls: Option<Arc<Tls>>,
    handshake: Duration,
}

impl<'s> Server<'s> {
    fn new(settings: &'s Settings, lifecycle: Lifecycle) -> anyhow::Result<Self> {
        let keys = settings.api_keys.as_deref().map(Keys::open).transpose()?.map(Arc::new);
        let tls = Tls::open(&settings.tls)?.map(Arc::new);
        if keys.is_none() && !settings.host.is_loopback() {
            let host = settings.host;
            cli::note(&format!(
                "{host} without API keys: whoever reaches the ports can use the models (--api-keys FILE)"
            ));
        }
        Ok(Self {
            settings,
            lifecycle,
            threads: Arc::new(Threads::start(settings.network_threads())?),
            registry: Arc::new(Registry::new(settings.patience())),
            permits: Arc::new(Semaphore::new(max_connections(settings))),
            keys,
            tls,
        })
    }

    async fn run(&self, repository: Arc<Repository>) -> anyhow::Result<()> {
        let listeners = self.listen(&repository)?;
        let started = started(repository.start()?);
        let keys = self.keys.clone().map(|keys| keys as Arc<dyn Refresh>);
        let tls = self.tls.clone().map(|tls| tls as Arc<dyn Refresh>);
        watched::watch(keys.into_iter().chain(tls).collect()).context("cannot start a thread")?;
        tokio::spawn(sweep(Arc::clone(&self.registry), Arc::clone(&self.permits)));
        tokio::select! {
            result = started => {
                result?;
                cli::note("ready");
                self.lifecycle.draining().await;
            }
            () = self.lifecycle.draining() => {}
        }
        repository.drain();
        self.drain(listeners).await;
        Ok(())
    }

    /// Listens at the ports of the settings and says where.
    fn listen(&self, repository: &Arc<Repository>) -> anyhow::Result<Vec<JoinHandle<()>>> {
        let settings = self.settings;
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let permits = || Arc::clone(&self.permits);
        let keys = self.keys.clone();
        let (front, http) = self.bind(settings.http_port, "serve.http_port", Protocol::Http, keys, permits())?;
        cli::note(&format!("HTTP at {scheme}://{}", http.address()?));
        let handlers = Handlers::with_inference(http::router(Arc::clone(repository)), Arc::clone(repository));
        let mut listeners = vec![tokio::spawn(accept(http, front(handlers)))];
        if let Some(port) = settings.grpc_port {
            let (front, grpc) = self.bind(port, "serve.grpc_port", Protocol::Grpc, self.keys.clone(), permits())?;
            cli::note(&format!("gRPC at {}", grpc.address()?));
            let router = grpc::router(Arc::clone(repository), &self.lifecycle)?;
            listeners.push(tokio::spawn(accept(grpc, front(Handlers::new(router)))));
        }
        if let Some(port) = settings.metrics_port {
            let keys = self.keys.clone().filter(|_| settings.protect_metrics);
            let permits = Arc::new(Semaphore::new(METRICS_CONNECTIONS));
            let (front, metrics) = self.bind(port, "serve.metrics_port", Protocol::Http, keys, permits)?;
            cli::note(&format!("metrics at {scheme}://{}/metrics", metrics.address()?));
            let router = metrics::router(Arc::clone(repository), Arc::clone(&self.registry));
            listeners.push(tokio::spawn(accept(metrics, front(Handlers::new(router)))));
        }
        Ok(listeners)
    }

    /// A listener at a port, and what serves its connections with handlers.
    fn bind(
        &self,
        port: u16,
        setting: &str,
        protocol: Protocol,
        keys: Option<Arc<Keys>>,
        permits: Arc<Semaphore>,
    ) -> anyhow::Result<(impl FnOnce(Handlers) -> Listening, Acceptor)> {
        let listener = listen::bind(self.settings.host, port, setting)?;
        let acceptor = Acceptor::new(listener, permits, self.lifecycle.clone());
        let listening = move |handlers| Listening {
            threads: Arc::clone(&self.threads),
            registry: Arc::clone(&self.registry),
            front: Arc::new(Front::new(handlers, protocol, keys, self.settings)),
            protocol,
            tls: self.tls.clone(),
            handshake: self.settings.patience().header,
        };
        Ok((listening, acceptor))
    }

    /// Ends the listeners, and the connections with their requests.
    async fn drain(&self, listeners: Vec<JoinHandle<()>>) {
        tokio::time::sleep(self.settings.drain_delay()).await;
        self.lifecycle.close();
        self.registry.close();
        let drained = async {
            for listener in listeners {
                let _ = listener.await;
            }
            self.registry.emptied().await;
        };
        let timeout = self.settings.drain_timeout();
        if tokio::time::timeout(timeout, drained).await.is_err() {
            let fields = json!({ "connections": self.registry.count(), "after_s": timeout.as_secs_f64() });
            log::write(Level::Warn, "drain_timeout", fields);
        }
    }
}

/// Ends when the models of the start are loaded.
///
/// # Errors
/// When one of them cannot be, and the server is to end then.
async fn started(started: Started) -> anyhow::Result<()> {
    started.await.context("loading the models ended without a result")?
}

/// Accepts connections and gives each to a network thread.
async fn accept(mut acceptor: Acceptor, listening: Listening) {
    let listening = Arc::new(listening);
    while let Some(accepted) = acceptor.next().await {
        let is_tls = listening.tls.is_some();
        let entry = listening.registry.enter(accepted.peer, listening.protocol, is_tls);
        let (permit, shared) = (accepted.permit, Arc::clone(&listening));
        let serve = move |stream| serve(stream, entry, permit, shared);
        if let Err(error) = listening.threads.serve(accepted.stream, serve) {
            log::write(Level::Error, "connection_lost", json!({ "error": error.to_string() }));
        }
    }
}

/// Serves a connection until it ends.
async fn serve(stream: TcpStream, entry: connection::Entry, _permit: OwnedSemaphorePermit, listening: Arc<Listening>) {
    let stream = match &listening.tls {
        None => Stream::Plain(stream),
        Some(tls) => {
            let handshake = tls.acceptor(listening.protocol).accept(stream);
            // A client that does not speak TLS, or is too slow, is closed.
            let Ok(Ok(stream)) = tokio::time::timeout(listening.handshake, handshake).await else { return };
            Stream::Tls(Box::new(stream))
        }
    };
    connection::serve(stream, Arc::clone(&entry.connection), Arc::clone(&listening.front)).await;
}

async fn sweep(registry: Arc<Registry>, permits: Arc<Semaphore>) {
    let mut ticks = tokio::time::interval(TICK);
    loop {
        ticks.tick().await;
        registry.sweep(permits.available_permits() == 0);
    }
}

/// As many connections as the settings allow and file descriptors can be had for; the limit of the latter is raised as far
/// as it goes.
fn max_connections(settings: &Settings) -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Where it stays as it is, it is still the limit.
    let _ = setrlimit(Resource::Nofile, limit);
    let Some(files) = getrlimit(Resource::Nofile).current else { return settings.max_connections };
    let possible = usize::try_from(files.saturating_sub(OTHER_FILES)).unwrap_or(usize::MAX).max(1);
    if possible < settings.max_connections {
        cli::note(&format!(
            "at most {possible} connections at a time: the process may have {files} open files (ulimit -n)"
        ));
    }
    possible.min(settings.max_connections)
}
