//! A server that speaks as much of MLflow's API as `track` does, for faults that a real one has rarely. It
//! keeps metrics as the real one does: one of the same key, step, time and value is the same metric.

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
    while let Some((method, path, body)) = request(&mut reader) {
        let mut store = store.lock().unwrap();
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
        if write!(stream, "HTTP/1.1 {status} x\r\ncontent-length: {}\r\n\r\n{text}", text.len()).is_err() {
            return;
        }
    }
}

/// Method, path with query, and body.
fn request(reader: &mut BufReader<&TcpStream>) -> Option<(String, String, Vec<u8>)> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        if header.trim().is_empty() {
            break;
        }
        if let Some(value) = header.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((method, path, body))
}

fn answer(store: &mut Store, method: &str, path: &str, body: &[u8]) -> (u16, Value) {
    if let Some(artifact) = path.strip_prefix("/api/2.0/mlflow-artifacts/artifacts/").filter(|_| method == "PUT") {
        let (run, name) = artifact.split_once("/artifacts/").unwrap();
        let artifacts = &mut store.runs[run.parse::<usize>().unwrap()].artifacts;
        if !artifacts.iter().any(|there| there == name) {
            artifacts.push(name.to_owned());
        }
        return (200, json!({}));
    }
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
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
            (200, json!({"run": info(id)}))
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
            let found: Vec<_> = found.map(|(id, _)| info(id)).collect();
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

fn info(id: usize) -> Value {
    let uri = format!("mlflow-artifacts:/{id}/artifacts");
    json!({"info": {"run_id": id.to_string(), "experiment_id": "0", "artifact_uri": uri}})
}
