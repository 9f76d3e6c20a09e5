//! From records to a model's input.

use crate::{Column, Features, Input, Texts};
use records::{Batch, DType, ReadOptions, Result, canonical_number};

/// How to read rows for a model: its input fields, categories as text (they may look like numbers), missing values as NaN or
/// empty text.
pub fn read_options(features: &Features) -> ReadOptions<'_> {
    let names = |of_text: bool| {
        let inputs = features.inputs.iter();
        inputs.filter(move |input| matches!(input, Input::Category { .. }) == of_text).map(Input::name).collect()
    };
    let (numbers, texts): (Vec<&str>, Vec<&str>) = (names(false), names(true));
    ReadOptions {
        plain_name: numbers.first().or(texts.first()).copied().unwrap_or("values"),
        texts,
        missing: true,
        all_fields: false,
        ..ReadOptions::floats(&numbers)
    }
}

/// The raw matrix `[rows, raw width]` of the rows of a batch.
///
/// # Errors
/// When a field is missing or has another type or shape, a missing value has no fill, or no training row had a text; with the
/// location of the row.
pub fn raw_rows(features: &Features, batch: &Batch) -> Result<Vec<f32>> {
    let columns = features.inputs.iter().map(|input| column(input, batch)).collect::<Result<Vec<_>>>()?;
    features.encode(&columns).map_err(|error| batch.location(error.row).error(error.to_string()))
}

fn column(input: &Input, batch: &Batch) -> Result<Column> {
    match input {
        Input::Category { name, .. } => texts(name, batch).map(Column::Texts),
        Input::Number { name, shape, .. } => {
            let field = batch.field(name)?;
            if field.shape != *shape {
                let dims: Vec<_> = shape.iter().map(usize::to_string).collect();
                return Err(batch.wrong_shape(field, &format!("[{}] by the model", dims.join(","))));
            }
            let mut values = Vec::new();
            batch.column_f32(name, &mut values)?;
            if let Some(bad) = values.iter().position(|value| value.is_infinite()) {
                let problem = format!("field {name:?} is {} as f32; a model has no answer to it", values[bad]);
                return Err(batch.location(bad / field.elements()).error(problem));
            }
            Ok(Column::numbers(values, field.elements()))
        }
    }
}

/// The values of a field as text. Numbers, which NPY has instead, are in canonical form.
///
/// # Errors
/// When there is no such field, or it is no scalar.
pub fn texts(name: &str, batch: &Batch) -> Result<Texts> {
    let field = batch.field(name)?;
    if field.dtype == DType::Text {
        return Ok(batch.texts(name)?.into_iter().collect());
    }
    if !field.shape.is_empty() {
        return Err(batch.wrong_shape(field, "one text or number"));
    }
    let mut values = Vec::new();
    batch.column_f64(name, &mut values)?;
    let text = |value: &f64| match (value.is_nan(), field.dtype) {
        (true, _) => String::new(),
        (false, DType::B1) => (*value != 0.0).to_string(),
        (false, _) => canonical_number(&value.to_string()).unwrap_or_default(),
    };
    let mut texts = Texts::default();
    values.iter().for_each(|value| texts.push(&text(value)));
    Ok(texts)
}
