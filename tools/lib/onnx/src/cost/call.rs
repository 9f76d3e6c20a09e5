//! A node with the types of its values.

use super::Unknown;
use crate::{DataType, Node, shape::Types};
use std::collections::HashSet;

/// A node whose cost is asked for.
pub(super) struct Call<'a> {
    pub node: &'a Node,
    pub types: &'a Types,
    /// Names of the values that are the same in every run.
    pub constants: &'a HashSet<&'a str>,
}

/// A value of known type and shape.
#[derive(Debug, Clone)]
pub(super) struct Operand {
    pub dtype: DataType,
    pub dims: Vec<usize>,
}

impl Operand {
    pub fn elements(&self) -> Result<u64, Unknown> {
        product(self.dims.iter().copied())
    }

    /// The size at `axis`; negative axes count from the end.
    pub fn dim(&self, axis: isize) -> Result<u64, Unknown> {
        let index = if axis < 0 { self.dims.len().checked_add_signed(axis) } else { usize::try_from(axis).ok() };
        index.and_then(|index| self.dims.get(index)).map(|&size| size as u64).ok_or(Unknown::Malformed)
    }
}

/// The product of sizes.
pub(super) fn product(sizes: impl IntoIterator<Item = usize>) -> Result<u64, Unknown> {
    // A size of 0 makes it 0, however large the others are.
    let mut sizes = sizes.into_iter();
    let mut product = 1u64;
    let mut overflow = false;
    for size in sizes.by_ref() {
        match product.checked_mul(size as u64) {
            _ if size == 0 => return Ok(0),
            Some(next) => product = next,
            None => overflow = true,
        }
    }
    if overflow { Err(Unknown::TooLarge) } else { Ok(product) }
}

/// The sum of two numbers.
pub(super) fn plus(a: u64, b: u64) -> Result<u64, Unknown> {
    a.checked_add(b).ok_or(Unknown::TooLarge)
}

/// The product of two numbers.
pub(super) fn times(a: u64, b: u64) -> Result<u64, Unknown> {
    a.checked_mul(b).ok_or(Unknown::TooLarge)
}

impl Call<'_> {
    /// Whether the node reads only constants, and gives the same values in every run.
    pub fn is_constant(&self) -> bool {
        let mut outputs = self.node.outputs.iter().filter(|name| !name.is_empty()).peekable();
        outputs.peek().is_some() && outputs.all(|name| self.constants.contains(name.as_str()))
    }

    /// Element type of the first input, or else of the first output.
    pub fn dtype(&self) -> DataType {
        let first = |name: Option<&str>| self.types.get(name?).map(|ty| ty.dtype);
        first(self.node.input(0)).or_else(|| first(self.node.output(0))).unwrap_or(DataType::Undefined)
    }

    /// A value by its name.
    pub fn value(&self, name: &str) -> Result<Operand, Unknown> {
        let unknown = || Unknown::Type(name.to_owned());
        let ty = self.types.get(name).ok_or_else(unknown)?;
        Ok(Operand { dtype: ty.dtype, dims: ty.dims().ok_or_else(unknown)? })
    }

    /// A required input.
    pub fn input(&self, index: usize) -> Result<Operand, Unknown> {
        self.value(self.node.input(index).ok_or(Unknown::Malformed)?)
    }

    /// An optional input.
    pub fn optional_input(&self, index: usize) -> Result<Option<Operand>, Unknown> {
        self.node.input(index).map(|name| self.value(name)).transpose()
    }

    /// The first output.
    pub fn output(&self) -> Result<Operand, Unknown> {
        self.value(self.node.output(0).ok_or(Unknown::Malformed)?)
    }

    /// Elements of the first output.
    pub fn output_elements(&self) -> Result<u64, Unknown> {
        self.output()?.elements()
    }
}
