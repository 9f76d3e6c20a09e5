//! Config group `plot`.

use crate::{
    axis::{Axis, is_drawable},
    scene::Color,
};
use anyhow::ensure;
use cli::printable;
use indexmap::IndexMap;
use serde::Deserialize;
use std::path::PathBuf;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    pub out: PathBuf,
    pub format: Format,
    pub width: u32,
    pub height: u32,
    pub font_size: f64,
    pub x: X,
    pub y_scale: YScale,
    pub log_ratio: f64,
    pub ylim: Ylim,
    pub smoothing: f64,
    pub charts: Option<Vec<String>>,
    pub hidden_charts: Vec<String>,
    pub max_charts: usize,
    pub labels: Option<Vec<String>>,
    pub image_field: String,
    pub target_field: String,
    pub prediction_field: String,
    pub gallery_rows: usize,
    pub gallery_columns: usize,
    pub gallery_tile: u32,
    pub colors: Vec<Color>,
    pub terminal_width: usize,
    pub terminal_height: usize,
    pub refresh: f64,
}

/// Limit on the sides of a picture in pixels: a larger PNG takes gigabytes.
pub const MAX_SIDE: u32 = 10_000;

/// The format of pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    Svg,
    Png,
    Both,
}

/// The quantity on the horizontal axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum X {
    Step,
    Epoch,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum YScale {
    Auto,
    Linear,
    Log,
}

/// The range of a vertical axis; `None` fits the values.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(from = "[Option<f64>; 2]")]
pub struct Limits {
    pub low: Option<f64>,
    pub high: Option<f64>,
}

/// Limits of vertical axes.
#[derive(Debug, Clone, Deserialize)]
#[serde(
    untagged,
    expecting = "expected [lowest, highest], such as [0, 1], or one such pair a chart: {loss: [0, null]}"
)]
pub enum Ylim {
    Automatic(()),
    All(Limits),
    Each(IndexMap<String, Limits>),
}

impl From<[Option<f64>; 2]> for Limits {
    fn from([low, high]: [Option<f64>; 2]) -> Self {
        Self { low, high }
    }
}

impl std::fmt::Display for Limits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [low, high] = [self.low, self.high].map(|end| end.map_or("null".to_owned(), |end| end.to_string()));
        write!(f, "[{low}, {high}]")
    }
}

impl Limits {
    /// Whether there is one.
    pub fn any(self) -> bool {
        self.low.is_some() || self.high.is_some()
    }

    /// The axis with these ends; None where nothing is between them.
    pub fn over(self, axis: Axis) -> Option<Axis> {
        let (low, high) = (self.low.unwrap_or(axis.low), self.high.unwrap_or(axis.high));
        (low < high).then_some(Axis { low, high, ..axis })
    }

    fn check(self) -> anyhow::Result<()> {
        let sensible = |end: Option<f64>| end.is_none_or(|end| is_drawable(end, false));
        let in_order = self.low.zip(self.high).is_none_or(|(low, high)| low < high);
        ensure!(sensible(self.low) && sensible(self.high) && in_order, "plot.ylim: {self}; expected [lowest, highest]");
        Ok(())
    }
}

impl Ylim {
    /// The limits of a chart.
    pub fn of(&self, chart: &str) -> Limits {
        match self {
            Self::Automatic(()) => Limits::default(),
            Self::All(limits) => *limits,
            Self::Each(limits) => limits.get(chart).copied().unwrap_or_default(),
        }
    }

    /// Whether every chart that it names is one of `known`.
    ///
    /// # Errors
    /// One line that names those that there are.
    pub fn check(&self, known: &[&str]) -> anyhow::Result<()> {
        let Self::Each(limits) = self else { return Ok(()) };
        let unknown = limits.keys().find(|name| !known.contains(&name.as_str()));
        ensure!(
            unknown.is_none(),
            "plot.ylim: no chart {:?}; there is {}",
            unknown.map_or("", String::as_str),
            printable(&known.join(", "))
        );
        Ok(())
    }

    fn all(&self) -> Vec<Limits> {
        match self {
            Self::Automatic(()) => Vec::new(),
            Self::All(limits) => vec![*limits],
            Self::Each(limits) => limits.values().copied().collect(),
        }
    }
}

impl X {
    pub fn name(self) -> &'static str {
        match self {
            Self::Step => "step",
            Self::Epoch => "epoch",
        }
    }

    pub fn other(self) -> Self {
        match self {
            Self::Step => Self::Epoch,
            Self::Epoch => Self::Step,
        }
    }
}

impl Settings {
    /// Reads the group and checks what its types do not.
    pub fn read(document: &config::Document) -> anyhow::Result<Self> {
        let settings: Self = document.section("plot")?;
        let side = 100..=MAX_SIDE; // below, nothing is readable
        for (key, pixels) in [("width", settings.width), ("height", settings.height)] {
            ensure!(side.contains(&pixels), "plot.{key}: {pixels}; expected {} to {}", side.start(), side.end());
        }
        for (key, cells) in [("width", settings.terminal_width), ("height", settings.terminal_height)] {
            ensure!((10..=1000).contains(&cells), "plot.terminal_{key}: {cells}; expected 10 to 1000");
        }
        ensure!(
            (4.0..=100.0).contains(&settings.font_size),
            "plot.font_size: {}; expected 4 to 100",
            settings.font_size
        );
        let weight = settings.smoothing;
        ensure!((0.0..1.0).contains(&weight), "plot.smoothing: {weight}; expected 0 (off) to below 1");
        ensure!(settings.log_ratio >= 1.0, "plot.log_ratio: {}; expected at least 1", settings.log_ratio);
        ensure!(
            (0.0..=60.0).contains(&settings.refresh),
            "plot.refresh: {}; expected 0 to 60 seconds",
            settings.refresh
        );
        settings.ylim.all().into_iter().try_for_each(Limits::check)?;
        ensure!(settings.max_charts >= 1, "plot.max_charts: 0; expected at least 1");
        for (key, tiles) in [("rows", settings.gallery_rows), ("columns", settings.gallery_columns)] {
            ensure!((1..=100).contains(&tiles), "plot.gallery_{key}: {tiles}; expected 1 to 100");
        }
        let tile = settings.gallery_tile;
        ensure!((8..=1000).contains(&tile), "plot.gallery_tile: {tile}; expected 8 to 1000");
        ensure!(!settings.colors.is_empty(), "plot.colors: expected at least one, for instance [\"#0072B2\"]");
        Ok(settings)
    }
}
