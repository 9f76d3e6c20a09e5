//! Typed settings from a tree: a serde deserializer whose errors know the file and line.
//!
//! This is where the value of a key becomes a number, a text or an enum of a tool's settings struct: [`reader`] hands
//! each [`Node`] to serde, [`variant`] reads enums from mappings, and [`failure`] says what is wrong, where, and what
//! is perhaps meant. (The text behind an override's `=` was typed before, by `overrides::value`; a scalar of a file by
//! `scalar`.)

mod failure;
mod reader;
mod variant;

pub(crate) use variant::selector;

use crate::{error::Result, node::Node, overrides::Override, shadow::Shadow};
use reader::Reader;
use serde::de::DeserializeOwned;

/// The settings at `node`, which is at the dotted `path` of the document.
pub(crate) fn from_node<T: DeserializeOwned>(node: &Node, path: &str, history: &History) -> Result<T> {
    T::deserialize(Reader { node }).map_err(|failure| failure.within(node).into_error(path, node, history))
}

/// What composing did that may be why a key is missing, or is there.
#[derive(Debug, Clone, Default)]
pub(crate) struct History {
    /// The overrides that deleted keys.
    pub deletions: Vec<Override>,
    /// Files in the place of built-in ones.
    pub shadows: Vec<Shadow>,
}

#[cfg(test)]
mod tests;
