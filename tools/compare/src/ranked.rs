//! The rows, best first, and the metric that orders them.

use crate::{inputs::Source, row::Row, settings::Settings};
use anyhow::{Context, bail, ensure};
use runs::{Monitor, Run, metric_name};
use std::collections::HashSet;

pub struct RankedRows<'a> {
    /// Best first; then rows without the metric, then unfinished runs.
    pub rows: Vec<Row<'a>>,
    /// The metric that orders the rows.
    pub monitor: Monitor,
    /// The names of all metrics, in order of first occurrence.
    pub metrics: Vec<String>,
}

impl<'a> RankedRows<'a> {
    /// # Errors
    /// When runs monitor different metrics and the settings choose none, or no run has the metric.
    pub fn new(sources: &'a [Source], settings: &Settings) -> anyhow::Result<Self> {
        let runs: Vec<&Run> = sources.iter().map(|source| &source.run).collect();
        let metrics = metrics(&runs);
        let monitor = monitor(&runs, &metrics, settings)?;
        let mut rows = Row::group(sources, &settings.seeds);
        let value = |row: &Row| row.estimate(&monitor.metric).map_or(f64::NAN, |estimate| estimate.mean);
        rows.sort_by(|a, b| {
            let unfinished = |row: &Row| !row.is_finished();
            unfinished(a).cmp(&unfinished(b)).then_with(|| monitor.direction.better_first(value(a), value(b)))
        });
        Ok(Self { rows, monitor, metrics })
    }

    /// The best row of those that are not the baseline.
    ///
    /// # Errors
    /// When none has finished with a number for the metric.
    pub fn best(&self) -> anyhow::Result<&Row<'a>> {
        let metric = &self.monitor.metric;
        let mut rows = self.rows.iter().filter(|row| !row.is_baseline);
        let has_number = |row: &&Row| row.estimate(metric).is_some_and(|estimate| estimate.mean.is_finite());
        rows.find(has_number).with_context(|| match self.rows.iter().find(|row| !row.is_baseline) {
            None => "no run but the baseline's".to_owned(),
            Some(row) if row.is_finished() => format!("no finished run has a number for {metric}"),
            Some(row) => {
                let (folder, status) = (row.first().folder.display(), row.first().status.name());
                format!("no finished run; {folder} is {status}")
            }
        })
    }

    /// The row of the baseline.
    ///
    /// # Errors
    /// When it has none that is finished, or several.
    pub fn baseline(&self) -> anyhow::Result<&Row<'a>> {
        let rows: Vec<&Row> = self.rows.iter().filter(|row| row.is_baseline && row.is_finished()).collect();
        match rows.as_slice() {
            [row] => Ok(row),
            [] => bail!("--baseline: no finished run"),
            [first, second, ..] => bail!(
                "--baseline: runs of different settings, such as {} and {}; name the runs of one",
                first.first().folder.display(),
                second.first().folder.display()
            ),
        }
    }

    /// Whether any row stands for several runs.
    pub fn has_repeats(&self) -> bool {
        self.rows.iter().any(|row| row.runs.len() > 1)
    }

    /// Notes about the runs for standard error, one line each.
    pub fn notes(&self) -> Vec<String> {
        let runs = self.rows.iter().flat_map(|row| &row.runs);
        let data: HashSet<_> = runs.filter_map(|run| run.data_sha256.as_ref()).collect();
        let differs = data.len() > 1;
        differs
            .then(|| "the runs were not all trained on the same rows, as their logs tell".to_owned())
            .into_iter()
            .collect()
    }
}

fn metrics(runs: &[&Run]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let mut seen = HashSet::new();
    for name in runs.iter().flat_map(|run| run.metrics.keys()).map(|key| metric_name(key)) {
        if seen.insert(name.clone()) {
            names.push(name);
        }
    }
    names
}

fn monitor(runs: &[&Run], metrics: &[String], settings: &Settings) -> anyhow::Result<Monitor> {
    let any_finished = runs.iter().any(|run| run.is_finished());
    let compared: Vec<&&Run> = runs.iter().filter(|run| run.is_finished() == any_finished).collect();
    let mut monitor = match &settings.metric {
        Some(name) => {
            let name = metric_name(name);
            ensure!(!any_finished || metrics.contains(&name), "compare.metric: {}", no_metric(&name, metrics));
            let same = compared.iter().map(|run| &run.monitor).find(|monitor| monitor.metric == name);
            same.cloned().unwrap_or_else(|| Monitor::of(&name))
        }
        None => monitored(&compared)?,
    };
    monitor.direction = settings.mode.direction().unwrap_or(monitor.direction);
    let name = &monitor.metric;
    ensure!(
        !any_finished || metrics.contains(name),
        "no metrics.json has {name}, which the runs monitored; {}, to choose from with compare.metric=",
        there_are(metrics)
    );
    Ok(monitor)
}

/// The metric that all runs monitored.
fn monitored(runs: &[&&Run]) -> anyhow::Result<Monitor> {
    let (first, rest) = runs.split_first().context("no runs")?;
    if let Some(other) = rest.iter().find(|run| run.monitor != first.monitor) {
        let told = |run: &Run| format!("{} in {}", run.monitor.metric, run.folder.display());
        bail!(
            "the runs monitored different metrics, or in different directions: {}, {}; choose with compare.metric= and \
             compare.mode=",
            told(first),
            told(other)
        );
    }
    Ok(first.monitor.clone())
}

/// The message that no run has a metric, with a similar name and those that there are.
pub fn no_metric(name: &str, metrics: &[String]) -> String {
    let near = config::did_you_mean(name, metrics.iter().map(String::as_str));
    format!("no run has a metric {name:?}{near}; {}", there_are(metrics))
}

fn there_are(metrics: &[String]) -> String {
    if metrics.is_empty() { "there are none".to_owned() } else { format!("there are {}", metrics.join(", ")) }
}
