//! Requests to a tracking server.

use crate::settings::Settings;
use anyhow::{Context, ensure};
use reqwest::{
    Url,
    blocking::{Body, Client as Http, RequestBuilder, Response},
};
use serde::Deserialize;
use serde_json::Value;
use std::{env, error::Error, time::Duration};

/// Why a request did not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Nobody answered, or the server is in trouble: it may work later.
    #[error("{0}")]
    Unreachable(String),
    /// The server understood, and will not.
    #[error("{message}")]
    Refused { code: String, message: String },
    /// This machine's own files.
    #[error("{0:#}")]
    Local(anyhow::Error),
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Local(error)
    }
}

impl Failure {
    /// Whether the server refused with this error code.
    pub fn is(&self, wanted: &str) -> bool {
        matches!(self, Self::Refused { code, .. } if code == wanted)
    }
}

/// The answer to a request.
pub type Answer<T> = Result<T, Failure>;

/// What there is no server for at that address, or a proxy instead of one.
const NOT_MLFLOW: &str = "NOT_MLFLOW";

/// A tracking server's address, and who we are to it.
pub struct Client {
    http: Http,
    base: Url,
    login: Login,
}

/// From the environment, never from a config file: settings are logged as params.
enum Login {
    Basic { user: String, password: String },
    Token(String),
    None,
}

impl Client {
    /// # Errors
    /// When the address is none that a server can have.
    pub fn new(settings: &Settings) -> anyhow::Result<Self> {
        let mut base = Url::parse(&settings.uri).with_context(|| format!("tracking.uri: {:?}", settings.uri))?;
        let server = matches!(base.scheme(), "http" | "https");
        ensure!(
            server,
            "tracking.uri: {base}: expected http:// or https://; a store is served by: mlflow server --backend-store-uri {base}"
        );
        let login = Login::read(&mut base);
        let mut http = Http::builder().timeout(settings.timeout.0).connect_timeout(settings.timeout.0);
        // A proxy cannot reach what this machine alone can.
        if base.host_str().is_some_and(is_this_machine) {
            http = http.no_proxy();
        }
        let http = http.user_agent(concat!("pipegrad/", env!("CARGO_PKG_VERSION"))).build()?;
        Ok(Self { http, base, login })
    }

    /// The server's address, without a password.
    pub fn address(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// Asks for something: `GET /api/2.0/mlflow/<path>`.
    pub fn get(&self, path: &str, query: &[(&str, &str)]) -> Answer<Value> {
        let url = self.url("api/2.0/mlflow", path);
        self.json(self.http.get(url).query(query))
    }

    /// Asks for something to be done: `POST /api/2.0/mlflow/<path>`.
    pub fn post(&self, path: &str, body: &Value) -> Answer<Value> {
        let url = self.url("api/2.0/mlflow", path);
        self.json(self.http.post(url).json(body))
    }

    /// Uploads an artifact through the server, or the one of that host and port, as MLflow's own client does:
    /// `PUT /api/2.0/mlflow-artifacts/artifacts/<path>`.
    pub fn put_artifact(
        &self,
        host: Option<&str>,
        path: &str,
        content: impl Into<Body>,
        timeout: Duration,
    ) -> Answer<()> {
        let mut url = self.url("api/2.0/mlflow-artifacts/artifacts", path);
        if let Some(host) = host {
            let address = format!("{}://{host}{}", url.scheme(), url.path());
            url = Url::parse(&address).with_context(|| format!("artifacts at {host:?}"))?;
        }
        self.send(self.http.put(url).body(content).timeout(timeout)).map(drop)
    }

    /// Each part of `path` becomes a part of the address, whatever characters it has.
    fn url(&self, service: &str, path: &str) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut parts) = url.path_segments_mut() {
            parts.pop_if_empty().extend(service.split('/')).extend(path.split('/').filter(|part| !part.is_empty()));
        }
        url
    }

    fn json(&self, request: RequestBuilder) -> Answer<Value> {
        let response = self.send(request)?;
        let text = response.bytes().map_err(|e| self.unreachable(&e))?;
        serde_json::from_slice(&text).map_err(|_| Failure::Refused {
            code: NOT_MLFLOW.into(),
            message: format!("{}: no MLflow server: its answer is not JSON", self.address()),
        })
    }

    fn send(&self, request: RequestBuilder) -> Answer<Response> {
        let request = match &self.login {
            Login::Basic { user, password } => request.basic_auth(user, Some(password)),
            Login::Token(token) => request.bearer_auth(token),
            Login::None => request,
        };
        let response = request.send().map_err(|e| self.unreachable(&e))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let refusal = Refusal::read(response);
        let why = if refusal.message.is_empty() { status.to_string() } else { refusal.message };
        let message = format!("{}: {why}", self.address());
        // Too slow, too many, or the server's own trouble: another time, then.
        if status.is_server_error() || matches!(status.as_u16(), 408 | 429) {
            return Err(Failure::Unreachable(message));
        }
        let hint = match status.as_u16() {
            401 | 403 => " (log in by MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN)",
            _ => "",
        };
        Err(Failure::Refused { code: refusal.error_code, message: message + hint })
    }

    /// For an answer that lacks what MLflow's answers have.
    pub(super) fn not_understood(&self, what: &str) -> Failure {
        let message = format!("{}: no MLflow server: its answer lacks {what}", self.address());
        Failure::Refused { code: NOT_MLFLOW.into(), message }
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        let why = if error.is_timeout() { "no answer in time".to_owned() } else { innermost(error) };
        Failure::Unreachable(format!("{}: {why}", self.address()))
    }
}

impl Login {
    /// As MLflow's own client: user and password before the token. Those of the address, too, are taken out of it, so
    /// that no message shows them.
    fn read(base: &mut Url) -> Self {
        let variable = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        let named =
            (!base.username().is_empty()).then(|| (base.username().to_owned(), base.password().map(str::to_owned)));
        // Refused for addresses without a host only, which cannot carry a name either.
        let _ = base.set_username("").and_then(|()| base.set_password(None));
        let decoded = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
        if let Some((user, password)) = named {
            return Self::Basic { user: decoded(&user), password: decoded(&password.unwrap_or_default()) };
        }
        let login = variable("MLFLOW_TRACKING_USERNAME").zip(variable("MLFLOW_TRACKING_PASSWORD"));
        match (login, variable("MLFLOW_TRACKING_TOKEN")) {
            (Some((user, password)), _) => Self::Basic { user, password },
            (None, Some(token)) => Self::Token(token),
            (None, None) => Self::None,
        }
    }
}

/// The body of an answer that is no.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Refusal {
    error_code: String,
    message: String,
}

impl Refusal {
    fn read(response: Response) -> Self {
        response.bytes().ok().and_then(|body| serde_json::from_slice(&body).ok()).unwrap_or_default()
    }
}

fn is_this_machine(host: &str) -> bool {
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// The cause that says what happened; those around it say that something did.
fn innermost(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
