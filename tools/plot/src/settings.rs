//! Config group `plot`.

use crate::scene::Color;
use anyhow::ensure;
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
    pub smoothing: f64,
    pub charts: Option<Vec<String>>,
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

/// Of a picture, in pixels: beyond, a PNG takes gigabytes.
pub const LONGEST_SIDE: u32 = 10_000;

/// What pictures are written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    Svg,
    Png,
    Both,
}

/// What the horizontal axis counts.
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
        let side = 100..=LONGEST_SIDE; // below, nothing is readable
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
        for (key, tiles) in [("rows", settings.gallery_rows), ("columns", settings.gallery_columns)] {
            ensure!((1..=100).contains(&tiles), "plot.gallery_{key}: {tiles}; expected 1 to 100");
        }
        let tile = settings.gallery_tile;
        ensure!((8..=1000).contains(&tile), "plot.gallery_tile: {tile}; expected 8 to 1000");
        ensure!(!settings.colors.is_empty(), "plot.colors: expected at least one, for instance [\"#0072B2\"]");
        Ok(settings)
    }
}
