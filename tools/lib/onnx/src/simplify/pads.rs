//! Zero padding, folded into the operator that reads it.

use crate::{Attribute, Graph, Node, Problem, Tensor};

/// Folds `Pad` with zeros around the spatial axes into a `Conv` or `AveragePool` that alone reads it; returns how many.
///
/// # Errors
/// When an attribute has the wrong type.
pub(super) fn fold(graph: &mut Graph) -> Result<usize, Problem> {
    let links = graph.links();
    let mut removed = vec![false; graph.nodes.len()];
    for (index, removed) in removed.iter_mut().enumerate() {
        let pad = &graph.nodes[index];
        let (Some(padded), Some(input)) = (pad.output(0).filter(|_| pad.is("Pad")), pad.input(0)) else { continue };
        let &[reader] = links.consumers(padded) else { continue };
        if graph.is_output(padded) || graph.nodes[reader].input(0) != Some(padded) {
            continue;
        }
        let Some(pads) = zeros_around(graph, pad)? else { continue };
        let input = input.to_owned();
        if let Some(merged) = merged(graph, &graph.nodes[reader], &pads, &input)? {
            graph.nodes[reader] = merged;
            *removed = true;
        }
    }
    Ok(graph.remove_nodes(&removed))
}

/// What a `Pad` adds before each spatial axis, then behind each, as the attribute `pads` has it; None if it pads other axes,
/// crops, or pads with something else than zeros.
fn zeros_around(graph: &Graph, pad: &Node) -> Result<Option<Vec<i64>>, Problem> {
    let zeros = match pad.input(2) {
        None => true,
        Some(_) => {
            graph.constant(pad, 2).and_then(Tensor::to_f64).is_some_and(|fill| fill.iter().all(|&value| value == 0.0))
        }
    };
    let mode = pad.string("mode")?.unwrap_or("constant");
    let pads = graph.constant(pad, 1).and_then(Tensor::to_i64);
    let (Some(pads), true, "constant", None) = (pads, zeros, mode, pad.input(3)) else { return Ok(None) };
    let rank = pads.len() / 2;
    let spatial = |index: usize| index % rank >= 2;
    let fits = rank > 2 && pads.iter().enumerate().all(|(index, &pad)| pad >= 0 && (spatial(index) || pad == 0));
    let spatial = pads.iter().enumerate().filter(|(index, _)| spatial(*index)).map(|(_, &pad)| pad);
    Ok(fits.then(|| spatial.collect()))
}

/// The node with `pads` more padding of `input`; None if it has none to give, or would count the zeros differently.
fn merged(graph: &Graph, node: &Node, pads: &[i64], input: &str) -> Result<Option<Node>, Problem> {
    let is_pool = node.is("AveragePool");
    let own = node.ints("pads")?.map_or_else(|| vec![0; pads.len()], <[i64]>::to_vec);
    let explicit = node.string("auto_pad")?.is_none_or(|auto| auto == "NOTSET");
    if !(node.is("Conv") || is_pool)
        || !explicit
        || own.len() != pads.len()
        || node.inputs[1..].contains(&node.inputs[0])
    {
        return Ok(None);
    }
    let Some(pads) = own.iter().zip(pads).map(|(own, pad)| own.checked_add(*pad)).collect::<Option<Vec<_>>>() else {
        return Ok(None);
    };
    let mut merged = node.clone();
    if is_pool {
        let same_count = own.iter().all(|&pad| pad == 0) || node.int("count_include_pad", 0)? != 0;
        // Runtimes refuse to pool over nothing but padding; the last window may reach beyond it with ceil_mode.
        let kernel = node.ints("kernel_shape")?.unwrap_or_default();
        let within = pads.iter().zip(kernel.iter().cycle()).all(|(pad, size)| pad < size);
        if !same_count || !within || kernel.len() * 2 != pads.len() || node.int("ceil_mode", 0)? != 0 {
            return Ok(None);
        }
        merged.set("count_include_pad", 1);
    } else if graph.constant(node, 1).is_none() {
        return Ok(None);
    }
    merged.set("pads", Attribute::Ints(pads));
    input.clone_into(&mut merged.inputs[0]);
    Ok(Some(merged))
}
