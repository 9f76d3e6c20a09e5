//! Tensors, as they lie on the wire.

use crate::DataType;
use bytes::Bytes;

/// Bytes of the length in front of each element of a `BYTES` tensor.
const LENGTH: usize = 4;

/// A named tensor whose data fits its shape and type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tensor {
    name: String,
    data_type: DataType,
    shape: Vec<usize>,
    elements: usize,
    data: Bytes,
}

/// Why data is no tensor of a shape and type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TensorError {
    /// The product of the dimensions does not fit a `usize`.
    #[error("tensor {name:?}: the product of shape {shape:?} is too large")]
    ShapeOverflow {
        /// Name of the tensor.
        name: String,
        /// Its shape.
        shape: Vec<usize>,
    },
    /// More or fewer bytes than the shape and type need.
    #[error("tensor {name:?}: {found} bytes of data, expected {expected} for {data_type} {shape:?}")]
    Size {
        /// Name of the tensor.
        name: String,
        /// Its type.
        data_type: DataType,
        /// Its shape.
        shape: Vec<usize>,
        /// Bytes that the shape and type need.
        expected: usize,
        /// Bytes that are there.
        found: usize,
    },
    /// Data of a `BYTES` tensor whose lengths do not add up.
    #[error("tensor {name:?}: {elements} BYTES elements expected, element {index} is cut off or bytes are left over")]
    Strings {
        /// Name of the tensor.
        name: String,
        /// Elements that the shape has.
        elements: usize,
        /// Index of the first element that is wrong.
        index: usize,
    },
    /// A `BOOL` element that is neither 0 nor 1.
    #[error("tensor {name:?}: BOOL element {index} is {value}, expected 0 or 1")]
    Bool {
        /// Name of the tensor.
        name: String,
        /// Index of the element.
        index: usize,
        /// What it is.
        value: u8,
    },
}

impl Tensor {
    /// A tensor of `data`: row-major, little-endian; a `BYTES` element is its length (4 bytes) and its bytes.
    ///
    /// # Errors
    /// When the data does not fit the shape and type exactly.
    pub fn new(name: String, data_type: DataType, shape: Vec<usize>, data: Bytes) -> Result<Self, TensorError> {
        let product = shape.iter().try_fold(1_usize, |product, &dim| product.checked_mul(dim));
        let bytes = product.and_then(|elements| elements.checked_mul(data_type.size().unwrap_or(LENGTH)));
        let (Some(elements), Some(expected)) = (product, bytes) else {
            return Err(TensorError::ShapeOverflow { name, shape });
        };
        if data_type == DataType::Bytes {
            if let Err(index) = check_strings(&data, elements) {
                return Err(TensorError::Strings { name, elements, index });
            }
        } else if data.len() != expected {
            return Err(TensorError::Size { name, data_type, shape, expected, found: data.len() });
        }
        if data_type == DataType::Bool
            && let Some((index, &value)) = data.iter().enumerate().find(|(_, byte)| **byte > 1)
        {
            return Err(TensorError::Bool { name, index, value });
        }
        Ok(Self { name, data_type, shape, elements, data })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its element type.
    pub fn data_type(&self) -> DataType {
        self.data_type
    }

    /// Its shape, batch axis included.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The product of its dimensions.
    pub fn elements(&self) -> usize {
        self.elements
    }

    /// Its data, as [`Tensor::new`] takes it.
    pub fn data(&self) -> &Bytes {
        &self.data
    }

    /// The elements of a `BYTES` tensor; none of another type.
    pub fn strings(&self) -> impl Iterator<Item = &[u8]> {
        let data: &[u8] = if self.data_type == DataType::Bytes { &self.data } else { &[] };
        Strings(data)
    }
}

/// The elements of a `BYTES` tensor's data, as far as they are whole.
struct Strings<'a>(&'a [u8]);

impl<'a> Iterator for Strings<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = self.0.split_first_chunk::<LENGTH>()?;
        let (element, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        self.0 = rest;
        Some(element)
    }
}

/// Whether the data has exactly so many elements; otherwise the index of the first that is wrong.
fn check_strings(data: &[u8], elements: usize) -> Result<(), usize> {
    let mut strings = Strings(data);
    let whole = strings.by_ref().take(elements).count();
    if whole == elements && strings.0.is_empty() { Ok(()) } else { Err(whole) }
}
