//! How curves look, and the legend that says so: the same in pictures and in a terminal.

use crate::{
    chart::{Chart, Curve},
    metric::Part,
    scene::Color,
};

/// The look of a curve.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Style {
    /// Which of all looks it is: a color, and from one dash pattern to the next the colors again.
    pub look: usize,
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

/// What tells runs of one color apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dash {
    Solid,
    Dashed,
    Dotted,
    /// Dashes and dots by turns.
    Mixed,
}

const DASHES: [Dash; 4] = [Dash::Solid, Dash::Dashed, Dash::Dotted, Dash::Mixed];

/// How many looks there are of so many colors.
pub fn looks(colors: &[Color]) -> usize {
    colors.len() * DASHES.len()
}

/// A line of the legend.
#[derive(Debug, Clone)]
pub struct Entry {
    pub name: String,
    /// Which part it is about; None for a run.
    pub part: Option<Part>,
    pub style: Style,
}

/// What the legend says.
#[derive(Debug, Default)]
pub struct Legend {
    /// What kinds of lines stand for.
    pub parts: Vec<Entry>,
    pub runs: Vec<Entry>,
}

impl Legend {
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty() && self.runs.is_empty()
    }
}

/// One run: a look for each part. Several: a look for each run, a line for each part.
pub fn style(chart: &Chart, curve: &Curve, colors: &[Color]) -> Style {
    let alone = chart.runs.len() == 1;
    let look = match curve.part {
        _ if !alone => curve.run,
        Part::Train | Part::Whole | Part::Batch => 0,
        Part::Validation => 1,
        Part::Test => 2,
    };
    let others = chart.curves.iter().any(|other| other.part != curve.part);
    let line = match curve.part {
        // With a smoothed curve over it, that is the line, and the values themselves are its shade.
        Part::Batch if curve.smoothed.is_some() && others => Line::Thin,
        Part::Batch if curve.smoothed.is_some() => Line::Full,
        Part::Batch => Line::Pale,
        Part::Test => Line::Dots,
        Part::Train if !alone && chart.curves.iter().any(|curve| curve.part == Part::Validation) => Line::Thin,
        Part::Train | Part::Validation | Part::Whole => Line::Full,
    };
    styled(look, line, colors)
}

fn styled(look: usize, line: Line, colors: &[Color]) -> Style {
    let color = colors[look % colors.len()];
    Style { look, color, dash: DASHES[look / colors.len() % DASHES.len()], line }
}

/// What the legend says: nothing where there is one curve, whose name is the title.
pub fn legend(chart: &Chart, colors: &[Color]) -> Legend {
    let alone = chart.runs.len() == 1;
    let mut parts: Vec<(Part, Style)> = Vec::new();
    for curve in &chart.curves {
        if !parts.iter().any(|(part, _)| *part == curve.part) {
            parts.push((curve.part, style(chart, curve, colors)));
        }
    }
    parts.sort_by_key(|(part, _)| *part);
    let says_something = parts.len() > 1 || parts.iter().any(|(part, _)| *part != Part::Whole);
    let part_entry = |(part, style): (Part, Style)| {
        let gray = Style { color: Color::AXIS, dash: Dash::Solid, ..style };
        Entry { name: words(part.name(&chart.name)), part: Some(part), style: if alone { style } else { gray } }
    };
    let run_entry = |(run, name): (usize, &String)| {
        let dots = chart.curves.iter().filter(|curve| curve.run == run).all(|curve| curve.part == Part::Test);
        Entry { name: name.clone(), part: None, style: styled(run, if dots { Line::Dots } else { Line::Full }, colors) }
    };
    Legend {
        parts: parts.into_iter().filter(|_| says_something).map(part_entry).collect(),
        runs: chart.runs.iter().enumerate().filter(|_| !alone).map(run_entry).collect(),
    }
}

/// What stands above a chart.
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
