//! What the training rows hold that a person should know before training.

use crate::{
    class_weights::counts,
    data::{Inputs, Part},
    scaling::RowStatistics,
};
use dataset::{Features, Input, Statistics};
use nets::Loss;
use std::fmt::Display;

/// Indices that a line names at most.
const MOST_NAMED: usize = 5;

/// A line for each thing that cannot be learned from these rows. `classes` are those of a field of labels.
pub fn of_rows(
    part: Part<'_>,
    statistics: &RowStatistics,
    loss: Loss,
    classes: usize,
    features: &Features,
) -> Vec<String> {
    let table = part.table;
    if part.rows.len() < 2 {
        return Vec::new();
    }
    let target = match loss {
        Loss::CrossEntropy { .. } if table.target_width() == 1 => labels(part, classes, features),
        _ => constant_target(part, &statistics.target),
    };
    let classes = features.target.classes.as_deref().map(|names| named_texts(&table.target.name, "classes", names));
    let categories = features.inputs.iter().filter_map(|input| match input {
        Input::Category { name, categories, .. } => Some(named_texts(name, "categories", categories)),
        Input::Number { .. } => None,
    });
    let categories: Vec<String> = categories.collect();
    let categories = (!categories.is_empty()).then(|| categories.join("; "));
    [categories, classes, constant_input(part, &statistics.input, features), target].into_iter().flatten().collect()
}

/// What the texts of a field stand for.
fn named_texts(field: &str, what: &str, names: &[String]) -> String {
    format!("field {field:?} is text, of {} {what}: {}", names.len(), named(names))
}

/// Inputs, or features of them, that tell no row from another.
fn constant_input(part: Part<'_>, statistics: &[Statistics], features: &Features) -> Option<String> {
    let (field, rows) = (&part.table.input, part.rows.len());
    if all_same(part) {
        return Some(format!(
            "field {:?}: all {rows} training rows are the same; there is nothing to learn",
            field.name
        ));
    }
    if features.inputs.len() == 1 {
        let units = if field.shape.len() == 3 { "channels" } else { "features" };
        let constants = constants(statistics, units, rows, usize::to_string);
        return constants.map(|constants| format!("field {:?}: {constants}", field.name));
    }
    constants(statistics, "features", rows, |index| features.describe(*index))
}

fn constant_target(part: Part<'_>, statistics: &[Statistics]) -> Option<String> {
    let (name, rows) = (&part.table.target.name, part.rows.len());
    if let ([one], true) = (statistics, statistics.iter().all(Statistics::is_constant)) {
        return Some(format!("field {name:?} is {} in all {rows} training rows; there is nothing to learn", one.mean));
    }
    constants(statistics, "elements", rows, usize::to_string).map(|constants| format!("field {name:?}: {constants}"))
}

/// Which of some statistics are those of a constant.
fn constants(statistics: &[Statistics], units: &str, rows: usize, name: impl Fn(&usize) -> String) -> Option<String> {
    let constant: Vec<usize> = (0..statistics.len()).filter(|&i| statistics[i].is_constant()).collect();
    if constant.is_empty() {
        return None;
    }
    let zero = constant.iter().filter(|&&i| statistics[i].is_zero()).count();
    let zero = if zero > 0 { format!(" ({zero} always 0)") } else { String::new() };
    let names: Vec<String> = constant.iter().take(MOST_NAMED + 1).map(name).collect();
    let (count, all, named) = (constant.len(), statistics.len(), named(&names));
    Some(format!("{count} of {all} {units} never change over the {rows} training rows: {named}{zero}"))
}

/// Classes that no training row is of.
fn labels(part: Part<'_>, classes: usize, features: &Features) -> Option<String> {
    let (name, rows) = (&part.table.target.name, part.rows.len());
    let counts = counts(part.rows.iter().map(|&row| part.table.targets[row] as usize), classes);
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
        few if few.len() <= MOST_NAMED => format!("classes {} never occur", named(few)),
        many => format!("{} of {classes} classes never occur", many.len()),
    };
    let lowest = counts.iter().position(|&count| count > 0)?;
    let highest = counts.iter().rposition(|&count| count > 0)?;
    let hint = if lowest == 1 { "; do they start at 1?" } else { "" };
    Some(format!("field {name:?}: {which} in the {rows} training rows (labels {lowest} to {highest}{hint})"))
}

/// The first of some indices.
fn named<T: Display>(indices: &[T]) -> String {
    let first: Vec<String> = indices.iter().take(MOST_NAMED).map(T::to_string).collect();
    first.join(", ") + if indices.len() > MOST_NAMED { ", …" } else { "" }
}

/// Whether all rows have the same input.
fn all_same(Part { table, rows }: Part<'_>) -> bool {
    let width = table.input_width();
    let row = |row: usize| row * width..(row + 1) * width;
    let mut pairs = rows.windows(2).map(|pair| (row(pair[0]), row(pair[1])));
    match &table.inputs {
        Inputs::Bytes(bytes) => pairs.all(|(a, b)| bytes[a] == bytes[b]),
        Inputs::Real(values) => pairs.all(|(a, b)| values[a] == values[b]),
    }
}
