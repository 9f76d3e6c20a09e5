//! Clean-up of graphs: what does not change what a model computes, or only in the last bits.

mod affine;
mod constants;
mod dead;
mod linear;

use crate::{Graph, Problem};

/// Folds batch normalisation, of inference, into the convolutions and `Gemm` before it, in float64; returns how many. Only
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
