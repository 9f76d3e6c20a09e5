//! ONNX Runtime as the evaluator of constant parts of a graph.

use crate::settings::Settings;
use onnx::{DataType, Model, Tensor};
use runtime::{Data, ElementType, Value};

/// The outputs of a model without inputs.
///
/// # Errors
/// When ONNX Runtime is missing or refuses it, or an output is no tensor that a graph can hold.
pub fn evaluate(model: &Model, settings: &Settings) -> Result<Vec<Tensor>, String> {
    let options = settings.runtime_options(1);
    let run = || -> runtime::Result<Vec<Option<Tensor>>> {
        let mut engine = runtime::Model::from_bytes("constants", &model.to_bytes(), &options)?;
        let elements: Vec<_> = engine.outputs().iter().map(|port| port.element).collect();
        let outputs = engine.run(&[])?;
        elements.into_iter().enumerate().map(|(index, element)| Ok(tensor(&outputs.get(index)?, element))).collect()
    };
    let tensors = run().map_err(|error| error.to_string())?;
    tensors.into_iter().collect::<Option<_>>().ok_or_else(|| "an output that is no tensor of a graph".to_owned())
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
