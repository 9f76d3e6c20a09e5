//! The network at a glance: layers, shapes, parameters, arithmetic.

use crate::network::Network;
use nets::{Activation, Layout, OutputActivation};

/// Floating-point operations for one row: a multiplication and an addition for each weight, an
/// addition for each bias.
pub fn flops_a_row(network: &Network) -> u64 {
    network.architecture.layers().map(|(inputs, outputs)| linear_flops(inputs, outputs)).sum()
}

/// Those of a training step: forward, and twice as much backward, where the first layer needs no
/// gradient of its input.
pub fn training_flops_a_row(network: &Network) -> u64 {
    let first = network.architecture.layers().next().map_or(0, |(inputs, outputs)| 2 * inputs * outputs);
    3 * flops_a_row(network) - first as u64
}

fn linear_flops(inputs: usize, outputs: usize) -> u64 {
    (2 * inputs * outputs + outputs) as u64
}

/// A table with a line a layer, and the totals.
pub fn table(network: &Network) -> String {
    let mut rows = vec![["layer", "type", "output", "parameters", "FLOP a row"].map(str::to_owned)];
    let shape = |width: usize| format!("[batch, {width}]");
    let input = format!("{} {}", network.task.input_field, shape(network.architecture.inputs));
    if network.scaling.is_some() {
        rows.push(["input".into(), "scaling".into(), shape(network.architecture.inputs), "0".into(), String::new()]);
    }
    let layout = Layout::new(&network.architecture);
    let last = layout.layers().len() - 1;
    for (i, layer) in layout.layers().iter().enumerate() {
        let parameters = layer.weight.len() + layer.bias.len();
        let flops = linear_flops(layer.inputs, layer.outputs);
        let name = format!("layers.{i}");
        rows.push([name, "linear".into(), shape(layer.outputs), parameters.to_string(), flops.to_string()]);
        let after = if i < last { Some(activation(network.architecture.activation)) } else { output(network) };
        if let Some(after) = after {
            rows.push([String::new(), after.into(), shape(layer.outputs), "0".into(), String::new()]);
        }
    }
    let totals = format!(
        "{} parameters, {} of f32; {} FLOP a row, {} in a training step",
        layout.len(),
        bytes(layout.len() * size_of::<f32>()),
        flops_a_row(network),
        training_flops_a_row(network),
    );
    format!("input: {input}\n{}{totals}\n", aligned(&rows))
}

fn activation(activation: Activation) -> &'static str {
    match activation {
        Activation::Relu => "relu",
        Activation::Tanh => "tanh",
        Activation::Sigmoid => "sigmoid",
    }
}

/// What makes predictions of the outputs, outside of training.
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

/// Rows in columns as wide as their widest cell; numbers, the last two columns, to the right.
pub fn aligned<const N: usize>(rows: &[[String; N]]) -> String {
    let widths: [usize; N] = std::array::from_fn(|i| rows.iter().map(|row| row[i].len()).max().unwrap_or(0));
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(widths).map(|(cell, width)| {
            let is_number = cell.starts_with(|c: char| c.is_ascii_digit());
            if is_number { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
        });
        let line = cells.collect::<Vec<_>>().join("  ");
        text += line.trim_end();
        text.push('\n');
    }
    text
}
