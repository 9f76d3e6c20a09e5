//! Which settings and metrics are shown.

use crate::{
    ranking::{Ranking, no_metric},
    settings::Settings,
};
use anyhow::bail;
use indexmap::IndexMap;
use runs::{Run, metric_name};

/// Metrics that say whose the others are.
const WHEN: [&str; 2] = ["test_epoch", "test_step"];

/// Columns after the name of a row.
pub struct Columns {
    pub settings: Vec<Setting>,
    pub metrics: Vec<String>,
    /// What was left out, for the user: nothing, or a line.
    pub note: Option<String>,
}

pub struct Setting {
    /// The dotted key.
    pub key: String,
    /// A shorter name for it.
    pub name: String,
}

impl Columns {
    /// The columns that the settings name, or else the settings that differ and all metrics; of those, where a person
    /// reads them, only the most telling.
    ///
    /// # Errors
    /// When a column is named that no run has.
    pub fn choose(ranking: &Ranking, settings: &Settings, for_a_person: bool) -> anyhow::Result<Self> {
        let runs: Vec<&Run> = ranking.rows.iter().flat_map(|row| row.runs.iter().copied()).collect();
        let names = runs::short_names(&runs);
        if let Some(columns) = &settings.columns {
            return named(columns, ranking, &names);
        }
        let mut differing = runs::differing(&runs);
        if ranking.has_repeats() {
            differing.retain(|key| !settings.seeds.contains(key));
        }
        let mut metrics = match &settings.metrics {
            Some(chosen) => chosen.iter().map(|name| metric(name, ranking)).collect::<anyhow::Result<_>>()?,
            None => ordered(ranking),
        };
        let mut note = None;
        if for_a_person {
            let hidden = differing.len().saturating_sub(settings.max_settings);
            differing.truncate(settings.max_settings);
            note = (hidden > 0).then(|| {
                format!("{hidden} more settings differ; compare.max_settings= or compare.columns= shows them")
            });
            if settings.metrics.is_none() {
                metrics = telling(metrics, settings.max_metrics);
            }
        }
        let settings = differing.into_iter().map(|key| Setting { name: names[&key].clone(), key }).collect();
        Ok(Self { settings, metrics, note })
    }
}

fn metric(name: &str, ranking: &Ranking) -> anyhow::Result<String> {
    let wanted = metric_name(name);
    if ranking.metrics.contains(&wanted) {
        Ok(wanted)
    } else {
        bail!("--metrics: {}", no_metric(name, &ranking.metrics))
    }
}

/// Columns by their names: of metrics, or of settings, in full or shortened.
fn named(columns: &[String], ranking: &Ranking, names: &IndexMap<String, String>) -> anyhow::Result<Columns> {
    let mut chosen = Columns { settings: Vec::new(), metrics: Vec::new(), note: None };
    for column in columns {
        let setting = names.iter().find(|(key, name)| [*key, *name].contains(&column));
        match (ranking.metrics.contains(&metric_name(column)), setting) {
            (true, _) => chosen.metrics.push(metric_name(column)),
            (false, Some((key, name))) => chosen.settings.push(Setting { key: key.clone(), name: name.clone() }),
            (false, None) => bail!(
                "compare.columns: {}; and no setting {column:?}{}",
                no_metric(column, &ranking.metrics),
                config::did_you_mean(column, names.iter().flat_map(|(key, name)| [key.as_str(), name.as_str()]))
            ),
        }
    }
    Ok(chosen)
}

/// All metrics: the one that ranks first, then those of the test, of validation, and others.
fn ordered(ranking: &Ranking) -> Vec<String> {
    let mut metrics = ranking.metrics.clone();
    metrics.sort_by_key(|name| match name.as_str() {
        name if name == ranking.monitor.metric => 0,
        name if WHEN.contains(&name) => 4,
        name if name.starts_with("test_") => 1,
        name if name.starts_with("val_") => 2,
        _ => 3,
    });
    metrics
}

/// The one that ranks and those of the test, as far as there are some.
fn telling(metrics: Vec<String>, most: usize) -> Vec<String> {
    let has_test = metrics.iter().any(|name| name.starts_with("test_"));
    let shown = |(i, name): &(usize, String)| {
        !WHEN.contains(&name.as_str()) && (*i == 0 || !has_test || name.starts_with("test_"))
    };
    metrics.into_iter().enumerate().filter(shown).map(|(_, name)| name).take(most.max(1)).collect()
}
