//! Quantizes a model whose activations another program observed.
//!
//!     quantize values MODEL [key=value …]          the names of the values to observe, one a line
//!     quantize ranges METHOD < FRAMES              `name<TAB>low<TAB>high` of each value
//!     quantize model MODEL OUT METHOD [key=value …] < FRAMES
//!
//! FRAMES are batches of values: a line `name<TAB>elements`, then the elements as little-endian float32. METHOD is `min-max`,
//! `mean-min-max`, `percentile` or `entropy`, or the last two with their numbers: `percentile:99.9:2048:symmetric`,
//! `entropy:2048:128`. Keys are `target`, `activations`, `per_channel`, `reduce_range`, `exclude_nodes`, `exclude_ops`,
//! `keep_first` and `keep_last`.

use onnx::{
    Model,
    quantize::{Activations, Calibrator, Method, Options, Ranges, Target, observed, quantize},
};
use std::{
    env,
    error::Error,
    fs,
    io::{self, BufRead, Write},
};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut out = io::stdout().lock();
    match arguments.as_slice() {
        ["values", model, keys @ ..] => {
            for value in observed(&open(model)?, &options(keys)?)? {
                writeln!(out, "{value}")?;
            }
        }
        ["ranges", method] => {
            for (name, (low, high)) in ranges(method)?.iter() {
                writeln!(out, "{name}\t{low}\t{high}")?;
            }
        }
        ["model", model, file, method, keys @ ..] => {
            let mut model = open(model)?;
            let report = quantize(&mut model, &ranges(method)?, &options(keys)?)?;
            for left in &report.left {
                writeln!(out, "{}: {}", left.node, left.reason)?;
            }
            writeln!(out, "{} nodes, {} → {} bytes", report.quantized.len(), report.bytes_before, report.bytes_after)?;
            fs::write(file, model.to_bytes())?;
        }
        _ => return Err("usage: quantize values|ranges|model …, see the comment at the top".into()),
    }
    Ok(())
}

fn open(path: &str) -> Result<Model> {
    Ok(Model::from_bytes(path, &fs::read(path)?)?)
}

fn options(keys: &[&str]) -> Result<Options> {
    let mut options = Options::new(Target::OnnxRuntime);
    for key in keys {
        let list = |names: &str| names.split(',').map(Into::into).collect();
        match key.split_once('=').ok_or("expected key=value")? {
            ("target", "onnxruntime") => options = Options::new(Target::OnnxRuntime),
            ("target", "tensorrt") => options = Options::new(Target::TensorRt),
            ("activations", "uint8") => options.activations = Activations::Uint8,
            ("activations", "int8") => options.activations = Activations::Int8,
            ("per_channel", value) => options.per_channel = value.parse()?,
            ("reduce_range", value) => options.reduce_range = value.parse()?,
            ("exclude_nodes", names) => options.exclude_nodes = list(names),
            ("exclude_ops", names) => options.exclude_ops = list(names),
            ("keep_first", value) => options.keep_first = value.parse()?,
            ("keep_last", value) => options.keep_last = value.parse()?,
            _ => return Err(format!("{key}: no such key or value").into()),
        }
    }
    Ok(options)
}

fn method(text: &str) -> Result<Method> {
    Ok(match text.split(':').collect::<Vec<_>>().as_slice() {
        ["min-max"] => Method::MinMax,
        ["mean-min-max"] => Method::MeanMinMax,
        ["percentile"] => Method::PERCENTILE,
        ["percentile", percentile, bins, kind] => {
            Method::Percentile { percentile: percentile.parse()?, bins: bins.parse()?, symmetric: *kind == "symmetric" }
        }
        ["entropy"] => Method::ENTROPY,
        ["entropy", bins, levels] => Method::Entropy { bins: bins.parse()?, levels: levels.parse()? },
        _ => return Err(format!("{text}: no such method").into()),
    })
}

fn ranges(text: &str) -> Result<Ranges> {
    let frames = frames(io::stdin().lock())?;
    let mut calibrator = Calibrator::new(method(text)?)?;
    for _ in 0..calibrator.passes() {
        for (value, batch) in &frames {
            calibrator.observe(value, batch)?;
        }
        calibrator.end_pass();
    }
    Ok(calibrator.ranges()?)
}

fn frames(mut input: impl BufRead) -> Result<Vec<(String, Vec<f32>)>> {
    let mut frames = Vec::new();
    loop {
        let mut line = String::new();
        if input.read_line(&mut line)? == 0 {
            return Ok(frames);
        }
        let (name, elements) = line.trim_end().rsplit_once('\t').ok_or("expected name<TAB>elements")?;
        let mut bytes = vec![0; elements.parse::<usize>()? * size_of::<f32>()];
        input.read_exact(&mut bytes)?;
        let elements = bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        frames.push((name.to_owned(), elements));
    }
}
