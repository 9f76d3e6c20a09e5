//! Clean-up of graphs: what does not change what a model computes, or only in the last bits.
//!
//! [`simplify`] repeats its passes, in the order of [`Simplified`]'s fields, until none finds anything. Names of the graph's
//! inputs and outputs stay, and so do values that subgraphs read.

mod affine;
mod aliases;
mod constants;
mod dead;
mod duplicates;
mod fold;
mod gemm;
mod identities;
mod linear;
mod pads;
mod shapes;

pub(crate) use constants::lift as lift_constants;

use crate::{Graph, Model, Problem, Tensor, shape};
use std::collections::BTreeMap;

/// Computes the outputs of a model without inputs; an error says in one line why it cannot.
pub type Evaluate<'a> = dyn FnMut(&Model) -> Result<Vec<Tensor>, String> + 'a;

/// Limits of [`simplify`].
#[derive(Debug, Clone)]
pub struct Options {
    /// Most bytes of a value that constant folding makes an initializer of; more if its inputs have as many. Keeps
    /// `ConstantOfShape`, `Expand` and `Tile` from filling the file.
    pub fold_bytes: usize,
}

impl Default for Options {
    /// 1 MiB.
    fn default() -> Self {
        Self { fold_bytes: 1 << 20 }
    }
}

/// How much [`simplify`] has changed. The outputs stay equal bit for bit under all but `gemms` to `pads`, which round anew.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Simplified {
    /// `Constant` nodes that became initializers.
    pub constants: usize,
    /// Nodes that compute what is known of shapes.
    pub shapes: usize,
    /// Nodes that depend on constants alone.
    pub folded: usize,
    /// Nodes whose output is their input.
    pub identities: usize,
    /// `MatMul` nodes that became `Gemm`, to take a bias.
    pub gemms: usize,
    /// Batch normalizations folded into the node before.
    pub batch_norms: usize,
    /// Arithmetic with constants folded into the node before.
    pub arithmetic: usize,
    /// `Pad` nodes folded into the node behind.
    pub pads: usize,
    /// Initializers and nodes that equal another.
    pub duplicates: usize,
    /// Nodes that no output depends on.
    pub dead_nodes: usize,
    /// Initializers that nothing reads, those of folded nodes included.
    pub unused_initializers: usize,
}

impl Simplified {
    /// The counts by their names, in order.
    pub fn counts(&self) -> [(&'static str, usize); 11] {
        [
            ("constants", self.constants),
            ("shapes", self.shapes),
            ("folded", self.folded),
            ("identities", self.identities),
            ("gemms", self.gemms),
            ("batch_norms", self.batch_norms),
            ("arithmetic", self.arithmetic),
            ("pads", self.pads),
            ("duplicates", self.duplicates),
            ("dead_nodes", self.dead_nodes),
            ("unused_initializers", self.unused_initializers),
        ]
    }

    fn add(&mut self, round: &Self) {
        self.constants += round.constants;
        self.shapes += round.shapes;
        self.folded += round.folded;
        self.identities += round.identities;
        self.gemms += round.gemms;
        self.batch_norms += round.batch_norms;
        self.arithmetic += round.arithmetic;
        self.pads += round.pads;
        self.duplicates += round.duplicates;
        self.dead_nodes += round.dead_nodes;
        self.unused_initializers += round.unused_initializers;
    }
}

/// Simplifies a model; `evaluate` computes its constant part.
///
/// # Errors
/// When the model breaks the rules of its operators, or `evaluate` fails.
pub fn simplify(model: &mut Model, options: &Options, evaluate: &mut Evaluate<'_>) -> Result<Simplified, Problem> {
    let mut simplified = Simplified::default();
    // Each change removes a node or an initializer, or makes a Gemm of a MatMul: this ends.
    loop {
        let round = round(model, options, evaluate)?;
        if round == Simplified::default() {
            break;
        }
        simplified.add(&round);
    }
    model.graph.sort()?;
    Ok(simplified)
}

/// All passes once.
fn round(model: &mut Model, options: &Options, evaluate: &mut Evaluate<'_>) -> Result<Simplified, Problem> {
    let constants = constants::lift(&mut model.graph)?;
    // No pass below gives a value of this round another type.
    let types = shape::infer(model, &BTreeMap::new())?;
    let shapes = shapes::fold(&mut model.graph, &types);
    let folded = fold::fold(model, &types, options.fold_bytes, evaluate)?;
    let graph = &mut model.graph;
    let identities = identities::remove(graph, &types)?;
    let gemms = gemm::rewrite(graph, &types);
    let affine = affine::fold(graph, true)?;
    let pads = pads::fold(graph)?;
    let duplicates = duplicates::merge(graph);
    let swept = dead::sweep(graph);
    Ok(Simplified {
        constants,
        shapes,
        folded,
        identities,
        gemms,
        batch_norms: affine.batch_norms,
        arithmetic: affine.arithmetic,
        pads,
        duplicates,
        dead_nodes: swept.nodes,
        unused_initializers: swept.initializers,
    })
}

/// Folds batch normalization, of inference, into the convolutions and `Gemm` before it, in float64; returns how many. Only
/// where nothing else reads the value between; a weight that others read too is copied.
///
/// # Errors
/// When an attribute or a constant is faulty.
pub fn fold_batch_norms(graph: &mut Graph) -> Result<usize, Problem> {
    constants::lift(graph)?;
    let folded = affine::fold(graph, false)?;
    dead::sweep(graph);
    Ok(folded.batch_norms)
}
