//! `tracking.uri`, the address of a tracking server.

use anyhow::{Context, bail, ensure};
use reqwest::Url;
use std::path::Path;

/// Schemes of backend stores, which a server serves.
const STORES: [&str; 5] = ["sqlite", "postgresql", "mysql", "mssql", "file"];

/// Addresses that mean Databricks to MLflow's own client.
const DATABRICKS: [&str; 3] = ["databricks", "databricks-uc", "uc"];

/// The address in messages.
const EXAMPLE: &str = "http://127.0.0.1:8080";

/// Parses an `http:` or `https:` address.
///
/// # Errors
/// If it is not one: one line, without a password, that says what to write instead.
pub fn parse(text: &str) -> anyhow::Result<Url> {
    let scheme = text.split_once(':').map_or("", |(scheme, _)| scheme).to_ascii_lowercase();
    if !matches!(scheme.as_str(), "http" | "https") {
        bail!("tracking.uri: {}: expected http:// or https://; {}", cli::redacted(text), remedy(text, &scheme));
    }
    let context = || format!("tracking.uri: {}: expected an address as {EXAMPLE}", cli::redacted(text));
    let url = Url::parse(text).with_context(context)?;
    ensure!(url.host_str().is_some_and(|host| !host.is_empty()), "{}", context());
    Ok(url)
}

/// What to write instead of `text`, which may be a store, a folder, a server without a scheme, or Databricks.
fn remedy(text: &str, scheme: &str) -> String {
    let word = text.split([':', '/']).next().unwrap_or(text);
    let shown = cli::redacted(text);
    if text.trim().is_empty() {
        return format!("for instance uri={EXAMPLE}");
    }
    if DATABRICKS.contains(&word) {
        return "for Databricks: uri=https:// with the host of the workspace, and MLFLOW_TRACKING_TOKEN".to_owned();
    }
    // SQLAlchemy's schemes may have a driver: `postgresql+psycopg2`.
    let store = scheme.split('+').next().unwrap_or(scheme);
    if STORES.contains(&store) && store != "file" {
        return served("", &shown);
    }
    if store == "file" || is_folder(text) {
        // MLflow 3 serves folders only with this variable.
        return served("MLFLOW_ALLOW_FILE_STORE=true ", &quoted(&shown));
    }
    if text.contains("://") {
        return format!("for instance uri={EXAMPLE}");
    }
    format!("for a server there: uri=http://{shown}")
}

fn served(environment: &str, store: &str) -> String {
    let command = format!("{environment}mlflow server --port 8080 --backend-store-uri {store}");
    format!("a store is served by: {command}, at uri={EXAMPLE}")
}

/// Whether `text` is a folder rather than a host: by its form, or because it exists.
fn is_folder(text: &str) -> bool {
    let path = Path::new(text);
    path.is_absolute()
        || text.starts_with(['.', '~'])
        || path.is_dir()
        || path.file_name().is_some_and(|it| it == "mlruns")
}

fn quoted(text: &str) -> String {
    if text.contains(char::is_whitespace) { format!("'{text}'") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn an_error_says_what_to_write_instead() {
        for (text, expected) in [
            ("127.0.0.1:5000", "expected http:// or https://; for a server there: uri=http://127.0.0.1:5000"),
            ("localhost:5000", "for a server there: uri=http://localhost:5000"),
            ("mlflow.example.com/path", "for a server there: uri=http://mlflow.example.com/path"),
            ("[::1]:5000", "for a server there: uri=http://[::1]:5000"),
            ("nowhere", "for a server there: uri=http://nowhere"),
            ("./mlruns", "--backend-store-uri ./mlruns, at uri=http://127.0.0.1:8080"),
            ("mlruns", "--backend-store-uri mlruns,"),
            ("/a b/c", "--backend-store-uri '/a b/c',"),
            ("file:./mlruns", "--backend-store-uri file:./mlruns,"),
            ("file:///a/mlruns", "--backend-store-uri file:///a/mlruns,"),
            ("sqlite:///x.db", "--backend-store-uri sqlite:///x.db,"),
            ("postgresql+psycopg2://me:s3cret@h/db", "--backend-store-uri postgresql+psycopg2://me:***@h/db,"),
            ("databricks", "for Databricks: uri=https://"),
            ("databricks://profile", "for Databricks: uri=https://"),
            ("ftp://me:s3cret@h/x", "for instance uri=http://127.0.0.1:8080"),
            ("me:s3cret@h:5000", "for a server there: uri=http://me:***@h:5000"),
            ("", "for instance uri=http://127.0.0.1:8080"),
            ("http://", "expected an address as http://127.0.0.1:8080"),
            ("http://h:99999", "expected an address as http://127.0.0.1:8080"),
            ("http://me:s3/cret@h", "expected an address as http://127.0.0.1:8080"),
        ] {
            let error = format!("{:#}", parse(text).expect_err(text));
            assert!(error.starts_with("tracking.uri: ") && error.contains(expected), "{text}: {error}");
            assert!(!error.contains("cret"), "{error}");
        }
        assert_eq!(parse("HTTP://h:5000/x").expect("an address").as_str(), "http://h:5000/x");
    }
}
