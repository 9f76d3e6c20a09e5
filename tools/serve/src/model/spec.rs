//! The inputs and outputs of a model, and whether a request fits them.

use crate::error::{Error, Result};
use open_inference::{DataType, InferRequest, RequestedOutput, Tensor};
use runtime::{ElementType, Port};

/// An input or output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorSpec {
    pub name: String,
    pub data_type: DataType,
    /// Shape, without the batch axis of a model that batches; None for a dimension of any size.
    pub dims: Vec<Option<usize>>,
}

/// The inputs and outputs of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    pub inputs: Vec<TensorSpec>,
    pub outputs: Vec<TensorSpec>,
    /// Most rows of a run; 0 for a model without a batch axis.
    pub max_batch_size: usize,
}

/// A request that fits its model.
#[derive(Debug)]
pub struct Job {
    /// In the graph's order.
    pub inputs: Vec<Tensor>,
    /// Rows of each input; 1 for a model without a batch axis.
    pub rows: usize,
    /// What is asked for: index in the graph, and how.
    pub outputs: Vec<(usize, RequestedOutput)>,
}

impl Spec {
    /// The spec of a graph. `max_batch_size` has no effect if the first dimension of an input or output is fixed.
    pub fn of_graph(inputs: &[Port], outputs: &[Port], max_batch_size: usize) -> Self {
        let has_batch_axis = |port: &Port| port.shape.first().is_some_and(Option::is_none);
        let batches = max_batch_size > 0 && inputs.iter().chain(outputs).all(has_batch_axis);
        let specs = |ports: &[Port]| ports.iter().map(|port| tensor(port, usize::from(batches))).collect();
        let max_batch_size = if batches { max_batch_size } else { 0 };
        Self { inputs: specs(inputs), outputs: specs(outputs), max_batch_size }
    }

    /// The shape that the protocol shows: -1 for a dimension of any size, the batch axis first.
    pub fn shape(&self, tensor: &TensorSpec) -> Vec<i64> {
        let batch = (self.max_batch_size > 0).then_some(-1);
        let dims = tensor.dims.iter().map(|dim| dim.map_or(-1, |dim| i64::try_from(dim).unwrap_or(i64::MAX)));
        batch.into_iter().chain(dims).collect()
    }

    /// The request, its inputs in the graph's order.
    ///
    /// # Errors
    /// Names the first input or output that does not fit.
    pub fn bind(&self, model: &str, request: InferRequest) -> Result<Job> {
        let invalid = |message: String| Error::Invalid(message);
        let (expected, found) = (self.inputs.len(), request.inputs.len());
        if let Some(unknown) =
            request.inputs.iter().find(|input| self.inputs.iter().all(|spec| spec.name != input.name()))
        {
            return Err(invalid(format!("unexpected inference input '{}' for model '{model}'", unknown.name())));
        }
        if expected != found {
            return Err(invalid(format!("expected {expected} inputs but got {found} inputs for model '{model}'")));
        }
        let mut inputs = Vec::with_capacity(expected);
        let mut given: Vec<Option<Tensor>> = request.inputs.into_iter().map(Some).collect();
        for spec in &self.inputs {
            let is_it = |input: &&mut Option<Tensor>| input.as_ref().is_some_and(|input| input.name() == spec.name);
            let input = given.iter_mut().find(is_it).and_then(Option::take);
            let input = input.ok_or_else(|| invalid(format!("input '{}' is missing or given twice", spec.name)))?;
            self.check(model, spec, &input)?;
            inputs.push(input);
        }
        let rows = self.rows(model, &inputs)?;
        let outputs = self.outputs_of(model, request.outputs, request.binary_output)?;
        Ok(Job { inputs, rows, outputs })
    }

    fn check(&self, model: &str, spec: &TensorSpec, input: &Tensor) -> Result<()> {
        let name = &spec.name;
        if input.data_type() != spec.data_type {
            let (found, expected) = (input.data_type(), spec.data_type);
            return Err(Error::Invalid(format!(
                "inference input '{name}' data-type is '{found}', but model '{model}' expects '{expected}'"
            )));
        }
        let batch = usize::from(self.max_batch_size > 0);
        let dims = input.shape().get(batch..).unwrap_or(&[]);
        let fits = input.shape().len() == spec.dims.len() + batch
            && spec.dims.iter().zip(dims).all(|(expected, found)| expected.is_none_or(|dim| dim == *found));
        if !fits {
            let (expected, found) = (show(&self.shape(spec)), show(input.shape()));
            return Err(Error::Invalid(format!(
                "unexpected shape for input '{name}' for model '{model}'. Expected {expected}, got {found}"
            )));
        }
        if spec.data_type == DataType::Bytes {
            check_strings(name, input)?;
        }
        Ok(())
    }

    fn rows(&self, model: &str, inputs: &[Tensor]) -> Result<usize> {
        let most = self.max_batch_size;
        if most == 0 {
            return Ok(1);
        }
        let rows = inputs.first().map_or(1, |input| input.shape()[0]);
        if let Some(other) = inputs.iter().find(|input| input.shape()[0] != rows) {
            let found = other.shape()[0];
            return Err(Error::Invalid(format!(
                "input '{}' batch size does not match other inputs for '{model}': {found} and {rows}",
                other.name()
            )));
        }
        if rows == 0 || rows > most {
            return Err(Error::Invalid(format!(
                "inference request batch-size must be from 1 to {most} for '{model}', and is {rows}"
            )));
        }
        Ok(rows)
    }

    fn outputs_of(
        &self,
        model: &str,
        requested: Vec<RequestedOutput>,
        binary: bool,
    ) -> Result<Vec<(usize, RequestedOutput)>> {
        if requested.is_empty() {
            let all = self.outputs.iter().enumerate();
            let all = all.map(|(at, spec)| (at, RequestedOutput { name: spec.name.clone(), binary, classes: None }));
            return Ok(all.collect());
        }
        let mut outputs: Vec<(usize, RequestedOutput)> = Vec::with_capacity(requested.len());
        for output in requested {
            let at = self.outputs.iter().position(|spec| spec.name == output.name);
            let unexpected = || format!("unexpected inference output '{}' for model '{model}'", output.name);
            let at = at.ok_or_else(|| Error::Invalid(unexpected()))?;
            if outputs.iter().any(|(other, _)| *other == at) {
                return Err(Error::Invalid(format!("output '{}' is requested twice", output.name)));
            }
            outputs.push((at, output));
        }
        Ok(outputs)
    }
}

/// A shape as Triton's messages show it, `[-1,8]`.
fn show(shape: &[impl std::fmt::Display]) -> String {
    let dims: Vec<_> = shape.iter().map(ToString::to_string).collect();
    format!("[{}]", dims.join(","))
}

/// What ONNX Runtime takes as text.
fn check_strings(name: &str, input: &Tensor) -> Result<()> {
    let bad = input.strings().position(|text| text.contains(&0) || std::str::from_utf8(text).is_err());
    bad.map_or(Ok(()), |at| Err(Error::Invalid(format!("input '{name}': element {at} is not UTF-8, or has a NUL"))))
}

fn tensor(port: &Port, skip: usize) -> TensorSpec {
    let dims = port.shape.iter().skip(skip).copied().collect();
    TensorSpec { name: port.name.clone(), data_type: data_type(port.element), dims }
}

fn data_type(element: ElementType) -> DataType {
    match element {
        ElementType::Bool => DataType::Bool,
        ElementType::U8 => DataType::Uint8,
        ElementType::U16 => DataType::Uint16,
        ElementType::U32 => DataType::Uint32,
        ElementType::U64 => DataType::Uint64,
        ElementType::I8 => DataType::Int8,
        ElementType::I16 => DataType::Int16,
        ElementType::I32 => DataType::Int32,
        ElementType::I64 => DataType::Int64,
        ElementType::F16 => DataType::Fp16,
        ElementType::Bf16 => DataType::Bf16,
        ElementType::F32 => DataType::Fp32,
        ElementType::F64 => DataType::Fp64,
        ElementType::String => DataType::Bytes,
    }
}
