//! Measured times of layers, from ONNX Runtime's own profile, beside their floors.
//!
//! The profile is a list of events in the Trace Event Format: one `model_run` for each run, one `…_kernel_time` for each node
//! of the graph as ONNX Runtime has optimized it. A fused node keeps the name of its last member or of its output, with an ending
//! such as `_nchwc`, which tells the layer that it is of.

use crate::report::{Report, Row};
use anyhow::Context;
use indexmap::IndexMap;
use serde::Deserialize;
use std::{borrow::Cow, collections::HashMap};

const MICRO: f64 = 1e-6;
const NODE_END: &str = "_kernel_time";

/// An event of the profile.
#[derive(Deserialize)]
struct Event<'a> {
    cat: &'a str,
    name: Cow<'a, str>,
    /// Start and duration in microseconds.
    ts: u64,
    dur: u64,
    #[serde(default)]
    args: Arguments,
}

#[derive(Default, Deserialize)]
struct Arguments {
    op_name: Option<String>,
}

/// The time of a layer, or of a node of ONNX Runtime's own.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeTime {
    pub name: String,
    /// Operators of ONNX Runtime's nodes: `Conv`, `QLinearConv`.
    pub operators: Vec<String>,
    /// Seconds a run, the mean over the runs.
    pub seconds: f64,
    /// The least time on the device; None for a node that belongs to no layer.
    pub floor: Option<f64>,
}

/// The times of a model's layers; they and `other` sum up to `total`.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeTimes {
    pub rows: Vec<NodeTime>,
    /// Seconds a run between the nodes: launching them, and the profile itself.
    pub other: f64,
    /// Seconds a run, the mean over the runs.
    pub total: f64,
    /// The least time of all layers on the device, those without a row included.
    pub floor: f64,
    pub runs: usize,
    /// Name of the device whose floors these are.
    pub device: String,
    pub batch_size: usize,
}

impl NodeTimes {
    /// Sums up the last `runs` runs of a profile.
    ///
    /// # Errors
    /// When `events` is no profile, or has fewer runs.
    pub fn new(events: &[u8], runs: usize, report: &Report, device: &str, batch_size: usize) -> anyhow::Result<Self> {
        let events: Vec<Event> = serde_json::from_slice(events).context("ONNX Runtime's profile")?;
        let mut all: Vec<(u64, u64)> =
            events.iter().filter(|event| event.name == "model_run").map(|event| (event.ts, event.dur)).collect();
        all.sort_unstable();
        let skipped = all.len().checked_sub(runs).with_context(|| {
            format!("ONNX Runtime's profile ends after {} of {runs} runs; lower profile.run.node_runs", all.len())
        })?;
        let measured =
            all.get(skipped..).filter(|runs| !runs.is_empty()).context("ONNX Runtime's profile has no run")?;
        let start = measured[0].0;
        let per_run = |microseconds: u64| microseconds as f64 * MICRO / runs as f64;
        let total = per_run(measured.iter().map(|run| run.1).sum());
        let nodes = events.iter().filter(|event| event.cat == "Node" && event.ts >= start);
        let rows = by_layer(nodes, report, per_run);
        let known: f64 = rows.iter().map(|row| row.seconds).sum();
        // Nodes of parallel branches may overlap; then nothing is left between them.
        let floor = report.total().floor;
        Ok(Self { other: (total - known).max(0.0), total, floor, rows, runs, device: device.into(), batch_size })
    }
}

/// Times summed up by layer, in the order of the first run; nodes that belong to none by their own name.
fn by_layer<'a>(
    nodes: impl Iterator<Item = &'a Event<'a>>,
    report: &Report,
    per_run: impl Fn(u64) -> f64,
) -> Vec<NodeTime> {
    let mut rows: IndexMap<String, NodeTime> = IndexMap::new();
    // Each run has an event of each node.
    let mut layers: HashMap<&str, Option<&Row>> = HashMap::new();
    for event in nodes {
        let name = event.name.strip_suffix(NODE_END).unwrap_or(&event.name);
        let layer = *layers.entry(name).or_insert_with(|| layer(report, name));
        let key = layer.map_or(name, |row| &row.name);
        let new = || NodeTime {
            name: cli::printable(key),
            operators: Vec::new(),
            seconds: 0.0,
            floor: layer.and_then(|row| row.floor).map(|floor| floor.seconds),
        };
        let row = rows.entry(key.to_owned()).or_insert_with(new);
        row.seconds += per_run(event.dur);
        if let Some(operator) = event.args.op_name.as_ref().filter(|name| !row.operators.contains(name)) {
            row.operators.push(operator.clone());
        }
    }
    rows.into_values().collect()
}

/// The layer with the node, or output of a node, that an event is named after: with the longest name, if there are several.
fn layer<'r>(report: &'r Report, name: &str) -> Option<&'r Row> {
    let longest = |row: &Row| row.nodes.iter().filter(|node| is_named_after(name, node)).map(String::len).max();
    report
        .rows
        .iter()
        .filter_map(|row| Some((longest(row)?, row)))
        .max_by_key(|(length, _)| *length)
        .map(|(_, row)| row)
}

/// Whether an event's name is `node`, or `node` with a prefix or ending of ONNX Runtime's.
fn is_named_after(event: &str, node: &str) -> bool {
    let event = event.strip_prefix("fused ").unwrap_or(event);
    !node.is_empty()
        && event.strip_prefix(node).is_some_and(|ending| ending.is_empty() || ending.starts_with(['_', '/']))
}

#[cfg(test)]
mod tests {
    use super::is_named_after;

    #[test]
    fn endings_are_those_of_onnx_runtime() {
        assert!(is_named_after("conv1", "conv1") && is_named_after("conv1_nchwc", "conv1"));
        assert!(is_named_after("fused fc", "fc"));
        assert!(!is_named_after("conv10", "conv1") && !is_named_after("conv", "conv1") && !is_named_after("x", ""));
    }
}
