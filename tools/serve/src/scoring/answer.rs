//! Predictions as JSON, as Python writes them: float32 as the float64 that it is, and NaN and infinity as such.

use super::{Error, Result};
use open_inference::{DataType, Tensor};
use prediction::Outputs;
use records::Batch;

/// Bytes of a number in JSON, about.
const NUMBER: usize = 20;

/// `{"predictions": {"output": values, …}}`
pub fn of_tensors(outputs: &[Tensor]) -> Result<Vec<u8>> {
    let bytes: usize = outputs.iter().map(|output| NUMBER * output.elements()).sum();
    let mut out = Vec::with_capacity(NUMBER + bytes);
    out.extend(b"{\"predictions\": {");
    for (at, output) in outputs.iter().enumerate() {
        separate(&mut out, at);
        string(&mut out, output.name());
        out.extend(b": ");
        tensor(&mut out, output)?;
    }
    out.extend(b"}}");
    Ok(out)
}

/// `{"predictions": [{"prediction": …, "predicted_label": …}, …]}`: the fields that `infer` adds.
pub fn of_rows(outputs: &Outputs, batches: &[(Batch, Vec<usize>)]) -> Result<Vec<u8>> {
    let mut out = b"{\"predictions\": [".to_vec();
    let mut written = 0;
    for (batch, row_shape) in batches {
        let mut predictions: Vec<f32> = Vec::new();
        batch.column(outputs.out_field(), &mut predictions)?;
        let labels = outputs.label_field().map(|field| batch.texts(field)).transpose()?;
        let mut probabilities = Vec::new();
        for field in outputs.probability_fields() {
            let mut values: Vec<f32> = Vec::new();
            batch.column(field, &mut values)?;
            probabilities.push((field, values));
        }
        let width: usize = row_shape.iter().product();
        for row in 0..batch.rows() {
            separate(&mut out, written);
            written += 1;
            out.push(b'{');
            string(&mut out, outputs.out_field());
            out.extend(b": ");
            let mut values = predictions[row * width..(row + 1) * width].iter();
            nested(&mut out, row_shape, &mut |out| float(out, values.next().copied().unwrap_or(f32::NAN).into()));
            if let (Some(field), Some(labels)) = (outputs.label_field(), &labels) {
                out.extend(b", ");
                string(&mut out, field);
                out.extend(b": ");
                string(&mut out, labels[row]);
            }
            for (field, values) in &probabilities {
                out.extend(b", ");
                string(&mut out, field);
                out.extend(b": ");
                float(&mut out, values[row].into());
            }
            out.push(b'}');
        }
    }
    out.extend(b"]}");
    Ok(out)
}

fn separate(out: &mut Vec<u8>, at: usize) {
    if at > 0 {
        out.extend(b", ");
    }
}

fn tensor(out: &mut Vec<u8>, tensor: &Tensor) -> Result<()> {
    let bytes = tensor.data();
    let shape = tensor.shape();
    match tensor.data_type() {
        DataType::Bool => elements(out, shape, bytes, |out, [byte]| {
            out.extend(if byte == 0 { b"false".as_slice() } else { b"true" });
        }),
        DataType::Uint8 => elements(out, shape, bytes, |out, value| integer(out, u8::from_le_bytes(value))),
        DataType::Uint16 => elements(out, shape, bytes, |out, value| integer(out, u16::from_le_bytes(value))),
        DataType::Uint32 => elements(out, shape, bytes, |out, value| integer(out, u32::from_le_bytes(value))),
        DataType::Uint64 => elements(out, shape, bytes, |out, value| integer(out, u64::from_le_bytes(value))),
        DataType::Int8 => elements(out, shape, bytes, |out, value| integer(out, i8::from_le_bytes(value))),
        DataType::Int16 => elements(out, shape, bytes, |out, value| integer(out, i16::from_le_bytes(value))),
        DataType::Int32 => elements(out, shape, bytes, |out, value| integer(out, i32::from_le_bytes(value))),
        DataType::Int64 => elements(out, shape, bytes, |out, value| integer(out, i64::from_le_bytes(value))),
        DataType::Fp16 => elements(out, shape, bytes, |out, value| float(out, half::f16::from_le_bytes(value).into())),
        DataType::Bf16 => elements(out, shape, bytes, |out, value| float(out, half::bf16::from_le_bytes(value).into())),
        DataType::Fp32 => elements(out, shape, bytes, |out, value| float(out, f32::from_le_bytes(value).into())),
        DataType::Fp64 => elements(out, shape, bytes, |out, value| float(out, f64::from_le_bytes(value))),
        DataType::Bytes => {
            let texts: std::result::Result<Vec<&str>, _> = tensor.strings().map(std::str::from_utf8).collect();
            let texts = texts.map_err(|_| Error::Misfit(format!("output '{}' is not UTF-8", tensor.name())))?;
            let mut texts = texts.into_iter();
            nested(out, shape, &mut |out| string(out, texts.next().unwrap_or_default()));
        }
    }
    Ok(())
}

/// Elements of `N` bytes as nested lists.
fn elements<const N: usize>(out: &mut Vec<u8>, shape: &[usize], bytes: &[u8], write: fn(&mut Vec<u8>, [u8; N])) {
    let mut elements = bytes.as_chunks().0.iter();
    // As many as the shape has.
    nested(out, shape, &mut |out| elements.next().into_iter().for_each(|element| write(out, *element)));
}

/// Lists nested as the shape is.
fn nested(out: &mut Vec<u8>, shape: &[usize], element: &mut impl FnMut(&mut Vec<u8>)) {
    let Some((length, inner)) = shape.split_first() else { return element(out) };
    out.push(b'[');
    for at in 0..*length {
        separate(out, at);
        nested(out, inner, element);
    }
    out.push(b']');
}

fn integer(out: &mut Vec<u8>, value: impl itoa::Integer) {
    out.extend(itoa::Buffer::new().format(value).bytes());
}

fn float(out: &mut Vec<u8>, value: f64) {
    match value {
        value if value.is_nan() => out.extend(b"NaN"),
        f64::INFINITY => out.extend(b"Infinity"),
        f64::NEG_INFINITY => out.extend(b"-Infinity"),
        value => out.extend(zmij::Buffer::new().format_finite(value).bytes()),
    }
}

fn string(out: &mut Vec<u8>, text: &str) {
    // Text goes into memory without an error.
    let _ = serde_json::to_writer(out, text);
}
