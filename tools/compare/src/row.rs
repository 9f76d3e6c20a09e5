//! Rows of the table: a run, or runs that differ only in their seeds.

use crate::inputs::Source;
use indexmap::IndexMap;
use metrics::Estimate;
use runs::{Monitor, Run, identity, is_volatile};
use std::{cmp::Ordering, collections::HashSet, hash::Hash, path::Path};

/// Runs of the same settings but seeds. A run that has not finished is a row of its own.
pub struct Row<'a> {
    /// At least one.
    pub runs: Vec<&'a Run>,
    pub is_baseline: bool,
}

impl<'a> Row<'a> {
    /// Groups runs into rows, in the order of their first runs.
    pub fn group(sources: &'a [Source], seeds: &[String]) -> Vec<Self> {
        let key = |source: &&Source| (source.is_baseline, fixed(&source.run, seeds));
        let (finished, others): (Vec<_>, Vec<_>) = sources.iter().partition(|source| source.run.is_finished());
        let repeats = grouped(finished, key).into_iter().flat_map(|group| independent(group, seeds));
        repeats.chain(others.into_iter().map(|source| vec![source])).map(Self::new).collect()
    }

    fn new(group: Vec<&'a Source>) -> Self {
        let is_baseline = group.iter().any(|source| source.is_baseline);
        Self { runs: group.into_iter().map(|source| &source.run).collect(), is_baseline }
    }

    /// The run whose settings and status stand for all.
    pub fn first(&self) -> &'a Run {
        self.runs[0]
    }

    pub fn is_finished(&self) -> bool {
        self.first().is_finished()
    }

    /// The values of a metric, in the runs that have it.
    pub fn values(&self, metric: &str) -> Vec<f64> {
        self.runs.iter().filter_map(|run| run.metric(metric)).collect()
    }

    /// The mean of a metric; `None` where no run has it.
    pub fn estimate(&self, metric: &str) -> Option<Estimate> {
        Estimate::of(&self.values(metric))
    }

    /// The run with the best value of the metric.
    pub fn best_run(&self, monitor: &Monitor) -> &'a Run {
        let value = |run: &Run| run.metric(&monitor.metric).unwrap_or(f64::NAN);
        let better = |best: &'a Run, run: &'a Run| {
            if monitor.direction.better_first(value(run), value(best)) == Ordering::Less { run } else { best }
        };
        self.runs.iter().copied().fold(self.first(), better)
    }
}

/// The settings that runs of one row have in common.
fn fixed(run: &Run, seeds: &[String]) -> Vec<String> {
    let kept = run.settings.iter().filter(|(key, _)| !is_volatile(key) && !seeds.contains(key));
    let mut settings: Vec<String> = kept.map(|(key, value)| format!("{key}={}", identity(value))).collect();
    settings.sort();
    settings
}

/// Splits runs of which some have the same seed, and so are not independent: by parent folder, or else one by one.
fn independent<'a>(group: Vec<&'a Source>, seeds: &[String]) -> Vec<Vec<&'a Source>> {
    if seeds_differ(&group, seeds) {
        return vec![group];
    }
    let parent = |source: &&Source| source.run.folder.parent().map(Path::to_owned);
    let split = |group: Vec<&'a Source>| match seeds_differ(&group, seeds) {
        true => vec![group],
        false => group.into_iter().map(|source| vec![source]).collect(),
    };
    grouped(group, parent).into_iter().flat_map(split).collect()
}

fn seeds_differ(group: &[&Source], seeds: &[String]) -> bool {
    let of = |source: &&Source| seeds.iter().map(|key| source.run.settings.get(key).map(identity)).collect::<Vec<_>>();
    group.iter().map(of).collect::<HashSet<_>>().len() == group.len()
}

/// Items by key, in order of first occurrence.
fn grouped<T, K: Hash + Eq>(items: Vec<T>, key: impl Fn(&T) -> K) -> Vec<Vec<T>> {
    let mut groups: IndexMap<K, Vec<T>> = IndexMap::new();
    items.into_iter().for_each(|item| groups.entry(key(&item)).or_default().push(item));
    groups.into_values().collect()
}
