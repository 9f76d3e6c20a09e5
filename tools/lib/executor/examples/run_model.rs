//! Runs ONNX models natively, many in one process. The peer tests of the operators run it.
//!
//!     run_model < FRAMES
//!
//! Each frame is a line `path<TAB>threads<TAB>input…`, the inputs as `dtype:size,size…`, then their elements, little-endian.
//! The answer to each is a line of the outputs in that form, then their elements; or `error<TAB>message`, or
//! `unsupported<TAB>message` where an operator has no native implementation.

use executor::{Error, Executor, Options, View};
use files::Limit;
use onnx::{DataType, Model, bits};
use std::{
    io::{self, BufRead, Read, Write},
    path::Path,
};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    let (mut input, mut out) = (io::stdin().lock(), io::stdout().lock());
    let mut line = String::new();
    while input.read_line(&mut line)? > 0 {
        let mut words = line.trim_end_matches('\n').split('\t');
        let (Some(path), Some(threads)) = (words.next(), words.next()) else {
            return Err("no path, or no threads".into());
        };
        let options = Options { threads: threads.parse()?, ..Options::default() };
        let mut tensors = Vec::new();
        for word in words {
            let (shape, len) = tensor(word)?;
            let mut bytes = vec![0; len];
            input.read_exact(&mut bytes)?;
            tensors.push((shape, bytes));
        }
        match run(Path::new(path), &options, &tensors) {
            Ok(executor) => answer(&mut out, &executor)?,
            Err(error) => {
                let kind = match error.downcast_ref() {
                    Some(Error::Unsupported(_)) => "unsupported",
                    _ => "error",
                };
                writeln!(out, "{kind}\t{error}")?;
            }
        }
        line.clear();
    }
    Ok(())
}

/// Shape and number of bytes of a tensor, by its word.
fn tensor(word: &str) -> Result<(Vec<usize>, usize)> {
    let (dtype, sizes) = word.split_once(':').ok_or("no colon")?;
    let shape =
        sizes.split(',').filter(|size| !size.is_empty()).map(str::parse).collect::<std::result::Result<Vec<_>, _>>()?;
    let bits = bits(DataType::try_from(dtype.parse::<i32>()?)?).ok_or("no size")?;
    let len = shape.iter().product::<usize>() * bits / 8;
    Ok((shape, len))
}

fn run(path: &Path, options: &Options, tensors: &[(Vec<usize>, Vec<u8>)]) -> Result<Executor> {
    let model = Model::open(path, Limit { bytes: 1 << 30, setting: None })?;
    let mut executor = Executor::new(model, options)?;
    let views: Vec<_> = tensors.iter().map(|(shape, bytes)| View { shape, bytes }).collect();
    executor.run(&views)?;
    Ok(executor)
}

fn answer(out: &mut impl Write, executor: &Executor) -> Result<()> {
    let views: Vec<_> = (0..executor.model().graph.outputs.len()).map(|index| executor.output(index)).collect();
    let words: Vec<_> = views
        .iter()
        .map(|view| {
            let sizes: Vec<_> = view.shape.iter().map(ToString::to_string).collect();
            format!("{}:{}", view.bytes.len(), sizes.join(","))
        })
        .collect();
    writeln!(out, "ok\t{}", words.join("\t"))?;
    views.iter().try_for_each(|view| out.write_all(view.bytes))?;
    Ok(())
}
