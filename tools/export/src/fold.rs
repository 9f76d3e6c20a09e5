//! A runtime as the evaluator of constant parts of a graph.

use crate::settings::Settings;
use onnx::{DataType, Model, Tensor};
use runtime::{Backend, Data, ElementType, Value};

/// The outputs of a model without inputs, and what has computed them.
///
/// # Errors
/// When no runtime has all operators, one refuses the model, or an output is no tensor that a graph can hold.
pub fn evaluate(model: &Model, settings: &Settings) -> Result<(Vec<Tensor>, Backend), String> {
    let options = settings.runtime_options(1);
    let run = || -> runtime::Result<(Option<Vec<Tensor>>, Backend)> {
        let mut engine = runtime::Model::from_bytes("constants", &model.to_bytes(), &options)?;
        let backend = engine.backend();
        let elements: Vec<_> = engine.outputs().iter().map(|port| port.element).collect();
        let outputs = engine.run(&[])?;
        let tensors = elements.into_iter().enumerate();
        let tensors = tensors.map(|(index, element)| Ok(tensor(&outputs.get(index)?, element)));
        Ok((tensors.collect::<runtime::Result<_>>()?, backend))
    };
    let (tensors, backend) = run().map_err(|error| error.to_string())?;
    let tensors = tensors.ok_or_else(|| "an output that is no tensor of a graph".to_owned())?;
    Ok((tensors, backend))
}

fn tensor(value: &Value<'_>, element: ElementType) -> Option<Tensor> {
    match &value.data {
        Data::Bytes(bytes) => Tensor::new(data_type(element), &value.shape, bytes.to_vec()),
        Data::Strings(texts) => Tensor::from_strings(&value.shape, texts),
    }
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
        ElementType::F16 => DataType::Float16,
        ElementType::Bf16 => DataType::Bfloat16,
        ElementType::F32 => DataType::Float,
        ElementType::F64 => DataType::Double,
        ElementType::String => DataType::String,
    }
}
