//! HTTP requests to a tracking server.

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
    error::Error as StdError,
    io::Read,
    time::{Duration, Instant},
};

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No response, or a status that says that a retry may succeed: 408, 429 or 5xx.
    #[error("{0}")]
    Unavailable(String),
    /// The server refused the request, or is not an MLflow server. `code` is MLflow's `error_code`.
    #[error("{message}")]
    Refused { code: String, message: String },
    /// An error on this machine, such as a file that cannot be read.
    #[error("{}", cli::describe(.0))]
    Local(anyhow::Error),
}

impl From<anyhow::Error> for Error {
    fn from(error: anyhow::Error) -> Self {
        Self::Local(error)
    }
}

impl Error {
    /// Whether the server refused the request with the error code `wanted`.
    pub fn is(&self, wanted: &str) -> bool {
        matches!(self, Self::Refused { code, .. } if code == wanted)
    }
}

/// The result of a request.
pub type Result<T> = std::result::Result<T, Error>;

/// The code of [`Error::Refused`] for a response that is not MLflow's; a proxy's, for example.
const NOT_MLFLOW: &str = "NOT_MLFLOW";

/// A client of one tracking server, with its credentials.
pub struct Client {
    http: Http,
    base: Url,
    credentials: Credentials,
    /// Largest response, in bytes.
    max_response: u64,
    /// Longest time to read a response.
    timeout: Duration,
}

/// From the environment or the address. Config files have none: settings are logged as params.
enum Credentials {
    Basic { user: String, password: String },
    Token(String),
    None,
}

impl Client {
    /// # Errors
    /// If `tracking.uri` is not an HTTP address.
    pub fn new(settings: &Settings) -> anyhow::Result<Self> {
        let mut base = address::parse(&settings.uri)?;
        let credentials = Credentials::read(&mut base);
        // A redirect would send the credentials to a host of the response's choice.
        let http = Http::builder().redirect(Policy::none());
        let mut http = http.timeout(settings.timeout.0).connect_timeout(settings.timeout.0);
        // A proxy cannot reach the loopback addresses of this machine.
        if base.host_str().is_some_and(is_loopback) {
            http = http.no_proxy();
        }
        let http = http.user_agent(concat!("pipegrad/", env!("CARGO_PKG_VERSION"))).build()?;
        Ok(Self { http, base, credentials, max_response: settings.max_answer, timeout: settings.timeout.0 })
    }

    /// The server's address, without a password.
    pub fn address(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// `GET /api/2.0/mlflow/<path>`.
    pub fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Value> {
        let url = self.url("api/2.0/mlflow", path);
        self.json(self.http.get(url).query(query))
    }

    /// `POST /api/2.0/mlflow/<path>`.
    pub fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let url = self.url("api/2.0/mlflow", path);
        self.json(self.http.post(url).json(body))
    }

    /// `PUT /api/2.0/mlflow-artifacts/artifacts/<path>`, on the tracking server or on `host` (with the port). Only the
    /// tracking server gets the credentials.
    pub fn put_artifact(
        &self,
        host: Option<&str>,
        path: &str,
        content: impl Into<Body>,
        timeout: Duration,
    ) -> Result<()> {
        let mut url = self.url("api/2.0/mlflow-artifacts/artifacts", path);
        if let Some(host) = host {
            let address = format!("{}://{host}{}", url.scheme(), url.path());
            let context = || format!("artifacts at {:?}", cli::redacted(host));
            url = Url::parse(&address).with_context(context)?;
            // Drop a user name in `host`. Fails only for addresses without a host.
            let _ = url.set_username("").and_then(|()| url.set_password(None));
        }
        let trusted = url.origin() == self.base.origin();
        let request = self.http.put(url).body(content).timeout(timeout);
        self.send(if trusted { self.credentials.add(request) } else { request }).map(drop)
    }

    /// The address of `path` in `service`; special characters in the components of `path` are escaped.
    fn url(&self, service: &str, path: &str) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            let path = path.split('/').filter(|segment| !segment.is_empty());
            segments.pop_if_empty().extend(service.split('/')).extend(path);
        }
        url
    }

    fn json(&self, request: RequestBuilder) -> Result<Value> {
        let response = self.send(self.credentials.add(request))?;
        let status = response.status();
        let text = self.body(response)?;
        serde_json::from_slice(&text).map_err(|_| {
            let message = format!("{}: not an MLflow server: {status}, and the response is not JSON", self.address());
            Error::Refused { code: NOT_MLFLOW.into(), message }
        })
    }

    fn send(&self, request: RequestBuilder) -> Result<Response> {
        let response = request.send().map_err(|e| self.unanswered(&e))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok()).map(cli::redacted);
        let refusal: Refusal =
            self.body(response).ok().and_then(|body| serde_json::from_slice(&body).ok()).unwrap_or_default();
        let why = match (refusal.message.as_str(), location) {
            (_, Some(to)) if status.is_redirection() => {
                format!("{status} to {}; give its address as uri=", truncated(&to))
            }
            ("", _) if status.as_u16() == 404 && refusal.error_code.is_empty() => {
                format!("not an MLflow server: {status}")
            }
            ("", _) => status.to_string(),
            (message, _) => truncated(message),
        };
        let message = format!("{}: {why}", self.address());
        // Request timeout, too many requests, or an error of the server.
        if status.is_server_error() || matches!(status.as_u16(), 408 | 429) {
            return Err(Error::Unavailable(message));
        }
        let hint = match status.as_u16() {
            401 | 403 => " (log in by MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN)",
            _ => "",
        };
        Err(Error::Refused { code: refusal.error_code, message: message + hint })
    }

    /// The body of a response, within the limits on size and time.
    fn body(&self, response: Response) -> Result<Vec<u8>> {
        let (status, deadline) = (response.status(), Instant::now() + self.timeout);
        let mut response = response.take(self.max_response.saturating_add(1));
        let (mut body, mut block) = (Vec::new(), vec![0; BLOCK]);
        loop {
            match response.read(&mut block) {
                Ok(0) => break,
                Ok(count) => body.extend_from_slice(&block[..count]),
                Err(error) => return Err(Error::Unavailable(format!("{}: {}", self.address(), innermost(&error)))),
            }
            if Instant::now() > deadline {
                return Err(Error::Unavailable(format!("{}: the response timed out", self.address())));
            }
        }
        if body.len() as u64 > self.max_response {
            let limit = self.max_response;
            let message =
                format!("{}: {status}, and a response of more than tracking.max_answer, {limit} bytes", self.address());
            return Err(Error::Refused { code: NOT_MLFLOW.into(), message });
        }
        Ok(body)
    }

    /// The error for a response that lacks the JSON pointer or key `missing`.
    pub(super) fn incomplete(&self, missing: &str) -> Error {
        let message =
            format!("{}: not an MLflow server: 200 OK, but the response lacks {}", self.address(), truncated(missing));
        Error::Refused { code: NOT_MLFLOW.into(), message }
    }

    /// The error for a request without a response.
    fn unanswered(&self, error: &reqwest::Error) -> Error {
        let why = if error.is_timeout() { "the request timed out".to_owned() } else { innermost(error) };
        let message = format!("{}: {why}", self.address());
        if error.is_builder() || cli::is_invalid_data(error) {
            return Error::Refused { code: NOT_MLFLOW.into(), message };
        }
        Error::Unavailable(message)
    }
}

impl Credentials {
    fn add(&self, request: RequestBuilder) -> RequestBuilder {
        match self {
            Self::Basic { user, password } => request.basic_auth(user, Some(password)),
            Self::Token(token) => request.bearer_auth(token),
            Self::None => request,
        }
    }

    /// The user and password in the address, else in the environment, else the token there: the precedence of MLflow's own
    /// client. They are removed from the address, so that no message shows them.
    fn read(base: &mut Url) -> Self {
        let variable = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        let named =
            (!base.username().is_empty()).then(|| (base.username().to_owned(), base.password().map(str::to_owned)));
        // Fails only for addresses without a host, which cannot have a user either.
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

/// The body of an error response.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Refusal {
    error_code: String,
    message: String,
}

/// Size of a read, in bytes.
const BLOCK: usize = 1 << 14;

/// Truncates a text of the server's for a message.
fn truncated(text: &str) -> String {
    const MAX_CHARACTERS: usize = 300;
    match text.char_indices().nth(MAX_CHARACTERS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// The innermost cause, which has the reason; the outer errors say only which stage failed.
fn innermost(error: &dyn StdError) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
