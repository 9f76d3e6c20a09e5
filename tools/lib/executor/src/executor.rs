//! A loaded model: runs its nodes in order.

use crate::{
    Error, Tensor,
    ops::{self, Call},
};
use onnx::{DataType, Model, Problem};
use std::collections::HashMap;

/// How a model runs.
#[derive(Debug, Clone)]
pub struct Options {
    /// Threads of a run; 0 for one a core.
    pub threads: usize,
    /// Most bytes of memory that the values of a run may need together.
    pub memory_bytes: u64,
}

impl Default for Options {
    /// One thread, 4 GB.
    fn default() -> Self {
        Self { threads: 1, memory_bytes: 4_000_000_000 }
    }
}

/// A tensor of the caller, whose element type the graph says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct View<'a> {
    /// Shape, batch axis included.
    pub shape: &'a [usize],
    /// Its elements, row-major, little-endian.
    pub bytes: &'a [u8],
}

/// A model that is ready to run.
#[derive(Debug)]
pub struct Executor {
    model: Model,
    constants: HashMap<String, Tensor>,
    inputs: Vec<DataType>,
    outputs: Vec<Tensor>,
}

impl Executor {
    /// Prepares `model`.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if an operator or element type has no native implementation; any other if the model is faulty.
    pub fn new(model: Model, _options: &Options) -> Result<Self, Error> {
        let missing: Vec<_> = model.graph.nodes.iter().filter(|node| ops::find(node).is_none()).collect();
        if !missing.is_empty() {
            return Err(Error::Unsupported(missing.iter().map(|node| node.op_type.clone()).collect()));
        }
        let constants = model.graph.initializers.iter();
        let constants = constants.filter_map(|(name, tensor)| Some((name.clone(), Tensor::from_onnx(tensor)?)));
        let dtype = |value: &onnx::Value| value.tensor_type().map_or(DataType::Undefined, |ty| ty.dtype);
        Ok(Self {
            constants: constants.collect(),
            inputs: model.graph.inputs.iter().map(dtype).collect(),
            outputs: Vec::new(),
            model,
        })
    }

    /// The model, as it was read.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Runs the model on `inputs`, in the graph's order.
    ///
    /// # Errors
    /// When an input does not fit the graph, or a node refuses its inputs.
    pub fn run(&mut self, inputs: &[View<'_>]) -> Result<(), Error> {
        let mut values: HashMap<&str, Tensor> = HashMap::new();
        for ((value, &dtype), input) in self.model.graph.inputs.iter().zip(&self.inputs).zip(inputs) {
            let tensor = Tensor::from_bytes(dtype, input.shape, input.bytes);
            let tensor = tensor.ok_or_else(|| Problem::tensor(&value.name, "an input of another size"))?;
            values.insert(&value.name, tensor);
        }
        for node in &self.model.graph.nodes {
            let find = |name: &String| values.get(name.as_str()).or_else(|| self.constants.get(name));
            let inputs: Vec<_> = node.inputs.iter().map(find).collect();
            let Some(operator) = ops::find(node) else { continue };
            let outputs = operator(&Call { node, opset: self.model.opset(), inputs: &inputs })?;
            values.extend(node.outputs.iter().map(String::as_str).zip(outputs));
        }
        let output = |value: &onnx::Value| {
            let tensor = values.get(value.name.as_str()).or_else(|| self.constants.get(&value.name)).cloned();
            tensor.ok_or_else(|| Problem::tensor(&value.name, "an output that no node computes"))
        };
        self.outputs = self.model.graph.outputs.iter().map(output).collect::<Result<_, _>>()?;
        Ok(())
    }

    /// An output of the last run, in the graph's order.
    ///
    /// # Panics
    /// If there was no run, or the graph has no such output.
    pub fn output(&self, index: usize) -> View<'_> {
        let tensor = &self.outputs[index];
        View { shape: tensor.shape(), bytes: tensor.bytes() }
    }
}
