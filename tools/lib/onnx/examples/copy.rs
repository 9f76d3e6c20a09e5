//! Reads ONNX files and writes them again, weights inside: pairs of paths, from and to. The peer tests of the reader run it.
//!
//! ```sh
//! cargo run --release -p onnx --example copy -- model.onnx copy.onnx
//! ```

use files::Limit;
use onnx::Model;
use std::{path::Path, process::ExitCode};

fn main() -> ExitCode {
    let paths: Vec<_> = std::env::args_os().skip(1).collect();
    for (from, to) in paths.as_chunks::<2>().0.iter().map(|[from, to]| (Path::new(from), Path::new(to))) {
        let model = match Model::open(from, Limit { bytes: 1 << 30, setting: None }) {
            Ok(model) => model,
            Err(error) => {
                eprintln!("{error}");
                return ExitCode::from(2);
            }
        };
        if let Err(error) = files::write_file(to, &model.to_bytes()) {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}
