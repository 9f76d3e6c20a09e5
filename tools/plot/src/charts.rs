//! The charts of runs: which metrics share one, which are drawn, and their curves.

use crate::{
    axis::{Axis, is_drawable},
    chart::{Chart, Curve, YAxisOptions},
    finder::{self, Finder},
    labels,
    points::{Point, smoothed, spacing},
    run::{Measurement, Run},
    series::{self, Series},
    settings::{Settings, X},
};
use anyhow::{anyhow, bail, ensure};
use cli::printable;
use indexmap::IndexMap;
use runs::Status;

const LOSS: &str = "loss";
const LEARNING_RATE: &str = "learning_rate";

/// The curves of a chart: run, metric and series of each.
type Members<'a> = Vec<(usize, &'a str, Series)>;

/// The charts that the settings ask for, at most `max_charts`: the loss first, the learning rate last.
///
/// # Errors
/// When there is nothing to draw, no axis that all runs have, no chart of a name, or a chart without a value.
pub fn charts(runs: &[Run], finders: &[Finder], settings: &Settings, max_charts: usize) -> anyhow::Result<Vec<Chart>> {
    let groups = grouped(runs);
    let mut known: Vec<&str> = groups.keys().copied().collect();
    known.extend((!finders.is_empty()).then_some(finder::CHART));
    if known.is_empty() {
        ensure!(
            runs.is_empty(),
            "{}: nothing was measured yet: no metric at a step or epoch",
            labels::of(runs.iter().map(|run| &run.identity))[0]
        );
        return Ok(Vec::new());
    }
    settings.ylim.check(&known)?;
    let (hidden, also) = unasked(&groups, runs, settings);
    let mut chosen = choose(&known, &hidden, settings)?;
    chosen.truncate(max_charts);
    let mut charts = Vec::new();
    let drawer = if runs.is_empty() { None } else { Some(Drawer::new(runs, settings)?) };
    for name in &chosen {
        let drawn = match (groups.get(name), &drawer) {
            (Some(members), Some(drawer)) => drawer.chart(name, members),
            _ => finder::chart(finders, settings),
        };
        let mut chart = drawn.map_err(|problem| anyhow!("{}{}", cli::describe(&problem), without(&chosen, name)))?;
        if *name == LOSS {
            chart.also = also.iter().map(|name| (*name).to_owned()).collect();
        }
        charts.push(chart);
    }
    Ok(charts)
}

/// The metrics by the chart they belong to.
fn grouped(runs: &[Run]) -> IndexMap<&str, Members<'_>> {
    let mut groups: IndexMap<&str, Members> = IndexMap::new();
    for (run, metric) in runs.iter().enumerate().flat_map(|(i, run)| run.metrics.keys().map(move |name| (i, name))) {
        let (chart, series) = series::of_metric(metric);
        groups.entry(chart).or_default().push((run, metric, series));
    }
    groups.sort_by_key(|name, _| match *name {
        LOSS => 0,
        LEARNING_RATE => 2,
        _ => 1,
    });
    groups
}

/// The charts that are drawn only where `plot.charts` names them, and those of them that are the loss once more.
fn unasked<'a>(
    groups: &IndexMap<&'a str, Members<'a>>,
    runs: &[Run],
    settings: &Settings,
) -> (Vec<&'a str>, Vec<&'a str>) {
    let repeats = |members: &Members| groups.get(LOSS).is_some_and(|loss| repeats(members, loss, runs));
    let also: Vec<&str> =
        groups.iter().filter(|(name, members)| **name != LOSS && repeats(members)).map(|(name, _)| *name).collect();
    let named = |name: &&&str| settings.hidden_charts.iter().any(|hidden| hidden == **name);
    let hidden = groups.keys().filter(named).chain(&also).copied().collect();
    (hidden, also)
}

/// Whether each curve is one of `loss`, to the last digits.
fn repeats(members: &Members, loss: &Members, runs: &[Run]) -> bool {
    /// A mean that was summed in another order, or in other units, is the same number to this share of it.
    const SAME: f64 = 1e-6;
    let same_value =
        |a: f64, b: f64| (a - b).abs() <= SAME * a.abs().max(b.abs()) || (!a.is_finite() && !b.is_finite());
    let same = |a: &Measurement, b: &Measurement| {
        a.step.to_bits() == b.step.to_bits() && a.epoch.to_bits() == b.epoch.to_bits() && same_value(a.value, b.value)
    };
    members.iter().all(|(run, metric, series)| {
        let twin = loss.iter().find(|(other, _, other_series)| other == run && other_series == series);
        twin.is_some_and(|(_, twin, _)| {
            let (samples, twins) = (&runs[*run].metrics[*metric], &runs[*run].metrics[*twin]);
            samples.len() == twins.len() && samples.iter().zip(twins).all(|(a, b)| same(a, b))
        })
    })
}

fn choose<'a>(known: &[&'a str], hidden: &[&'a str], settings: &Settings) -> anyhow::Result<Vec<&'a str>> {
    let Some(wanted) = &settings.charts else {
        let shown: Vec<&str> = known.iter().filter(|name| !hidden.contains(name)).copied().collect();
        ensure!(
            !shown.is_empty(),
            "there is only what plot.hidden_charts leaves out: charts=[{}] draws it",
            printable(&known.join(","))
        );
        let (count, most) = (shown.len(), settings.max_charts);
        ensure!(
            count <= most,
            "{count} metrics make {count} charts, and plot.max_charts allows {most}: plot.charts names those to draw"
        );
        return Ok(shown);
    };
    ensure!(!wanted.is_empty(), "plot.charts: no chart is named; null draws all");
    let find = |wanted: &String| match known.iter().find(|name| *name == wanted) {
        Some(name) => Ok(*name),
        None => bail!("plot.charts: no chart {wanted:?}; there is {}", printable(&known.join(", "))),
    };
    wanted.iter().map(find).collect()
}

/// How to draw the others where one chart cannot be drawn.
fn without(chosen: &[&str], failed: &str) -> String {
    let others: Vec<&str> = chosen.iter().filter(|name| **name != failed).copied().collect();
    if others.is_empty() { String::new() } else { format!("; charts=[{}] leaves it out", printable(&others.join(","))) }
}

/// What the charts of runs have in common.
struct Drawer<'a> {
    runs: &'a [Run],
    labels: Vec<String>,
    x: X,
    settings: &'a Settings,
}

impl<'a> Drawer<'a> {
    fn new(runs: &'a [Run], settings: &'a Settings) -> anyhow::Result<Self> {
        let labels = labels::of(runs.iter().map(|run| &run.identity));
        let x = common_axis(runs, &labels, settings.x)?;
        Ok(Self { runs, labels, x, settings })
    }

    fn chart(&self, name: &str, members: &Members) -> anyhow::Result<Chart> {
        let mut present: Vec<usize> = members.iter().map(|(run, ..)| *run).collect();
        present.dedup();
        // The values of single batches of several runs would hide all else.
        let all_pale = members.iter().all(|(.., series)| series.is_pale());
        let drawn = members.iter().filter(|(.., series)| present.len() == 1 || all_pale || !series.is_pale());
        let position = |run| present.iter().position(|other| *other == run).unwrap_or_default();
        let mut curves: Vec<Curve> =
            drawn.map(|&(run, metric, series)| self.curve(run, metric, series, position(run))).collect();
        self.smooth(&mut curves);
        // Pale ones lie behind; otherwise runs are in the order they were given.
        curves.sort_by_key(|curve| (!curve.series.is_pale(), curve.run, curve.series));
        let runs = self.run_labels(&present, &curves);
        let name = name.to_owned();
        // A schedule is read by its shape.
        let log_ratio = (name != LEARNING_RATE).then_some(self.settings.log_ratio);
        let limits = self.settings.ylim.of(&name);
        let y =
            YAxisOptions { scale: self.settings.y_scale, log_ratio, limits }.axis(&printable(&name), &mut curves)?;
        let xs = curves.iter().flat_map(|curve| curve.points.iter().map(|point| point.0));
        let x = Axis::over(xs, false, 0.0);
        let (title, also, limited) = (None, Vec::new(), limits.any());
        Ok(Chart { y_name: name.clone(), name, title, x_name: self.x.name(), x, y, limited, runs, curves, also })
    }

    fn curve(&self, run: usize, metric: &str, series: Series, position: usize) -> Curve {
        let samples = self.runs[run].metrics[metric].iter().filter(|sample| is_drawable(sample.at(self.x), false));
        let mut points: Vec<Point> = samples.map(|sample| (sample.at(self.x), sample.value)).collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        Curve { metric: metric.to_owned(), run: position, series, points, smoothed: None, marked: None }
    }

    /// Smooths all curves over as much of the axis as the one whose points are closest: a value an epoch is not averaged
    /// over as many epochs as there are batches in an average of batches.
    fn smooth(&self, curves: &mut [Curve]) {
        let weight = self.settings.smoothing;
        let closest = curves.iter().filter_map(|curve| spacing(&curve.points)).fold(f64::INFINITY, f64::min);
        for curve in curves.iter_mut().filter(|_| weight > 0.0) {
            let ratio = spacing(&curve.points).map_or(1.0, |own| own / closest);
            curve.smoothed = Some(smoothed(&curve.points, libm::pow(weight, ratio)));
        }
    }

    /// The labels of the runs that are present; where a run differs from the others in how it ended, that too.
    fn run_labels(&self, present: &[usize], curves: &[Curve]) -> Vec<String> {
        let some_finished = present.iter().any(|run| self.runs[*run].status == Some(Status::Finished));
        let label = |(position, run): (usize, &usize)| {
            let mut own = curves.iter().filter(|curve| curve.run == position);
            let empty = own.all(|curve| curve.values().next().is_none());
            let remark = match &self.runs[*run].status {
                _ if empty => Some("no finite value"),
                None | Some(Status::Finished) => None,
                Some(status) => Some(status.name()).filter(|_| some_finished),
            };
            let label = &self.labels[*run];
            remark.filter(|_| present.len() > 1).map_or_else(|| label.clone(), |remark| format!("{label} ({remark})"))
        };
        present.iter().enumerate().map(label).collect()
    }
}

/// The wanted axis, or else the one that all runs have.
fn common_axis(runs: &[Run], labels: &[String], wanted: X) -> anyhow::Result<X> {
    let lacks = |x| runs.iter().position(|run| !run.has(x));
    match (lacks(wanted), lacks(wanted.other())) {
        (None, _) => Ok(wanted),
        (Some(_), None) => Ok(wanted.other()),
        (Some(a), Some(b)) if a == b => bail!("{}: nothing was measured yet: no metric at a step or epoch", labels[a]),
        (Some(a), Some(b)) => {
            let (x, y) = (wanted.name(), wanted.other().name());
            bail!("{} has no {x}s and {} no {y}s: there is no axis for both", labels[a], labels[b])
        }
    }
}
