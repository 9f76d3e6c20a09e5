//! A run's ONNX file as a model of MLflow: a folder that `mlflow.pyfunc.load_model` and `mlflow models serve` take.

use crate::settings::Settings;
use anyhow::{Context, ensure};
use onnx::proto::{ModelProto, ValueInfoProto, tensor_proto::DataType, tensor_shape_proto::dimension, type_proto};
use prost::Message;
use serde_json::{Value, json};
use std::{
    fs::File,
    io::Read,
    path::Path,
    time::{Duration, UNIX_EPOCH},
};

/// Where the folder is among the run's artifacts.
pub const FOLDER: &str = "model";

/// What the ONNX file is called in it.
pub const DATA: &str = "model.onnx";

/// The version of MLflow's format that is written.
const FORMAT: &str = "3.0.0";

/// Bytes of an ONNX file: what its format, protocol buffers, can hold.
const MAX_BYTES: u64 = 1 << 31;

/// Elements of an example of an input.
const MAX_EXAMPLE: i64 = 4096;

/// Hexadecimal digits of a model's id.
const ID_DIGITS: usize = 32;

/// What stands beside the ONNX file, by name.
pub struct Model {
    pub files: Vec<(&'static str, Vec<u8>)>,
    /// What the run's tag says of it (`mlflow.log-model.history`).
    pub history: Value,
}

impl Model {
    /// Describes the ONNX file at `path`. `time` is that of the run, in milliseconds since 1970-01-01 UTC.
    ///
    /// # Errors
    /// When it is no ONNX file.
    pub fn of(path: &Path, run_id: &str, time: i64, settings: &Settings) -> anyhow::Result<Self> {
        let place = || path.display().to_string();
        let mut bytes = Vec::new();
        File::open(path).with_context(place)?.take(MAX_BYTES).read_to_end(&mut bytes).with_context(place)?;
        let onnx = ModelProto::decode(bytes.as_slice()).with_context(place)?;
        let graph = onnx.graph.with_context(|| format!("{}: no graph is in it", path.display()))?;
        let weights: Vec<&str> = graph.initializer.iter().filter_map(|weight| weight.name.as_deref()).collect();
        let mut inputs = graph.input;
        inputs.retain(|input| !weights.contains(&input.name.as_deref().unwrap_or_default()));
        ensure!(!inputs.is_empty() && !graph.output.is_empty(), "{}: no inputs or no outputs", path.display());
        let (inputs, outputs) = (tensors(&inputs), tensors(&graph.output));

        let example = inputs.as_deref().and_then(example);
        let flavors = json!({
            "onnx": { "data": DATA, "providers": ["CUDAExecutionProvider", "CPUExecutionProvider"] },
            "python_function": {
                "data": DATA,
                "env": { "conda": "conda.yaml", "virtualenv": "python_env.yaml" },
                "loader_module": "mlflow.onnx",
                "python_version": settings.model_python,
            },
        });
        let created = Duration::from_millis(u64::try_from(time).unwrap_or(0));
        let created = humantime::format_rfc3339_micros(UNIX_EPOCH + created).to_string();
        let mut model = json!({
            "artifact_path": FOLDER,
            "run_id": run_id,
            "utc_time_created": created.replace('T', " ").trim_end_matches('Z'),
            "model_uuid": ::files::sha256(run_id)[..ID_DIGITS],
            "flavors": flavors,
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
        // The last one: a model is there once this is.
        files.push(("MLmodel", serde_yaml::to_string(&model)?.into_bytes()));
        Ok(Self { files, history })
    }
}

/// What a Python that serves the model installs, for each of the ways to do so.
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

/// An input or an output: its name, NumPy's name for its type, and its shape with -1 where it is free.
struct Tensor {
    name: String,
    dtype: &'static str,
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
        Some(Self { name: value.name.clone()?, dtype: numpy(tensor.elem_type?)?, shape })
    }

    /// As MLflow's signatures have it.
    fn spec(&self) -> Value {
        let tensor = json!({ "dtype": self.dtype, "shape": self.shape });
        json!({ "name": self.name, "type": "tensor", "tensor-spec": tensor })
    }
}

/// All of them; None where one has no type that MLflow can name.
fn tensors(values: &[ValueInfoProto]) -> Option<Vec<Tensor>> {
    values.iter().map(Tensor::of).collect()
}

/// A row of zeros for the one input, by its name; None where it would be large.
fn example(inputs: &[Tensor]) -> Option<Value> {
    let [input] = inputs else { return None };
    let dims = || input.shape.iter().map(|size| (*size).max(1));
    let elements = dims().try_fold(1_i64, i64::checked_mul)?;
    let zero = if input.dtype.starts_with("float") { json!(0.0) } else { json!(0) };
    let rows = dims().rev().fold(zero, |row, size| Value::Array(vec![row; size as usize]));
    (elements <= MAX_EXAMPLE && !input.shape.is_empty() && input.dtype != "bool")
        .then(|| json!({ (&input.name): rows }))
}

fn numpy(elem_type: i32) -> Option<&'static str> {
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
