//! The defaults list: which configs make up a document, in which order, at which package.
//!
//! The rules, and their order, are those of Hydra 1.3 (`hydra/_internal/defaults_list.py`).

mod choices;
mod entry;
mod expand;
mod tree;

pub(crate) use choices::Choices;
pub(crate) use entry::{Choice, Entry, GLOBAL, Target, parse_list};
pub(crate) use expand::Expansion;
pub(crate) use tree::{Branch, Chosen};
