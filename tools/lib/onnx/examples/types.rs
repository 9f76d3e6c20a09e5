//! Types of all values of ONNX files, as JSON: an object per file, `{"value": ["float32", ["batch", 10]]}`; `null` for an
//! unknown size or rank, an object `{"error": …}` for a file that is refused. The peer tests of shape inference run it.
//!
//! ```sh
//! cargo run --release -p onnx --example types -- model.onnx
//! ```

use files::Limit;
use onnx::{Dim, Model, TensorType, shape::Types, type_name};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    io::{self, Write},
    path::Path,
};

const LIMIT: Limit<'static> = Limit { bytes: 1 << 30, setting: None };

fn main() -> io::Result<()> {
    let mut output = io::stdout().lock();
    for path in std::env::args().skip(1) {
        writeln!(output, "{}", types(Path::new(&path)).unwrap_or_else(|error| json!({ "error": error })))?;
    }
    Ok(())
}

fn types(path: &Path) -> Result<Value, String> {
    let model = Model::open(path, LIMIT).map_err(|e| e.to_string())?;
    let types = onnx::shape::infer(&model, &BTreeMap::new()).map_err(|e| e.of(&model.name).to_string())?;
    let inputs = model.graph.inputs.iter().map(|input| input.name.as_str());
    let names = inputs.chain(model.graph.nodes.iter().flat_map(|node| node.outputs.iter().map(String::as_str)));
    Ok(names.filter_map(|name| Some((name.to_owned(), value(&types, name)?))).collect())
}

fn value(types: &Types, name: &str) -> Option<Value> {
    let TensorType { dtype, shape } = types.get(name)?;
    let dim = |dim: &Dim| match dim {
        Dim::Known(size) => json!(size),
        Dim::Symbol(name) => json!(name),
        Dim::Unknown => Value::Null,
    };
    Some(json!([type_name(*dtype), shape.as_ref().map(|dims| dims.iter().map(dim).collect::<Vec<_>>())]))
}
