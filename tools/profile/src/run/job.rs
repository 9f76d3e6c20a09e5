//! One measurement, made by a process of its own: its memory is that of this model alone, and a crash of a backend is a row
//! without figures.

use super::{
    backend::Backend,
    timing::{Budget, Latency},
};
use crate::settings::Settings;
use anyhow::{Context, bail, ensure};
use serde::{Deserialize, Serialize};
use std::{
    io::{self, Read, Write},
    path::{Path, PathBuf},
    process::{Child, ExitStatus, Stdio},
    sync::mpsc,
    thread::{self, JoinHandle},
    time::Duration,
};

/// Limit on `max_runs`: each run takes 16 bytes.
const MAX_RUNS: usize = 10_000_000;
/// Limit on `node_runs`: ONNX Runtime holds its profile in memory.
const MAX_NODE_RUNS: usize = 100_000;
/// Limit on `limit_seconds`: a day.
const MAX_SECONDS: f64 = 86_400.0;

/// Settings of `--run`: `profile.run`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunSettings {
    pub batch_sizes: Vec<usize>,
    pub warm_up_seconds: f64,
    pub seconds: f64,
    pub min_runs: usize,
    pub max_runs: usize,
    /// Runs under ONNX Runtime's profile; 0 for none.
    pub node_runs: usize,
    /// What runs ONNX models.
    pub runtime: runtime::Backend,
    /// Maximum bytes of memory of a run in the native runtime.
    pub memory_bytes: u64,
    pub onnxruntime: Option<PathBuf>,
    /// Maximum bytes of ONNX Runtime's profile.
    pub profile_bytes: u64,
    /// Maximum bytes of the inputs of a run.
    pub input_bytes: usize,
    /// Maximum seconds of a measurement; its process is killed then.
    pub limit_seconds: f64,
}

impl RunSettings {
    /// # Errors
    /// Names the setting that is out of its range.
    pub fn check(&self) -> anyhow::Result<()> {
        ensure!(!self.batch_sizes.is_empty(), "profile.run.batch_sizes: none; expected at least one");
        ensure!(!self.batch_sizes.contains(&0), "profile.run.batch_sizes: 0; expected at least 1");
        for (name, seconds) in [("warm_up_seconds", self.warm_up_seconds), ("seconds", self.seconds)] {
            ensure!((0.0..=3600.0).contains(&seconds), "profile.run.{name}: {seconds}; expected 0 to 3600");
        }
        let (min, max) = (self.min_runs, self.max_runs);
        ensure!(min >= 1, "profile.run.min_runs: 0; expected at least 1");
        ensure!(max >= min, "profile.run.max_runs: {max}; expected at least profile.run.min_runs, {min}");
        ensure!(max <= MAX_RUNS, "profile.run.max_runs: {max}; expected at most {MAX_RUNS}");
        let nodes = self.node_runs;
        ensure!(nodes <= MAX_NODE_RUNS, "profile.run.node_runs: {nodes}; expected at most {MAX_NODE_RUNS}");
        let (limit, least) = (self.limit_seconds, self.warm_up_seconds + self.seconds);
        ensure!(
            limit > least && limit <= MAX_SECONDS,
            "profile.run.limit_seconds: {limit}; expected above {least}, which warm_up_seconds and seconds take, to {MAX_SECONDS}"
        );
        Ok(())
    }
}

/// What a worker is told, as JSON on its standard input.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Job {
    pub backend: Backend,
    /// ONNX file; run folder or checkpoint of candle; engine of TensorRT.
    pub path: PathBuf,
    pub bytes: u64,
    /// Of a model that does not fix it.
    pub batch_size: usize,
    /// Sizes of symbolic dimensions.
    pub dims: Vec<(String, usize)>,
    pub input_bytes: usize,
    pub threads: usize,
    pub budget: Budget,
    /// What runs an ONNX model.
    pub runtime: runtime::Backend,
    pub memory_bytes: u64,
    pub onnxruntime: Option<PathBuf>,
    /// Start of the path of ONNX Runtime's profile, if one is wanted.
    pub profile: Option<PathBuf>,
    /// How long the process may take.
    #[serde(skip)]
    pub limit: Duration,
}

/// Rows of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    pub size: usize,
    /// Whether the model or `--dim` says so, not the job.
    pub is_fixed: bool,
}

/// What a worker answers, as JSON on its standard output.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Measured {
    /// What ran the model.
    pub backend: Backend,
    pub latency: Latency,
    pub batch: Batch,
    /// Runs that were measured.
    pub runs: usize,
    /// Seconds from the file to a model that can run.
    pub load_seconds: f64,
    /// Peak of the process's resident memory; None where the system does not tell.
    pub memory_bytes: Option<u64>,
    /// ONNX Runtime's profile; the runs that were thrown away are in it too.
    pub profile: Option<PathBuf>,
}

impl Job {
    pub fn new(backend: Backend, path: &Path, batch_size: usize, settings: &Settings) -> Self {
        let run = &settings.run;
        let budget = Budget {
            warm_up_seconds: run.warm_up_seconds,
            seconds: run.seconds,
            min_runs: run.min_runs,
            max_runs: run.max_runs,
        };
        let dims = settings.dims.iter().flatten().map(|(name, size)| (name.clone(), *size)).collect();
        Self {
            backend,
            path: path.to_owned(),
            bytes: settings.model_bytes,
            batch_size,
            dims,
            input_bytes: run.input_bytes,
            threads: settings.threads,
            budget,
            runtime: run.runtime,
            memory_bytes: run.memory_bytes,
            onnxruntime: run.onnxruntime.clone(),
            profile: None,
            limit: Duration::from_secs_f64(run.limit_seconds),
        }
    }

    /// Starts a worker and waits for its answer.
    ///
    /// # Errors
    /// What the worker says, or how it ended.
    pub fn run(&self) -> anyhow::Result<Measured> {
        let mut command = cli::this_tool().context("the path of this program")?;
        command.arg("--worker").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().context("a process for a measurement")?;
        let job = serde_json::to_string(self)? + "\n";
        // The worker ends if this end of the pipe is closed: when this process dies, it does not go on alone. A worker that
        // ends early closes the other: its own message says more than that.
        let mut stdin = child.stdin.take();
        let _ = stdin.as_mut().map(|stdin| stdin.write_all(job.as_bytes()));
        let ended = wait(child, self.limit).context("a process for a measurement")?;
        let Some(ended) = ended else {
            let seconds = self.limit.as_secs_f64();
            bail!("{}: no answer in {seconds} s (profile.run.limit_seconds), so it was killed", self.on_backend());
        };
        if !ended.status.success() {
            let problem = match ended.stderr.lines().last() {
                Some(line) => line.trim_start_matches("profile: ").to_owned(),
                None => format!("{}: the process ended by {}", self.on_backend(), ended.status),
            };
            if ended.status.code() == Some(cli::TRANSIENT.into()) {
                bail!(cli::Transient::new(problem));
            }
            bail!(problem);
        }
        serde_json::from_slice(&ended.stdout).context("the answer of a measurement")
    }

    /// `net.onnx on onnxruntime`.
    fn on_backend(&self) -> String {
        format!("{} on {}", self.path.display(), self.backend.name())
    }
}

/// A process that has ended, and what it wrote.
struct Ended {
    status: ExitStatus,
    stdout: Vec<u8>,
    stderr: String,
}

/// Waits for a process; None if it took longer than `limit` and was killed.
fn wait(mut child: Child, limit: Duration) -> io::Result<Option<Ended>> {
    let (closed, is_closed) = mpsc::channel::<()>();
    let stdout = read(child.stdout.take(), Some(closed))?;
    let stderr = read(child.stderr.take(), None)?;
    // A process that closes its standard output has ended, or is about to.
    let is_late = is_closed.recv_timeout(limit) == Err(mpsc::RecvTimeoutError::Timeout);
    if is_late {
        child.kill()?;
    }
    let status = child.wait()?;
    let [stdout, stderr] = [stdout, stderr].map(|reader| reader.join().unwrap_or_default());
    let stderr = String::from_utf8_lossy(&stderr).into_owned();
    Ok((!is_late).then_some(Ended { status, stdout, stderr }))
}

/// Reads all of a pipe on a thread, which drops `closed` at the end.
fn read(pipe: Option<impl Read + Send + 'static>, closed: Option<mpsc::Sender<()>>) -> io::Result<JoinHandle<Vec<u8>>> {
    thread::Builder::new().spawn(move || {
        let mut bytes = Vec::new();
        // What was read before an error is the answer.
        let _ = pipe.map(|mut pipe| pipe.read_to_end(&mut bytes));
        drop(closed);
        bytes
    })
}
