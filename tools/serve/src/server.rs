//! The listeners, from start to drained.

use crate::{
    connection::{self, Connection, Registry, TICK},
    front::Front,
    grpc, http,
    lifecycle::Lifecycle,
    listen::{self, Acceptor},
    log::{self, Level},
    repository::{Repository, Started},
    settings::Settings,
    stream::Stream,
    threads::Threads,
};
use anyhow::Context;
use rustix::process::{Resource, getrlimit, setrlimit};
use serde_json::json;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// File descriptors for what is no connection: models, libraries, logs.
const OTHER_FILES: u64 = 256;

/// Serves until SIGHUP, SIGINT or SIGTERM.
///
/// # Errors
/// When a port cannot be had.
pub fn run(repository: Repository, settings: &Settings) -> anyhow::Result<()> {
    log::start(settings.log).context("cannot start a thread")?;
    let lifecycle = Lifecycle::new();
    let drain = lifecycle.clone();
    // A second signal ends the process at once.
    let _signals = cli::Signals::listen_with(move |signal| {
        log::write(Level::Info, "signal", json!({ "signal": signal.name }));
        drain.drain();
    })?;
    let threads = Arc::new(Threads::start(settings.network_threads())?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
    let result = runtime.block_on(serve(Arc::new(repository), settings, &lifecycle, threads));
    log::flush();
    result
}

async fn serve(
    repository: Arc<Repository>,
    settings: &Settings,
    lifecycle: &Lifecycle,
    threads: Arc<Threads>,
) -> anyhow::Result<()> {
    let permits = Arc::new(Semaphore::new(max_connections(settings)));
    let registry = Arc::new(Registry::new(settings.patience()));
    let listener = listen::bind(settings.host, settings.http_port, "serve.http_port")?;
    cli::note(&format!("HTTP at http://{}", listener.local_addr()?));
    let acceptor = Acceptor::new(listener, Arc::clone(&permits), lifecycle.clone());
    let started = started(repository.start()?);
    let front = Arc::new(Front::new(http::router(Arc::clone(&repository)), settings, lifecycle.clone()));
    let serve_http = move |stream, connection| connection::serve(stream, connection, Arc::clone(&front));
    let http = tokio::spawn(accept(acceptor, Arc::clone(&registry), Arc::clone(&threads), serve_http));
    if let Some(port) = settings.grpc_port {
        let listener = listen::bind(settings.host, port, "serve.grpc_port")?;
        cli::note(&format!("gRPC at {}", listener.local_addr()?));
        let acceptor = Acceptor::new(listener, Arc::clone(&permits), lifecycle.clone());
        let front = Arc::new(grpc::Front::new(grpc::routes(repository, lifecycle)?, settings));
        let serve_grpc = move |stream, connection| connection::http2::serve(stream, connection, Arc::clone(&front));
        tokio::spawn(accept(acceptor, Arc::clone(&registry), threads, serve_grpc));
    }
    tokio::spawn(sweep(Arc::clone(&registry), permits));

    tokio::select! {
        result = started => {
            result?;
            cli::note("ready");
            lifecycle.draining().await;
        }
        () = lifecycle.draining() => {}
    }
    tokio::time::sleep(settings.drain_delay()).await;
    lifecycle.close();
    registry.close();
    let drained = async {
        let _ = http.await;
        registry.emptied().await;
    };
    if tokio::time::timeout(settings.drain_timeout(), drained).await.is_err() {
        let fields =
            json!({ "connections": registry.count(), "after_ms": settings.drain_timeout().as_millis() as u64 });
        log::write(Level::Warn, "drain_timeout", fields);
    }
    Ok(())
}

/// Ends when the models of the start are loaded.
///
/// # Errors
/// When one of them cannot be, and the server is to end then.
async fn started(started: Started) -> anyhow::Result<()> {
    started.await.context("loading the models ended without a result")?
}

/// Accepts connections and gives each to a network thread, where `serve` serves it.
async fn accept<F, S>(mut acceptor: Acceptor, registry: Arc<Registry>, threads: Arc<Threads>, serve: S)
where
    S: Fn(Stream, Arc<Connection>) -> F + Clone + Send + 'static,
    F: Future<Output = ()> + 'static,
{
    while let Some(accepted) = acceptor.next().await {
        let (entry, serve, permit) = (registry.enter(accepted.peer, false), serve.clone(), accepted.permit);
        let serve = |stream| async move {
            serve(Stream::Plain(stream), Arc::clone(&entry.connection)).await;
            drop(permit);
        };
        if let Err(error) = threads.serve(accepted.stream, serve) {
            log::write(Level::Error, "connection_lost", json!({ "error": error.to_string() }));
        }
    }
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
