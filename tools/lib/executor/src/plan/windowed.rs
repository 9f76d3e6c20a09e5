//! Convolutions of any windows and groups: depthwise, grouped, dilated, of rectangular kernels, padded on some sides, of one axis.

use super::{
    build::Builder,
    chain::Chain,
    linear::reals,
    network::Cache,
    step::{ConvWeights, Kind},
    values::Value,
    windows,
};
use kernels::{
    Epilogue, Windows,
    conv::{Algorithm, DepthwiseConv, GatheredConv, GatheredWeights},
};
use onnx::{DataType, Node, Problem};
use std::sync::Arc;

/// A convolution, and where its parameters are.
#[derive(Debug)]
pub(super) struct WindowedLayer {
    /// Name of the value that the node computes: of the packed weight as well.
    name: String,
    input: String,
    weight: String,
    bias: Option<String>,
    windows: Windows,
    channels: usize,
    outputs: usize,
    groups: usize,
}

impl WindowedLayer {
    /// The node as a convolution of float32 with constant weights, of one or two spatial axes.
    ///
    /// # Errors
    /// When an attribute has the wrong type.
    pub fn of(builder: &Builder<'_>, node: &Node) -> Result<Option<Self>, Problem> {
        let (Some(input), Some(weight), Some(name)) = (node.input(0), node.input(1), node.output(0)) else {
            return Ok(None);
        };
        let expected = if builder.is_half(name) { DataType::Float16 } else { DataType::Float };
        let constant = builder.graph.initializers.get(weight).filter(|weight| weight.dtype() == expected);
        let Some(constant) = constant.filter(|_| node.is("Conv")) else { return Ok(None) };
        let (outputs, group_channels, kernel) = match *constant.dims() {
            [outputs, channels, width] => (outputs, channels, [1, width]),
            [outputs, channels, height, width] => (outputs, channels, [height, width]),
            _ => return Ok(None),
        };
        let groups = usize::try_from(node.int("group", 1)?).unwrap_or(0);
        let channels = group_channels.saturating_mul(groups);
        if channels == 0 || outputs == 0 || kernel.contains(&0) || !outputs.is_multiple_of(groups) {
            return Ok(None);
        }
        let bias = node.input(2).map(str::to_owned);
        let bias_fits = bias.as_ref().is_none_or(|bias| {
            let constant = builder.graph.initializers.get(bias);
            constant.is_some_and(|bias| bias.dtype() == expected && bias.len() == outputs)
        });
        let named = node.ints("kernel_shape")?.map(|sizes| sizes.iter().map(|&size| size as u64).collect::<Vec<_>>());
        let named_fits = named.is_none_or(|named| {
            let dims = constant.dims().iter().skip(2).map(|&size| size as u64);
            dims.eq(named)
        });
        let windows = windows::of(builder, node, channels, outputs, kernel)?.filter(|_| bias_fits && named_fits);
        let (name, input, weight) = (name.into(), input.into(), weight.into());
        Ok(windows.map(|windows| Self { name, input, weight, bias, windows, channels, outputs, groups }))
    }

    /// Adds the step.
    pub fn emit(self, builder: &mut Builder<'_>, epilogue: &Chain) -> Result<(), Problem> {
        let missing = || Problem::tensor(&self.input, "a value that no node computes");
        let shape = builder.shape(&epilogue.output).ok_or_else(missing)?;
        let len: usize = shape.1.iter().product();
        let input_len = self.windows.images * self.windows.input_pixels() * self.channels;
        let mut reads = vec![(builder.nhwc(&self.input).ok_or_else(missing)?, input_len)];
        if let Some(residual) = &epilogue.residual {
            reads.push((builder.nhwc(residual).ok_or_else(missing)?, len));
        }
        let kind = if self.groups == self.channels && self.groups == self.outputs {
            let conv = DepthwiseConv::new(self.windows, self.channels);
            let weights = self.depthwise_weights(builder, &conv).ok_or_else(missing)?;
            Kind::Depthwise(Box::new(conv), weights, epilogue.activation)
        } else {
            let weights = self.gathered_weights(builder).ok_or_else(missing)?;
            Kind::Gathered(Box::new(GatheredConv::new(self.windows, weights, epilogue.activation)))
        };
        let buffer = builder.add(kind, &reads, len);
        builder.define_rounded(&epilogue.output, Value::nhwc(shape, buffer));
        Ok(())
    }

    /// Weight and bias; no bias is an empty one.
    fn parameters(&self, builder: &Builder<'_>) -> Option<[Vec<f32>; 2]> {
        let read = |name: &String| reals(builder.graph.initializers.get(name)?);
        let bias = self.bias.as_ref().map_or(Some(Vec::new()), read)?;
        Some([read(&self.weight)?, bias])
    }

    fn depthwise_weights(&self, builder: &mut Builder<'_>, conv: &DepthwiseConv) -> Option<Arc<ConvWeights>> {
        let key = Cache::conv_key(&self.name, Algorithm::Direct);
        if let Some(weights) = builder.cache.convs.get(&key) {
            return Some(weights.clone());
        }
        let [weight, mut bias] = self.parameters(builder)?;
        bias.resize(Epilogue::padded_len(self.channels), 0.0);
        let weights = Arc::new(ConvWeights { packed: conv.pack(&weight), bias });
        builder.cache.convs.insert(key, weights.clone());
        Some(weights)
    }

    fn gathered_weights(&self, builder: &mut Builder<'_>) -> Option<Arc<GatheredWeights>> {
        if let Some(weights) = builder.cache.gathered.get(&self.name) {
            return Some(weights.clone());
        }
        let [weight, bias] = self.parameters(builder)?;
        let sizes = [self.channels, self.outputs, self.groups];
        let weights = Arc::new(GatheredWeights::new(&weight, sizes, self.windows.taps(), &bias));
        builder.cache.gathered.insert(self.name.clone(), weights.clone());
        Some(weights)
    }
}
