//! The table as one JSON document.

use crate::{columns::Columns, ranking::Ranking, row::Row};
use serde_json::{Map, Value, json};

pub fn write(ranking: &Ranking, columns: &Columns, confidence: f64) -> anyhow::Result<String> {
    let rows: Vec<Value> = ranking.rows.iter().map(|row| object(row, ranking, columns, confidence)).collect();
    let mode = ranking.monitor.direction.mode();
    let document = json!({ "metric": ranking.monitor.metric, "mode": mode, "confidence": confidence, "rows": rows });
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

fn object(row: &Row, ranking: &Ranking, columns: &Columns, confidence: f64) -> Value {
    let folders: Vec<String> = row.runs.iter().map(|run| run.folder.display().to_string()).collect();
    let setting = |key: &String| Some((key.clone(), row.first().settings.get(key)?.clone()));
    let settings: Map<String, Value> = columns.settings.iter().filter_map(|column| setting(&column.key)).collect();
    let metric = |name: &String| Some((name.clone(), estimate(row, name, confidence)?));
    let metrics: Map<String, Value> = columns.metrics.iter().filter_map(metric).collect();
    json!({
        "run": row.best_run(&ranking.monitor).folder.display().to_string(),
        "runs": folders,
        "n": row.runs.len(),
        "status": row.first().status.name(),
        "reason": row.first().status.reason(),
        "baseline": row.is_baseline,
        "settings": settings,
        "metrics": metrics,
    })
}

/// What is no number is null, as in `metrics.json`.
fn estimate(row: &Row, metric: &str, confidence: f64) -> Option<Value> {
    let estimate = row.estimate(metric)?;
    Some(json!({
        "mean": estimate.mean,
        "half_width": estimate.half_width(confidence),
        "n": estimate.n,
        "values": row.values(metric),
    }))
}
