//! The tools: what each does, and the function that runs it.

use std::process::ExitCode;

/// A tool, as `pipegrad --help` lists it.
pub struct Tool {
    pub name: &'static str,
    pub summary: &'static str,
    /// None for a program of its own: it needs a library on the machine that builds it.
    pub main: Option<fn() -> ExitCode>,
}

/// All tools, in the order of a pipeline.
pub const TOOLS: &[Tool] = &[
    contained("compose", "settings -> one resolved YAML document", compose::main),
    contained("sweep", "settings of several values -> one job a line", sweep::main),
    contained("gen-data", "nothing -> records of random data", gen_data::main),
    contained("fetch-data", "nothing -> records of a dataset of images", fetch_data::main),
    contained("entropy", "records -> records with the entropy of a field", entropy::main),
    contained("relu", "records -> records with max(0, x) of a field", relu::main),
    contained("train", "records -> run events, and a run folder", train::main),
    contained("track", "run events -> the same run events, logged to MLflow and to files", track::main),
    contained("export", "run folder -> ONNX model", export::main),
    contained("profile", "ONNX models -> MACs, FLOPs, bytes and least time of each layer", profile::main),
    Tool { name: "trt-build", summary: "ONNX model -> TensorRT engine and its manifest", main: None },
    contained("infer", "records -> records with a model's prediction", infer::main),
    contained("serve", "ONNX models -> an HTTP and gRPC server", serve::main),
    contained("score", "records with predictions -> metrics", score::main),
    contained("plot", "run events -> charts", plot::main),
    contained("compare", "run folders -> one table, best first, and a gate", compare::main),
];

const fn contained(name: &'static str, summary: &'static str, main: fn() -> ExitCode) -> Tool {
    Tool { name, summary, main: Some(main) }
}

/// The tool of this name.
pub fn find(name: &str) -> Option<&'static Tool> {
    TOOLS.iter().find(|tool| tool.name == name)
}

pub fn names() -> impl Iterator<Item = &'static str> + Clone {
    TOOLS.iter().map(|tool| tool.name)
}

/// The names of the tools that this program contains, a line each.
pub fn contained_names() -> String {
    TOOLS.iter().filter(|tool| tool.main.is_some()).map(|tool| format!("{}\n", tool.name)).collect()
}
