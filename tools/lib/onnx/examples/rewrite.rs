//! Rewrites an ONNX file: `simplify`, `fp16`, or `fp16-io` for inputs and outputs in float16 too. Prints what it has done, one
//! count a line. The peer tests of these passes run it.
//!
//! ```sh
//! cargo run --release -p onnx --example rewrite -- simplify model.onnx simple.onnx
//! ```

#![allow(clippy::print_stdout, reason = "a program for tests")]

#[path = "../tests/common/mod.rs"]
mod common;

use files::Limit;
use onnx::{Model, fp16, simplify};
use std::{path::Path, process::ExitCode};

const LIMIT: Limit<'static> = Limit { bytes: 1 << 30, setting: None };

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [pass, from, to] = arguments.as_slice() else {
        eprintln!("usage: rewrite simplify|fp16|fp16-io <from.onnx> <to.onnx>");
        return ExitCode::from(2);
    };
    match rewrite(pass, Path::new(from), Path::new(to)) {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("rewrite: {error}");
            ExitCode::from(2)
        }
    }
}

fn rewrite(pass: &str, from: &Path, to: &Path) -> Result<String, String> {
    let mut model = Model::open(from, LIMIT).map_err(|e| e.to_string())?;
    let report = match pass {
        "simplify" => simplified(&mut model)?,
        _ => halved(&mut model, pass == "fp16")?,
    };
    files::write_file(to, &model.to_bytes()).map_err(|e| e.to_string())?;
    Ok(report)
}

fn simplified(model: &mut Model) -> Result<String, String> {
    let counts = simplify::simplify(model, &simplify::Options::default(), &mut common::evaluate);
    let counts = counts.map_err(|e| e.to_string())?.counts();
    Ok(counts.iter().map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join("\n"))
}

fn halved(model: &mut Model, keep_io: bool) -> Result<String, String> {
    let keep_ops: Vec<String> = fp16::SENSITIVE.iter().map(ToString::to_string).collect();
    let options = fp16::Options { keep_ops: &keep_ops, keep_nodes: &[], keep_io };
    let done = fp16::convert(model, &options).map_err(|e| e.to_string())?;
    let counts = [
        ("half_nodes", done.half_nodes),
        ("kept_nodes", done.kept_nodes),
        ("casts", done.casts),
        ("constants", done.constants),
        ("clamped", done.clamped),
        ("flushed", done.flushed),
    ];
    Ok(counts.iter().map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join("\n"))
}
