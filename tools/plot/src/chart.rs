//! Charts: which curves stand in one picture, and on which axes.

use crate::{
    axis::{Axis, is_drawable},
    curve::{Point, smoothed},
    names,
    run::Run,
    settings::{Settings, X, YScale},
};
use anyhow::{bail, ensure};
use indexmap::IndexMap;

/// Curves of one metric, of all runs.
#[derive(Debug)]
pub struct Chart {
    /// The metric without `train_`, `val_` or `test_`.
    pub name: String,
    pub x_name: &'static str,
    pub x: Axis,
    pub y: Axis,
    /// Names of the runs that have a curve here.
    pub runs: Vec<String>,
    pub curves: Vec<Curve>,
}

/// A line through the samples of one metric of one run.
#[derive(Debug)]
pub struct Curve {
    /// The metric's full name.
    pub metric: String,
    /// Index in the chart's `runs`.
    pub run: usize,
    pub part: Part,
    /// In order of x. Where there is smoothing, this is what it was made from.
    pub points: Vec<Point>,
    pub smoothed: Option<Vec<Point>>,
}

/// What a metric was measured on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    Train,
    Validation,
    Test,
    /// The metric has no such part.
    Whole,
    /// A batch's own value.
    Batch,
}

impl Part {
    /// What the legend calls it; `metric` is the chart's own name.
    pub fn name(self, metric: &str) -> &str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
            Self::Whole => metric,
            Self::Batch => "batch",
        }
    }

    /// Whether it is drawn pale, behind the others.
    pub fn is_pale(self) -> bool {
        self == Self::Batch
    }
}

const LOSS: &str = "loss";
const LEARNING_RATE: &str = "learning_rate";

/// How much of the height stays free above and below the curves.
const MARGIN: f64 = 0.04;

/// The chart and the part that a metric belongs to.
fn place(metric: &str) -> (&str, Part) {
    const PARTS: [(&str, Part); 4] =
        [("train", Part::Train), ("val", Part::Validation), ("validation", Part::Validation), ("test", Part::Test)];
    let found = PARTS.iter().find_map(|(prefix, part)| {
        let rest = metric.strip_prefix(prefix)?.strip_prefix(['_', '/'])?;
        (!rest.is_empty()).then_some((rest, *part))
    });
    match found {
        Some((name, Part::Train)) if name.strip_suffix("_step").is_some_and(|name| !name.is_empty()) => {
            (name.trim_end_matches("_step"), Part::Batch)
        }
        // Lightning's name of a mean over an epoch.
        Some((name, part)) => (name.strip_suffix("_epoch").unwrap_or(name), part),
        None => (metric, Part::Whole),
    }
}

/// All charts that the settings ask for, the loss first, the learning rate last.
///
/// # Errors
/// When there is nothing to draw, no axis that all runs have, or no chart of a name.
pub fn charts(runs: &[Run], settings: &Settings) -> anyhow::Result<Vec<Chart>> {
    let paths: Vec<&[String]> = runs.iter().map(|run| run.path.as_slice()).collect();
    let run_names = names::distinguishing(&paths);
    let x = common_axis(runs, &run_names, settings.x)?;
    let mut groups: IndexMap<&str, Vec<(usize, &str, Part)>> = IndexMap::new();
    for (run, metric) in runs.iter().enumerate().flat_map(|(i, run)| run.metrics.keys().map(move |name| (i, name))) {
        let (chart, part) = place(metric);
        groups.entry(chart).or_default().push((run, metric, part));
    }
    groups.sort_by_key(|name, _| match *name {
        LOSS => 0,
        LEARNING_RATE => 2,
        _ => 1,
    });
    let chosen = choose(groups.keys().copied().collect(), settings.charts.as_deref())?;
    Ok(chosen.into_iter().map(|name| chart(name, &groups[name], runs, &run_names, x, settings)).collect())
}

/// The wanted axis, or else the one that all runs have.
fn common_axis(runs: &[Run], names: &[String], wanted: X) -> anyhow::Result<X> {
    let lacks = |x| runs.iter().position(|run| !run.has(x));
    match (lacks(wanted), lacks(wanted.other())) {
        (None, _) => Ok(wanted),
        (Some(_), None) => Ok(wanted.other()),
        (Some(a), Some(b)) if a == b => bail!("{}: nothing was measured yet: no metric at a step or epoch", names[a]),
        (Some(a), Some(b)) => {
            let (x, y) = (wanted.name(), wanted.other().name());
            bail!("{} has no {x}s and {} no {y}s: there is no axis for both", names[a], names[b])
        }
    }
}

fn choose<'a>(known: Vec<&'a str>, wanted: Option<&[String]>) -> anyhow::Result<Vec<&'a str>> {
    let Some(wanted) = wanted else { return Ok(known) };
    ensure!(!wanted.is_empty(), "plot.charts: no chart is named; null draws all");
    let find = |wanted: &String| match known.iter().find(|name| *name == wanted) {
        Some(name) => Ok(*name),
        None => bail!("plot.charts: no chart {wanted:?}; there is {}", known.join(", ")),
    };
    wanted.iter().map(find).collect()
}

fn chart(
    name: &str,
    metrics: &[(usize, &str, Part)],
    runs: &[Run],
    run_names: &[String],
    x: X,
    settings: &Settings,
) -> Chart {
    let mut present: Vec<usize> = metrics.iter().map(|(run, ..)| *run).collect();
    present.dedup();
    let curve = |&(run, metric, part): &(usize, &str, Part)| {
        let samples = runs[run].metrics[metric].iter().filter(|sample| is_drawable(sample.at(x), false));
        let mut points: Vec<Point> = samples.map(|sample| (sample.at(x), sample.value)).collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        let smoothed = (settings.smoothing > 0.0).then(|| smoothed(&points, settings.smoothing));
        let run = present.iter().position(|other| *other == run).unwrap_or_default();
        Curve { metric: metric.to_owned(), run, part, points, smoothed }
    };
    let mut curves: Vec<Curve> = metrics.iter().map(curve).collect();
    // Pale ones lie behind; otherwise runs are in the order they were given.
    curves.sort_by_key(|curve| (!curve.part.is_pale(), curve.run, curve.part));
    let log = match settings.y_scale {
        YScale::Linear => false,
        YScale::Log => curves.iter().flat_map(Curve::values).any(|value| value > 0.0),
        // A schedule is read by its shape.
        YScale::Auto => name != LEARNING_RATE && suits_log(&curves, settings.log_ratio),
    };
    if log {
        curves.iter_mut().for_each(Curve::leave_out_what_has_no_logarithm);
    }
    let xs = curves.iter().flat_map(|curve| curve.points.iter().map(|point| point.0));
    Chart {
        name: name.to_owned(),
        x_name: x.name(),
        x: Axis::over(xs, false, 0.0),
        y: Axis::over(curves.iter().flat_map(Curve::values), log, MARGIN),
        runs: present.iter().map(|run| run_names[*run].clone()).collect(),
        curves,
    }
}

/// Errors fall towards zero, by orders of magnitude; scores rise towards one.
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
    fn values(&self) -> impl Iterator<Item = f64> + '_ {
        self.points.iter().map(|point| point.1).filter(|value| is_drawable(*value, false))
    }

    fn leave_out_what_has_no_logarithm(&mut self) {
        for points in [Some(&mut self.points), self.smoothed.as_mut()].into_iter().flatten() {
            points.iter_mut().filter(|point| !is_drawable(point.1, true)).for_each(|point| point.1 = f64::NAN);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_of_one_name_share_a_chart() {
        for (metric, name, part) in [
            ("train_loss", "loss", Part::Train),
            ("train_loss_step", "loss", Part::Batch),
            ("train_loss_epoch", "loss", Part::Train),
            ("val_loss", "loss", Part::Validation),
            ("val/acc", "acc", Part::Validation),
            ("test_r2", "r2", Part::Test),
            ("learning_rate", "learning_rate", Part::Whole),
            ("value", "value", Part::Whole),
            ("train_", "train_", Part::Whole),
            ("training_loss", "training_loss", Part::Whole),
        ] {
            assert_eq!(place(metric), (name, part), "{metric}");
        }
    }

    fn curve(values: &[f64]) -> Curve {
        let points = values.iter().enumerate().map(|(i, v)| (i as f64, *v)).collect();
        Curve { metric: "m".into(), run: 0, part: Part::Whole, points, smoothed: None }
    }

    #[test]
    fn what_falls_by_orders_of_magnitude_is_drawn_on_a_log_scale() {
        assert!(suits_log(&[curve(&[1.0, 0.1, 0.001])], 100.0));
        assert!(!suits_log(&[curve(&[1.0, 0.1, 0.05])], 100.0));
        assert!(!suits_log(&[curve(&[0.001, 0.1, 1.0])], 100.0));
        assert!(!suits_log(&[curve(&[1.0, 0.1, 0.0])], 100.0));
        assert!(!suits_log(&[], 100.0));
    }
}
