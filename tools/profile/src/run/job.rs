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
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

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
    pub onnxruntime: Option<PathBuf>,
    /// Maximum bytes of ONNX Runtime's profile.
    pub profile_bytes: u64,
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
    pub batch_size: usize,
    /// Sizes of symbolic dimensions other than the batch axis.
    pub dims: Vec<(String, usize)>,
    pub threads: usize,
    pub budget: Budget,
    pub onnxruntime: Option<PathBuf>,
    /// Start of the path of ONNX Runtime's profile, if one is wanted.
    pub profile: Option<PathBuf>,
}

/// What a worker answers, as JSON on its standard output.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Measured {
    pub latency: Latency,
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
            threads: settings.threads,
            budget,
            onnxruntime: run.onnxruntime.clone(),
            profile: None,
        }
    }

    /// Starts a worker and waits for its answer.
    ///
    /// # Errors
    /// What the worker says, or that a signal ended it.
    pub fn run(&self) -> anyhow::Result<Measured> {
        let program = std::env::current_exe().context("the path of this program")?;
        let mut command = Command::new(program);
        command.arg("--worker").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().context("a process for a measurement")?;
        // A worker that ends early closes the pipe: its own message says more than that.
        child.stdin.take().map(|mut stdin| stdin.write_all(&serde_json::to_vec(self).unwrap_or_default()));
        let output = child.wait_with_output().context("a process for a measurement")?;
        if !output.status.success() {
            let stderr = String::from_utf8_lossy(&output.stderr);
            match stderr.lines().last() {
                Some(line) => bail!("{}", line.trim_start_matches("profile: ")),
                None => {
                    bail!("{} on {}: the process ended by {}", self.path.display(), self.backend.name(), output.status)
                }
            }
        }
        serde_json::from_slice(&output.stdout).context("the answer of a measurement")
    }
}
