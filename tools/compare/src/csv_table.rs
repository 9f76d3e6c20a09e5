//! The table as CSV: numbers in full precision, full setting keys, a column for half the width of each interval.

use crate::{columns::Columns, ranked::RankedRows, row::Row};
use anyhow::Context;

pub fn table(ranked: &RankedRows, columns: &Columns, confidence: f64) -> anyhow::Result<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(header(ranked, columns))?;
    for row in &ranked.rows {
        writer.write_record(cells(row, ranked, columns, confidence))?;
    }
    let bytes = writer.into_inner().context("CSV")?;
    Ok(String::from_utf8(bytes)?)
}

fn header(ranked: &RankedRows, columns: &Columns) -> Vec<String> {
    let metrics = columns.metrics.iter().flat_map(|metric| {
        let half_width = ranked.has_repeats().then(|| format!("{metric}_half_width"));
        [metric.clone()].into_iter().chain(half_width)
    });
    let settings = columns.settings.iter().map(|setting| setting.key.clone());
    ["run", "status", "baseline", "n"].map(str::to_owned).into_iter().chain(settings).chain(metrics).collect()
}

fn cells(row: &Row, ranked: &RankedRows, columns: &Columns, confidence: f64) -> Vec<String> {
    let first = row.first();
    let folder = row.best_run(&ranked.monitor).folder.display().to_string();
    let fixed = [folder, first.status.name().to_owned(), row.is_baseline.to_string(), row.runs.len().to_string()];
    let settings =
        columns.settings.iter().map(|setting| first.settings.get(&setting.key).map_or_else(String::new, runs::text));
    let metrics = columns.metrics.iter().flat_map(|metric| {
        let estimate = row.estimate(metric);
        let half_width = estimate.and_then(|estimate| estimate.half_width(confidence));
        let text = |number: Option<f64>| number.map_or_else(String::new, |number| number.to_string());
        let half_width = ranked.has_repeats().then(|| text(half_width));
        [text(estimate.map(|estimate| estimate.mean))].into_iter().chain(half_width)
    });
    fixed.into_iter().chain(settings).chain(metrics).collect()
}
