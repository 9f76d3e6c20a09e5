//! Fully connected layers: `Gemm` and `MatMul` with a constant weight.

use super::{build::Builder, chain::Chain, step::Kind, values::Value};
use half::f16;
use kernels::{
    Activation,
    gemm::{FusedLinear, Matrix},
};
use onnx::{DataType, Node, Problem, Tensor};
use std::sync::Arc;

/// A layer, and where its parameters are.
#[derive(Debug)]
pub(super) struct LinearLayer {
    /// Name of the value that the node computes: of the packed weight as well.
    name: String,
    input: String,
    weight: String,
    /// Whether the weight is `[outputs, inputs]`.
    transposed: bool,
    /// Factors of the product and the bias.
    alpha: f32,
    beta: f32,
    bias: Option<String>,
    inputs: usize,
    pub outputs: usize,
    /// Whether values are float16: the sum is rounded after the bias was added to it, not to its start.
    is_half: bool,
}

impl LinearLayer {
    /// The node as a layer, if it is one.
    ///
    /// # Errors
    /// When an attribute has the wrong type.
    pub fn of(builder: &Builder<'_>, node: &Node) -> Result<Option<Self>, Problem> {
        let is_gemm = node.is("Gemm");
        if !is_gemm && !node.is("MatMul") {
            return Ok(None);
        }
        let (Some(input), Some(weight), Some(output)) = (node.input(0), node.input(1), node.output(0)) else {
            return Ok(None);
        };
        let Some(constant) = builder.graph.initializers.get(weight) else { return Ok(None) };
        let (transposed, dims) = (is_gemm && node.int("transB", 0)? != 0, constant.dims());
        let &[rows, columns] = dims else { return Ok(None) };
        let (inputs, outputs) = if transposed { (columns, rows) } else { (rows, columns) };
        let is_half = builder.is_half(output);
        let shape = builder.reals(input);
        let reads_rows = shape.is_some_and(|shape| shape.len() >= 2 && shape.last() == Some(&inputs));
        let layer = Self {
            name: output.into(),
            input: input.into(),
            weight: weight.into(),
            transposed,
            alpha: if is_gemm { node.float("alpha", 1.0)? } else { 1.0 },
            beta: if is_gemm { node.float("beta", 1.0)? } else { 1.0 },
            bias: node.input(2).filter(|_| is_gemm).map(str::to_owned),
            inputs,
            outputs,
            is_half,
        };
        // A product and a sum of float16 are rounded one by one where they have factors.
        let factors = layer.alpha != 1.0 || layer.beta != 1.0;
        let plain = is_gemm && node.int("transA", 0)? != 0 || is_half && factors;
        let has_bias = layer.bias.as_ref().is_none_or(|bias| layer.bias_values(builder, bias).is_some());
        let expected = if is_half { DataType::Float16 } else { DataType::Float };
        let is_float = constant.dtype() == expected && builder.reals(output).is_some();
        Ok((reads_rows && !plain && has_bias && is_float && outputs > 0 && inputs > 0).then_some(layer))
    }

    /// Whether the node itself adds a bias.
    pub fn has_bias(&self) -> bool {
        self.bias.is_some()
    }

    /// `[outputs]` of a constant that has one element, or one of each output.
    fn bias_values(&self, builder: &Builder<'_>, name: &str) -> Option<Vec<f32>> {
        let constant = builder.graph.initializers.get(name)?;
        let values = reals(constant)?;
        let (last, leading) = constant.dims().split_last().unwrap_or((&1, &[]));
        match values.as_slice() {
            [value] => Some(vec![*value; self.outputs]),
            _ => (*last == self.outputs && leading.iter().all(|&dim| dim == 1)).then_some(values),
        }
    }

    /// Adds the step.
    pub fn emit(&self, builder: &mut Builder<'_>, epilogue: &Chain) -> Result<(), Problem> {
        let missing = || Problem::tensor(&self.input, "a value that no node computes");
        let shape = builder.shape(&epilogue.output).ok_or_else(missing)?;
        let source = builder.rows(&self.input).ok_or_else(missing)?;
        let len: usize = shape.1.iter().product();
        let mut reads = vec![(source, len / self.outputs * self.inputs)];
        if let Some(residual) = &epilogue.residual {
            reads.push((builder.rows(residual).ok_or_else(missing)?, len));
        }
        let layer = self.pack(builder, epilogue).ok_or_else(missing)?;
        let buffer = if self.is_half {
            let product = builder.add(Kind::Linear(layer, Activation::Identity), &reads, len);
            let bias = self.bias.as_ref().map(|name| self.bias_values(builder, name).ok_or_else(missing));
            let bias = bias.transpose()?.unwrap_or_default();
            builder.add(Kind::Half(bias, epilogue.activation), &[(product, len)], len)
        } else {
            builder.add(Kind::Linear(layer, epilogue.activation), &reads, len)
        };
        builder.define(&epilogue.output, Value::rows(Some(shape), buffer));
        Ok(())
    }

    /// The packed parameters, which all plans share.
    fn pack(&self, builder: &mut Builder<'_>, epilogue: &Chain) -> Option<Arc<FusedLinear>> {
        if let Some(packed) = builder.cache.linears.get(&self.name) {
            return Some(packed.clone());
        }
        let mut weight = reals(builder.graph.initializers.get(&self.weight)?)?;
        if self.alpha != 1.0 {
            weight.iter_mut().for_each(|w| *w *= self.alpha);
        }
        let bias = match (&self.bias, &epilogue.bias) {
            _ if self.is_half => Vec::new(),
            (Some(name), _) => self.bias_values(builder, name)?.into_iter().map(|b| b * self.beta).collect(),
            (None, Some(name)) => self.bias_values(builder, name)?,
            (None, None) => Vec::new(),
        };
        let matrix = if self.transposed {
            Matrix::new(&weight, self.outputs, self.inputs).transposed()
        } else {
            Matrix::new(&weight, self.inputs, self.outputs)
        };
        let packed = Arc::new(FusedLinear::new(matrix, &bias));
        builder.cache.linears.insert(self.name.clone(), packed.clone());
        Some(packed)
    }
}

/// The elements of a float32 or float16 constant.
pub(super) fn reals(tensor: &Tensor) -> Option<Vec<f32>> {
    match tensor.dtype() {
        DataType::Float16 => {
            let halves: Vec<u16> = bytemuck::pod_collect_to_vec(tensor.bytes());
            Some(halves.into_iter().map(|bits| f16::from_bits(bits).to_f32()).collect())
        }
        _ => floats(tensor),
    }
}

/// The elements of a float32 constant.
pub(super) fn floats(tensor: &Tensor) -> Option<Vec<f32>> {
    (tensor.dtype() == DataType::Float).then(|| bytemuck::pod_collect_to_vec(tensor.bytes()))
}
