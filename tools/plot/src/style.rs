//! How curves look, and the legend that says so: the same in pictures and in a terminal.

use crate::{
    chart::{Chart, Curve, Part},
    scene::Color,
};

/// The look of a curve.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Style {
    pub color: Color,
    pub line: Line,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    Solid,
    Dashed,
    /// Thin and light, behind the others.
    Pale,
    /// A mark at each point.
    Dots,
}

/// A line of the legend.
#[derive(Debug)]
pub struct Entry {
    pub name: String,
    pub style: Style,
}

/// One run: a color for each part. Several: a color for each run, a line for each part.
pub fn style(chart: &Chart, curve: &Curve, colors: &[Color]) -> Style {
    let alone = chart.runs.len() == 1;
    let index = match curve.part {
        _ if !alone => curve.run,
        Part::Train | Part::Whole | Part::Batch => 0,
        Part::Validation => 1,
        Part::Test => 2,
    };
    let line = match curve.part {
        Part::Batch => Line::Pale,
        Part::Test => Line::Dots,
        Part::Train if !alone && chart.curves.iter().any(|curve| curve.part == Part::Validation) => Line::Dashed,
        Part::Train | Part::Validation | Part::Whole => Line::Solid,
    };
    Style { color: colors[index % colors.len()], line }
}

/// What the legend says: nothing where there is one curve, whose name is the title.
pub fn legend(chart: &Chart, colors: &[Color]) -> Vec<Entry> {
    let mut parts: Vec<(Part, Style)> = Vec::new();
    for curve in &chart.curves {
        if !parts.iter().any(|(part, _)| *part == curve.part) {
            parts.push((curve.part, style(chart, curve, colors)));
        }
    }
    parts.sort_by_key(|(part, _)| *part);
    let says_something = parts.len() > 1 || parts.iter().any(|(part, _)| *part != Part::Whole);
    let part_entry = |color: Option<Color>| {
        move |(part, style): (Part, Style)| Entry {
            name: words(part.name(&chart.name)),
            style: Style { color: color.unwrap_or(style.color), ..style },
        }
    };
    if chart.runs.len() == 1 {
        return parts.into_iter().filter(|_| says_something).map(part_entry(None)).collect();
    }
    let run_entry = |(i, name): (usize, &String)| Entry {
        name: name.clone(),
        style: Style { color: colors[i % colors.len()], line: Line::Solid },
    };
    let parts = parts.into_iter().filter(|_| says_something).map(part_entry(Some(Color::AXIS)));
    // Parts first: a long list of runs is cut off at its end.
    parts.chain(chart.runs.iter().enumerate().map(run_entry)).collect()
}

/// What stands above a chart.
pub fn title(chart: &Chart) -> String {
    let name = words(&chart.name);
    match chart.runs.as_slice() {
        [run] if run.is_empty() => name,
        [run] => format!("{name} of {run}"),
        runs => format!("{name} of {} runs", runs.len()),
    }
}

/// The vertical axis's label.
pub fn y_label(chart: &Chart) -> String {
    let name = words(&chart.name);
    if chart.y.log { format!("{name} (log scale)") } else { name }
}

fn words(name: &str) -> String {
    name.replace('_', " ")
}
