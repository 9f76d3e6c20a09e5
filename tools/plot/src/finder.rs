//! The curve of a learning-rate finder, `finder.csv` of `train --find-learning-rate`, and its chart.

use crate::{
    axis::{Axis, is_drawable},
    chart::{Chart, Curve, YAxisOptions},
    labels::{self, Identity},
    points::Point,
    series::Series,
    settings::Settings,
};
use anyhow::ensure;

/// The name of the chart and of its file.
pub const CHART: &str = "finder";
/// The columns of the table.
pub const COLUMNS: [&str; 2] = ["learning_rate", "loss"];

/// Learning rate and smoothed loss of each step, in order of the learning rate.
#[derive(Debug)]
pub struct Finder {
    pub identity: Identity,
    pub points: Vec<Point>,
}

/// All curves in one chart, over a logarithmic axis, with the suggestion of each.
///
/// # Errors
/// When there is nothing to draw.
pub fn chart(finders: &[Finder], settings: &Settings) -> anyhow::Result<Chart> {
    let mut curves: Vec<Curve> = finders.iter().enumerate().map(|(run, finder)| curve(run, finder)).collect();
    let suggestion = |curve: &Curve| curve.marked.map_or(String::new(), |(rate, _)| format!(": {rate:.3e} suggested"));
    let labels = labels::of(finders.iter().map(|finder| &finder.identity));
    let runs = labels.iter().zip(&curves).map(|(label, curve)| format!("{label}{}", suggestion(curve))).collect();
    let limits = settings.ylim.of(CHART);
    // On a log scale, a loss that rises by orders of magnitude at the end would hide where it falls.
    let y = YAxisOptions { scale: settings.y_scale, log_ratio: None, limits }.axis(CHART, &mut curves)?;
    let rates = || curves.iter().flat_map(|curve| curve.points.iter().map(|point| point.0));
    ensure!(rates().any(|rate| is_drawable(rate, true)), "{CHART}: nothing to draw: no learning rate is above 0");
    let x = Axis::over(rates(), true, 0.0);
    Ok(Chart {
        name: CHART.into(),
        title: Some("learning-rate finder".into()),
        x_name: "learning rate",
        y_name: "loss".into(),
        x,
        y,
        limited: limits.any(),
        runs,
        curves,
        also: Vec::new(),
    })
}

fn curve(run: usize, finder: &Finder) -> Curve {
    let points: Vec<Point> = finder.points.iter().filter(|point| is_drawable(point.0, true)).copied().collect();
    let suggested = metrics::suggested_learning_rate(&finder.points);
    let marked = suggested.and_then(|rate| points.iter().find(|point| point.0 == rate).copied());
    let marked = marked.filter(|point| is_drawable(point.1, false));
    Curve { metric: "loss".into(), run, series: Series::Unsplit, points, smoothed: None, marked }
}
