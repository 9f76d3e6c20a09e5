//! Encoding rows as a model takes them.

use crate::{Column, Error, Features, Input, RowError, Unseen};
use records::canonical_number;
use std::collections::HashMap;

/// Characters of a text that a message shows.
const SHOWN_CHARS: usize = 40;
/// Categories that a message lists.
const LISTED: usize = 5;

impl Features {
    /// The raw matrix `[rows, raw width]` of `columns`, which are in the order of the inputs.
    ///
    /// # Errors
    /// The first row with a missing value that has no fill, or with a text that no training row had.
    pub fn encode<'c>(&self, columns: impl IntoIterator<Item = &'c Column>) -> Result<Vec<f32>, RowError> {
        let columns: Vec<&Column> = columns.into_iter().collect();
        let (rows, width) = (columns.first().map_or(0, |column| column.rows()), self.raw_width());
        let mut raw = Vec::new();
        let elements = rows.checked_mul(width).filter(|elements| raw.try_reserve_exact(*elements).is_ok());
        let Some(elements) = elements else {
            return Err(RowError { row: 0, error: Error::TooLarge { rows, width } });
        };
        raw.resize(elements, 0.0);
        let mut start = 0;
        for (input, column) in self.inputs.iter().zip(columns) {
            let slots = Slots { raw: &mut raw, width, start };
            match (input, column) {
                (Input::Number { .. }, Column::Numbers { values, width }) => slots.numbers(input, values, *width)?,
                (Input::Category { .. }, Column::Texts(texts)) => slots.categories(input, texts.iter())?,
                (Input::Number { name, .. }, Column::Texts(_)) => {
                    return Err(RowError { row: 0, error: Error::NotNumeric(name.clone()) });
                }
                (Input::Category { name, .. }, Column::Numbers { .. }) => {
                    return Err(RowError { row: 0, error: Error::NotText(name.clone()) });
                }
            }
            start += input.width();
        }
        Ok(raw)
    }

    /// The complete matrix `[rows, complete width]` of a raw one: missing numbers filled, indicators appended. The exported
    /// ONNX graph computes the same.
    pub fn complete(&self, raw: &[f32]) -> Vec<f32> {
        let Some(fills) = self.fills() else { return raw.to_vec() };
        let indicated = self.indicated();
        let mut complete = Vec::with_capacity(raw.len() / fills.len() * self.complete_width());
        for row in raw.chunks_exact(fills.len()) {
            complete.extend(row.iter().zip(&fills).map(|(&x, &fill)| if x.is_nan() { fill } else { x }));
            complete.extend(indicated.iter().map(|&index| f32::from(u8::from(row[index].is_nan()))));
        }
        complete
    }
}

/// The columns of one input in the raw matrix: from `start` on.
struct Slots<'a> {
    raw: &'a mut [f32],
    width: usize,
    start: usize,
}

impl Slots<'_> {
    fn numbers(self, input: &Input, values: &[f32], elements: usize) -> Result<(), RowError> {
        let allows_missing = matches!(input, Input::Number { fill: Some(_), .. });
        for (row, (slots, values)) in
            self.raw.chunks_exact_mut(self.width).zip(values.chunks_exact(elements)).enumerate()
        {
            if !allows_missing && values.iter().any(|x| x.is_nan()) {
                return Err(missing(row, input.name()));
            }
            slots[self.start..self.start + elements].copy_from_slice(values);
        }
        Ok(())
    }

    fn categories<'t>(self, input: &Input, texts: impl Iterator<Item = &'t str>) -> Result<(), RowError> {
        let Input::Category { name, categories, unseen, fill, indicator } = input else { return Ok(()) };
        let index: HashMap<&str, usize> = categories.iter().enumerate().map(|(i, name)| (name.as_str(), i)).collect();
        // Where all categories are numbers, 2 and 2.0 are the same category.
        let is_number = |category: &String| canonical_number(category).as_ref() == Some(category);
        let of_numbers = categories.iter().all(|category| Some(category) == fill.as_ref() || is_number(category));
        for (row, (slots, text)) in self.raw.chunks_exact_mut(self.width).zip(texts).enumerate() {
            let slots = &mut slots[self.start..];
            let category = match (text, fill) {
                ("", None) => return Err(missing(row, name)),
                ("", Some(fill)) => fill,
                (text, _) => text,
            };
            let same = || canonical_number(category).and_then(|number| index.get(number.as_str()));
            match (index.get(category).or_else(|| if of_numbers { same() } else { None }), unseen) {
                (Some(&index), _) => slots[index] = 1.0,
                (None, Unseen::Zero) => {}
                (None, Unseen::Error) => return Err(unknown(row, name, text, categories)),
            }
            if *indicator && text.is_empty() {
                slots[categories.len()] = 1.0;
            }
        }
        Ok(())
    }
}

fn missing(row: usize, name: &str) -> RowError {
    RowError { row, error: Error::MissingValue(name.to_owned()) }
}

fn unknown(row: usize, name: &str, text: &str, categories: &[String]) -> RowError {
    let text: String = text.chars().take(SHOWN_CHARS).collect();
    let listed = categories.iter().take(LISTED).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = categories.len().saturating_sub(LISTED);
    let known = if more > 0 { format!("{listed} and {more} more") } else { listed };
    RowError { row, error: Error::UnknownCategory { name: name.to_owned(), text, known } }
}
