//! Runs of models whose inputs and outputs are float32.

use runtime::{Data, Model, Options, Value};

/// The only output, which has the shape of the only input.
pub fn run(model: &mut Model, shape: &[usize], values: &[f32]) -> Result<Vec<f32>, String> {
    let input = Value { shape: shape.into(), data: Data::Bytes(bytemuck::cast_slice(values)) };
    let outputs = model.run(&[input]).map_err(|e| e.to_string())?;
    let output = outputs.get(0).map_err(|e| e.to_string())?;
    assert_eq!(output.shape, shape);
    let Data::Bytes(bytes) = output.data else { panic!("no strings") };
    Ok(bytemuck::pod_collect_to_vec(bytes))
}

/// The error of a model that no backend runs.
pub fn refused(name: &str, bytes: &[u8], options: &Options<'_>) -> String {
    match Model::from_bytes(name, bytes, options) {
        Err(error) => error.to_string(),
        Ok(model) => panic!("{} runs it", model.backend()),
    }
}
