//! DVCLive's files, which `dvc plots` and `dvc metrics` read: `plots/metrics/<name>.tsv` with the columns `step` and the
//! metric's name, and the latest values in `metrics.json`.

use super::{Measurement, Sink, ensure_writable, ignore_missing, is_final, number};
use crate::mlflow::names;
use anyhow::Context;
use events::Start;
use files::{write_file, write_file_unsynced};
use serde::Serialize;
use serde_json::{Map, Value, json, ser::PrettyFormatter};
use std::{
    collections::{BTreeMap, HashMap},
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use walkdir::WalkDir;

/// Most plot files that are open at a time: a process has a limit on open files, a run none on metrics.
const MAX_OPEN: usize = 128;

/// Longest component of a metric's name, in bytes. It is the name of a folder, or of a file with `.tsv` added.
const MAX_NAME: usize = 200;

pub struct DvcLive {
    folder: PathBuf,
    /// Open plot files by metric.
    plots: HashMap<String, File>,
    /// Content of `metrics.json`.
    summary: Value,
    /// When the summary was last written.
    written: Option<Instant>,
    /// Shortest time between two writes of the summary.
    interval: Duration,
}

impl DvcLive {
    pub fn open(folder: PathBuf, interval: Duration) -> anyhow::Result<Self> {
        fs::create_dir_all(&folder).with_context(|| format!("--dvclive {}", folder.display()))?;
        Ok(Self { folder, plots: HashMap::new(), summary: json!({}), written: None, interval })
    }

    fn plots(&self) -> PathBuf {
        self.folder.join("plots").join("metrics")
    }

    fn metrics(&self) -> PathBuf {
        self.folder.join("metrics.json")
    }

    /// The plot file of a metric, open for appending.
    fn plot(&mut self, name: &str) -> anyhow::Result<&mut File> {
        if !self.plots.contains_key(name) {
            if self.plots.len() == MAX_OPEN {
                self.plots.clear();
            }
            let path = self.plots().join(format!("{name}.tsv"));
            ensure_writable(&path)?;
            let context = || path.display().to_string();
            fs::create_dir_all(path.parent().unwrap_or(&self.folder)).with_context(context)?;
            let mut file = File::options().create(true).append(true).open(&path).with_context(context)?;
            if file.metadata().with_context(context)?.len() == 0 {
                let column = name.rsplit('/').next().unwrap_or(name);
                file.write_all(format!("step\t{column}\n").as_bytes()).with_context(context)?;
            }
            self.plots.insert(name.to_owned(), file);
        }
        self.plots.get_mut(name).context("a plot that was just inserted")
    }

    fn summary(&self) -> anyhow::Result<(PathBuf, Vec<u8>)> {
        let mut text = Vec::new();
        let format = PrettyFormatter::with_indent(b"    ");
        self.summary.serialize(&mut serde_json::Serializer::with_formatter(&mut text, format))?;
        text.push(b'\n');
        ensure_writable(&self.metrics())?;
        Ok((self.metrics(), text))
    }
}

impl Sink for DvcLive {
    fn flag(&self) -> &'static str {
        "--dvclive"
    }

    fn folder(&self) -> &Path {
        &self.folder
    }

    fn has_files(&self) -> bool {
        self.plots().exists() || self.metrics().exists()
    }

    /// Removes the files of another run, as DVCLive does.
    fn start(&mut self, _: &Start) -> anyhow::Result<()> {
        let (plots, metrics) = (self.plots(), self.metrics());
        ignore_missing(fs::remove_dir_all(&plots)).with_context(|| plots.display().to_string())?;
        ignore_missing(fs::remove_file(&metrics)).with_context(|| metrics.display().to_string())
    }

    fn resume(&mut self, _: &Start, step: usize) -> anyhow::Result<()> {
        ensure_writable(&self.metrics())?;
        let text = fs::read(self.metrics()).unwrap_or_default();
        self.summary = serde_json::from_slice(&text).ok().filter(Value::is_object).unwrap_or_else(|| json!({}));
        self.rewind(step)
    }

    /// Removes the rows after `step` from all plots, and computes the summary from the rest.
    fn rewind(&mut self, step: usize) -> anyhow::Result<()> {
        self.plots.clear();
        let (folder, mut latest, mut values) = (self.plots(), None, BTreeMap::new());
        for entry in WalkDir::new(&folder).sort_by_file_name().into_iter().filter_map(Result::ok) {
            let (path, name) = (entry.path(), entry.path().strip_prefix(&folder).unwrap_or(entry.path()));
            let Some(name) = name.to_str().and_then(|name| name.strip_suffix(".tsv")) else { continue };
            if !entry.file_type().is_file() {
                continue;
            }
            let context = || path.display().to_string();
            let text = fs::read_to_string(path).with_context(context)?;
            let kept = kept(&text, if is_final(name) { None } else { Some(step) });
            write_file_unsynced(path, kept.as_bytes())?;
            if let Some((step, value)) = kept.lines().skip(1).last().and_then(row) {
                let value =
                    value.parse().ok().filter(|value: &f64| value.is_finite()).map_or(json!(value), Value::from);
                values.insert(name.to_owned(), value);
                latest = latest.max(Some(step));
            }
        }
        values.extend(latest.map(|step| ("step".to_owned(), step.into())));
        self.summary = in_order_of(&self.summary, values);
        Ok(())
    }

    fn log(&mut self, measurement: &Measurement) -> anyhow::Result<()> {
        for (name, value) in measurement.metrics.iter() {
            let name = file_name(name);
            let line = format!("{}\t{}\n", measurement.step, number(value));
            self.plot(&name)?.write_all(line.as_bytes()).with_context(|| format!("--dvclive: {name}"))?;
            set(&mut self.summary, &name, if value.is_finite() { json!(value) } else { json!(number(value)) });
        }
        self.summary["step"] = measurement.step.into();
        if self.written.is_none_or(|written| written.elapsed() >= self.interval) {
            let (path, text) = self.summary()?;
            write_file_unsynced(&path, &text)?;
            self.written = Some(Instant::now());
        }
        Ok(())
    }

    fn finish(&mut self) -> anyhow::Result<()> {
        let (path, text) = self.summary()?;
        Ok(write_file(&path, &text)?)
    }
}

/// The paths of the values in a summary, in order.
fn leaves(summary: &Value, path: &str, found: &mut Vec<String>) {
    match summary {
        Value::Object(map) => {
            for (name, value) in map {
                leaves(value, &if path.is_empty() { name.clone() } else { format!("{path}/{name}") }, found);
            }
        }
        _ => found.push(path.to_owned()),
    }
}

/// A summary of `values`, in the order of the summary `old`.
fn in_order_of(old: &Value, mut values: BTreeMap<String, Value>) -> Value {
    let mut summary = json!({});
    let mut order = Vec::new();
    leaves(old, "", &mut order);
    for name in order {
        if let Some(value) = values.remove(&name) {
            set(&mut summary, &name, value);
        }
    }
    values.into_iter().for_each(|(name, value)| set(&mut summary, &name, value));
    summary
}

/// A metric's name as a path: a valid key of MLflow, with no component longer than [`MAX_NAME`].
fn file_name(name: &str) -> String {
    let key = names::key(name);
    if key.split('/').all(|component| component.len() <= MAX_NAME) {
        return key;
    }
    let short = |component: &str| {
        let end = component.floor_char_boundary(MAX_NAME / 2);
        if component.len() <= MAX_NAME { component.to_owned() } else { component[..end].to_owned() }
    };
    let short = key.split('/').map(short).collect::<Vec<_>>().join("/");
    format!("{short}_{}", names::short_digest(name))
}

/// The header, and the rows of steps up to `last`; None keeps no rows. A row without its newline is truncated, and dropped.
fn kept(text: &str, last: Option<usize>) -> String {
    let mut lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    let header = lines.next().into_iter();
    let rows = lines.filter(|line| row(line).is_some_and(|(step, _)| Some(step) <= last));
    header.chain(rows).collect()
}

/// The step and the value of a row.
fn row(line: &str) -> Option<(usize, &str)> {
    let (step, value) = line.trim_end().split_once('\t')?;
    Some((step.parse().ok()?, value))
}

/// Sets the value at a path with `/`. A value at a prefix of the path is replaced by an object.
fn set(summary: &mut Value, path: &str, value: Value) {
    let mut target = summary;
    for component in path.split('/') {
        if !target.is_object() {
            *target = Value::Object(Map::new());
        }
        target = &mut target[component];
    }
    *target = value;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_a_slash_are_nested() {
        let mut summary = json!({});
        set(&mut summary, "val/loss", json!(1.0));
        set(&mut summary, "val/r2", json!(0.5));
        set(&mut summary, "loss", json!(2.0));
        set(&mut summary, "loss/step", json!(3.0));
        assert_eq!(summary, json!({"val": {"loss": 1.0, "r2": 0.5}, "loss": {"step": 3.0}}));
    }
}
