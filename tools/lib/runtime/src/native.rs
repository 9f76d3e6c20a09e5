//! Models that the native executor runs: no library is loaded.

use crate::{Data, ElementType, ModelError, Options, Port, Value, source::Source};
use executor::{Executor, View};
use onnx::{Dim, TensorType, shape};
use std::collections::BTreeMap;

/// A model in the native executor.
#[derive(Debug)]
pub(crate) struct Native {
    executor: Executor,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
    /// The setting that is the limit on memory.
    memory_setting: String,
}

/// Why the native backend does not run a model.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// What it does not have: operators and element types; nothing for a model in another format than ONNX.
    Uncovered(Vec<String>),
    /// A fault that no backend may look beyond: files of weights elsewhere, an unknown instruction set.
    Forbidden(ModelError),
    /// A fault; other backends may be less strict.
    Fault(ModelError),
}

impl Native {
    /// Loads a model.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub fn new(source: &Source<'_>, options: &Options<'_>) -> Result<Self, Refusal> {
        if source.is_ort_format() {
            return Err(Refusal::Uncovered(vec![]));
        }
        let model = match source.file {
            Some((path, limit)) => onnx::Model::of_file(path, &source.bytes, limit),
            None => onnx::Model::from_bytes(source.name, &source.bytes),
        };
        let executor_options = executor::Options { threads: options.threads, memory_bytes: options.memory_bytes };
        let executor = Executor::new(model.map_err(read)?, &executor_options).map_err(|error| match error {
            executor::Error::Unsupported(operators) => Refusal::Uncovered(distinct(operators)),
            error @ executor::Error::InstructionSet(_) => Refusal::Forbidden(graph(&error)),
            other => Refusal::Fault(graph(&other)),
        })?;
        let (inputs, outputs) = ports(executor.model())?;
        Ok(Self { executor, inputs, outputs, memory_setting: options.setting("memory_bytes") })
    }

    /// The inputs, in the graph's order.
    pub fn inputs(&self) -> &[Port] {
        &self.inputs
    }

    /// The outputs, in the graph's order.
    pub fn outputs(&self) -> &[Port] {
        &self.outputs
    }

    /// The value of `key` in the model's metadata.
    pub fn metadata(&self, key: &str) -> Option<String> {
        self.executor.model().metadata.get(key).cloned()
    }

    /// Runs the model on a value for each input.
    ///
    /// # Errors
    /// When a value does not fit its input, a node refuses, or memory is short.
    pub fn run(&mut self, inputs: &[Value<'_>]) -> Result<(), ModelError> {
        let views = self.inputs.iter().zip(inputs).map(|(port, value)| view(port, value));
        let views = views.collect::<Result<Vec<_>, _>>()?;
        self.executor.run(&views).map_err(|error| match error {
            executor::Error::Memory { needed, limit } => {
                ModelError::Memory { needed, limit, setting: self.memory_setting.clone() }
            }
            other => graph(&other),
        })
    }

    /// An output of the last run, in the graph's order.
    pub fn output(&self, index: usize) -> Value<'_> {
        let View { shape, bytes } = self.executor.output(index);
        Value { shape: shape.into(), data: Data::Bytes(bytes) }
    }
}

/// A message of the model's, which is not trusted, in one line.
fn graph(error: &dyn std::fmt::Display) -> ModelError {
    ModelError::Graph(crate::one_line(error))
}

fn read(error: onnx::Error) -> Refusal {
    match error {
        onnx::Error::Model { problem: problem @ (onnx::Problem::Weights { .. } | onnx::Problem::Path(_)), .. } => {
            Refusal::Forbidden(graph(&problem))
        }
        onnx::Error::Model { problem, .. } => Refusal::Fault(graph(&problem)),
        onnx::Error::Read(error) => Refusal::Forbidden(graph(&error)),
    }
}

/// Each once, sorted.
fn distinct(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names.dedup();
    // A name is data of the model.
    names.iter().map(|name| crate::one_line(name)).collect()
}

/// The inputs and outputs of a graph; what it does not say of an output is inferred.
fn ports(model: &onnx::Model) -> Result<(Vec<Port>, Vec<Port>), Refusal> {
    let inputs = model.graph.inputs.iter().map(|input| port("input", &input.name, input.tensor_type()));
    let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
    let types = shape::infer(model, &BTreeMap::new()).map_err(|problem| Refusal::Fault(graph(&problem)))?;
    let outputs = model.graph.outputs.iter().map(|output| {
        let ty = types.get(&output.name).cloned().or_else(|| output.tensor_type());
        port("output", &output.name, ty)
    });
    Ok((inputs, outputs.collect::<Result<_, _>>()?))
}

fn port(kind: &str, name: &str, ty: Option<TensorType>) -> Result<Port, Refusal> {
    let Some(TensorType { dtype, shape }) = ty else {
        return Err(Refusal::Uncovered(vec![format!("{kind} {name:?} that is no tensor")]));
    };
    let element = ElementType::from_onnx(dtype).filter(|element| *element != ElementType::String);
    let uncovered = || Refusal::Uncovered(vec![format!("{kind} {name:?} of type {}", onnx::type_name(dtype))]);
    let element = element.ok_or_else(uncovered)?;
    let size = |dim: &Dim| if let Dim::Known(size) = dim { Some(*size) } else { None };
    Ok(Port { name: name.into(), element, shape: shape.iter().flatten().map(size).collect() })
}

/// What the executor takes for an input.
fn view<'v>(port: &Port, value: &'v Value<'_>) -> Result<View<'v>, ModelError> {
    let shape = value.shape.as_ref();
    let fits = shape.len() == port.shape.len()
        && port.shape.iter().zip(shape).all(|(want, &dim)| want.is_none_or(|want| want == dim));
    if !fits {
        let expected = port.shape_text();
        return Err(ModelError::InputShape { name: port.name.clone(), found: shape.to_vec(), expected });
    }
    let another = || ModelError::DataOfAnotherType { name: port.name.clone() };
    let Data::Bytes(bytes) = value.data else { return Err(another()) };
    let size = port.element.size().ok_or_else(another)?;
    let length = shape.iter().try_fold(size, |product, &dim| product.checked_mul(dim));
    // A byte that is neither 0 nor 1 is no boolean.
    let is_bool = || port.element != ElementType::Bool || bytes.iter().all(|byte| *byte <= 1);
    if length != Some(bytes.len()) || !is_bool() {
        return Err(another());
    }
    Ok(View { shape, bytes })
}
