//! `--summary`: layers, output shapes, parameters, floating-point operations.

use crate::network::Network;
use comfy_table::{Cell, CellAlignment, Table, presets};
use nets::{
    Activation, OutputActivation,
    graph::{Op, Work},
};

/// Floating-point operations of the forward pass, per row, counted as `profile` does.
pub fn flops_per_row(network: &Network) -> u64 {
    let graph = network.graph.operations();
    graph.nodes.iter().map(|node| graph.work(node)).sum::<Work>().flops
}

/// Floating-point operations of a training step, per row: forward, and twice that backward, less the products of the first
/// layer's `grad_input`, and of its `grad_weight` where that is frozen.
pub fn training_flops_per_row(network: &Network) -> u64 {
    let graph = network.graph.operations();
    let has_weights = |op: &Op| matches!(op, Op::Conv { .. } | Op::Linear { .. });
    let first = graph.nodes.iter().find(|node| has_weights(&node.op)).map_or(0, |node| graph.work(node).macs);
    let skipped = if network.graph.whitening().is_some() { 2 } else { 1 };
    3 * flops_per_row(network) - skipped * 2 * first
}

/// A table with a line per layer, and the totals.
pub fn table(network: &Network) -> String {
    let graph = &network.graph;
    let mut rows = vec![["layer", "type", "output", "parameters", "FLOP a row"].map(str::to_owned)];
    let shape = |dims: &[usize]| {
        let dims: Vec<_> = std::iter::once("batch".to_owned()).chain(dims.iter().map(usize::to_string)).collect();
        format!("[{}]", dims.join(", "))
    };
    let input = format!("{} {}", network.task.input_field, shape(&graph.architecture.input_shape));
    if network.scaling.is_some() {
        rows.push([
            "input".into(),
            "scaling".into(),
            shape(&graph.architecture.input_shape),
            "0".into(),
            String::new(),
        ]);
    }
    for node in &graph.nodes {
        let tensors = node.op.tensors().into_iter().map(|i| &graph.layout.tensors()[i]);
        let parameters: usize =
            tensors.filter(|tensor| tensor.kind.is_trainable()).map(|tensor| tensor.range.len()).sum();
        let flops = graph.operations().work(node).flops;
        let named = if parameters > 0 || node.op == Op::Add { node.name.clone() } else { String::new() };
        let flops = if flops == 0 { String::new() } else { flops.to_string() };
        rows.push([named, kind(&node.op).into(), shape(&node.shape), parameters.to_string(), flops]);
    }
    if let Some(after) = output(network) {
        rows.push([String::new(), after.into(), shape(&[graph.architecture.outputs]), "0".into(), String::new()]);
    }
    if network.target_scaling.is_some() {
        let outputs = shape(&[graph.architecture.outputs]);
        rows.push(["output".into(), "scaling".into(), outputs, "0".into(), String::new()]);
    }
    let totals = format!(
        "{} parameters, {} of f32; {} FLOP a row, {} in a training step",
        graph.layout.trainable(),
        bytes(graph.layout.trainable() * size_of::<f32>()),
        flops_per_row(network),
        training_flops_per_row(network),
    );
    format!("input: {input}\n{}{totals}\n", aligned(&rows))
}

fn kind(op: &Op) -> &'static str {
    match op {
        Op::Conv { .. } => "conv",
        Op::Norm { .. } => "norm",
        Op::Activation(kind) => activation(*kind),
        Op::MaxPool { .. } => "max_pool",
        Op::AveragePool { .. } => "average_pool",
        Op::Flatten => "flatten",
        Op::Linear { .. } => "linear",
        Op::Add => "add",
        Op::Scale { .. } => "scale",
    }
}

fn activation(activation: Activation) -> &'static str {
    match activation {
        Activation::Relu => "relu",
        Activation::Tanh => "tanh",
        Activation::Sigmoid => "sigmoid",
        Activation::Gelu => "gelu",
    }
}

/// The activation of the exported model's outputs; training computes the loss from logits.
fn output(network: &Network) -> Option<&'static str> {
    match network.task.output_activation {
        OutputActivation::Identity => None,
        OutputActivation::Softmax => Some("softmax"),
        OutputActivation::Sigmoid => Some("sigmoid"),
    }
}

fn bytes(count: usize) -> String {
    match count {
        0..1_000 => format!("{count} B"),
        1_000..1_000_000 => format!("{:.1} kB", count as f64 / 1e3),
        _ => format!("{:.1} MB", count as f64 / 1e6),
    }
}

/// A table with aligned columns, two spaces apart; cells that start with a digit are right-aligned.
pub fn aligned<const N: usize>(rows: &[[String; N]]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    for row in rows {
        table.add_row(row.iter().map(|cell| {
            let is_number = cell.starts_with(|c: char| c.is_ascii_digit());
            Cell::new(cell).set_alignment(if is_number { CellAlignment::Right } else { CellAlignment::Left })
        }));
    }
    table.column_iter_mut().for_each(|column| {
        column.set_padding((0, 2));
    });
    table.trim_fmt() + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_numbers_end_at_the_right() {
        let rows = [["layer", "parameters", "ms"], ["conv", "1728", ""], ["linear_10", "12", "0.5"]];
        let text = aligned(&rows.map(|row| row.map(str::to_owned)));
        assert_eq!(text, "layer      parameters  ms\nconv             1728\nlinear_10          12  0.5\n");
    }
}
