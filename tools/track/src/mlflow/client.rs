//! Requests to a tracking server.

use super::address;
use crate::settings::Settings;
use anyhow::Context;
use reqwest::{
    Url,
    blocking::{Body, Client as Http, RequestBuilder, Response},
    header::LOCATION,
    redirect::Policy,
};
use serde::Deserialize;
use serde_json::Value;
use std::{
    env,
    error::Error,
    io::Read,
    time::{Duration, Instant},
};

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
    /// Bytes of an answer, and the time that it may take.
    max_answer: u64,
    timeout: Duration,
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
        let mut base = address::parse(&settings.uri)?;
        let login = Login::read(&mut base);
        // What is redirected would go, with the login, to whom the answer names.
        let http = Http::builder().redirect(Policy::none());
        let mut http = http.timeout(settings.timeout.0).connect_timeout(settings.timeout.0);
        // A proxy cannot reach what this machine alone can.
        if base.host_str().is_some_and(is_this_machine) {
            http = http.no_proxy();
        }
        let http = http.user_agent(concat!("pipegrad/", env!("CARGO_PKG_VERSION"))).build()?;
        Ok(Self { http, base, login, max_answer: settings.max_answer, timeout: settings.timeout.0 })
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
            let place = || format!("artifacts at {:?}", cli::redacted(host));
            url = Url::parse(&address).with_context(place)?;
            // A name in it is none of ours. Refused for addresses without a host only, which are no addresses of http.
            let _ = url.set_username("").and_then(|()| url.set_password(None));
        }
        // The answer may name any host; the login is for the one that the user named.
        let known = url.origin() == self.base.origin();
        let request = self.http.put(url).body(content).timeout(timeout);
        self.send(if known { self.login.add(request) } else { request }).map(drop)
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
        let response = self.send(self.login.add(request))?;
        let status = response.status();
        let text = self.body(response)?;
        serde_json::from_slice(&text).map_err(|_| {
            let message = format!("{}: no MLflow server: {status}, and its answer is not JSON", self.address());
            Failure::Refused { code: NOT_MLFLOW.into(), message }
        })
    }

    fn send(&self, request: RequestBuilder) -> Answer<Response> {
        let response = request.send().map_err(|e| self.unreachable(&e))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok()).map(cli::redacted);
        let refusal: Refusal =
            self.body(response).ok().and_then(|body| serde_json::from_slice(&body).ok()).unwrap_or_default();
        let why = match (refusal.message.as_str(), location) {
            (_, Some(to)) if status.is_redirection() => format!("{status} to {}; give its address as uri=", short(&to)),
            ("", _) if status.as_u16() == 404 && refusal.error_code.is_empty() => format!("no MLflow server: {status}"),
            ("", _) => status.to_string(),
            (message, _) => short(message),
        };
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

    /// The answer, if it is not too long in bytes or in time.
    fn body(&self, response: Response) -> Answer<Vec<u8>> {
        let (status, deadline) = (response.status(), Instant::now() + self.timeout);
        let mut response = response.take(self.max_answer.saturating_add(1));
        let (mut body, mut block) = (Vec::new(), vec![0; BLOCK]);
        loop {
            match response.read(&mut block) {
                Ok(0) => break,
                Ok(count) => body.extend_from_slice(&block[..count]),
                Err(error) => return Err(Failure::Unreachable(format!("{}: {}", self.address(), innermost(&error)))),
            }
            if Instant::now() > deadline {
                return Err(Failure::Unreachable(format!("{}: no answer in time", self.address())));
            }
        }
        if body.len() as u64 > self.max_answer {
            let limit = self.max_answer;
            let message =
                format!("{}: {status}, and an answer of more than tracking.max_answer, {limit} bytes", self.address());
            return Err(Failure::Refused { code: NOT_MLFLOW.into(), message });
        }
        Ok(body)
    }

    /// For an answer that lacks what MLflow's answers have.
    pub(super) fn not_understood(&self, what: &str) -> Failure {
        let message = format!("{}: no MLflow server: 200 OK, but its answer lacks {}", self.address(), short(what));
        Failure::Refused { code: NOT_MLFLOW.into(), message }
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        let why = if error.is_timeout() { "no answer in time".to_owned() } else { innermost(error) };
        Failure::Unreachable(format!("{}: {why}", self.address()))
    }
}

impl Login {
    fn add(&self, request: RequestBuilder) -> RequestBuilder {
        match self {
            Self::Basic { user, password } => request.basic_auth(user, Some(password)),
            Self::Token(token) => request.bearer_auth(token),
            Self::None => request,
        }
    }

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

/// Bytes that are read at a time.
const BLOCK: usize = 1 << 14;

/// What a server says, as much of it as a line can hold.
fn short(text: &str) -> String {
    const MAX_CHARACTERS: usize = 300;
    match text.char_indices().nth(MAX_CHARACTERS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
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
