//! The MLflow server.

use super::Check;
use reqwest::{StatusCode, Url, blocking::Client, redirect::Policy};
use std::{env, error::Error, io::Read, time::Duration};

/// How long the server may take.
const TIMEOUT: Duration = Duration::from_secs(2);
/// The variable that names it, as for MLflow itself.
const VARIABLE: &str = "MLFLOW_TRACKING_URI";
/// Where `track` looks without it.
const DEFAULT: &str = "http://127.0.0.1:8080";
/// What to do where there is none.
const START: &str = "mlflow server --port 8080 --backend-store-uri sqlite:///mlflow.db";
/// Most bytes of a version.
const VERSION_BYTES: u64 = 64;

/// The server that `track` would send to. Where nothing names one, it is asked only if it is required.
pub fn mlflow(is_required: bool) -> Check {
    const NAME: &str = "mlflow";
    let address = config::compose_for(&["tracking"], &config::Sources::default(), &[])
        .and_then(|document| document.section::<String>("tracking.uri"));
    let address = match address {
        Ok(address) => address,
        Err(error) => return Check::wrong(NAME, error.to_string(), "correct the config"),
    };
    if address == DEFAULT && !is_required && env::var_os(VARIABLE).is_none() {
        return Check::missing(
            NAME,
            format!("{VARIABLE} is not set, only track needs a server"),
            format!("start one: {START}"),
        );
    }
    let shown = cli::redacted(&address);
    let Some(url) = url(&address) else {
        let remedy = format!("serve it: {START}, and set {VARIABLE}={DEFAULT}");
        return Check::wrong(NAME, format!("{shown}: expected http:// or https://"), remedy);
    };
    match ask(url) {
        Ok(version) => Check::ok(NAME).version(version).about(shown),
        Err(Refusal::NoAnswer(why)) => {
            let remedy = if address == DEFAULT {
                format!("start it: {START}")
            } else {
                format!("start it, or correct {VARIABLE}")
            };
            Check::wrong(NAME, format!("{shown}: {why}"), remedy)
        }
        Err(Refusal::Credentials) => Check::wrong(
            NAME,
            format!("{shown}: asks for credentials"),
            "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN",
        ),
        Err(Refusal::Status(status)) => Check::wrong(
            NAME,
            format!("{shown}: answers {status}, as no MLflow server does"),
            format!("correct {VARIABLE}"),
        ),
    }
}

fn url(address: &str) -> Option<Url> {
    let url = Url::parse(address).ok()?;
    (matches!(url.scheme(), "http" | "https") && url.host_str().is_some_and(|host| !host.is_empty())).then_some(url)
}

enum Refusal {
    /// None within the time limit, or none at all.
    NoAnswer(String),
    Credentials,
    Status(StatusCode),
}

/// The version that the server at `url` says it is.
fn ask(mut url: Url) -> Result<String, Refusal> {
    let no_answer = |error: reqwest::Error| {
        let mut cause: &dyn Error = &error;
        while let Some(source) = cause.source() {
            cause = source;
        }
        Refusal::NoAnswer(if error.is_timeout() { "no answer in 2 seconds".to_owned() } else { cause.to_string() })
    };
    let mut client = Client::builder().timeout(TIMEOUT).connect_timeout(TIMEOUT).redirect(Policy::none());
    // A proxy cannot reach the loopback addresses of this machine.
    if url.host_str().is_some_and(|host| host == "localhost" || host.starts_with("127.") || host == "[::1]") {
        client = client.no_proxy();
    }
    let path = format!("{}/version", url.path().trim_end_matches('/'));
    url.set_path(&path);
    let mut request = client.build().map_err(no_answer)?.get(url);
    let variable = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    if let Some(user) = variable("MLFLOW_TRACKING_USERNAME") {
        request = request.basic_auth(user, variable("MLFLOW_TRACKING_PASSWORD"));
    } else if let Some(token) = variable("MLFLOW_TRACKING_TOKEN") {
        request = request.bearer_auth(token);
    }
    let response = request.send().map_err(no_answer)?;
    match response.status() {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(Refusal::Credentials),
        status if status.is_success() => {
            let mut text = String::new();
            let read = response.take(VERSION_BYTES).read_to_string(&mut text);
            let is_version = |c: char| c.is_ascii_alphanumeric() || ".+-".contains(c);
            let version = text.trim();
            let is_one =
                read.is_ok() && version.starts_with(|c: char| c.is_ascii_digit()) && version.chars().all(is_version);
            if is_one { Ok(version.to_owned()) } else { Err(Refusal::Status(status)) }
        }
        status => Err(Refusal::Status(status)),
    }
}
