//! Models in float16.
//!
//! Runtimes without precision flags, TensorRT 11 among them, compute in the types that the graph has. [`convert`] gives float16
//! to all float32 values but those of nodes that stay in float32: the operators and nodes that the options name, operators
//! that ONNX does not define on float16, those of other domains, and those with subgraphs. `Cast` nodes lie between, at
//! most one for each value, directly behind what computes it. A constant that is read in both types is stored in both.

mod constants;
mod operators;
mod plan;
mod rewrite;
mod values;

use crate::{Graph, Model, Problem, shape, simplify};
use std::collections::BTreeMap;

pub use operators::SENSITIVE;

/// What stays in float32.
#[derive(Debug, Clone, Copy)]
pub struct Options<'a> {
    /// Operators of ONNX's own domain; [`SENSITIVE`] is a sound choice.
    pub keep_ops: &'a [String],
    /// Nodes by name, or by the name of an output.
    pub keep_nodes: &'a [String],
    /// Whether inputs and outputs of the graph stay float32.
    pub keep_io: bool,
}

/// What [`convert`] has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Report {
    /// Nodes that compute in float16.
    pub half_nodes: usize,
    /// Nodes that stay in float32.
    pub kept_nodes: usize,
    /// `Cast` nodes that were added.
    pub casts: usize,
    /// Constants that are stored in float16.
    pub constants: usize,
    /// Elements of constants that were moved to float16's largest finite, or smallest positive, magnitude.
    pub clamped: usize,
    /// Other elements of constants, not zero, that are zero in float16.
    pub flushed: usize,
}

/// Type of a float32 value after the conversion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// float16
    Half,
    /// float32
    Full,
}

impl Form {
    fn other(self) -> Self {
        match self {
            Self::Half => Self::Full,
            Self::Full => Self::Half,
        }
    }

    fn dtype(self) -> crate::DataType {
        match self {
            Self::Half => crate::DataType::Float16,
            Self::Full => crate::DataType::Float,
        }
    }
}

/// Converts a model to float16.
///
/// # Errors
/// When the model breaks the rules of its operators; a weight has values beyond float16's range; or `keep_nodes` names a node
/// that is not there.
pub fn convert(model: &mut Model, options: &Options<'_>) -> Result<Report, Problem> {
    check_names(&model.graph, options.keep_nodes)?;
    simplify::lift_constants(&mut model.graph)?;
    let types = shape::infer(model, &BTreeMap::new())?;
    let graph = &mut model.graph;
    let forms = plan::forms(graph, &types, options);
    let values = values::Values::new(graph, &types, &forms, options.keep_io)?;
    let mut report = constants::convert(graph, &forms, &values)?;
    report.casts = rewrite::nodes(graph, &forms, &values)?;
    rewrite::declared_types(graph, &values);
    report.half_nodes = forms.iter().filter(|form| **form == Some(Form::Half)).count();
    report.kept_nodes = forms.iter().filter(|form| **form == Some(Form::Full)).count();
    graph.sort()?;
    Ok(report)
}

fn check_names(graph: &Graph, names: &[String]) -> Result<(), Problem> {
    let found = |name: &String| graph.nodes.iter().any(|node| node.is_called(name));
    match names.iter().find(|name| !found(name)) {
        Some(name) => Err(Problem::graph(format!("keep_nodes: no node is called {name:?}"))),
        None => Ok(()),
    }
}
