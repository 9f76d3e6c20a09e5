//! The measurements as tables and as JSON.

use super::{Cell, NodeTimes, Run, job::Measured};
use crate::{
    table::{Grid, Style},
    units,
};
use serde_json::{Value, json};

const EMPTY: &str = "-";
/// Columns of the CSV.
const COLUMNS: [&str; 12] = [
    "model",
    "backend",
    "batch_size",
    "runs",
    "min",
    "median",
    "p90",
    "p99",
    "mean",
    "rows_per_second",
    "load",
    "memory_bytes",
];

/// The latency table of all models, and the times of the layers of each; then why rows have no figures.
pub fn tables(runs: &[Run], max_rows: usize, style: Style) -> String {
    let mut parts = vec![latencies(runs, style)];
    parts.extend(runs.iter().filter_map(|run| Some(layers(&run.model, run.nodes.as_ref()?, max_rows, style))));
    parts.extend(reasons(runs));
    parts.join("\n")
}

fn latencies(runs: &[Run], style: Style) -> String {
    let header = ["model", "backend", "batch", "runs", "min", "median", "p90", "p99", "rows/s", "load", "memory"];
    let mut grid = Grid::new(&header, &[0, 1]);
    for run in runs {
        grid.rows.extend(run.cells.iter().map(|cell| latency(run, cell)));
    }
    grid.render(style)
}

fn latency(run: &Run, cell: &Cell) -> Vec<String> {
    let mut cells = vec![cli::printable(&run.model), run.backend.name().to_owned(), cell.batch_size.to_string()];
    match &cell.measured {
        Ok(measured) => cells.extend(figures(measured, cell.batch_size)),
        Err(_) => cells.extend(std::iter::repeat_n(EMPTY.to_owned(), 8)),
    }
    cells
}

fn figures(measured: &Measured, batch_size: usize) -> [String; 8] {
    let latency = &measured.latency;
    [
        measured.runs.to_string(),
        units::seconds(latency.min),
        units::seconds(latency.median),
        units::seconds(latency.p90),
        units::seconds(latency.p99),
        units::number(batch_size as f64 / latency.mean),
        units::seconds(measured.load_seconds),
        measured.memory_bytes.map_or_else(|| EMPTY.to_owned(), units::bytes),
    ]
}

fn layers(model: &str, times: &NodeTimes, max_rows: usize, style: Style) -> String {
    let mut order: Vec<_> = times.rows.iter().collect();
    order.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
    let least = order.split_off(order.len().min(max_rows));
    let mut grid = Grid::new(&["layer", "operators", "time", "share", "floor", "× floor"], &[0, 1]);
    let share = |seconds: f64| units::percent(if times.total > 0.0 { seconds / times.total } else { 0.0 });
    let row = |name: &str, operators: &str, seconds: f64, floor: Option<f64>| {
        let ratio = floor.filter(|floor| *floor > 0.0).map(|floor| units::number(seconds / floor));
        let text = |value: Option<String>| value.unwrap_or_else(|| EMPTY.to_owned());
        let floor = text(floor.map(units::seconds));
        vec![name.to_owned(), operators.to_owned(), units::seconds(seconds), share(seconds), floor, text(ratio)]
    };
    for time in order {
        grid.rows.push(row(&time.name, &time.operators.join("+"), time.seconds, time.floor));
    }
    let rest: f64 = least.iter().map(|time| time.seconds).sum();
    if !least.is_empty() {
        grid.rows.push(row(&format!("[{} more]", least.len()), EMPTY, rest, None));
    }
    grid.rows.push(row("[other]", EMPTY, times.other, None));
    grid.rows.push(row("total", EMPTY, times.total, Some(times.floor)));
    let (runs, batch_size) = (times.runs, times.batch_size);
    let heading =
        format!("{}: batch size {batch_size}, mean of {runs} runs under ONNX Runtime's profile", cli::printable(model));
    format!("{heading}; floors of {}\n\n{}", cli::printable(&times.device), grid.render(style))
}

/// Why rows have no figures, each reason once.
fn reasons(runs: &[Run]) -> Option<String> {
    let mut lines = indexmap::IndexSet::new();
    for reason in runs.iter().flat_map(|run| &run.cells).filter_map(|cell| cell.measured.as_ref().err()) {
        lines.insert(format!("not run: {}\n", cli::printable(&cli::describe(reason))));
    }
    (!lines.is_empty()).then(|| lines.into_iter().collect())
}

/// All measurements in full precision: seconds and bytes.
pub fn json(runs: &[Run]) -> Value {
    let models = runs.iter().map(|run| {
        let cells: Vec<Value> = run.cells.iter().map(cell_json).collect();
        json!({ "model": run.model, "backend": run.backend.name(), "latencies": cells, "layers": run.nodes.as_ref().map(layers_json) })
    });
    Value::Array(models.collect())
}

fn cell_json(cell: &Cell) -> Value {
    let (measured, error) = (cell.measured.as_ref().ok(), cell.measured.as_ref().err());
    let rate = measured.map(|measured| cell.batch_size as f64 / measured.latency.mean);
    json!({
        "batch_size": cell.batch_size,
        "runs": measured.map(|measured| measured.runs),
        "latency_seconds": measured.map(|measured| measured.latency),
        "rows_per_second": rate,
        "load_seconds": measured.map(|measured| measured.load_seconds),
        "memory_bytes": measured.and_then(|measured| measured.memory_bytes),
        "error": error.map(cli::describe),
    })
}

fn layers_json(times: &NodeTimes) -> Value {
    let rows: Vec<Value> = times.rows.iter().map(|time| {
        json!({ "name": time.name, "operators": time.operators, "seconds": time.seconds, "floor_seconds": time.floor })
    }).collect();
    json!({
        "batch_size": times.batch_size,
        "runs": times.runs,
        "device": times.device,
        "rows": rows,
        "other_seconds": times.other,
        "total_seconds": times.total,
        "floor_seconds": times.floor,
    })
}

/// The latency table in full precision.
///
/// # Errors
/// When it cannot be encoded, which does not happen.
pub fn csv(runs: &[Run]) -> anyhow::Result<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(COLUMNS)?;
    for run in runs {
        for cell in &run.cells {
            let mut record = vec![run.model.clone(), run.backend.name().into(), cell.batch_size.to_string()];
            match &cell.measured {
                Ok(Measured { latency, runs, load_seconds, memory_bytes, .. }) => {
                    let rate = cell.batch_size as f64 / latency.mean;
                    let seconds =
                        [latency.min, latency.median, latency.p90, latency.p99, latency.mean, rate, *load_seconds];
                    record.push(runs.to_string());
                    record.extend(seconds.iter().map(f64::to_string));
                    record.push(memory_bytes.map(|bytes| bytes.to_string()).unwrap_or_default());
                }
                Err(_) => record.resize(COLUMNS.len(), String::new()),
            }
            writer.write_record(record)?;
        }
    }
    Ok(String::from_utf8(writer.into_inner()?)?)
}
