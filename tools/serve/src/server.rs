//! The listeners, from start to drained.

use crate::{http, repository::Repository, settings::Settings};
use anyhow::Context;
use std::{net::SocketAddr, sync::Arc};
use tokio::net::TcpListener;

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
/// When a port cannot be had.
pub fn run(repository: Repository, settings: &Settings) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(settings.network_threads())
        .enable_all()
        .build()
        .context("cannot start threads")?;
    runtime.block_on(serve(repository, settings))
}

async fn serve(repository: Repository, settings: &Settings) -> anyhow::Result<()> {
    let repository = Arc::new(repository);
    let listener = listen(settings, settings.http_port, "serve.http_port").await?;
    cli::note(&format!("HTTP at {}", listener.local_addr()?));
    axum::serve(listener, http::router(repository)).await?;
    Ok(())
}

async fn listen(settings: &Settings, port: u16, setting: &str) -> anyhow::Result<TcpListener> {
    let address = SocketAddr::new(settings.host, port);
    TcpListener::bind(address).await.with_context(|| format!("cannot listen at {address} (the setting {setting})"))
}
