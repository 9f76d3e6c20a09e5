//! The table as one JSON document.

use crate::{columns::Columns, ranked::RankedRows, row::Row};
use serde_json::{Map, Value, json};

pub fn table(ranked: &RankedRows, columns: &Columns, confidence: f64) -> anyhow::Result<String> {
    let rows: Vec<Value> = ranked.rows.iter().map(|row| object(row, ranked, columns, confidence)).collect();
    let mode = ranked.monitor.direction.mode();
    let document = json!({ "metric": ranked.monitor.metric, "mode": mode, "confidence": confidence, "rows": rows });
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

fn object(row: &Row, ranked: &RankedRows, columns: &Columns, confidence: f64) -> Value {
    let folders: Vec<String> = row.runs.iter().map(|run| run.folder.display().to_string()).collect();
    let setting = |key: &String| Some((key.clone(), row.first().settings.get(key)?.clone()));
    let settings: Map<String, Value> = columns.settings.iter().filter_map(|column| setting(&column.key)).collect();
    let metric = |name: &String| Some((name.clone(), estimate(row, name, confidence)?));
    let metrics: Map<String, Value> = columns.metrics.iter().filter_map(metric).collect();
    json!({
        "run": row.best_run(&ranked.monitor).folder.display().to_string(),
        "runs": folders,
        "n": row.runs.len(),
        "status": row.first().status.name(),
        "reason": row.first().status.reason(),
        "baseline": row.is_baseline,
        "settings": settings,
        "metrics": metrics,
    })
}

/// A value that is not finite is null, as in `metrics.json`; `None` where no run has the metric.
fn estimate(row: &Row, metric: &str, confidence: f64) -> Option<Value> {
    let estimate = row.estimate(metric)?;
    Some(json!({
        "mean": estimate.mean,
        "half_width": estimate.half_width(confidence),
        "n": estimate.n,
        "values": row.values(metric),
    }))
}
