//! Diagnostics of the training split: constant columns, classes without rows, and the categories of text.

use super::{class_weights::counts, scaling::SplitStatistics};
use crate::data::{Inputs, Split};
use dataset::{Features, Input, Statistics};
use nets::Loss;
use std::fmt::Display;

/// Most indices that a note names.
const MAX_NAMED: usize = 5;

/// A note for each finding. `classes` is their number, where targets are class indices.
///
/// # Errors
/// When rows are in a file, and cannot be read.
pub fn of_split(
    split: Split<'_>,
    statistics: &SplitStatistics,
    loss: Loss,
    classes: usize,
    features: &Features,
) -> anyhow::Result<Vec<String>> {
    let dataset = split.dataset;
    if split.rows.len() < 2 {
        return Ok(Vec::new());
    }
    let target = match loss {
        Loss::CrossEntropy { .. } if dataset.target_width() == 1 => labels(split, classes, features),
        _ => constant_target(split, &statistics.target),
    };
    let classes = features.target.classes.as_deref().map(|names| named_texts(&dataset.target.name, "classes", names));
    let categories = features.inputs.iter().filter_map(|input| match input {
        Input::Category { name, categories, .. } => Some(named_texts(name, "categories", categories)),
        Input::Number { .. } => None,
    });
    let categories: Vec<String> = categories.collect();
    let categories = (!categories.is_empty()).then(|| categories.join("; "));
    let input = constant_input(split, &statistics.input, features)?;
    Ok([categories, classes, input, target].into_iter().flatten().collect())
}

/// The categories or classes of a text field.
fn named_texts(field: &str, what: &str, names: &[String]) -> String {
    format!("field {field:?} is text, of {} {what}: {}", names.len(), named(names))
}

/// Features that are constant over the training rows.
fn constant_input(split: Split<'_>, statistics: &[Statistics], features: &Features) -> anyhow::Result<Option<String>> {
    let (field, rows) = (&split.dataset.input, split.rows.len());
    if all_same(split)? {
        return Ok(Some(format!(
            "field {:?}: all {rows} training rows are the same; there is nothing to learn",
            field.name
        )));
    }
    if features.inputs.len() == 1 {
        let units = if field.shape.len() == 3 { "channels" } else { "features" };
        let constants = constants(statistics, units, rows, usize::to_string);
        return Ok(constants.map(|constants| format!("field {:?}: {constants}", field.name)));
    }
    Ok(constants(statistics, "features", rows, |index| features.describe(*index)))
}

fn constant_target(split: Split<'_>, statistics: &[Statistics]) -> Option<String> {
    let (name, rows) = (&split.dataset.target.name, split.rows.len());
    if let ([one], true) = (statistics, statistics.iter().all(Statistics::is_constant)) {
        return Some(format!("field {name:?} is {} in all {rows} training rows; there is nothing to learn", one.mean));
    }
    constants(statistics, "elements", rows, usize::to_string).map(|constants| format!("field {name:?}: {constants}"))
}

/// Names those features, channels or elements (`units`) whose statistics are a constant's.
fn constants(statistics: &[Statistics], units: &str, rows: usize, name: impl Fn(&usize) -> String) -> Option<String> {
    let constant: Vec<usize> = (0..statistics.len()).filter(|&i| statistics[i].is_constant()).collect();
    if constant.is_empty() {
        return None;
    }
    let zero = constant.iter().filter(|&&i| statistics[i].is_zero()).count();
    let zero = if zero > 0 { format!(" ({zero} always 0)") } else { String::new() };
    let names: Vec<String> = constant.iter().take(MAX_NAMED + 1).map(name).collect();
    let (count, all, named) = (constant.len(), statistics.len(), named(&names));
    Some(format!("{count} of {all} {units} are constant over the {rows} training rows: {named}{zero}"))
}

/// Classes without a training row.
fn labels(split: Split<'_>, classes: usize, features: &Features) -> Option<String> {
    let (name, rows) = (&split.dataset.target.name, split.rows.len());
    let counts = counts(split.rows.iter().map(|&row| split.dataset.targets[row] as usize), classes);
    let missing: Vec<usize> = (0..classes).filter(|&class| counts[class] == 0).collect();
    if let Some(names) = &features.target.classes {
        let missing: Vec<&String> = missing.iter().filter_map(|&class| names.get(class)).collect();
        let (count, all, named) = (missing.len(), names.len(), named(&missing));
        return (count > 0).then(|| {
            format!("field {name:?}: {count} of {all} classes never occur in the {rows} training rows: {named}")
        });
    }
    let which = match missing.as_slice() {
        [] => return None,
        [one] => format!("class {one} never occurs"),
        few if few.len() <= MAX_NAMED => format!("classes {} never occur", named(few)),
        many => format!("{} of {classes} classes never occur", many.len()),
    };
    let lowest = counts.iter().position(|&count| count > 0)?;
    let highest = counts.iter().rposition(|&count| count > 0)?;
    let hint = if lowest == 1 { "; do they start at 1?" } else { "" };
    Some(format!("field {name:?}: {which} in the {rows} training rows (labels {lowest} to {highest}{hint})"))
}

/// The first [`MAX_NAMED`], comma-separated.
fn named<T: Display>(indices: &[T]) -> String {
    let first: Vec<String> = indices.iter().take(MAX_NAMED).map(T::to_string).collect();
    first.join(", ") + if indices.len() > MAX_NAMED { ", …" } else { "" }
}

/// Whether all rows have the same input.
fn all_same(Split { dataset, rows }: Split<'_>) -> anyhow::Result<bool> {
    let width = dataset.input_width();
    let row = |row: usize| row * width..(row + 1) * width;
    let mut pairs = rows.windows(2).map(|pair| (row(pair[0]), row(pair[1])));
    Ok(match &dataset.inputs {
        Inputs::Bytes(bytes) => pairs.all(|(a, b)| bytes[a] == bytes[b]),
        Inputs::Real(values) => pairs.all(|(a, b)| values[a] == values[b]),
        Inputs::InFile(inputs) => inputs.all_same(rows)?,
    })
}
