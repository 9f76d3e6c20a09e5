//! A chart: curves over one pair of axes.

use crate::{
    axis::{Axis, is_drawable},
    points::Point,
    series::Series,
    settings::{Limits, YScale},
};
use anyhow::{bail, ensure};

/// Curves of one metric, of all runs.
#[derive(Debug)]
pub struct Chart {
    /// The metric without `train_`, `val_` or `test_`; what `plot.charts` calls it.
    pub name: String,
    /// The title, where it is not the name.
    pub title: Option<String>,
    pub x_name: &'static str,
    pub y_name: String,
    pub x: Axis,
    pub y: Axis,
    /// Whether `plot.ylim` sets the range of the vertical axis: curves are clipped to it.
    pub limited: bool,
    /// Labels of the runs that have a curve here.
    pub runs: Vec<String>,
    pub curves: Vec<Curve>,
    /// Names of other metrics with the same values.
    pub also: Vec<String>,
}

/// A line through the samples of one metric of one run.
#[derive(Debug)]
pub struct Curve {
    /// The metric's full name.
    pub metric: String,
    /// Index in the chart's `runs`.
    pub run: usize,
    pub series: Series,
    /// In order of x, before smoothing.
    pub points: Vec<Point>,
    pub smoothed: Option<Vec<Point>>,
    /// A highlighted point: the suggestion of a learning-rate finder.
    pub marked: Option<Point>,
}

/// How much of the height stays free above and below the curves.
const MARGIN: f64 = 0.04;

/// How the range and the scale of the vertical axis are chosen.
#[derive(Debug, Clone, Copy)]
pub struct YAxisOptions {
    pub scale: YScale,
    /// Whether `auto` may take a log scale, and from which ratio of the largest to the smallest value.
    pub log_ratio: Option<f64>,
    pub limits: Limits,
}

impl YAxisOptions {
    /// The axis of a chart named `name` with these curves; values that it cannot show become gaps.
    ///
    /// # Errors
    /// One line: there is nothing to draw, or nothing within the limits.
    pub fn axis(self, name: &str, curves: &mut [Curve]) -> anyhow::Result<Axis> {
        let all: usize = curves.iter().map(|curve| curve.points.len()).sum();
        let low = self.limits.low;
        ensure!(
            curves.iter().flat_map(Curve::values).next().is_some(),
            "{name}: nothing to draw: of {all} values, none is a finite number"
        );
        let log = match self.scale {
            YScale::Linear => false,
            YScale::Log => {
                ensure!(
                    curves.iter().flat_map(Curve::values).any(|value| value > 0.0),
                    "{name}: nothing to draw on a log scale: no value is above 0; y_scale=linear draws it"
                );
                ensure!(
                    low.is_none_or(|low| low > 0.0),
                    "plot.ylim: {}; a log scale needs a lower end above 0 (or y_scale=linear)",
                    self.limits
                );
                true
            }
            YScale::Auto => {
                low.is_none_or(|low| low > 0.0) && self.log_ratio.is_some_and(|ratio| suits_log(curves, ratio))
            }
        };
        if log {
            curves.iter_mut().for_each(Curve::drop_nonpositive);
        }
        let axis = self.limits.over(Axis::over(curves.iter().flat_map(Curve::values), log, MARGIN));
        let Some(axis) = axis else { bail!("plot.ylim: {}; the values of {name} are all beyond", self.limits) };
        let inside = |value| value >= axis.low && value <= axis.high;
        ensure!(
            curves.iter().flat_map(Curve::values).any(inside),
            "plot.ylim: {}; the values of {name} are all beyond",
            self.limits
        );
        Ok(axis)
    }
}

/// Whether all curves fall, over more than `ratio`: losses do, accuracies do not.
fn suits_log(curves: &[Curve], ratio: f64) -> bool {
    let values = || curves.iter().flat_map(Curve::values);
    let (low, high) = values().fold((f64::INFINITY, 0.0f64), |(low, high), v| (low.min(v), high.max(v)));
    let falls = |curve: &Curve| {
        let mut values = curve.values();
        let first = values.next();
        first.zip(values.last()).is_none_or(|(first, last)| last < first)
    };
    low > 0.0 && high > low * ratio && curves.iter().all(falls)
}

impl Curve {
    /// Values that can be drawn on a linear axis.
    pub fn values(&self) -> impl Iterator<Item = f64> + '_ {
        self.points.iter().map(|point| point.1).filter(|value| is_drawable(*value, false))
    }

    /// The points of the line: smoothed, where there is smoothing.
    pub fn line(&self) -> &[Point] {
        self.smoothed.as_ref().unwrap_or(&self.points)
    }

    fn drop_nonpositive(&mut self) {
        for points in [Some(&mut self.points), self.smoothed.as_mut()].into_iter().flatten() {
            points.iter_mut().filter(|point| !is_drawable(point.1, true)).for_each(|point| point.1 = f64::NAN);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(values: &[f64]) -> Curve {
        let points = values.iter().enumerate().map(|(i, v)| (i as f64, *v)).collect();
        Curve { metric: "m".into(), run: 0, series: Series::Unsplit, points, smoothed: None, marked: None }
    }

    #[test]
    fn what_falls_by_orders_of_magnitude_is_drawn_on_a_log_scale() {
        assert!(suits_log(&[curve(&[1.0, 0.1, 0.001])], 100.0));
        assert!(!suits_log(&[curve(&[1.0, 0.1, 0.05])], 100.0));
        assert!(!suits_log(&[curve(&[0.001, 0.1, 1.0])], 100.0));
        assert!(!suits_log(&[curve(&[1.0, 0.1, 0.0])], 100.0));
        assert!(!suits_log(&[], 100.0));
    }

    #[test]
    fn a_chart_without_a_value_to_draw_is_an_error() {
        let axis = |values: &[f64], scale, low, high| {
            let limits = Limits { low, high };
            YAxisOptions { scale, log_ratio: Some(30.0), limits }.axis("m", &mut [curve(values)])
        };
        let error =
            |values: &[f64], scale, low, high| axis(values, scale, low, high).expect_err("no chart").to_string();
        assert!(error(&[], YScale::Auto, None, None).starts_with("m: nothing to draw: of 0 values"));
        assert!(error(&[f64::NAN, f64::INFINITY], YScale::Log, None, None).contains("of 2 values, none is a finite"));
        assert!(error(&[-1.0, 0.0], YScale::Log, None, None).contains("y_scale=linear draws it"));
        assert!(error(&[1.0], YScale::Log, Some(0.0), None).starts_with("plot.ylim: [0, null]; a log scale"));
        assert!(error(&[1.0, 2.0], YScale::Auto, Some(3.0), None).contains("all beyond"));
        assert!(error(&[1.0, 2.0], YScale::Auto, None, Some(0.5)).contains("all beyond"));
        assert!(error(&[1.0, 3.0], YScale::Linear, Some(1.5), Some(2.0)).contains("all beyond"));
        let axis = axis(&[1.0, 1e-9], YScale::Auto, Some(0.0), Some(2.0)).expect("a chart");
        assert_eq!(axis, Axis { low: 0.0, high: 2.0, log: false });
    }
}
