//! Config group `trt`.

use anyhow::{Context, bail, ensure};
use files::Limit;
use serde::Deserialize;
use std::{path::PathBuf, time::Duration};
use trt_protocol::{BuildOptions, COMPUTE_CAPABILITIES, InputProfile};

/// Limit on `build_seconds`.
const MAX_SECONDS: f64 = 604_800.0;

/// The settings, checked.
pub struct Settings {
    /// Fixed shapes.
    pub shapes: Option<String>,
    pub min_shapes: Option<String>,
    pub opt_shapes: Option<String>,
    pub max_shapes: Option<String>,
    /// Sizes of a dynamic batch axis.
    pub batch: Batch,
    pub verbosity: Verbosity,
    pub build_time: Duration,
    compute_capabilities: Vec<u32>,
    workspace_bytes: Option<u64>,
    builder_optimization_level: u32,
    tf32: bool,
    model_bytes: u64,
    library: Option<PathBuf>,
}

/// Sizes of a dynamic batch axis where no shapes are given.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Batch {
    pub min: i64,
    pub opt: i64,
    pub max: i64,
}

/// What of TensorRT's log goes to standard error. Errors are in the tool's own message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verbosity {
    Quiet,
    Warning,
    Info,
    Verbose,
}

impl Verbosity {
    /// Shows a warning of this tool's own.
    pub fn warn(self, text: &str) {
        if self >= Self::Warning {
            cli::note(text);
        }
    }

    /// Shows a line of `trt-run`: a letter for the severity and the message; or what TensorRT prints past its log.
    pub fn show(self, line: &str) {
        let (needed, text) = match line.split_once(' ') {
            Some(("W", text)) => (Self::Warning, text),
            Some(("E" | "I", text)) => (Self::Info, text),
            Some(("V", text)) => (Self::Verbose, text),
            _ => (Self::Info, line),
        };
        if self >= needed {
            cli::note(&format!("TensorRT: {text}"));
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    shapes: Option<String>,
    min_shapes: Option<String>,
    opt_shapes: Option<String>,
    max_shapes: Option<String>,
    batch: Batch,
    compute_capabilities: Vec<u32>,
    mem_pool_size: Option<String>,
    builder_optimization_level: u32,
    tf32: bool,
    verbosity: Verbosity,
    build_seconds: f64,
    model_bytes: u64,
    library: Option<PathBuf>,
}

impl Settings {
    /// Reads and checks the settings.
    pub fn read(document: &config::Document) -> anyhow::Result<Self> {
        let group: Group = document.section("trt")?;
        let Batch { min, opt, max } = group.batch;
        let is_ordered = 0 < min && min <= opt && opt <= max;
        ensure!(is_ordered, "trt.batch: {min}, {opt}, {max}; expected 0 < min <= opt <= max");
        let level = group.builder_optimization_level;
        ensure!(level <= 5, "trt.builder_optimization_level: {level}; expected 0 to 5");
        let fixed = group.shapes.is_some();
        let ranged = [&group.min_shapes, &group.opt_shapes, &group.max_shapes].into_iter().any(Option::is_some);
        ensure!(
            !(fixed && ranged),
            "trt.shapes fixes the shapes: trt.min_shapes, opt_shapes and max_shapes have no effect"
        );
        let seconds = group.build_seconds;
        ensure!(
            seconds > 0.0 && seconds <= MAX_SECONDS,
            "trt.build_seconds: {seconds}; expected above 0, to {MAX_SECONDS} (a week)"
        );
        Ok(Self {
            build_time: Duration::from_secs_f64(seconds),
            workspace_bytes: group.mem_pool_size.as_deref().map(workspace).transpose()?,
            compute_capabilities: targets(group.compute_capabilities)?,
            shapes: group.shapes,
            min_shapes: group.min_shapes,
            opt_shapes: group.opt_shapes,
            max_shapes: group.max_shapes,
            batch: group.batch,
            verbosity: group.verbosity,
            builder_optimization_level: level,
            tf32: group.tf32,
            model_bytes: group.model_bytes,
            library: group.library,
        })
    }

    pub fn model_limit(&self) -> Limit<'static> {
        Limit { bytes: self.model_bytes, setting: Some("trt.model_bytes") }
    }

    /// What `trt-run` is asked.
    pub fn build_options(&self, profiles: Vec<InputProfile>) -> BuildOptions {
        BuildOptions {
            library: self.library.clone(),
            profiles,
            compute_capabilities: self.compute_capabilities.clone(),
            workspace_bytes: self.workspace_bytes,
            optimization_level: self.builder_optimization_level,
            tf32: self.tf32,
            verbose: self.verbosity == Verbosity::Verbose,
        }
    }
}

/// The targets, each once and sorted.
#[cfg(not(feature = "enterprise"))]
fn targets(mut targets: Vec<u32>) -> anyhow::Result<Vec<u32>> {
    let known = COMPUTE_CAPABILITIES.map(|number| number.to_string()).join(", ");
    ensure!(!targets.is_empty(), "trt.compute_capabilities: none; TensorRT-RTX builds for {known}");
    if let Some(other) = targets.iter().find(|number| !COMPUTE_CAPABILITIES.contains(number)) {
        let why = match other {
            90 | 100 | 103 => " (data center GPUs: TensorRT 11 builds for them, see docs/trt-build.md)",
            _ => "",
        };
        bail!("trt.compute_capabilities: {other}{why}; TensorRT-RTX builds for {known}");
    }
    targets.sort_unstable();
    targets.dedup();
    Ok(targets)
}

/// TensorRT 11 builds for the GPU that it finds.
#[cfg(feature = "enterprise")]
fn targets(targets: Vec<u32>) -> anyhow::Result<Vec<u32>> {
    ensure!(
        targets.is_empty(),
        "trt.compute_capabilities: TensorRT 11 builds for the GPU of this machine; expected []"
    );
    let _ = COMPUTE_CAPABILITIES;
    Ok(targets)
}

/// trtexec's `--memPoolSize`: `workspace:512M`; without a letter in MiB.
fn workspace(text: &str) -> anyhow::Result<u64> {
    let wrong = || format!("trt.mem_pool_size: {text:?}; expected workspace:SIZE, for instance workspace:512M");
    let size = text.strip_prefix("workspace:").with_context(wrong)?;
    let (number, unit) = match size.char_indices().last() {
        Some((at, 'B')) => (&size[..at], 1),
        Some((at, 'K')) => (&size[..at], 1 << 10),
        Some((at, 'M')) => (&size[..at], 1 << 20),
        Some((at, 'G')) => (&size[..at], 1 << 30),
        _ => (size, 1 << 20),
    };
    let number: u64 = number.parse().ok().with_context(wrong)?;
    number.checked_mul(unit).with_context(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_has_trtexecs_units() {
        let bytes = |text| workspace(text).map_err(|e| e.to_string());
        assert_eq!(bytes("workspace:2"), Ok(2 << 20));
        assert_eq!(bytes("workspace:7B"), Ok(7));
        assert_eq!(bytes("workspace:3K"), Ok(3 << 10));
        assert_eq!(bytes("workspace:1G"), Ok(1 << 30));
        for wrong in ["2", "dlaSRAM:1", "workspace:", "workspace:M", "workspace:-1", "workspace:99999999999999G"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
    }

    #[cfg(not(feature = "enterprise"))]
    #[test]
    fn unknown_targets_are_refused_before_tensorrt_sees_them() {
        let check = |numbers: &[u32]| targets(numbers.to_vec()).map_err(|e| e.to_string());
        assert_eq!(check(&[120, 80, 80]), Ok(vec![80, 120]));
        let known = "TensorRT-RTX builds for 75, 80, 86, 89, 120, 121";
        assert_eq!(check(&[80, 81]), Err(format!("trt.compute_capabilities: 81; {known}")));
        assert_eq!(check(&[]), Err(format!("trt.compute_capabilities: none; {known}")));
        assert!(check(&[90]).is_err_and(|e| e.contains("data center GPUs")));
    }
}
