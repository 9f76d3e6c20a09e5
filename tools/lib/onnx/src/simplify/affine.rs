//! Nodes that scale and shift channels by constants: batch normalization, and arithmetic with one value a channel.

use super::linear::{self, Linear};
use crate::{Graph, Links, Node, Problem, Tensor};

/// `scale · x + shift`, with one value a channel, or one for all channels.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Affine {
    scale: Vec<f64>,
    shift: Vec<f64>,
}

impl Affine {
    pub fn scale(&self, channel: usize) -> f64 {
        at(&self.scale, channel)
    }

    pub fn apply(&self, channel: usize, value: f64) -> f64 {
        value * self.scale(channel) + at(&self.shift, channel)
    }
}

fn at(values: &[f64], channel: usize) -> f64 {
    if let [value] = values { *value } else { values[channel] }
}

/// What [`fold`] has folded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Folded {
    pub batch_norms: usize,
    pub arithmetic: usize,
}

/// Folds nodes behind convolutions and `Gemm` into these, in order of the nodes, where nothing else reads the value between
/// them: batch normalization and, if asked, arithmetic with constants.
///
/// # Errors
/// When an attribute has the wrong type.
pub(super) fn fold(graph: &mut Graph, arithmetic: bool) -> Result<Folded, Problem> {
    let mut links = graph.links();
    let mut names = graph.names();
    let mut folded = Folded::default();
    let mut removed = vec![false; graph.nodes.len()];
    for (index, removed) in removed.iter_mut().enumerate() {
        let node = &graph.nodes[index];
        let is_norm = node.is("BatchNormalization");
        if !is_norm && !arithmetic {
            continue;
        }
        let Some(output) = node.output(0).map(str::to_owned) else { continue };
        let Some((from, linear, affine)) = candidate(graph, &links, node)? else { continue };
        if linear::fold(graph, &mut links, &mut names, (from, &linear), &affine, &output) {
            *removed = true;
            folded.batch_norms += usize::from(is_norm);
            folded.arithmetic += usize::from(!is_norm);
        }
    }
    graph.remove_nodes(&removed);
    Ok(folded)
}

/// The linear node in front of `node`, and what `node` does to its output.
fn candidate(graph: &Graph, links: &Links, node: &Node) -> Result<Option<(usize, Linear, Affine)>, Problem> {
    let Some(kind) = Kind::of(graph, node)? else { return Ok(None) };
    let Some(between) = node.input(kind.data()) else { return Ok(None) };
    let Some(&from) = links.producer.get(between) else { return Ok(None) };
    if links.consumers(between).len() != 1 || graph.is_output(between) || graph.nodes[from].outputs.len() != 1 {
        return Ok(None);
    }
    let Some(linear) = Linear::of(graph, &graph.nodes[from])? else { return Ok(None) };
    let affine = match kind {
        Kind::BatchNorm => batch_norm(graph, node, linear.channels)?,
        Kind::Arithmetic { data } => arithmetic(graph, node, data, &linear),
    };
    Ok(affine.map(|affine| (from, linear, affine)))
}

/// Whether a node scales or shifts, if one of its inputs is constant.
pub(super) fn is_arithmetic(node: &Node) -> bool {
    ["Mul", "Add", "Sub", "Div"].iter().any(|op| node.is(op))
}

/// How a node scales and shifts.
enum Kind {
    BatchNorm,
    /// The index of the input that is not constant.
    Arithmetic {
        data: usize,
    },
}

impl Kind {
    fn of(graph: &Graph, node: &Node) -> Result<Option<Self>, Problem> {
        if node.is("BatchNormalization") {
            // In training mode it normalizes by the batch's own statistics.
            let inference =
                node.int("training_mode", 0)? == 0 && (1..node.outputs.len()).all(|i| node.output(i).is_none());
            return Ok(inference.then_some(Self::BatchNorm));
        }
        if !is_arithmetic(node) {
            return Ok(None);
        }
        Ok(match (graph.constant(node, 0), graph.constant(node, 1)) {
            (None, Some(_)) => Some(Self::Arithmetic { data: 0 }),
            (Some(_), None) if !node.is("Div") => Some(Self::Arithmetic { data: 1 }),
            _ => None,
        })
    }

    fn data(&self) -> usize {
        match self {
            Self::BatchNorm => 0,
            Self::Arithmetic { data } => *data,
        }
    }
}

/// `(x - mean) / √(variance + ε) · γ + β` as one scale and shift.
fn batch_norm(graph: &Graph, node: &Node, channels: usize) -> Result<Option<Affine>, Problem> {
    let epsilon = f64::from(node.float("epsilon", 1e-5)?);
    let parameter = |input| graph.constant(node, input)?.to_f64().filter(|values| values.len() == channels);
    let (Some(gamma), Some(beta), Some(mean), Some(variance)) =
        (parameter(1), parameter(2), parameter(3), parameter(4))
    else {
        return Ok(None);
    };
    let scale: Vec<f64> =
        gamma.iter().zip(&variance).map(|(gamma, variance)| gamma / (variance + epsilon).sqrt()).collect();
    let shift = beta.iter().zip(&mean).zip(&scale).map(|((beta, mean), scale)| beta - mean * scale).collect();
    Ok(Some(Affine { scale, shift }))
}

/// A constant added to, subtracted from, multiplied with or dividing each channel.
fn arithmetic(graph: &Graph, node: &Node, data: usize, linear: &Linear) -> Option<Affine> {
    let values = per_channel(graph.constant(node, 1 - data)?, linear)?;
    let one = vec![1.0];
    Some(match (node.op_type.as_str(), data) {
        ("Mul", _) => Affine { scale: values, shift: vec![0.0] },
        ("Div", _) => Affine { scale: values.iter().map(|value| value.recip()).collect(), shift: vec![0.0] },
        ("Add", _) => Affine { scale: one, shift: values },
        ("Sub", 0) => Affine { scale: one, shift: values.iter().map(|value| -value).collect() },
        ("Sub", _) => Affine { scale: vec![-1.0], shift: values },
        _ => return None,
    })
}

/// The values of a constant that broadcasts over all but the channels, axis 1, of a linear node's output, and leaves the
/// output's shape as it is: one value, or one a channel.
fn per_channel(constant: &Tensor, linear: &Linear) -> Option<Vec<f64>> {
    let dims = constant.dims();
    // Axis 1 of the output, counted from the last.
    let channel_axis = linear.rank - 1;
    let wide = dims.iter().rev().enumerate().any(|(from_last, &dim)| dim != 1 && from_last + 1 != channel_axis);
    let values = constant.to_f64()?;
    (!wide && dims.len() <= linear.rank && (values.len() == 1 || values.len() == linear.channels)).then_some(values)
}
