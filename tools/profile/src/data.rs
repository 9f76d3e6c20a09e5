//! The reports as JSON and CSV: full precision, every row.

use crate::{
    device::Device,
    report::{Report, Row, Total},
    run::Run,
};
use anyhow::Context;
use serde_json::{Value, json};

/// One JSON document; `plot` draws it. A value that is not known is null.
///
/// # Errors
/// When it cannot be encoded, which does not happen for finite numbers.
pub fn json(reports: &[Report], runs: Option<&[Run]>, device: &Device) -> anyhow::Result<String> {
    let models: Vec<Value> = reports.iter().map(model).collect();
    let mut document = json!({
        "device": device,
        "ridges": ridges(device),
        "models": models,
    });
    if let (Some(runs), Some(document)) = (runs, document.as_object_mut()) {
        document.insert("runs".to_owned(), crate::run::json(runs));
    }
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

/// FLOPs a byte from which the device is compute-bound, by arithmetic.
fn ridges(device: &Device) -> Value {
    let peaks = serde_json::to_value(&device.peak_tflops).unwrap_or_default();
    let ridge =
        |(name, tera): (&String, &Value)| Some((name.clone(), json!(tera.as_f64()? * 1e12 / device.bandwidth())));
    Value::Object(peaks.as_object().into_iter().flatten().filter_map(ridge).collect())
}

fn model(report: &Report) -> Value {
    let rows: Vec<Value> = report.rows.iter().map(row).collect();
    json!({
        "model": report.model,
        "opset": report.opset,
        "nodes": report.nodes,
        "batch_size": report.batch_size,
        "level": report.level.name(),
        "total": total(&report.total()),
        "layers": rows,
    })
}

fn total(total: &Total) -> Value {
    json!({
        "parameters": total.parameters,
        "macs": total.work.macs,
        "flops": total.work.flops,
        "bytes_read": total.traffic.read,
        "bytes_weights": total.traffic.constants,
        "bytes_written": total.traffic.written,
        "intensity": total.intensity(),
        "floor_seconds": total.floor,
        "compute_bound_seconds": total.compute_bound,
        "unknown_layers": total.unknown,
    })
}

fn row(row: &Row) -> Value {
    let (work, traffic) = (row.work.as_ref().ok(), row.traffic.as_ref().ok());
    let note = row.work.as_ref().err().or(row.traffic.as_ref().err()).map(ToString::to_string);
    json!({
        "name": row.name,
        "operators": row.operators,
        "inputs": row.inputs,
        "outputs": row.outputs,
        "type": onnx::type_name(row.dtype),
        "parameters": row.parameters,
        "macs": work.map(|work| work.macs),
        "flops": work.map(|work| work.flops),
        "bytes_read": traffic.map(|traffic| traffic.read),
        "bytes_weights": traffic.map(|traffic| traffic.constants),
        "bytes_written": traffic.map(|traffic| traffic.written),
        "intensity": row.intensity(),
        "arithmetic": row.peak.arithmetic,
        "bound": row.floor.map(|floor| floor.bound),
        "floor_seconds": row.floor.map(|floor| floor.seconds),
        "note": note,
    })
}

/// A line for each row of each model.
///
/// # Errors
/// When it cannot be encoded.
pub fn csv(reports: &[Report]) -> anyhow::Result<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let header = [
        "model",
        "layer",
        "operators",
        "inputs",
        "outputs",
        "type",
        "parameters",
        "macs",
        "flops",
        "bytes_read",
        "bytes_weights",
        "bytes_written",
        "intensity",
        "arithmetic",
        "bound",
        "floor_seconds",
        "note",
    ];
    writer.write_record(header)?;
    for report in reports {
        for line in &report.rows {
            let object = row(line);
            let cell = |key: &str| object.get(key).map_or_else(String::new, text);
            let cells = std::iter::once(report.model.clone())
                .chain([cell("name")])
                .chain(header[2..].iter().map(|key| cell(key)));
            writer.write_record(cells)?;
        }
    }
    let bytes = writer.into_inner().context("CSV")?;
    Ok(String::from_utf8(bytes)?)
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join("+"),
        other => other.to_string(),
    }
}
