//! The exported graph against candle.

use crate::Settings;
use candle_core::{Device, Module, Tensor};
use kernels::random::Random;
use nets::{CandleModel, InputDtype, Model};
use records::{Batch, Input, ReadOptions, Reader};
use runtime::{Inputs, Options, Session};
use std::path::Path;

/// Stream of the seed 0 from which rows are drawn where the run folder has none.
const DRAWN_ROWS: u64 = 0;

/// Rows to compare on, `[count, inputs]`: held-out rows of the run, or random ones where it kept none. Numbers of a
/// model that takes bytes are whole, from 0 to 255.
pub fn rows(model: &Model, folder: &Path, count: usize) -> anyhow::Result<Vec<f32>> {
    let width = model.graph.architecture.inputs();
    let held_out = folder.join("test.npy");
    let mut rows = Vec::new();
    if held_out.exists() {
        let field = model.task.input_field.as_str();
        let mut reader = Reader::open(Input::open(Some(&held_out))?, &ReadOptions::floats(&[field]))?;
        let mut batch = Batch::new();
        reader.read(&mut batch)?;
        batch.column_f32(field, &mut rows)?;
        anyhow::ensure!(rows.len() == batch.rows() * width, "{}: rows of another model", held_out.display());
        rows.truncate(count * width);
    } else {
        let mut random = Random::new(0, DRAWN_ROWS);
        let draw = |_| match model.task.input_dtype {
            InputDtype::F4 => random.normal() as f32,
            InputDtype::U1 => random.index(256) as f32,
        };
        rows.extend((0..count * width).map(draw));
    }
    Ok(rows)
}

/// The largest difference between ONNX Runtime's output and candle's, relative to the larger of 1
/// and candle's; for one row, for a few, and for all, which also tries the dynamic batch axis.
pub fn largest_difference(model: &Model, onnx: &[u8], rows: &[f32], settings: &Settings) -> anyhow::Result<f64> {
    let candle = CandleModel::new(model, &Device::Cpu)?;
    let options = Options { library: settings.onnxruntime.as_deref(), threads: 1 };
    let mut session = Session::from_bytes("the exported model", onnx, &options)?;
    let width = model.graph.architecture.inputs();
    let count = rows.len() / width;
    let mut worst = 0f64;
    let mut outputs = Vec::new();
    for batch in [1, 7.min(count), count] {
        let rows = &rows[..batch * width];
        let bytes: Vec<u8>;
        let inputs = match model.task.input_dtype {
            InputDtype::F4 => Inputs::F32(rows),
            InputDtype::U1 => {
                bytes = rows.iter().map(|&x| x as u8).collect();
                Inputs::U8(&bytes)
            }
        };
        session.run(batch, &model.task.input_shape, inputs, &mut outputs)?;
        let shape = std::iter::once(batch).chain(model.graph.architecture.input_shape.iter().copied());
        let tensor = Tensor::from_slice(rows, shape.collect::<Vec<_>>(), &Device::Cpu)?; // [batch, input shape…]
        let expected: Vec<f32> = candle.forward(&tensor)?.flatten_all()?.to_vec1()?;
        anyhow::ensure!(
            outputs.len() == expected.len(),
            "ONNX gives {} numbers, candle {}",
            outputs.len(),
            expected.len()
        );
        for (&ours, &theirs) in outputs.iter().zip(&expected) {
            let difference = f64::from((ours - theirs).abs()) / f64::from(theirs.abs().max(1.0));
            // NaN compares with nothing; it is the worst there is.
            worst = if difference.is_nan() { f64::INFINITY } else { worst.max(difference) };
        }
    }
    Ok(worst)
}
