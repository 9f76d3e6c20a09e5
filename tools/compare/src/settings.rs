//! Config group `compare`.

use anyhow::ensure;
use metrics::Mode;
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    pub metric: Option<String>,
    /// Which values of the metric are better; `auto` is as the runs monitored it, or else the metric's own direction.
    pub mode: Mode,
    pub seeds: Vec<String>,
    pub confidence: f64,
    pub columns: Option<Vec<String>>,
    pub max_settings: usize,
    pub max_metrics: usize,
    /// The flag `--metrics`.
    #[serde(skip)]
    pub metrics: Option<Vec<String>>,
}

impl Settings {
    /// # Errors
    /// When a key is unknown, missing or out of its range, or a flag contradicts it.
    pub fn read(document: &config::Document, metrics: Option<&str>) -> anyhow::Result<Self> {
        let mut settings: Self = document.section("compare")?;
        let confidence = settings.confidence;
        ensure!(confidence > 0.0 && confidence < 1.0, "compare.confidence: {confidence}; expected above 0 and below 1");
        ensure!(
            metrics.is_none() || settings.columns.is_none(),
            "--metrics or compare.columns, which names metrics too"
        );
        settings.metrics = metrics.map(names).transpose()?;
        Ok(settings)
    }
}

fn names(list: &str) -> anyhow::Result<Vec<String>> {
    let names: Vec<String> = list.split(',').map(|name| name.trim().to_owned()).collect();
    ensure!(names.iter().all(|name| !name.is_empty()), "--metrics {list:?}: expected names, val_loss,test_loss");
    Ok(names)
}
