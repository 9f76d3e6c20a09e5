//! Which settings and metrics are columns of the table.

use crate::{
    ranked::{RankedRows, no_metric},
    settings::Settings,
};
use anyhow::bail;
use indexmap::IndexMap;
use metrics::Split;
use runs::{Run, metric_name};

/// Metrics that say when the test was run.
const TEST_TIME: [&str; 2] = ["test_epoch", "test_step"];

/// Columns after the name of a row.
pub struct Columns {
    pub settings: Vec<Setting>,
    pub metrics: Vec<String>,
    /// A line about the settings that are not shown.
    pub note: Option<String>,
}

pub struct Setting {
    /// The dotted key.
    pub key: String,
    /// A shorter name for it.
    pub name: String,
}

impl Columns {
    /// The columns that the settings name, or else the settings that differ and all metrics. With `limited`, only as many
    /// as `compare.max_settings` and `compare.max_metrics` allow, and of the metrics the one that ranks and those of the
    /// test.
    ///
    /// # Errors
    /// When a column is named that no run has.
    pub fn choose(ranked: &RankedRows, settings: &Settings, limited: bool) -> anyhow::Result<Self> {
        let runs: Vec<&Run> = ranked.rows.iter().flat_map(|row| row.runs.iter().copied()).collect();
        let names = runs::short_names(&runs);
        if let Some(columns) = &settings.columns {
            return named(columns, ranked, &names);
        }
        let mut differing = runs::differing(&runs);
        if ranked.has_repeats() {
            differing.retain(|key| !settings.seeds.contains(key));
        }
        let mut metrics = match &settings.metrics {
            Some(chosen) => chosen.iter().map(|name| metric(name, ranked)).collect::<anyhow::Result<_>>()?,
            None => ordered(ranked),
        };
        let mut note = None;
        if limited {
            let hidden = differing.len().saturating_sub(settings.max_settings);
            differing.truncate(settings.max_settings);
            note = (hidden > 0).then(|| {
                format!("{hidden} more settings differ; compare.max_settings= or compare.columns= shows them")
            });
            if settings.metrics.is_none() {
                metrics = main_metrics(metrics, settings.max_metrics);
            }
        }
        let settings = differing.into_iter().map(|key| Setting { name: names[&key].clone(), key }).collect();
        Ok(Self { settings, metrics, note })
    }
}

fn metric(name: &str, ranked: &RankedRows) -> anyhow::Result<String> {
    let wanted = metric_name(name);
    if ranked.metrics.contains(&wanted) { Ok(wanted) } else { bail!("--metrics: {}", no_metric(name, &ranked.metrics)) }
}

/// Columns by their names: of metrics, or of settings, by key or short name.
fn named(columns: &[String], ranked: &RankedRows, names: &IndexMap<String, String>) -> anyhow::Result<Columns> {
    let mut chosen = Columns { settings: Vec::new(), metrics: Vec::new(), note: None };
    for column in columns {
        let setting = names.iter().find(|(key, name)| [*key, *name].contains(&column));
        match (ranked.metrics.contains(&metric_name(column)), setting) {
            (true, _) => chosen.metrics.push(metric_name(column)),
            (false, Some((key, name))) => chosen.settings.push(Setting { key: key.clone(), name: name.clone() }),
            (false, None) => bail!(
                "compare.columns: {}; and no setting {column:?}{}",
                no_metric(column, &ranked.metrics),
                config::did_you_mean(column, names.iter().flat_map(|(key, name)| [key.as_str(), name.as_str()]))
            ),
        }
    }
    Ok(chosen)
}

/// All metrics: first the one that ranks, then those of the test, of validation, and others.
fn ordered(ranked: &RankedRows) -> Vec<String> {
    let mut metrics = ranked.metrics.clone();
    metrics.sort_by_key(|name| match Split::of_metric(name).0 {
        _ if *name == ranked.monitor.metric => 0,
        _ if TEST_TIME.contains(&name.as_str()) => 4,
        Some(Split::Test) => 1,
        Some(Split::Validation) => 2,
        _ => 3,
    });
    metrics
}

/// The metric that ranks, which comes first, and those of the test; without a test, all. At most `max`.
fn main_metrics(metrics: Vec<String>, max: usize) -> Vec<String> {
    let is_of_test = |name: &String| Split::of_metric(name).0 == Some(Split::Test);
    let has_test = metrics.iter().any(is_of_test);
    let shown =
        |(i, name): &(usize, String)| !TEST_TIME.contains(&name.as_str()) && (*i == 0 || !has_test || is_of_test(name));
    metrics.into_iter().enumerate().filter(shown).map(|(_, name)| name).take(max.max(1)).collect()
}
