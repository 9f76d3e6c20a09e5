//! Bodies of CSV.

use super::{
    BODY, Error, Result,
    columns::Data,
    plan::{Plan, list},
};
use crate::model::{Model, TensorSpec};
use bytes::Bytes;
use files::Input;
use open_inference::{DataType, Tensor};
use prediction::Encoder;
use records::{Batch, Encoding, ReadOptions, Reader};

/// The data of a table with a header, which is read as `infer` reads it; an empty cell is a missing value.
///
/// # Errors
/// When it is no CSV, or not data of the model's.
pub fn parse(model: &Model, encoder: Option<&Encoder>, body: &Bytes) -> Result<Data> {
    let open = |options: ReadOptions<'_>| Reader::open(Input::new(BODY, std::io::Cursor::new(body.clone())), &options);
    let reader = open(ReadOptions { missing: true, ..ReadOptions::floats(&[]) })?;
    if !matches!(reader.encoding(), Encoding::Csv { .. }) {
        return Err(Error::Malformed("expected CSV: a header and rows".into()));
    }
    let names: Vec<String> = reader.schema().fields().iter().map(|field| field.name.clone()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    match (Plan::of(model, &names, true)?, encoder) {
        (Plan::Rows, Some(encoder)) => Ok(Data::Rows(batches(open(encoder.read_options())?)?)),
        (Plan::Rows, None) => Err(Error::Misfit(format!("model '{}' takes no rows", model.name))),
        (Plan::Tensors, _) => {
            let inputs = &model.spec.inputs;
            let wanted: Vec<&str> = inputs.iter().map(|input| input.name.as_str()).collect();
            let columns = columns(open(numbers(&wanted))?, &wanted)?;
            let tensors = inputs.iter().zip(columns).map(|(input, column)| tensor(model, input, &[column]));
            Ok(Data::Tensors(tensors.collect::<Result<_>>()?))
        }
        (Plan::Matrix, _) => {
            let columns = columns(open(numbers(&names))?, &names)?;
            Ok(Data::Tensors(vec![tensor(model, &model.spec.inputs[0], &columns)?]))
        }
    }
}

fn numbers<'n>(names: &[&'n str]) -> ReadOptions<'n> {
    ReadOptions { missing: true, ..ReadOptions::floats(names) }
}

fn batches(mut reader: Reader) -> Result<Vec<Batch>> {
    let mut batches = Vec::new();
    loop {
        let mut batch = Batch::new();
        if !reader.read(&mut batch)? {
            return Ok(batches);
        }
        batches.push(batch);
    }
}

/// `[columns][rows]`
fn columns(reader: Reader, names: &[&str]) -> Result<Vec<Vec<f64>>> {
    let mut columns = vec![Vec::new(); names.len()];
    let mut values = Vec::new();
    for batch in batches(reader)? {
        for (name, column) in names.iter().zip(&mut columns) {
            batch.column_f64(name, &mut values)?;
            column.extend_from_slice(&values);
        }
    }
    Ok(columns)
}

/// An input of columns side by side: `[rows]` of one column where the input has no more dimensions, otherwise
/// `[rows, columns]`.
fn tensor(model: &Model, input: &TensorSpec, columns: &[Vec<f64>]) -> Result<Tensor> {
    let rows = columns.first().map_or(0, Vec::len);
    let is_flat = model.spec.shape(input).len() == 1 && columns.len() == 1;
    let shape = if is_flat { vec![rows] } else { vec![rows, columns.len()] };
    let cells = (0..rows).flat_map(|row| columns.iter().map(move |column| column[row]));
    let data: Option<Bytes> = match input.data_type {
        DataType::Fp32 => Some(cells.flat_map(|value| (value as f32).to_le_bytes()).collect()),
        DataType::Fp64 => Some(cells.flat_map(f64::to_le_bytes).collect()),
        // Beyond 2^53, a cell may not be what was written.
        DataType::Int32 => whole(cells, |value| (value as i32).to_le_bytes(), i32::MAX.into()),
        DataType::Int64 => whole(cells, |value| (value as i64).to_le_bytes(), EXACT),
        _ => None,
    };
    let data = data.ok_or_else(|| {
        let name = list(std::iter::once(input.name.as_str()));
        Error::Misfit(format!("input {name} is {}, which these cells are not; send JSON", input.data_type))
    })?;
    Ok(Tensor::new(input.name.clone(), input.data_type, shape, data).map_err(crate::error::Error::from)?)
}

/// Every integer up to here is a double.
const EXACT: f64 = (1_u64 << f64::MANTISSA_DIGITS) as f64;

/// Cells as integers; None if one is none, or its magnitude is above `most`.
fn whole<const N: usize>(cells: impl Iterator<Item = f64>, bytes: fn(f64) -> [u8; N], most: f64) -> Option<Bytes> {
    let cell = |value: f64| (value.fract() == 0.0 && value.abs() <= most).then(|| bytes(value));
    let values: Option<Vec<[u8; N]>> = cells.map(cell).collect();
    values.map(|values| values.into_flattened().into())
}
