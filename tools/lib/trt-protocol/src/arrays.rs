//! Arrays in a payload: the elements of one after the other, row-major and little-endian.

use crate::TensorInfo;

/// Why shapes and data do not belong together. Displays as one line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArrayError {
    /// Another number of shapes than of tensors.
    #[error("{found} arrays, expected {expected}")]
    Count {
        /// Shapes.
        found: usize,
        /// Tensors.
        expected: usize,
    },
    /// A shape with a negative dimension, or of more elements than there are addresses; or a type without a size in bytes.
    #[error("{name:?}: no array of {dtype} has shape {shape:?}")]
    Shape {
        /// Name of the tensor.
        name: String,
        /// Its element type.
        dtype: String,
        /// The shape.
        shape: Vec<i64>,
    },
    /// Data that ends within an array.
    #[error("{name:?}: {found} bytes of data, shape {shape:?} has {expected}")]
    TooShort {
        /// Name of the tensor.
        name: String,
        /// The shape.
        shape: Vec<i64>,
        /// Bytes that are left for it.
        found: usize,
        /// Bytes that it has.
        expected: usize,
    },
    /// Data after the last array.
    #[error("{0} bytes of data more than the shapes have")]
    TooLong(usize),
}

impl TensorInfo {
    /// Bytes of an element; None for a type that is not known, or has elements of less than a byte.
    pub fn element_size(&self) -> Option<usize> {
        match self.dtype.as_str() {
            "bool" | "int8" | "uint8" => Some(1),
            "float16" | "bfloat16" => Some(2),
            "float32" | "int32" => Some(4),
            "int64" => Some(8),
            _ => None,
        }
    }

    /// Bytes of an array of this tensor's type.
    ///
    /// # Errors
    /// When there is no array of this shape.
    pub fn byte_length(&self, shape: &[i64]) -> Result<usize, ArrayError> {
        let dims = shape.iter().map(|&dim| usize::try_from(dim).ok());
        let length = dims.fold(self.element_size(), |product, dim| product?.checked_mul(dim?));
        let (name, dtype) = (&self.name, &self.dtype);
        length.ok_or_else(|| ArrayError::Shape { name: name.clone(), dtype: dtype.clone(), shape: shape.to_vec() })
    }
}

/// Cuts `data` into an array of each tensor, of the shape at the same index.
///
/// # Errors
/// When shapes and data do not fit the tensors or each other.
pub fn split<'d>(tensors: &[TensorInfo], shapes: &[Vec<i64>], mut data: &'d [u8]) -> Result<Vec<&'d [u8]>, ArrayError> {
    if shapes.len() != tensors.len() {
        return Err(ArrayError::Count { found: shapes.len(), expected: tensors.len() });
    }
    let mut arrays = Vec::with_capacity(tensors.len());
    for (tensor, shape) in tensors.iter().zip(shapes) {
        let expected = tensor.byte_length(shape)?;
        let (name, found) = (&tensor.name, data.len());
        let too_short = || ArrayError::TooShort { name: name.clone(), shape: shape.clone(), found, expected };
        let (array, rest) = data.split_at_checked(expected).ok_or_else(too_short)?;
        arrays.push(array);
        data = rest;
    }
    if data.is_empty() { Ok(arrays) } else { Err(ArrayError::TooLong(data.len())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_cut_by_the_shapes_and_must_fit_them() {
        let tensor = |name: &str, dtype: &str| TensorInfo { name: name.into(), dtype: dtype.into(), shape: vec![-1] };
        let (tensors, data) = ([tensor("a", "float32"), tensor("b", "uint8")], [1, 2, 3, 4, 5, 6, 7, 8, 9]);
        let cut = |shapes: &[Vec<i64>], bytes| split(&tensors, shapes, &data[..bytes]).map_err(|e| e.to_string());
        assert_eq!(cut(&[vec![2, 1], vec![1]], 9), Ok(vec![&data[..8], &data[8..]]));
        assert_eq!(cut(&[vec![0, 1], vec![9]], 9), Ok(vec![&data[..0], &data[..]]));
        assert_eq!(cut(&[vec![2], vec![2]], 9), Err("\"b\": 1 bytes of data, shape [2] has 2".into()));
        assert_eq!(cut(&[vec![1], vec![1]], 9), Err("4 bytes of data more than the shapes have".into()));
        assert_eq!(cut(&[vec![1]], 4), Err("1 arrays, expected 2".into()));
        for shape in [vec![-1], vec![i64::MAX, 2]] {
            assert!(cut(&[shape, vec![1]], 9).is_err_and(|e| e.starts_with("\"a\": no array of float32 has shape")));
        }
        assert!(tensor("c", "int4").byte_length(&[2]).is_err());
    }
}
