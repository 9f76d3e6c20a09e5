//! int8: ranges from calibration rows, then QuantizeLinear and DequantizeLinear in the graph.

use crate::{
    engine::Engine,
    rows::{Feed, Feeder, Rows},
    settings::{self, Settings},
};
use anyhow::{Context, ensure};
use cli::{Report, Unit};
use onnx::{
    DataType, Model, TensorType, Value,
    quantize::{self, Calibrator, Ranges},
};
use runtime::Backend;
use serde::Serialize;

/// How the ranges were found, for the manifest.
#[derive(Debug, Serialize)]
pub struct Calibrated {
    method: settings::Method,
    #[serde(skip_serializing_if = "Option::is_none")]
    percentile: Option<f64>,
    /// Of the histograms, where the method has some.
    #[serde(skip_serializing_if = "Option::is_none")]
    bins: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    levels: Option<usize>,
    rows: usize,
    /// Digest of the file of rows; None of random ones.
    sha256: Option<String>,
    /// Values that have a range.
    values: usize,
    /// What ran the graph.
    pub runtime: Backend,
}

/// Quantizes `graph` by the ranges that its values have on `rows`.
///
/// # Errors
/// When the rows do not fit the graph, a value is not finite on them, or there is nothing to quantize.
pub fn quantize(
    graph: &mut Model,
    rows: &Rows,
    settings: &Settings,
    report: &Report,
) -> anyhow::Result<(quantize::Report, Calibrated)> {
    let options = settings.quantize_options();
    let name = graph.name.clone();
    let values = quantize::observed(graph, &options).map_err(|problem| problem.of(&name))?;
    ensure!(
        !values.is_empty(),
        "{name}: there is nothing to quantize: no convolution, Gemm or MatMul with constant weights is left by \
         export.int8.exclude_ops and export.int8.exclude_nodes; export.precision=fp16 needs none"
    );
    let (ranges, count, runtime) = ranges(graph, &values, rows, settings, report)?;
    let done = quantize::quantize(graph, &ranges, &options).map_err(|problem| problem.of(&name))?;
    let settings::Calibration { method, percentile, levels, .. } = settings.calibration;
    let calibrated = Calibrated {
        method,
        percentile: (method == settings::Method::Percentile).then_some(percentile),
        bins: (method != settings::Method::MinMax).then_some(settings.calibration.bins()),
        levels: (method == settings::Method::Entropy).then_some(levels),
        rows: count,
        sha256: rows.sha256()?,
        values: values.len(),
        runtime,
    };
    Ok((done, calibrated))
}

/// The ranges of `values` on the rows, the number of rows, and what ran the graph.
fn ranges(
    graph: &Model,
    values: &[String],
    rows: &Rows,
    settings: &Settings,
    report: &Report,
) -> anyhow::Result<(Ranges, usize, Backend)> {
    let engine = Engine::new(&graph.name, &observing(graph, values).to_bytes(), settings)?;
    let backend = engine.model().backend();
    let feeder = Feeder::new(&graph.name, engine.model(), None)?;
    let mut observer = Observer::new(engine, &feeder, values)?;
    let mut calibrator = Calibrator::new(settings.calibration.quantize_method())?;
    let (passes, batch_size) = (calibrator.passes(), feeder.batch_size(settings.calibration.batch_size));
    let bar = report.bar(Unit::Rows);
    let mut count = 0;
    for pass in 1..=passes {
        bar.start(&format!("calibrating {pass}/{passes}"), rows.at_most(), 0);
        count = rows.each(&feeder, batch_size, |feed| {
            observer.observe(feed, &mut calibrator)?;
            bar.add(feed.rows as u64);
            Ok(())
        })?;
        calibrator.end_pass();
    }
    Ok((calibrator.ranges()?, count, backend))
}

/// The graph with `values` as extra outputs.
fn observing(graph: &Model, values: &[String]) -> Model {
    let mut graph = graph.clone();
    let inputs: Vec<_> = graph.graph.inputs.iter().map(|input| input.name.clone()).collect();
    for name in values.iter().filter(|name| !inputs.contains(name)) {
        if !graph.graph.is_output(name) {
            let value = TensorType { dtype: DataType::Float, shape: None };
            graph.graph.outputs.push(Value::tensor(name, &value));
        }
    }
    graph
}

/// Where the values of a run are.
struct Observer<'a> {
    engine: Engine,
    feeder: &'a Feeder,
    /// Each value, and the input or output that has it.
    values: Vec<(&'a str, Port)>,
}

enum Port {
    Input(usize),
    Output(usize),
}

impl<'a> Observer<'a> {
    fn new(engine: Engine, feeder: &'a Feeder, values: &'a [String]) -> anyhow::Result<Self> {
        let find = |name: &'a String| -> anyhow::Result<(&'a str, Port)> {
            let input = feeder.inputs().iter().position(|port| port.name == *name).map(Port::Input);
            let output = || engine.model().outputs().iter().position(|port| port.name == *name).map(Port::Output);
            let port = input.or_else(output).with_context(|| format!("value {name:?} is no output of the graph"))?;
            Ok((name.as_str(), port))
        };
        let values = values.iter().map(find).collect::<anyhow::Result<_>>()?;
        Ok(Self { engine, feeder, values })
    }

    /// Runs a batch and shows the calibrator what the values are.
    fn observe(&mut self, feed: &Feed, calibrator: &mut Calibrator) -> anyhow::Result<()> {
        let name = self.engine.name().to_owned();
        let outputs = self.engine.run_f32(feed);
        let outputs = outputs.with_context(|| self.feeder.failed(feed, "export.calibration.batch_size"))?;
        for (value, port) in &self.values {
            let observed = match port {
                Port::Input(index) => feed.input(*index).map(bytemuck::pod_collect_to_vec::<u8, f32>),
                Port::Output(index) => outputs.get(*index).cloned().flatten(),
            };
            let observed = observed.with_context(|| format!("{name}: value {value:?} is no float32"))?;
            calibrator.observe(value, &observed).map_err(|problem| problem.of(&name))?;
        }
        Ok(())
    }
}
