//! The listeners, from start to drained.

use crate::{http, repository::Repository, settings::Settings, threads::Threads};
use anyhow::Context;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use std::{net::SocketAddr, sync::Arc};
use tokio::net::{TcpListener, TcpStream};

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
/// When a port cannot be had.
pub fn run(repository: Repository, settings: &Settings) -> anyhow::Result<()> {
    let threads = Threads::start(settings.network_threads())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
    runtime.block_on(accept(repository, settings, &threads))
}

async fn accept(repository: Repository, settings: &Settings, threads: &Threads) -> anyhow::Result<()> {
    let router = http::router(Arc::new(repository));
    let listener = listen(settings, settings.http_port, "serve.http_port").await?;
    cli::note(&format!("HTTP at {}", listener.local_addr()?));
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let router = router.clone();
        threads.serve(stream, |stream| connection(stream, router))?;
    }
}

async fn connection(stream: TcpStream, router: Router) {
    // What goes wrong with a connection ends it.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), TowerToHyperService::new(router)).await;
}

async fn listen(settings: &Settings, port: u16, setting: &str) -> anyhow::Result<TcpListener> {
    let address = SocketAddr::new(settings.host, port);
    TcpListener::bind(address).await.with_context(|| format!("cannot listen at {address} (the setting {setting})"))
}
