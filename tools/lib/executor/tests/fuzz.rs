//! The fuzz target of graphs that run natively, on the checked-in corpus, on a graph of each operator, and on mutations of
//! them: bounded, seeded, on any compiler. `cargo fuzz` runs the same target without a bound (CONTRIBUTING.md).
//!
//! `FUZZ_MUTATIONS` is the number of mutations of each, `FUZZ_SEED` a seed; `FUZZ_SLOW` has graphs printed that take a second.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "../../../../fuzz/executor.rs"]
mod executor_run;
#[path = "fuzz/graphs.rs"]
mod graphs;
#[path = "../../../../fuzz/byte_mutations.rs"]
mod mutations;

use graphs::{Random, extend, mutate};
use onnx::{Model, proto::ModelProto};
use prost::Message;
use std::{env, fs, panic, path::Path};

/// Tags of fields with lengths and values, as the format has them, and numbers at the ends of their ranges.
const PIECES: [&[u8]; 8] = [
    b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
    b"\x3a\x00",
    b"\x0a\x04axis\x18\x7f\xa0\x01\x02",
    b"\x22\x04Conv",
    b"\x22\x06Resize",
    b"\x0a\x05\x0a\x03\x0a\x01n",
    b"\x00\x00\x00\x00\x00\x00\x00\x80",
    b"\xff\xff\xff\xff\xff\xff\xff\x7f",
];
/// Mutations of each graph of the corpus, and of the graph of each operator.
const OF_CORPUS: u64 = 60;
const OF_OPERATOR: u64 = 60;

fn number(name: &str, default: u64) -> u64 {
    env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Runs the target on a model; a panic tells the model.
fn check(name: &str, model: &ModelProto) {
    let bytes = model.encode_to_vec();
    let start = std::time::Instant::now();
    let panicked = panic::catch_unwind(|| executor_run::runs(&bytes));
    if env::var_os("FUZZ_SLOW").is_some() && start.elapsed().as_secs() > 1 {
        eprintln!("SLOW {name} {:?}: {model:?}", start.elapsed());
    }
    assert!(panicked.is_ok(), "{name}: a panic at {model:?}");
}

#[test]
fn any_bytes() {
    mutations::run("onnx_model", &PIECES, executor_run::runs);
}

#[test]
fn mutated_graphs_of_the_corpus() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../fuzz/corpus/onnx_model");
    let mut random = Random::new(number("FUZZ_SEED", 0));
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        let model = ModelProto::decode(fs::read(&path).unwrap().as_slice()).unwrap();
        for _ in 0..number("FUZZ_MUTATIONS", OF_CORPUS) {
            let mut changed = model.clone();
            (0..=random.below(4)).for_each(|_| mutate(&mut changed, &mut random));
            check(&path.display().to_string(), &changed);
        }
    }
}

#[test]
fn graphs_of_each_operator_run() {
    let faults: Vec<_> = graphs::OPERATORS
        .iter()
        .filter_map(|case| runs(&graphs::model(case)).err().map(|error| format!("{case}: {error}")))
        .collect();
    assert!(faults.is_empty(), "{faults:#?}");
}

/// Whether a model runs on inputs of its shapes, fused and node by node.
fn runs(model: &ModelProto) -> Result<(), Box<dyn std::error::Error>> {
    let model = Model::from_bytes("case", &model.encode_to_vec())?;
    let inputs = executor_run::inputs(&model, 0).ok_or("inputs that are too large")?;
    let views: Vec<_> = inputs.iter().map(|input| input.view()).collect();
    let options = executor::Options::default();
    executor::Executor::new(model.clone(), &options)?.run(&views)?;
    executor::Executor::plain(model, &options)?.run(&views)?;
    Ok(())
}

#[test]
fn rows_without_elements_do_not_take_forever() {
    assert!(runs(&graphs::model("CumSum | f 0x4611686018427387904; l! - = 0")).is_err());
}

#[test]
fn mutated_graphs_of_each_operator() {
    let mut random = Random::new(number("FUZZ_SEED", 0));
    for case in graphs::OPERATORS {
        let model = graphs::model(case);
        check(case, &model);
        for _ in 0..number("FUZZ_MUTATIONS", OF_OPERATOR) {
            let mut changed = model.clone();
            (0..random.below(3)).for_each(|_| extend(&mut changed, &mut random));
            (0..=random.below(4)).for_each(|_| mutate(&mut changed, &mut random));
            check(case, &changed);
        }
    }
}
