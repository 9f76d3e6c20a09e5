//! Steps of a graph, over as many buffers as there are values.

use super::{
    chain::{self, Groups},
    elementwise,
    network::Cache,
    pool,
    quantized::{self, QuantizedStep},
    step::{Kind, Plain, Shape, Source, Step},
    values::Value,
};
use crate::{Error, Tensor, ops};
use kernels::Activation;
use onnx::{DataType, Graph, Links, Model, Node, Problem, shape::Types};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

/// Steps, and where the outputs lie; buffers are not assigned yet.
#[derive(Debug, Default)]
pub(super) struct Built {
    pub steps: Vec<Step>,
    /// Elements of each buffer.
    pub buffers: Vec<usize>,
    pub tensors: usize,
    pub tensor_bytes: u64,
    pub constants: Vec<Arc<Tensor>>,
    /// Where each output lies, and its shape if it is a buffer.
    pub outputs: Vec<(Source, Vec<usize>)>,
}

/// A plan under construction.
pub(super) struct Builder<'a> {
    pub graph: &'a Graph,
    pub types: &'a Types,
    pub links: Links,
    pub cache: &'a mut Cache,
    pub opset: i64,
    fused: bool,
    values: HashMap<String, Value>,
    /// Nodes that dequantize: steps only where something reads what they compute.
    deferred: HashSet<usize>,
    built: Built,
}

impl<'a> Builder<'a> {
    pub fn new(model: &'a Model, types: &'a Types, cache: &'a mut Cache, fused: bool) -> Self {
        let mut builder = Self {
            graph: &model.graph,
            types,
            links: model.graph.links(),
            cache,
            opset: model.opset(),
            fused,
            values: HashMap::new(),
            deferred: HashSet::new(),
            built: Built::default(),
        };
        for (index, input) in model.graph.inputs.iter().enumerate() {
            let value = Value::rows(builder.shape(&input.name), Source::Input(index));
            builder.values.insert(input.name.clone(), value);
        }
        builder
    }

    /// Type and shape of a value, if both are known.
    pub fn shape(&self, name: &str) -> Option<Shape> {
        let ty = self.types.get(name)?;
        (ty.dtype != DataType::Undefined).then_some(())?;
        Some((ty.dtype, ty.dims()?))
    }

    /// The shape of a float32 value.
    pub fn floats(&self, name: &str) -> Option<Vec<usize>> {
        self.shape(name).filter(|(dtype, _)| *dtype == DataType::Float).map(|(_, shape)| shape)
    }

    /// The shape of a float32 or float16 value.
    pub fn reals(&self, name: &str) -> Option<Vec<usize>> {
        let real = |(dtype, _): &Shape| matches!(dtype, DataType::Float | DataType::Float16);
        self.shape(name).filter(real).map(|(_, shape)| shape)
    }

    /// Whether a value is float16. In a buffer it lies in float32, rounded.
    pub fn is_half(&self, name: &str) -> bool {
        self.shape(name).is_some_and(|(dtype, _)| dtype == DataType::Float16)
    }

    /// Adds the steps of all nodes.
    pub fn build(&mut self) -> Result<(), Error> {
        let mut groups = if self.fused { chain::groups(self)? } else { Groups::default() };
        for (index, node) in self.graph.nodes.iter().enumerate() {
            if let Some(group) = groups.at.remove(&index) {
                group.emit(self)?;
            } else if !groups.covered.contains(&index) && !self.is_known(node) && !self.is_fast(index, node)? {
                self.plain(node)?;
            }
        }
        Ok(())
    }

    /// Whether all outputs of a node follow from shapes: they become constants.
    fn is_known(&mut self, node: &Node) -> bool {
        let known = |name: &str| {
            let (shape, values) = (self.shape(name)?, self.types.values(name)?);
            let tensor = onnx::Tensor::from_i64(&shape.1, values);
            (shape.0 == DataType::Int64).then(|| Tensor::from_onnx(&tensor)).flatten().map(|tensor| (shape, tensor))
        };
        let names = node.outputs.iter().filter(|name| !name.is_empty());
        let Some(tensors) = names.clone().map(|name| known(name)).collect::<Option<Vec<_>>>() else { return false };
        for (name, (shape, tensor)) in names.zip(tensors) {
            let source = self.add_constant(Arc::new(tensor));
            self.values.insert(name.clone(), Value::rows(Some(shape), source));
        }
        true
    }

    /// Adds the step of a node that has a fast version; whether it has.
    fn is_fast(&mut self, index: usize, node: &Node) -> Result<bool, Problem> {
        if !self.fused || !node.domain.is_empty() {
            return Ok(false);
        }
        if quantized::is_deferred(self, node) {
            self.deferred.insert(index);
            return Ok(true);
        }
        Ok(self.view(node)
            || quantized::quantize(self, node).is_some()
            || elementwise::add(self, node)?
            || pool::add(self, node)?)
    }

    /// A node whose output is its first input in another shape.
    fn view(&mut self, node: &Node) -> bool {
        let renames = ["Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity"].iter().any(|op| node.is(op));
        let graph = self.graph;
        let unread = |name: &String| self.links.consumers(name).is_empty() && !graph.is_output(name);
        let unused = |name: &String| name.is_empty() || unread(name);
        let dropout = node.is("Dropout") && node.input(2).is_none() && node.outputs.iter().skip(1).all(unused);
        let (Some(input), Some(output)) = (node.input(0), node.output(0)) else { return false };
        let (Some(from), Some(to)) = (self.shape(input), self.shape(output)) else { return false };
        let len = |shape: &Shape| shape.1.iter().product::<usize>();
        if !(renames || dropout) || from.0 != to.0 || len(&from) != len(&to) {
            return false;
        }
        let Some(value) = self.value(input) else { return false };
        let value = if from == to {
            value
        } else {
            let Some(source) = self.lies(input) else { return false };
            Value::rows(Some(to), source)
        };
        self.values.insert(output.to_owned(), value);
        true
    }

    /// Adds the step of a node that runs on its plain operator.
    fn plain(&mut self, node: &Node) -> Result<(), Error> {
        let operator = ops::find(node).ok_or_else(|| Error::Unsupported(vec![node.describe()]))?;
        let (mut reads, mut inputs) = (Vec::new(), Vec::new());
        for name in &node.inputs {
            if name.is_empty() {
                inputs.push(None);
                continue;
            }
            let source = self.lies(name).ok_or_else(|| Problem::node(node, format!("{name:?} is not computed")))?;
            let shape = self.value(name).and_then(|value| value.shape);
            inputs.push(Some((reads.len(), shape)));
            reads.push(source);
        }
        let mut outputs = Vec::new();
        for name in &node.outputs {
            if name.is_empty() {
                outputs.push(None);
                continue;
            }
            let (shape, index) = (self.shape(name), self.add_tensor());
            if let Some((dtype, shape)) = &shape {
                let bits = onnx::bits(*dtype).unwrap_or_default() as u64;
                let elements = shape.iter().fold(1u64, |product, &size| product.saturating_mul(size as u64));
                self.built.tensor_bytes = self.built.tensor_bytes.saturating_add(elements.saturating_mul(bits) / 8);
            }
            self.values.insert(name.clone(), Value::rows(shape.clone(), Source::Tensor(index)));
            outputs.push(Some((index, shape)));
        }
        let plain = Plain { node: node.clone(), operator, opset: self.opset, inputs, outputs };
        let lens = vec![0; reads.len()];
        self.built.steps.push(Step { kind: Kind::Plain(Box::new(plain)), reads, lens, write: None, frees: vec![] });
        Ok(())
    }

    /// What is known of a value that was computed, or is a constant.
    pub fn value(&mut self, name: &str) -> Option<Value> {
        if let Some(value) = self.values.get(name) {
            return Some(value.clone());
        }
        if let Some(&index) = self.links.producer.get(name)
            && self.deferred.remove(&index)
        {
            let graph = self.graph;
            let node = &graph.nodes[index];
            return quantized::dequantize(self, node).or_else(|| {
                // A faulty one is told when it runs.
                self.plain(node).ok()?;
                self.values.get(name).cloned()
            });
        }
        let constant = match self.cache.constants.get(name) {
            Some(constant) => constant.clone(),
            None => {
                let constant = Arc::new(Tensor::from_onnx(self.graph.initializers.get(name)?)?);
                self.cache.constants.insert(name.into(), constant.clone());
                constant
            }
        };
        let shape = (constant.dtype(), constant.shape().to_vec());
        let source = self.add_constant(constant);
        let value = Value::rows(Some(shape), source);
        self.values.insert(name.into(), value.clone());
        Some(value)
    }

    /// Where a value lies row-major, float16 in float32; adds steps that make it so.
    pub fn rows(&mut self, name: &str) -> Option<Source> {
        let source = self.lies(name)?;
        let value = self.value(name)?;
        if matches!(source, Source::Buffer(_)) || !value.is_half() {
            return Some(source);
        }
        let (len, bytes) = (value.len(), 2 * value.len());
        let source = self.add_quantized(QuantizedStep::Widen, &[(source, bytes)], len, false);
        self.values.insert(name.into(), Value::rows(value.shape, source));
        Some(source)
    }

    /// Row-major or else in NHWC, and where a value lies, float16 in float32.
    pub fn either(&mut self, name: &str) -> Option<(bool, Source)> {
        if self.value(name)?.rows.is_some() {
            self.rows(name)?;
        }
        self.value(name)?.either()
    }

    /// Where a value lies row-major; adds a step that makes it so. float16 that is no buffer lies there as it is.
    fn lies(&mut self, name: &str) -> Option<Source> {
        let value = self.value(name)?;
        if value.rows.is_some() {
            return value.rows;
        }
        let (image, from) = (value.image()?, value.nhwc?);
        let source = self.relayout(&value, from, image.len(), false)?;
        self.values.insert(name.into(), Value { rows: Some(source), ..value });
        Some(source)
    }

    /// Where an image lies in NHWC; adds a step that makes it so.
    pub fn nhwc(&mut self, name: &str) -> Option<Source> {
        self.either(name)?;
        let value = self.value(name)?;
        if value.nhwc.is_some() {
            return value.nhwc;
        }
        let (image, from) = (value.image()?, value.rows?);
        let source = self.relayout(&value, from, image.len(), true)?;
        self.values.insert(name.into(), Value { nhwc: Some(source), ..value });
        Some(source)
    }

    /// Adds a step with a buffer of its own.
    pub fn add(&mut self, kind: Kind, reads: &[(Source, usize)], len: usize) -> Source {
        let buffer = self.built.buffers.len();
        self.built.buffers.push(len);
        let (reads, lens) = reads.iter().copied().unzip();
        self.built.steps.push(Step { kind, reads, lens, write: Some((buffer, len)), frees: vec![] });
        Source::Buffer(buffer)
    }

    /// Adds a step on 8-bit integers that computes `len` elements: integers or, otherwise, float32.
    pub fn add_quantized(
        &mut self,
        step: QuantizedStep,
        reads: &[(Source, usize)],
        len: usize,
        integers: bool,
    ) -> Source {
        let floats = if integers { len.div_ceil(size_of::<f32>()) } else { len };
        self.add(Kind::Quantized(step, len), reads, floats)
    }

    /// An image in the other layout: NHWC, or NCHW.
    fn relayout(&mut self, value: &Value, from: Source, len: usize, nhwc: bool) -> Option<Source> {
        let (image, dtype) = (value.image()?, value.shape.as_ref()?.0);
        let (channels, pixels) = (image.channels, image.pixels());
        Some(match (dtype, nhwc) {
            (DataType::Float | DataType::Float16, true) => {
                self.add(Kind::ToNhwc(channels, pixels), &[(from, len)], len)
            }
            (DataType::Float | DataType::Float16, false) => {
                self.add(Kind::ToNchw(channels, pixels), &[(from, len)], len)
            }
            (DataType::Uint8 | DataType::Int8, true) => {
                self.add_quantized(QuantizedStep::ToNhwc(channels, pixels), &[(from, len)], len, true)
            }
            (DataType::Uint8 | DataType::Int8, false) => {
                self.add_quantized(QuantizedStep::ToNchw(channels, pixels), &[(from, len)], len, true)
            }
            _ => return None,
        })
    }

    /// Says where a value lies that a step computed in float32; rounds it if it is float16.
    pub fn define_rounded(&mut self, name: &str, value: Value) {
        let (Some(shape), true, Some((rows, source))) = (value.shape.clone(), value.is_half(), value.either()) else {
            return self.define(name, value);
        };
        let len = value.len();
        let source = self.add(Kind::Half(Vec::new(), Activation::Identity), &[(source, len)], len);
        self.define(name, Value::at(shape, rows, source));
    }

    /// Says where a value lies.
    pub fn define(&mut self, name: &str, value: Value) {
        self.values.insert(name.into(), value);
    }

    fn add_constant(&mut self, tensor: Arc<Tensor>) -> Source {
        self.built.constants.push(tensor);
        Source::Constant(self.built.constants.len() - 1)
    }

    fn add_tensor(&mut self) -> usize {
        self.built.tensors += 1;
        self.built.tensors - 1
    }

    /// The steps, and where the outputs lie.
    pub fn finish(mut self) -> Result<Built, Problem> {
        for output in &self.graph.outputs {
            let missing = || Problem::tensor(&output.name, "an output that no node computes");
            let source = self.lies(&output.name).ok_or_else(missing)?;
            let shape = self.value(&output.name).and_then(|value| value.shape);
            let source = match source {
                _ if self.is_copied(source, shape.as_ref()) => {
                    let shape = shape.clone().ok_or_else(missing)?;
                    let tensor = self.add_tensor();
                    let kind = Kind::Keep(tensor, shape);
                    self.built.steps.push(Step {
                        kind,
                        reads: vec![source],
                        lens: vec![0],
                        write: None,
                        frees: vec![],
                    });
                    Source::Tensor(tensor)
                }
                Source::Tensor(index) => self.reshaped(index, &output.name),
                _ => source,
            };
            self.built.outputs.push((source, shape.map(|(_, shape)| shape).unwrap_or_default()));
        }
        Ok(self.built)
    }

    /// Whether an output is no value of a step, or one of other elements than float32, which its buffer is not as long as.
    fn is_copied(&self, source: Source, shape: Option<&Shape>) -> bool {
        match source {
            Source::Input(_) | Source::Constant(_) => true,
            Source::Buffer(_) => shape.is_none_or(|(dtype, _)| *dtype != DataType::Float),
            Source::Tensor(_) => false,
        }
    }

    /// A tensor in the shape of an output, which may be a view of it in another.
    fn reshaped(&mut self, index: usize, name: &str) -> Source {
        let is_own = self.built.steps.iter().any(|step| match &step.kind {
            Kind::Plain(plain) => plain.outputs.iter().zip(&plain.node.outputs).any(|(output, computed)| {
                output.as_ref().is_some_and(|(tensor, _)| *tensor == index) && computed == name
            }),
            _ => false,
        });
        match self.shape(name).filter(|_| !is_own) {
            Some(shape) => {
                let tensor = self.add_tensor();
                let kind = Kind::Keep(tensor, shape);
                let reads = vec![Source::Tensor(index)];
                self.built.steps.push(Step { kind, reads, lens: vec![0], write: None, frees: vec![] });
                Source::Tensor(tensor)
            }
            None => Source::Tensor(index),
        }
    }
}
