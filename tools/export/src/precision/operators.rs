//! The names of operators that settings may have.

use anyhow::bail;
use cli::Report;
use onnx::Graph;
use std::collections::BTreeSet;

/// Refuses a setting with the name of an operator that neither ONNX nor the graph has, and notes those that the graph has not:
/// but for `usual` ones, they are there to stay in float32 and do nothing.
///
/// # Errors
/// Names the setting and the operator.
pub fn check(setting: &str, names: &[String], usual: &[&str], graph: &Graph, report: &Report) -> anyhow::Result<()> {
    let there: BTreeSet<&str> = graph.nodes.iter().map(|node| node.op_type.as_str()).collect();
    for name in names.iter().map(String::as_str).filter(|name| !there.contains(name)) {
        if onnx::operators().all(|known| known != name) {
            let near =
                config::did_you_mean(name, there.iter().copied().chain(onnx::operators().map(|known| known as &str)));
            bail!("{setting}: ONNX has no operator {name:?}{near}");
        }
        if !usual.contains(&name) {
            let there: Vec<_> = there.iter().copied().collect();
            report.note(&format!("{setting}: the graph has no {name}; it has {}", there.join(", ")));
        }
    }
    Ok(())
}
