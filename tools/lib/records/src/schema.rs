//! The fields of a row: names, element types, shapes.

use crate::{DType, Error, Result};
use std::collections::HashMap;

/// The largest row. Memory is allocated by the row, and a header that claims a larger one is damaged or malicious.
pub(crate) const MAX_ROW_BYTES: usize = 256 << 20;

/// One field of a row: a name, an element type and a fixed shape (empty for a scalar).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// The name, unique within its schema.
    pub name: String,
    /// The element type.
    pub dtype: DType,
    /// The shape of one row's value: `[]` for a scalar, `[8]` for a vector of eight.
    pub shape: Vec<usize>,
}

impl Field {
    /// A field called `name`.
    pub fn new(name: impl Into<String>, dtype: DType, shape: &[usize]) -> Self {
        Self { name: name.into(), dtype, shape: shape.to_vec() }
    }

    /// Number of elements in one row's value.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// Size of one row's value in bytes.
    pub fn bytes(&self) -> usize {
        self.elements() * self.dtype.size()
    }
}

impl std::fmt::Display for Field {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.name, self.dtype)?;
        if self.shape.is_empty() {
            return Ok(());
        }
        let dims: Vec<_> = self.shape.iter().map(usize::to_string).collect();
        write!(f, "[{}]", dims.join(","))
    }
}

/// The ordered fields of a row; valid by construction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schema {
    fields: Vec<Field>,
    offsets: Vec<usize>,
    row_bytes: usize,
    /// By name: rows may have thousands of fields.
    index: HashMap<String, usize>,
}

impl Schema {
    /// A schema of `fields` in this order, packed without padding.
    ///
    /// # Errors
    /// When there is no field, or a field has no name, the name of another, or no elements, or the row has more than 256 MiB.
    pub fn new(fields: Vec<Field>) -> Result<Self> {
        if fields.is_empty() {
            return Err(Error::NoFields);
        }
        let mut offsets = Vec::with_capacity(fields.len());
        let mut row_bytes = 0usize;
        let mut index = HashMap::with_capacity(fields.len());
        for (i, field) in fields.iter().enumerate() {
            if field.name.is_empty() {
                return Err(Error::UnnamedField(i));
            }
            if index.insert(field.name.clone(), i).is_some() {
                return Err(Error::DuplicateField(field.name.clone()));
            }
            let elements = field.shape.iter().try_fold(1usize, |n, &dim| n.checked_mul(dim));
            let bytes = elements.and_then(|n| n.checked_mul(field.dtype.size()));
            match bytes {
                Some(0) => return Err(Error::EmptyField(field.name.clone())),
                Some(bytes) if bytes <= MAX_ROW_BYTES - row_bytes => {
                    offsets.push(row_bytes);
                    row_bytes += bytes;
                }
                _ => {
                    return Err(Error::RowTooLarge { name: field.name.clone(), limit_mib: MAX_ROW_BYTES >> 20 });
                }
            }
        }
        Ok(Self { fields, offsets, row_bytes, index })
    }

    /// The fields in order.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// Size of a packed row in bytes.
    pub fn row_bytes(&self) -> usize {
        self.row_bytes
    }

    /// The offset of field `index` in a packed row, in bytes.
    pub(crate) fn offset(&self, index: usize) -> usize {
        self.offsets[index]
    }

    /// The index of the field called `name`.
    ///
    /// # Errors
    /// [`Error::NoField`], which lists the fields.
    pub fn index_of(&self, name: &str) -> Result<usize> {
        self.index.get(name).copied().ok_or_else(|| no_field(name, self.fields.iter().map(|field| field.name.as_str())))
    }
}

/// The error that a field is none of `names`.
pub(crate) fn no_field<'a>(name: &str, names: impl ExactSizeIterator<Item = &'a str>) -> Error {
    Error::NoField { name: name.to_owned(), known: some_names(names), remedy: String::new() }
}

/// Most names that a message lists.
const LISTED_NAMES: usize = 20;

/// A list of names for a message: the first 20, and how many more.
pub(crate) fn some_names<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    let more = names.len().saturating_sub(LISTED_NAMES);
    let listed = names.take(LISTED_NAMES).collect::<Vec<_>>().join(", ");
    if more == 0 { listed } else { format!("{listed} and {more} more") }
}

impl std::fmt::Display for Schema {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (i, field) in self.fields.iter().enumerate() {
            write!(f, "{}{field}", if i == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}
