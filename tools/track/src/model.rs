//! An ONNX file as an MLflow model: a folder that `mlflow.pyfunc.load_model` and `mlflow models serve` can load.

use crate::settings::Settings;
use anyhow::{Context, ensure};
use files::{Limit, read_file};
use onnx::proto::{ModelProto, ValueInfoProto, tensor_proto::DataType, tensor_shape_proto::dimension, type_proto};
use prost::Message;
use serde_json::{Value, json};
use std::{
    path::Path,
    time::{Duration, UNIX_EPOCH},
};

/// Path of the folder among the run's artifacts.
pub const FOLDER: &str = "model";

/// Name of the ONNX file in the folder.
pub const DATA: &str = "model.onnx";

/// Version of MLflow that the format is of.
const FORMAT: &str = "3.0.0";

/// Largest ONNX file, in bytes: the limit of protocol buffers.
const MAX_BYTES: u64 = 1 << 31;

/// Most elements of the example input.
const MAX_EXAMPLE: i64 = 4096;

/// Hexadecimal digits of a model id.
const ID_DIGITS: usize = 32;

/// An MLflow model, without the ONNX file itself.
pub struct Model {
    /// Name and content of each file in the folder; `MLmodel` is the last.
    pub files: Vec<(&'static str, Vec<u8>)>,
    /// Value of the run's tag `mlflow.log-model.history`.
    pub history: Value,
}

impl Model {
    /// Reads the ONNX file at `path`. `time` is the time of the run, in milliseconds since 1970-01-01 UTC.
    ///
    /// # Errors
    /// If the file cannot be read, or is not an ONNX file with inputs and outputs.
    pub fn read(path: &Path, run_id: &str, time: i64, settings: &Settings) -> anyhow::Result<Self> {
        let context = || path.display().to_string();
        let bytes = read_file(path, Limit { bytes: MAX_BYTES, setting: None })?;
        let onnx = ModelProto::decode(bytes.as_slice()).with_context(context)?;
        let graph = onnx.graph.with_context(|| format!("{}: it has no graph", path.display()))?;
        let weights: Vec<&str> = graph.initializer.iter().filter_map(|weight| weight.name.as_deref()).collect();
        let mut inputs = graph.input;
        inputs.retain(|input| !weights.contains(&input.name.as_deref().unwrap_or_default()));
        ensure!(!inputs.is_empty() && !graph.output.is_empty(), "{}: it has no inputs or no outputs", path.display());
        let (inputs, outputs) = (tensors(&inputs), tensors(&graph.output));

        let example = inputs.as_deref().and_then(example);
        let created = Duration::from_millis(u64::try_from(time).unwrap_or(0));
        let created = humantime::format_rfc3339_micros(UNIX_EPOCH + created).to_string();
        let mut model = json!({
            "artifact_path": FOLDER,
            "run_id": run_id,
            "utc_time_created": created.replace('T', " ").trim_end_matches('Z'),
            "model_uuid": files::sha256(run_id)[..ID_DIGITS],
            "flavors": flavors(&settings.model_python),
        });
        let history = json!([model.clone()]);
        model["mlflow_version"] = FORMAT.into();
        model["model_size_bytes"] = bytes.len().into();
        if let (Some(inputs), Some(outputs)) = (&inputs, &outputs) {
            let text =
                |tensors: &[Tensor]| Value::from(tensors.iter().map(Tensor::spec).collect::<Vec<_>>()).to_string();
            model["signature"] = json!({ "inputs": text(inputs), "outputs": text(outputs), "params": null });
        }
        if example.is_some() {
            model["saved_input_example_info"] = json!({
                "artifact_path": "input_example.json",
                "serving_input_path": "serving_input_example.json",
                "type": "ndarray",
            });
        }
        let mut files = environment(settings)?;
        if let Some(example) = example {
            files.push(("input_example.json", example.to_string().into_bytes()));
            files.push(("serving_input_example.json", json!({ "inputs": example }).to_string().into_bytes()));
        }
        // Last: MLflow recognizes a model by this file.
        files.push(("MLmodel", serde_yaml::to_string(&model)?.into_bytes()));
        Ok(Self { files, history })
    }
}

/// The two ways to load the model: by `mlflow.onnx` and by `mlflow.pyfunc`.
fn flavors(python: &str) -> Value {
    json!({
        "onnx": { "data": DATA, "providers": ["CUDAExecutionProvider", "CPUExecutionProvider"] },
        "python_function": {
            "data": DATA,
            "env": { "conda": "conda.yaml", "virtualenv": "python_env.yaml" },
            "loader_module": "mlflow.onnx",
            "python_version": python,
        },
    })
}

/// The Python environment of the model, for conda, virtualenv and pip.
fn environment(settings: &Settings) -> anyhow::Result<Vec<(&'static str, Vec<u8>)>> {
    let (python, packages) = (&settings.model_python, &settings.model_requirements);
    let conda = json!({
        "name": "mlflow-env",
        "channels": ["conda-forge"],
        "dependencies": [format!("python={python}"), "pip", { "pip": packages }],
    });
    let virtualenv = json!({
        "python": python,
        "build_dependencies": ["pip", "setuptools", "wheel"],
        "dependencies": ["-r requirements.txt"],
    });
    let lines = packages.iter().map(|package| format!("{package}\n")).collect::<String>();
    Ok(vec![
        ("conda.yaml", serde_yaml::to_string(&conda)?.into_bytes()),
        ("python_env.yaml", serde_yaml::to_string(&virtualenv)?.into_bytes()),
        ("requirements.txt", lines.into_bytes()),
    ])
}

/// An input or an output.
struct Tensor {
    name: String,
    /// NumPy's name of the dtype.
    dtype: &'static str,
    /// -1 for a dimension of any size.
    shape: Vec<i64>,
}

impl Tensor {
    fn of(value: &ValueInfoProto) -> Option<Self> {
        let type_proto::Value::TensorType(tensor) = value.r#type.as_ref()?.value.as_ref()? else { return None };
        let dim = |dim: &onnx::proto::tensor_shape_proto::Dimension| match dim.value {
            Some(dimension::Value::DimValue(size)) => size,
            _ => -1,
        };
        let shape = tensor.shape.as_ref()?.dim.iter().map(dim).collect();
        Some(Self { name: value.name.clone()?, dtype: numpy_name(tensor.elem_type?)?, shape })
    }

    /// The tensor in the form of MLflow's signatures.
    fn spec(&self) -> Value {
        let tensor = json!({ "dtype": self.dtype, "shape": self.shape });
        json!({ "name": self.name, "type": "tensor", "tensor-spec": tensor })
    }
}

/// None if MLflow has no name for a dtype.
fn tensors(values: &[ValueInfoProto]) -> Option<Vec<Tensor>> {
    values.iter().map(Tensor::of).collect()
}

/// A row of zeros for a model with one input, by the input's name; None if it has more than [`MAX_EXAMPLE`] elements, is a
/// scalar or has dtype `bool`.
fn example(inputs: &[Tensor]) -> Option<Value> {
    let [input] = inputs else { return None };
    let dims = || input.shape.iter().map(|size| (*size).max(1));
    let elements = dims().try_fold(1_i64, i64::checked_mul)?;
    let zero = if input.dtype.starts_with("float") { json!(0.0) } else { json!(0) };
    let rows = dims().rev().fold(zero, |row, size| Value::Array(vec![row; size as usize]));
    (elements <= MAX_EXAMPLE && !input.shape.is_empty() && input.dtype != "bool")
        .then(|| json!({ (&input.name): rows }))
}

/// NumPy's name of an ONNX element type.
fn numpy_name(elem_type: i32) -> Option<&'static str> {
    Some(match DataType::try_from(elem_type).ok()? {
        DataType::Float => "float32",
        DataType::Double => "float64",
        DataType::Float16 => "float16",
        DataType::Int8 => "int8",
        DataType::Int16 => "int16",
        DataType::Int32 => "int32",
        DataType::Int64 => "int64",
        DataType::Uint8 => "uint8",
        DataType::Uint16 => "uint16",
        DataType::Uint32 => "uint32",
        DataType::Uint64 => "uint64",
        DataType::Bool => "bool",
        _ => return None,
    })
}
