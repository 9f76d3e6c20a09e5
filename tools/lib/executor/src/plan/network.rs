//! What the plans of a model share: its graph, packed weights, constants.

use super::{
    assign,
    build::Builder,
    perceptron,
    quantized::{self, Packed},
    run::Plan,
    step::{ConvWeights, Shape},
};
use crate::{Error, Tensor, View};
use kernels::{
    conv::{Algorithm, GatheredWeights},
    gemm::FusedLinear,
};
use onnx::{DataType, Dim, Model, Problem, TensorType, Value, shape};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

/// A graph, and what was computed of its constants.
#[derive(Debug)]
pub(crate) struct Network {
    model: Model,
    /// Whether nodes are fused.
    fused: bool,
    pub(super) cache: Cache,
}

/// By the name of the value that the layer computes, or of the constant.
#[derive(Debug, Default)]
pub(super) struct Cache {
    pub linears: HashMap<String, Arc<FusedLinear>>,
    pub convs: HashMap<(String, bool), Arc<ConvWeights>>,
    pub constants: HashMap<String, Arc<Tensor>>,
    pub gathered: HashMap<String, Arc<GatheredWeights>>,
    pub quantized: HashMap<String, Packed>,
}

impl Cache {
    /// The key of a convolution's weights, which differ by algorithm.
    pub fn conv_key(name: &str, algorithm: Algorithm) -> (String, bool) {
        (name.to_owned(), algorithm == Algorithm::Winograd)
    }
}

impl Network {
    /// A graph; without `fused` each node runs by itself on its plain operator.
    pub fn new(mut model: Model, fused: bool) -> Self {
        // All that they tell follows from the shapes of the inputs, or is wrong for some of them.
        model.graph.value_info.clear();
        if fused {
            quantized::fold_constants(&mut model);
        }
        Self { model, fused, cache: Cache::default() }
    }

    /// The plan for inputs of these shapes.
    ///
    /// # Errors
    /// When a node does not take the shapes of its inputs, or is faulty.
    pub fn plan(&mut self, inputs: &[View<'_>], threads: usize) -> Result<Plan, Error> {
        let dtype = |value: &Value| value.tensor_type().map_or(DataType::Undefined, |ty| ty.dtype);
        let shapes: Vec<Shape> = self
            .model
            .graph
            .inputs
            .iter()
            .zip(inputs)
            .map(|(value, input)| (dtype(value), input.shape.to_vec()))
            .collect();
        for (value, (dtype, shape)) in self.model.graph.inputs.iter_mut().zip(&shapes) {
            let shape = Some(shape.iter().map(|&size| Dim::Known(size)).collect());
            *value = Value::tensor(&value.name, &TensorType { dtype: *dtype, shape });
        }
        let types = shape::infer(&self.model, &BTreeMap::new())?;
        // Kernels take no empty tensors.
        let is_empty = |name: &String| types.get(name).and_then(TensorType::dims).is_some_and(|dims| dims.contains(&0));
        let has_empty = self.model.graph.nodes.iter().flat_map(|node| &node.outputs).any(is_empty);
        let fused = self.fused && !has_empty && shapes.iter().all(|(_, shape)| !shape.contains(&0));
        let mut builder = Builder::new(&self.model, &types, &mut self.cache, fused);
        builder.build()?;
        let mut built = builder.finish()?;
        perceptron::join(&mut built);
        let inputs = self.model.graph.inputs.iter().zip(shapes);
        let inputs = inputs.map(|(value, shape)| assign::input(&value.name, shape)).collect::<Result<_, Problem>>()?;
        Ok(assign::assign(built, inputs, threads))
    }
}
