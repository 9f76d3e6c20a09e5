//! Scale and shift of output channels, folded into the weight and bias of the node that computes them.

use super::affine::Affine;
use crate::{DataType, Graph, Links, Names, Node, Problem, Tensor};

/// A node whose output is linear in a constant weight: `Conv`, `ConvTranspose`, `Gemm`. Its channels are axis 1 of the output.
pub(super) struct Linear {
    /// Output channels.
    pub channels: usize,
    /// Rank of the output.
    pub rank: usize,
    layout: Layout,
    weight: Tensor,
    /// [channels], what is added to the output: zeros if there is no bias.
    bias: Vec<f64>,
}

/// Which output channel an element of the weight belongs to, by its index in memory.
#[derive(Debug, Clone, Copy)]
struct Layout {
    /// Elements of a group of channels.
    group: usize,
    /// Channels of a group.
    per_group: usize,
    /// Elements behind the channel axis, of one channel.
    inner: usize,
}

impl Layout {
    fn channel(self, index: usize) -> usize {
        index / self.group * self.per_group + index / self.inner % self.per_group
    }
}

impl Linear {
    /// The node as a linear one; None if it is none, or its weight or bias is not constant.
    pub fn of(graph: &Graph, node: &Node) -> Result<Option<Self>, Problem> {
        let Some(weight) = graph.constant(node, 1) else { return Ok(None) };
        // An empty weight leaves nothing to scale. The products of the dimensions of another are within its length.
        if weight.is_empty() || !matches!(weight.dtype(), DataType::Float | DataType::Double) {
            return Ok(None);
        }
        let Some((layout, channels)) = layout(node, weight.dims())? else { return Ok(None) };
        let Some(mut bias) = bias(graph, node, channels) else { return Ok(None) };
        if node.is("Gemm") {
            let beta = f64::from(node.float("beta", 1.0)?);
            bias.iter_mut().for_each(|value| *value *= beta);
        }
        let rank = weight.dims().len();
        Ok(Some(Self { channels, rank, layout, weight: weight.clone(), bias }))
    }

    /// The weight and bias of the node followed by `affine`; None where a value would not be finite.
    fn followed_by(&self, affine: &Affine) -> Option<(Tensor, Tensor)> {
        let values = self.weight.to_f64()?;
        let scaled = values.iter().enumerate().map(|(index, value)| value * affine.scale(self.layout.channel(index)));
        let bias = self.bias.iter().enumerate().map(|(channel, value)| affine.apply(channel, *value));
        let dtype = self.weight.dtype();
        let weight = Tensor::from_f64(dtype, self.weight.dims(), &scaled.collect::<Vec<_>>())?;
        let bias = Tensor::from_f64(dtype, &[self.channels], &bias.collect::<Vec<_>>())?;
        let finite =
            |tensor: &Tensor| tensor.to_f64().is_some_and(|values| values.iter().all(|value| value.is_finite()));
        (finite(&weight) && finite(&bias)).then_some((weight, bias))
    }
}

/// The layout of the weight and the number of output channels; None if the node is none of the linear ones, or its weight
/// not as its operator requires.
fn layout(node: &Node, dims: &[usize]) -> Result<Option<(Layout, usize)>, Problem> {
    let contiguous = |channels: usize, inner: usize| {
        let layout = Layout { group: channels * inner, per_group: channels, inner };
        Ok(Some((layout, channels)))
    };
    match dims {
        // [out_channels, in_channels / group, kernel…]
        [channels, _, _, ..] if node.is("Conv") => contiguous(*channels, dims[1..].iter().product()),
        // [in_channels, out_channels / group, kernel…]
        [channels, per_group, kernel @ ..] if node.is("ConvTranspose") && !kernel.is_empty() => {
            let groups = usize::try_from(node.int("group", 1)?).unwrap_or(0);
            if groups == 0 || channels % groups != 0 {
                return Err(Problem::node(node, format!("{groups} groups do not divide {channels} channels")));
            }
            let inner: usize = kernel.iter().product();
            let layout = Layout { group: channels / groups * per_group * inner, per_group: *per_group, inner };
            Ok(Some((layout, per_group * groups)))
        }
        [outputs, inputs] if node.is("Gemm") && node.int("transB", 0)? != 0 => contiguous(*outputs, *inputs),
        [inputs, outputs] if node.is("Gemm") => {
            Ok(Some((Layout { group: inputs * outputs, per_group: *outputs, inner: 1 }, *outputs)))
        }
        _ => Ok(None),
    }
}

/// [channels]: zeros if the node has no bias; None if its bias is not constant, or differs by row.
fn bias(graph: &Graph, node: &Node, channels: usize) -> Option<Vec<f64>> {
    if node.input(2).is_none() {
        return Some(vec![0.0; channels]);
    }
    let bias = graph.constant(node, 2)?;
    let (last, leading) = bias.dims().split_last().unwrap_or((&1, &[]));
    if leading.iter().any(|&dim| dim != 1) {
        return None;
    }
    let values = bias.to_f64()?;
    match (*last, values.as_slice()) {
        (1, [value]) => Some(vec![*value; channels]),
        (found, _) if found == channels => Some(values),
        _ => None,
    }
}

/// Folds `affine` of the output of the node at `index` into it, if all values stay finite; returns whether it did. The
/// node then computes `output`.
pub(super) fn fold(
    graph: &mut Graph,
    links: &mut Links,
    names: &mut Names,
    (index, linear): (usize, &Linear),
    affine: &Affine,
    output: &str,
) -> bool {
    let Some((weight, bias)) = linear.followed_by(affine) else { return false };
    let node = &graph.nodes[index];
    let old_weight = node.inputs[1].clone();
    let old_bias = node.input(2).map_or_else(|| format!("{old_weight}.bias"), str::to_owned);
    let had_bias = node.input(2).is_some();
    let weight = place(graph, links, names, index, (&old_weight, true), weight);
    let bias = place(graph, links, names, index, (&old_bias, had_bias), bias);
    let node = &mut graph.nodes[index];
    node.inputs.truncate(1);
    node.inputs.extend([weight, bias]);
    node.remove_attribute("beta");
    let old_output = std::mem::replace(&mut node.outputs[0], output.to_owned());
    graph.value_info.shift_remove(&old_output);
    links.producer.remove(&old_output);
    links.producer.insert(output.to_owned(), index);
    true
}

/// Stores a parameter of the node at `index`: under its old name if it `has` one that nothing else reads, or else under a
/// new one.
fn place(
    graph: &mut Graph,
    links: &mut Links,
    names: &mut Names,
    index: usize,
    (old, has): (&str, bool),
    tensor: Tensor,
) -> String {
    if has && links.consumers(old) == [index] && !graph.is_output(old) {
        graph.initializers.insert(old.to_owned(), tensor);
        return old.to_owned();
    }
    if let Some(readers) = links.consumers.get_mut(old).filter(|_| has)
        && let Some(at) = readers.iter().position(|&reader| reader == index)
    {
        readers.remove(at);
    }
    let name = names.fresh(old);
    links.consumers.insert(name.clone(), vec![index]);
    graph.initializers.insert(name.clone(), tensor);
    name
}
