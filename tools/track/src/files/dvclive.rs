//! DVCLive's layout: `plots/metrics/<name>.tsv` with the columns `step` and the name, and the latest
//! numbers in `metrics.json`. `dvc plots` and `dvc metrics` read it.

use super::{Measured, Sink, number};
use crate::mlflow::names;
use anyhow::Context;
use events::Start;
use records::{replace_file, write_file};
use serde::Serialize;
use serde_json::{Map, Value, json, ser::PrettyFormatter};
use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, Write},
    path::PathBuf,
    time::{Duration, Instant},
};

pub struct DvcLive {
    folder: PathBuf,
    plots: HashMap<String, File>,
    summary: Value,
    /// When the summary was last written.
    written: Option<Instant>,
    /// Least time between two such.
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

    fn path(&self, name: &str) -> PathBuf {
        self.plots().join(format!("{name}.tsv"))
    }

    fn plot(&mut self, name: &str) -> anyhow::Result<&mut File> {
        if !self.plots.contains_key(name) {
            let path = self.path(name);
            let context = || path.display().to_string();
            fs::create_dir_all(path.parent().unwrap_or(&self.folder)).with_context(context)?;
            let mut file = File::create(&path).with_context(context)?;
            let column = name.rsplit('/').next().unwrap_or(name);
            file.write_all(format!("step\t{column}\n").as_bytes()).with_context(context)?;
            self.plots.insert(name.to_owned(), file);
        }
        self.plots.get_mut(name).context("a plot that was just put there")
    }

    fn summary(&self) -> anyhow::Result<(PathBuf, Vec<u8>)> {
        let mut text = Vec::new();
        let format = PrettyFormatter::with_indent(b"    ");
        self.summary.serialize(&mut serde_json::Serializer::with_formatter(&mut text, format))?;
        text.push(b'\n');
        Ok((self.folder.join("metrics.json"), text))
    }
}

impl Sink for DvcLive {
    /// As DVCLive does: what another run left goes first.
    fn start(&mut self, _: &Start) -> anyhow::Result<()> {
        let (plots, metrics) = (self.plots(), self.folder.join("metrics.json"));
        if_there(fs::remove_dir_all(&plots)).with_context(|| plots.display().to_string())?;
        if_there(fs::remove_file(&metrics)).with_context(|| metrics.display().to_string())
    }

    fn go_back(&mut self, step: usize) -> anyhow::Result<()> {
        let paths: Vec<_> = self.plots.keys().map(|name| (name.clone(), self.path(name))).collect();
        for (name, path) in paths {
            let context = || path.display().to_string();
            let text = fs::read_to_string(&path).with_context(context)?;
            // The header is no number.
            let is_beyond = |line: &str| line.split('\t').next().and_then(|cell| cell.parse().ok()) > Some(step);
            let kept: String = text.split_inclusive('\n').filter(|line| !is_beyond(line)).collect();
            replace_file(&path, kept.as_bytes())?;
            self.plots.insert(name, File::options().append(true).open(&path).with_context(context)?);
        }
        Ok(())
    }

    fn measure(&mut self, measured: &Measured) -> anyhow::Result<()> {
        for (name, value) in measured.metrics.iter() {
            let name = names::key(name);
            let line = format!("{}\t{}\n", measured.step, number(value));
            self.plot(&name)?.write_all(line.as_bytes()).with_context(|| format!("--dvclive: {name}"))?;
            set(&mut self.summary, &name, if value.is_finite() { json!(value) } else { json!(number(value)) });
        }
        self.summary["step"] = measured.step.into();
        if self.written.is_none_or(|written| written.elapsed() >= self.interval) {
            let (path, text) = self.summary()?;
            replace_file(&path, &text)?;
            self.written = Some(Instant::now());
        }
        Ok(())
    }

    fn finish(&mut self) -> anyhow::Result<()> {
        let (path, text) = self.summary()?;
        Ok(write_file(&path, &text)?)
    }
}

/// Sets what is at a path whose parts `/` separates; a number in its way gives way.
fn set(summary: &mut Value, path: &str, value: Value) {
    let mut place = summary;
    for part in path.split('/') {
        if !place.is_object() {
            *place = Value::Object(Map::new());
        }
        place = &mut place[part];
    }
    *place = value;
}

/// Removing what is not there is done at once.
fn if_there(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
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
