//! A server that speaks as much of MLflow's API as `track` does, for faults that a real one has rarely. It
//! keeps metrics as the real one does: one of the same key, step, time and value is the same metric.

#![allow(dead_code, reason = "each test file uses a part of it")]

use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    mem,
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard},
    thread,
};

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fault {
    /// The connection is cut before anything is done.
    BeforeWork,
    /// All is done, and then the connection is cut.
    AfterWork,
    /// The connection is cut at once, and the work done right after that of the next such request: a server so
    /// slow that it creates a run after it has said that there is none. Other requests are not done at all.
    TooLate,
    /// All is done, and the answer is 503: a gateway gave up waiting.
    Trouble,
    /// The answer is 401.
    Forbidden,
    /// Nothing is done, and the answer has this status and is a page.
    Page(u16),
    /// The answer is another address.
    Redirect(&'static str),
    /// The answer has no end; its status is this.
    Endless(u16),
}

#[derive(Debug, Clone, Default)]
pub struct Run {
    pub name: String,
    /// Status and end time.
    pub status: (String, i64),
    pub params: BTreeMap<String, String>,
    pub tags: BTreeMap<String, String>,
    pub metrics: Vec<Value>,
    pub artifacts: Vec<String>,
    pub deleted: bool,
}

#[derive(Default)]
struct Store {
    requests: usize,
    faults: Vec<(usize, Fault)>,
    /// Runs that are created once another has been.
    late: Vec<Value>,
    experiments: Vec<String>,
    runs: Vec<Run>,
    models: Vec<String>,
    versions: Vec<Value>,
    /// What the server says of where artifacts go, if not that it takes them itself.
    artifact_uri: Option<String>,
    /// What came as login.
    logins: Vec<String>,
    /// Artifacts that were sent to no run of this server.
    others: Vec<String>,
}

pub struct Server {
    port: u16,
    store: Arc<Mutex<Store>>,
}

impl Server {
    /// `faults` are the numbers of requests, from 0, and what happens to each.
    pub fn start(faults: &[(usize, Fault)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let store = Arc::new(Mutex::new(Store { faults: faults.to_vec(), ..Store::default() }));
        let shared = Arc::clone(&store);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let store = Arc::clone(&shared);
                thread::spawn(move || serve(&stream, &store));
            }
        });
        Self { port, store }
    }

    /// Has artifacts go to where `uri` says.
    pub fn keeps_artifacts_at(self, uri: &str) -> Self {
        self.store().artifact_uri = Some(uri.to_owned());
        self
    }

    pub fn logins(&self) -> Vec<String> {
        self.store().logins.clone()
    }

    pub fn other_artifacts(&self) -> Vec<String> {
        self.store().others.clone()
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn uri(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Those that were not deleted.
    pub fn runs(&self) -> Vec<Run> {
        self.store().runs.iter().filter(|run| !run.deleted).cloned().collect()
    }

    /// How many there were, with those that were deleted.
    pub fn created(&self) -> usize {
        self.store().runs.len()
    }

    pub fn only_run(&self) -> Run {
        let runs = self.runs();
        assert_eq!(runs.len(), 1, "{runs:?}");
        runs[0].clone()
    }

    pub fn requests(&self) -> usize {
        self.store().requests
    }

    pub fn versions(&self) -> usize {
        self.store().versions.len()
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap()
    }
}

/// Requests of a connection, until one is cut.
fn serve(stream: &TcpStream, store: &Mutex<Store>) {
    let mut reader = BufReader::new(stream);
    while let Some((method, path, body, login)) = request(&mut reader) {
        let mut store = store.lock().unwrap();
        store.logins.extend(login);
        let number = store.requests;
        store.requests += 1;
        let fault = store.faults.iter().find(|(at, _)| *at == number).map(|(_, fault)| *fault);
        let (status, answer) = match fault {
            Some(Fault::BeforeWork) => return,
            Some(Fault::TooLate) => {
                if path.ends_with("runs/create") {
                    store.late.push(serde_json::from_slice(&body).unwrap());
                }
                return;
            }
            Some(Fault::Forbidden) => (401, json!({})),
            Some(Fault::Page(_) | Fault::Redirect(_) | Fault::Endless(_)) => (200, json!({})),
            _ => answer(&mut store, &method, &path, &body),
        };
        drop(store);
        let (status, answer) = match fault {
            Some(Fault::AfterWork) => return,
            Some(Fault::Trouble) => (503, json!({})),
            _ => (status, answer),
        };
        let text = answer.to_string();
        let mut stream = stream;
        match fault {
            Some(Fault::Page(status)) => {
                let page = "<html>hello</html>";
                write!(stream, "HTTP/1.1 {status} x\r\ncontent-length: {}\r\n\r\n{page}", page.len()).unwrap();
                continue;
            }
            Some(Fault::Redirect(to)) => {
                write!(stream, "HTTP/1.1 307 x\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n").unwrap();
                continue;
            }
            Some(Fault::Endless(status)) => {
                let _ = write!(stream, "HTTP/1.1 {status} x\r\n\r\n");
                while stream.write_all(&[b' '; 1 << 16]).is_ok() {}
                return;
            }
            _ => {}
        }
        if write!(stream, "HTTP/1.1 {status} x\r\ncontent-length: {}\r\n\r\n{text}", text.len()).is_err() {
            return;
        }
    }
}

/// Method, path with query, body, and login.
fn request(reader: &mut BufReader<&TcpStream>) -> Option<(String, String, Vec<u8>, Option<String>)> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let (mut length, mut login) = (0, None);
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        if header.trim().is_empty() {
            break;
        }
        if header.to_lowercase().starts_with("authorization:") {
            login = Some(header.trim().to_owned());
        }
        if let Some(value) = header.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((method, path, body, login))
}

fn answer(store: &mut Store, method: &str, path: &str, body: &[u8]) -> (u16, Value) {
    if let Some(artifact) = path.strip_prefix("/api/2.0/mlflow-artifacts/artifacts/").filter(|_| method == "PUT") {
        let (run, name) = artifact.split_once("/artifacts/").unwrap();
        let Some(run) = store.runs.get_mut(run.parse::<usize>().unwrap()) else {
            store.others.push(name.to_owned());
            return (200, json!({}));
        };
        let artifacts = &mut run.artifacts;
        if !artifacts.iter().any(|there| there == name) {
            artifacts.push(name.to_owned());
        }
        return (200, json!({}));
    }
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let is_there = |id: &str| id.parse::<usize>().is_ok_and(|id| id < store.runs.len());
    if body["run_id"].as_str().is_some_and(|id| !is_there(id)) {
        return (404, json!({"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no such run"}));
    }
    match path.strip_prefix("/api/2.0/mlflow/").unwrap() {
        "experiments/get-by-name" => {
            let name = query.strip_prefix("experiment_name=").unwrap();
            match store.experiments.iter().position(|there| there == name) {
                Some(id) => (200, json!({"experiment": {"experiment_id": id.to_string()}})),
                None => (404, json!({"error_code": "RESOURCE_DOES_NOT_EXIST"})),
            }
        }
        "experiments/create" if store.experiments.contains(&text("name")) => {
            (400, json!({"error_code": "RESOURCE_ALREADY_EXISTS"}))
        }
        "experiments/create" => {
            store.experiments.push(text("name"));
            (200, json!({"experiment_id": (store.experiments.len() - 1).to_string()}))
        }
        "runs/create" => {
            let id = store.runs.len();
            for body in [vec![body], mem::take(&mut store.late)].concat() {
                let name = body["run_name"].as_str().unwrap().to_owned();
                store.runs.push(Run { name, tags: pairs(&body["tags"]), ..Run::default() });
            }
            (200, json!({"run": info(store, id)}))
        }
        "runs/delete" => {
            store.runs[text("run_id").parse::<usize>().unwrap()].deleted = true;
            (200, json!({}))
        }
        "runs/search" => {
            let filter = text("filter");
            let (tag, value) = filter.strip_prefix("tags.`").unwrap().split_once("` = '").unwrap();
            let value = value.strip_suffix('\'').unwrap();
            assert!(!value.contains(['\'', '"']), "the real server has no escape: {filter}");
            let has = |run: &Run| !run.deleted && run.tags.get(tag).is_some_and(|is| is == value);
            let found = store.runs.iter().enumerate().filter(|(_, run)| has(run));
            let found: Vec<_> = found.map(|(id, _)| info(store, id)).collect();
            (200, json!({"runs": found}))
        }
        "runs/log-batch" => log_batch(&mut store.runs[text("run_id").parse::<usize>().unwrap()], &body),
        "runs/log-inputs" => (200, json!({})),
        "runs/update" => {
            let run = &mut store.runs[text("run_id").parse::<usize>().unwrap()];
            run.status = (text("status"), body["end_time"].as_i64().unwrap());
            (200, json!({}))
        }
        "registered-models/create" if store.models.contains(&text("name")) => {
            (400, json!({"error_code": "RESOURCE_ALREADY_EXISTS"}))
        }
        "registered-models/create" => {
            store.models.push(text("name"));
            (200, json!({}))
        }
        "model-versions/search" => (200, json!({"model_versions": store.versions})),
        "model-versions/create" => {
            store.versions.push(body);
            (200, json!({}))
        }
        other => (404, json!({"error_code": "ENDPOINT_NOT_FOUND", "message": other})),
    }
}

fn log_batch(run: &mut Run, body: &Value) -> (u16, Value) {
    let metrics = body["metrics"].as_array().map_or(&[][..], Vec::as_slice);
    assert!(metrics.len() <= 1000 && body.to_string().len() <= 1_000_000, "over the real server's limits");
    if metrics.iter().any(|metric| metric["key"] == "refuse me") {
        return (400, json!({"error_code": "INVALID_PARAMETER_VALUE", "message": "no"}));
    }
    for metric in metrics {
        if !run.metrics.contains(metric) {
            run.metrics.push(metric.clone());
        }
    }
    run.params.extend(pairs(&body["params"]));
    run.tags.extend(pairs(&body["tags"]));
    (200, json!({}))
}

fn pairs(pairs: &Value) -> BTreeMap<String, String> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    pairs.as_array().into_iter().flatten().map(|pair| (text(&pair["key"]), text(&pair["value"]))).collect()
}

fn info(store: &Store, id: usize) -> Value {
    let uri = store.artifact_uri.clone().unwrap_or(format!("mlflow-artifacts:/{id}/artifacts"));
    json!({"info": {"run_id": id.to_string(), "experiment_id": "0", "artifact_uri": uri}})
}
