//! Convolutions over `kernels::conv`, in NHWC.

use super::{
    build::Builder,
    chain::Chain,
    linear::reals,
    network::Cache,
    step::{ConvWeights, Kind},
    values::Value,
};
use kernels::{
    Epilogue,
    conv::{ConvShape, FusedConv},
    gemm::{FusedLinear, Matrix},
};
use onnx::{DataType, Node, Problem};
use std::sync::Arc;

/// A convolution, and where its parameters are.
#[derive(Debug)]
pub(super) struct ConvLayer {
    /// Name of the value that the node computes: of the packed weight as well.
    name: String,
    input: String,
    weight: String,
    bias: Option<String>,
    shape: ConvShape,
    conv: FusedConv,
}

/// Stride or padding of both axes, if it is the same.
fn square(values: Option<&[i64]>, default: usize) -> Option<usize> {
    let Some(values) = values else { return Some(default) };
    let first = usize::try_from(*values.first()?).ok()?;
    values.iter().all(|&value| value == values[0]).then_some(first)
}

impl ConvLayer {
    /// The node as a convolution that the kernels compute: a square kernel, one group, no dilation, the same stride and
    /// padding on all sides, constant weights.
    ///
    /// # Errors
    /// When an attribute has the wrong type.
    pub fn of(builder: &Builder<'_>, node: &Node) -> Result<Option<Self>, Problem> {
        if !node.is("Conv") {
            return Ok(None);
        }
        let (Some(input), Some(weight), Some(output)) = (node.input(0), node.input(1), node.output(0)) else {
            return Ok(None);
        };
        let Some(constant) = builder.graph.initializers.get(weight) else { return Ok(None) };
        let (Some(from), &[outputs, inputs, kernel, width]) = (builder.reals(input), constant.dims()) else {
            return Ok(None);
        };
        let [images, channels, image_height, image_width] = from[..] else { return Ok(None) };
        let auto = node.string("auto_pad")?.unwrap_or("NOTSET");
        let padding = match auto {
            "NOTSET" => square(node.ints("pads")?, 0),
            "VALID" => Some(0),
            _ => None,
        };
        let (Some(stride), Some(padding)) = (square(node.ints("strides")?, 1), padding) else { return Ok(None) };
        let expected = if builder.is_half(output) { DataType::Float16 } else { DataType::Float };
        let plain = kernel != width
            || channels != inputs
            || node.int("group", 1)? != 1
            || node.ints("dilations")?.is_some_and(|dilations| dilations.iter().any(|&dilation| dilation != 1))
            || constant.dtype() != expected;
        let bias = node.input(2).map(str::to_owned);
        let bias_fits = bias.as_ref().is_none_or(|bias| {
            let constant = builder.graph.initializers.get(bias);
            constant.is_some_and(|bias| bias.dtype() == expected && bias.len() == outputs)
        });
        if plain || !bias_fits {
            return Ok(None);
        }
        let shape =
            ConvShape { images, height: image_height, width: image_width, inputs, outputs, kernel, stride, padding };
        let Ok(conv) = FusedConv::new(shape) else { return Ok(None) };
        let out = [images, outputs, shape.out_height(), shape.out_width()];
        let fits = builder.reals(output).is_some_and(|shape| shape == out);
        let (name, input, weight) = (output.into(), input.into(), weight.into());
        Ok(fits.then_some(Self { name, input, weight, bias, shape, conv }))
    }

    /// Adds the step.
    pub fn emit(self, builder: &mut Builder<'_>, epilogue: &Chain) -> Result<(), Problem> {
        let missing = || Problem::tensor(&self.input, "a value that no node computes");
        let shape = builder.shape(&epilogue.output).ok_or_else(missing)?;
        let len = self.shape.output_len();
        let mut reads = vec![(builder.nhwc(&self.input).ok_or_else(missing)?, self.shape.input_len())];
        if let Some(residual) = &epilogue.residual {
            reads.push((builder.nhwc(residual).ok_or_else(missing)?, len));
        }
        if self.shape.kernel == 1 && self.shape.stride == 1 && self.shape.padding == 0 {
            // A product over the pixels.
            let layer = self.pack_linear(builder).ok_or_else(missing)?;
            let buffer = builder.add(Kind::Linear(layer, epilogue.activation), &reads, len);
            builder.define_rounded(&epilogue.output, Value::nhwc(shape, buffer));
            return Ok(());
        }
        let weights = self.pack(builder).ok_or_else(missing)?;
        let buffer = builder.add(Kind::Conv(Box::new(self.conv), weights, epilogue.activation), &reads, len);
        builder.define_rounded(&epilogue.output, Value::nhwc(shape, buffer));
        Ok(())
    }

    fn pack_linear(&self, builder: &mut Builder<'_>) -> Option<Arc<FusedLinear>> {
        if let Some(layer) = builder.cache.linears.get(&self.name) {
            return Some(layer.clone());
        }
        let weight = reals(builder.graph.initializers.get(&self.weight)?)?;
        let bias = self.bias.as_ref().map(|name| reals(builder.graph.initializers.get(name)?));
        let bias = bias.unwrap_or(Some(Vec::new()))?;
        let matrix = Matrix::new(&weight, self.shape.outputs, self.shape.inputs).transposed();
        let layer = Arc::new(FusedLinear::new(matrix, &bias));
        builder.cache.linears.insert(self.name.clone(), layer.clone());
        Some(layer)
    }

    /// The packed parameters, which all plans of the same algorithm share.
    fn pack(&self, builder: &mut Builder<'_>) -> Option<Arc<ConvWeights>> {
        let key = Cache::conv_key(&self.name, self.conv.algorithm());
        if let Some(weights) = builder.cache.convs.get(&key) {
            return Some(weights.clone());
        }
        let weight = reals(builder.graph.initializers.get(&self.weight)?)?;
        let bias = self.bias.as_ref().map(|name| reals(builder.graph.initializers.get(name)?));
        let mut bias = bias.unwrap_or(Some(Vec::new()))?;
        bias.resize(Epilogue::padded_len(self.shape.outputs), 0.0);
        let mut packed = vec![0.0; self.conv.packed_len()];
        parallel::on_this_thread(|| self.conv.pack(&weight, &mut packed));
        let weights = Arc::new(ConvWeights { packed, bias });
        builder.cache.convs.insert(key, weights.clone());
        Some(weights)
    }
}
