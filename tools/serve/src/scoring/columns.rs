//! Columns as they are parsed from JSON, by name.

use super::{
    BODY, Error, Result,
    plan::{Plan, list},
};
use crate::model::Model;
use dataset::{Input, Texts};
use open_inference::{
    DataType, Limits, Tensor,
    http::{Cursor, Nested},
};
use records::{Batch, DType, Field, Values};

/// What a request is to a model.
pub enum Data {
    /// For the graph.
    Tensors(Vec<Tensor>),
    /// For the model's features, in batches.
    Rows(Vec<Batch>),
}

/// The columns that a model takes.
pub struct Columns {
    columns: Vec<Column>,
    /// Whether they are fields of features.
    are_rows: bool,
}

struct Column {
    name: String,
    values: ColumnValues,
}

enum ColumnValues {
    Numbers(Nested, DataType),
    Texts(Texts),
}

impl Columns {
    /// Empty columns of a plan.
    pub fn new(model: &Model, plan: Plan, limits: Limits) -> Result<Self> {
        let tensor = |name: &str, data_type| -> Result<Column> {
            Ok(Column {
                name: name.to_owned(),
                values: ColumnValues::Numbers(Nested::new(data_type, limits)?, data_type),
            })
        };
        let field = |name: &str, values| Ok(Column { name: name.to_owned(), values });
        let columns: Result<Vec<Column>> = match (plan, &model.features) {
            (Plan::Rows, Some(features)) => features
                .inputs
                .iter()
                .map(|input| match input {
                    // As `infer` reads numbers, before they become float32.
                    Input::Number { name, .. } => {
                        field(name, ColumnValues::Numbers(Nested::of_fields(limits), DataType::Fp64))
                    }
                    Input::Category { name, .. } => field(name, ColumnValues::Texts(Texts::default())),
                })
                .collect(),
            _ => model.spec.inputs.iter().map(|input| tensor(&input.name, input.data_type)).collect(),
        };
        Ok(Self { columns: columns?, are_rows: plan == Plan::Rows })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.columns.len()
    }

    /// Fails unless every column is there.
    pub fn check_all(&self, model: &Model, is_there: impl Fn(usize) -> bool) -> Result<()> {
        let missing = self.columns.iter().enumerate().filter(|(at, _)| !is_there(*at));
        let missing = list(missing.map(|(_, column)| column.name.as_str()));
        match missing.is_empty() {
            true => Ok(()),
            false => Err(Error::Misfit(format!("Model '{}' is missing inputs [{missing}]", model.name))),
        }
    }

    /// The column of that name; `guess` is looked at first.
    pub fn position(&self, name: &str, guess: usize) -> Option<usize> {
        let is_it = |column: &Column| column.name == name;
        match self.columns.get(guess) {
            Some(column) if is_it(column) => Some(guess),
            _ => self.columns.iter().position(is_it),
        }
    }

    /// Parses a value of a column.
    pub fn push(&mut self, column: usize, cursor: &mut Cursor<'_>) -> Result<()> {
        let Column { name, values } = &mut self.columns[column];
        let (row, pushed) = match values {
            ColumnValues::Numbers(nested, _) => (nested.len(), nested.push(cursor).map_err(Error::from)),
            ColumnValues::Texts(texts) => (texts.len(), text(cursor).map(|text| texts.push(&text))),
        };
        pushed.map_err(|error| match error {
            Error::Malformed(problem) => Error::Malformed(format!("{BODY}: row {row}, column '{name}': {problem}")),
            other => other,
        })
    }

    /// Appends a missing value.
    pub fn push_missing(&mut self, column: usize) -> Result<()> {
        self.push(column, &mut Cursor::of_python(b"null"))
    }

    /// Parses all values of a column, which are an array.
    pub fn push_all(&mut self, column: usize, cursor: &mut Cursor<'_>) -> Result<()> {
        if matches!(self.columns[column].values, ColumnValues::Numbers(..)) {
            return self.push(column, cursor);
        }
        let mut more = begins(cursor, b'[')?;
        while more {
            self.push(column, cursor)?;
            more = cursor.more(b']', "',' or ']'")?;
        }
        Ok(())
    }

    /// The data of columns of which each was one value, by [`Columns::push_all`].
    pub fn finish_whole(self) -> Result<Data> {
        if self.are_rows {
            return self.rows(true);
        }
        let tensors = self.columns.into_iter().map(|Column { name, values }| match values {
            ColumnValues::Numbers(nested, data_type) if !nested.is_empty() => {
                let (shape, data) = nested.finish();
                Ok(Tensor::new(name, data_type, shape, data).map_err(crate::error::Error::from)?)
            }
            _ => Err(Error::Misfit(format!("Model is missing inputs ['{name}']"))),
        });
        Ok(Data::Tensors(tensors.collect::<Result<_>>()?))
    }

    /// The data of columns of which each row was a value, by [`Columns::push`].
    pub fn finish(self) -> Result<Data> {
        if self.are_rows {
            return self.rows(false);
        }
        let tensors = self.columns.into_iter().filter_map(|Column { name, values }| match values {
            ColumnValues::Numbers(nested, data_type) => {
                let rows = nested.len();
                let (shape, data) = nested.finish();
                let shape = std::iter::once(rows).chain(shape).collect();
                Some(Tensor::new(name, data_type, shape, data).map_err(|e| crate::error::Error::from(e).into()))
            }
            // Inputs of a graph are no texts of features.
            ColumnValues::Texts(_) => None,
        });
        Ok(Data::Tensors(tensors.collect::<Result<_>>()?))
    }

    /// Rows for the features; `whole` if each column of numbers was one value.
    fn rows(self, whole: bool) -> Result<Data> {
        let mut parsed = Vec::with_capacity(self.columns.len());
        for Column { name, values } in self.columns {
            parsed.push(match values {
                ColumnValues::Texts(texts) => (name, texts.len(), Parsed::Texts(texts)),
                ColumnValues::Numbers(nested, _) => {
                    let rows = nested.len();
                    let (shape, data) = nested.finish();
                    let (rows, shape) = match shape.split_first() {
                        Some((&rows, shape)) if whole => (rows, shape.to_vec()),
                        _ => (rows, shape),
                    };
                    (name, rows, Parsed::Numbers(shape, data))
                }
            });
        }
        let rows = parsed.first().map_or(0, |(_, rows, _)| *rows);
        if let Some((name, found, _)) = parsed.iter().find(|(_, found, _)| *found != rows) {
            return Err(Error::Malformed(format!("column '{name}' has {found} values, and '{}' {rows}", parsed[0].0)));
        }
        let columns: Vec<(Field, Values<'_>)> = parsed
            .iter()
            .map(|(name, _, values)| match values {
                Parsed::Texts(texts) => (Field::new(name, DType::Text, &[]), Values::Texts(texts.iter().collect())),
                Parsed::Numbers(shape, data) => (Field::new(name, DType::F8, shape), Values::Packed(data)),
            })
            .collect();
        Ok(Data::Rows(vec![Batch::from_columns(BODY, 0, rows, &columns)?]))
    }
}

enum Parsed {
    Texts(Texts),
    Numbers(Vec<usize>, bytes::Bytes),
}

/// Consumes the beginning of an array or object; whether anything is in it.
pub fn begins(cursor: &mut Cursor<'_>, open: u8) -> Result<bool> {
    let (what, close) = if open == b'[' { ("a list", b']') } else { ("a dictionary", b'}') };
    if !cursor.take(open) {
        return Err(Error::Malformed(format!("expected {what}")));
    }
    Ok(!cursor.take(close))
}

/// A scalar as text, as it would be in a file: nothing for a missing one.
fn text(cursor: &mut Cursor<'_>) -> Result<String> {
    Ok(match cursor.peek() {
        Some(b'"') => cursor.string()?.into_owned(),
        Some(b't' | b'f') => cursor.boolean()?.to_string(),
        _ if cursor.not_finite().is_some() => String::new(),
        _ => cursor.number()?.text.to_owned(),
    })
}
