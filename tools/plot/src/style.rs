//! The styles of curves and the entries of the legend: the same in pictures and in a terminal.

use crate::{
    chart::{Chart, Curve},
    scene::Color,
    series::Series,
};

/// The color and the line of a curve.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Style {
    /// Index among all styles: every color solid, then every color dashed, and so on.
    pub index: usize,
    pub color: Color,
    pub dash: Dash,
    pub line: Line,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    Full,
    /// The training beside the validation of one run.
    Thin,
    /// Thin and light, behind the others.
    Pale,
    /// A mark at each point.
    Dots,
}

/// The dash pattern, which distinguishes runs of one color.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dash {
    Solid,
    Dashed,
    Dotted,
    /// Dash-dotted.
    Mixed,
}

const DASHES: [Dash; 4] = [Dash::Solid, Dash::Dashed, Dash::Dotted, Dash::Mixed];

/// Number of styles that a list of colors gives.
pub fn count(colors: &[Color]) -> usize {
    colors.len() * DASHES.len()
}

/// An entry of the legend.
#[derive(Debug, Clone)]
pub struct Entry {
    pub name: String,
    /// `None` for a run.
    pub series: Option<Series>,
    pub style: Style,
}

/// The entries of the legend.
#[derive(Debug, Default)]
pub struct Legend {
    /// Train, validation and so on, by the kind of line.
    pub series: Vec<Entry>,
    pub runs: Vec<Entry>,
}

impl Legend {
    pub fn is_empty(&self) -> bool {
        self.series.is_empty() && self.runs.is_empty()
    }
}

/// With one run, each series has its own color; with several, each run has, and each series its own kind of line.
pub fn style(chart: &Chart, curve: &Curve, colors: &[Color]) -> Style {
    let alone = chart.runs.len() == 1;
    let index = match curve.series {
        _ if !alone => curve.run,
        Series::Train | Series::Unsplit | Series::Batch => 0,
        Series::Validation => 1,
        Series::Test => 2,
    };
    let others = chart.curves.iter().any(|other| other.series != curve.series);
    let line = match curve.series {
        // The smoothed curve is drawn as the line, over the values themselves.
        Series::Batch if curve.smoothed.is_some() && others => Line::Thin,
        Series::Batch if curve.smoothed.is_some() => Line::Full,
        Series::Batch => Line::Pale,
        Series::Test => Line::Dots,
        Series::Train if !alone && chart.curves.iter().any(|curve| curve.series == Series::Validation) => Line::Thin,
        Series::Train | Series::Validation | Series::Unsplit => Line::Full,
    };
    styled(index, line, colors)
}

fn styled(index: usize, line: Line, colors: &[Color]) -> Style {
    let color = colors[index % colors.len()];
    Style { index, color, dash: DASHES[index / colors.len() % DASHES.len()], line }
}

/// The entries of a chart's legend: none where there is one curve, whose name is the title.
pub fn legend(chart: &Chart, colors: &[Color]) -> Legend {
    let alone = chart.runs.len() == 1;
    let mut all: Vec<(Series, Style)> = Vec::new();
    for curve in &chart.curves {
        if !all.iter().any(|(series, _)| *series == curve.series) {
            all.push((curve.series, style(chart, curve, colors)));
        }
    }
    all.sort_by_key(|(series, _)| *series);
    let has_series = all.len() > 1 || all.iter().any(|(series, _)| *series != Series::Unsplit);
    let series_entry = |(series, style): (Series, Style)| {
        let gray = Style { color: Color::AXIS, dash: Dash::Solid, ..style };
        Entry { name: words(series.name(&chart.name)), series: Some(series), style: if alone { style } else { gray } }
    };
    let run_entry = |(run, name): (usize, &String)| {
        let dots = chart.curves.iter().filter(|curve| curve.run == run).all(|curve| curve.series == Series::Test);
        Entry {
            name: name.clone(),
            series: None,
            style: styled(run, if dots { Line::Dots } else { Line::Full }, colors),
        }
    };
    Legend {
        series: all.into_iter().filter(|_| has_series).map(series_entry).collect(),
        runs: chart.runs.iter().enumerate().filter(|_| !alone).map(run_entry).collect(),
    }
}

/// The title of a chart.
pub fn title(chart: &Chart) -> String {
    let name = words(chart.title.as_deref().unwrap_or(&chart.name));
    match chart.runs.as_slice() {
        [run] if run.is_empty() => name,
        [run] => format!("{name} of {run}"),
        runs => format!("{name} of {} runs", runs.len()),
    }
}

/// The vertical axis's label.
pub fn y_label(chart: &Chart) -> String {
    let also = if chart.also.is_empty() { String::new() } else { format!(" = {}", words(&chart.also.join(", "))) };
    let scale = if chart.y.log { " (log scale)" } else { "" };
    format!("{}{also}{scale}", words(&chart.y_name))
}

fn words(name: &str) -> String {
    name.replace('_', " ")
}
