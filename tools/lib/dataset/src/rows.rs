//! From records to what a model takes.

use crate::{Column, Features, Input};
use records::{Batch, ReadOptions, Result};

/// What a reader is asked for by who feeds rows to a model: its fields, text as it is written (a category may look like a
/// number), and missing values as such.
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
/// When a field is not there or has another type or shape, a value is missing that has no fill, or a text is one that no
/// training row had; the row is named.
pub fn raw_rows(features: &Features, batch: &Batch) -> Result<Vec<f32>> {
    let columns = features.inputs.iter().map(|input| column(input, batch)).collect::<Result<Vec<_>>>()?;
    features.encode(&columns).map_err(|unfit| batch.place(unfit.row).error(unfit.problem))
}

fn column(input: &Input, batch: &Batch) -> Result<Column> {
    match input {
        Input::Category { name, .. } => Ok(Column::Texts(batch.texts(name)?.into_iter().collect())),
        Input::Number { name, shape, .. } => {
            let field = batch.field(name)?;
            if field.shape != *shape {
                let dims: Vec<_> = shape.iter().map(usize::to_string).collect();
                return Err(batch.wrong_shape(field, &format!("[{}] by the model", dims.join(","))));
            }
            let mut values = Vec::new();
            batch.column_f32(name, &mut values)?;
            Ok(Column::numbers(values, field.elements()))
        }
    }
}
