//! A node with its inputs, and what operators ask of it. Every number of the graph is checked here or where it is used.

use crate::{
    Tensor,
    element::{Element, Number},
    ops::cast::cast,
    tensor::each,
};
use ndarray::{ArrayD, ArrayViewD, CowArray, IxDyn};
use onnx::{DataType, Node, Problem, type_name};

/// Most bytes of a value, as many as the values of a run may need together by default; few enough to add and multiply.
pub(crate) const MOST_BYTES: usize = 1 << 32;

/// A node with its inputs.
pub(crate) struct Call<'a> {
    /// The node.
    pub node: &'a Node,
    /// Version of ONNX's own operator set.
    pub opset: i64,
    /// The inputs; None where an optional one is left out.
    pub inputs: &'a [Option<&'a Tensor>],
    /// Most bytes of a value, at most [`MOST_BYTES`].
    pub most_bytes: usize,
}

impl<'a> Call<'a> {
    /// A fault of the node.
    pub fn problem(&self, reason: impl Into<String>) -> Problem {
        Problem::node(self.node, reason)
    }

    /// An input; None if it is left out.
    pub fn optional(&self, index: usize) -> Option<&'a Tensor> {
        self.inputs.get(index).copied().flatten()
    }

    /// An input that the operator requires.
    pub fn input(&self, index: usize) -> Result<&'a Tensor, Problem> {
        self.optional(index).ok_or_else(|| self.problem(format!("input {index} is missing")))
    }

    /// All inputs; none may be left out.
    pub fn all(&self) -> Result<Vec<&'a Tensor>, Problem> {
        (0..self.inputs.len()).map(|index| self.input(index)).collect()
    }

    /// The error of an element type that the operator has no implementation for.
    pub fn wrong_type(&self, tensor: &Tensor) -> Problem {
        self.problem(format!("an input of type {}, which is not supported here", type_name(tensor.dtype())))
    }

    /// An input of element type `T`.
    pub fn typed<T: Element>(&self, index: usize) -> Result<&'a ArrayD<T>, Problem> {
        let tensor = self.input(index)?;
        T::array(tensor).ok_or_else(|| self.wrong_type(tensor))
    }

    /// An input that is computed in `T`.
    pub fn numbers<T: Number>(&self, index: usize) -> Result<CowArray<'a, T, IxDyn>, Problem> {
        let tensor = self.input(index)?;
        T::values(tensor).ok_or_else(|| self.wrong_type(tensor))
    }

    /// As [`Call::numbers`]; None if the input is left out.
    pub fn optional_numbers<T: Number>(&self, index: usize) -> Result<Option<CowArray<'a, T, IxDyn>>, Problem> {
        self.optional(index).map(|_| self.numbers(index)).transpose()
    }

    /// The only element of an input; None if the input is left out.
    pub fn scalar<T: Number>(&self, index: usize) -> Result<Option<T>, Problem> {
        let Some(array) = self.optional_numbers::<T>(index)? else { return Ok(None) };
        match (array.len(), array.first()) {
            (1, Some(&value)) => Ok(Some(value)),
            (len, _) => Err(self.problem(format!("input {index} has {len} elements, expected one"))),
        }
    }

    /// An input's elements in float64.
    pub fn to_f64(&self, index: usize) -> Result<ArrayD<f64>, Problem> {
        match cast(self.input(index)?, DataType::Double) {
            Tensor::F64(array) => Ok(array),
            other => Err(self.wrong_type(&other)),
        }
    }

    /// An input's elements in int32; they wrap.
    pub fn to_i32(&self, index: usize) -> Result<ArrayD<i32>, Problem> {
        match cast(self.input(index)?, DataType::Int32) {
            Tensor::I32(array) => Ok(array),
            other => Err(self.wrong_type(&other)),
        }
    }

    /// The only element of a boolean input; false if the input is left out.
    pub fn condition(&self, index: usize) -> Result<bool, Problem> {
        match self.optional(index) {
            None => Ok(false),
            Some(_) => Ok(self.typed::<bool>(index)?.first() == Some(&true)),
        }
    }

    /// The elements of an input of int32 or int64; None if the input is left out.
    pub fn ints(&self, index: usize) -> Result<Option<Vec<i64>>, Problem> {
        match self.optional(index) {
            None => Ok(None),
            Some(Tensor::I64(array)) => Ok(Some(array.iter().copied().collect())),
            Some(Tensor::I32(array)) => Ok(Some(array.iter().map(|&x| x.into()).collect())),
            Some(other) => Err(self.wrong_type(other)),
        }
    }

    /// Integers that older operator sets have as an attribute and newer ones as an input.
    pub fn ints_or_attribute(&self, index: usize, name: &str) -> Result<Option<Vec<i64>>, Problem> {
        match self.node.ints(name)? {
            Some(values) => Ok(Some(values.to_vec())),
            None => self.ints(index),
        }
    }

    /// The elements of an input, or of an attribute, that the operator requires.
    pub fn required_ints(&self, index: usize, name: &str) -> Result<Vec<i64>, Problem> {
        self.ints_or_attribute(index, name)?.ok_or_else(|| self.problem(format!("{name} is missing")))
    }

    /// A boolean attribute.
    pub fn flag(&self, name: &str, default: bool) -> Result<bool, Problem> {
        Ok(self.node.int(name, default.into())? != 0)
    }

    /// A dimension or count of the graph.
    pub fn size(&self, value: i64) -> Result<usize, Problem> {
        usize::try_from(value).map_err(|_| self.problem(format!("{value} where a size is expected")))
    }

    /// An index of `size` elements; negative ones count from the end.
    pub fn index(&self, index: i64, size: usize) -> Result<usize, Problem> {
        wrapped(index, size).ok_or_else(|| self.problem(format!("index {index} is out of range for {size}")))
    }

    /// An axis of a tensor of `rank` axes; negative ones count from the last.
    pub fn axis(&self, axis: i64, rank: usize) -> Result<usize, Problem> {
        wrapped(axis, rank).ok_or_else(|| self.problem(format!("axis {axis} is out of range for {rank} axes")))
    }

    /// Distinct axes of a tensor of `rank` axes, in the given order.
    pub fn axes(&self, axes: &[i64], rank: usize) -> Result<Vec<usize>, Problem> {
        let found = axes.iter().map(|&axis| self.axis(axis, rank)).collect::<Result<Vec<_>, _>>()?;
        match found.iter().enumerate().find(|(index, axis)| found[..*index].contains(axis)) {
            Some((_, axis)) => Err(self.problem(format!("axis {axis} is named twice"))),
            None => Ok(found),
        }
    }

    /// The axis of the attribute `axis`.
    pub fn axis_attribute(&self, default: i64, rank: usize) -> Result<usize, Problem> {
        self.axis(self.node.int("axis", default)?, rank)
    }

    /// The number of elements of a shape, whose bytes fit memory: checked before a value is allocated.
    pub fn elements<T>(&self, shape: &[usize]) -> Result<usize, Problem> {
        // Without the zeros: ndarray wants strides of such a shape to fit as well.
        let sizes = shape.iter().filter(|&&size| size > 0);
        let product = sizes.clone().try_fold(size_of::<T>().max(1), |product, &size| product.checked_mul(size));
        match product {
            Some(bytes) if bytes <= self.most_bytes => Ok(shape.iter().product()),
            _ => Err(self.problem(format!("a value of shape {shape:?}, which is too large"))),
        }
    }

    /// An empty vector that has room for the elements of `shape`.
    pub fn reserve<T>(&self, shape: &[usize]) -> Result<Vec<T>, Problem> {
        let mut values = Vec::new();
        let reserved = values.try_reserve_exact(self.elements::<T>(shape)?);
        reserved.map_err(|error| self.problem(format!("a value of shape {shape:?}: {error}")))?;
        Ok(values)
    }

    /// An array of values in row-major order.
    pub fn array<T>(&self, shape: &[usize], values: Vec<T>) -> Result<ArrayD<T>, Problem> {
        let len = values.len();
        let wrong = |_| self.problem(format!("{len} elements do not fit the shape {shape:?}"));
        ArrayD::from_shape_vec(shape, values).map_err(wrong)
    }

    /// An array of values in row-major order.
    pub fn collect<T>(&self, shape: &[usize], values: impl Iterator<Item = T>) -> Result<ArrayD<T>, Problem> {
        let mut all = self.reserve(shape)?;
        all.extend(values);
        self.array(shape, all)
    }

    /// A vector of equal elements, as many as `shape` has.
    pub fn filled<T: Copy>(&self, shape: &[usize], value: T) -> Result<Vec<T>, Problem> {
        let mut values = self.reserve(shape)?;
        values.resize(self.elements::<T>(shape)?, value);
        Ok(values)
    }

    /// What shapes broadcast to, as in NumPy.
    pub fn broadcast_shape(&self, shapes: &[&[usize]]) -> Result<Vec<usize>, Problem> {
        let rank = shapes.iter().map(|shape| shape.len()).max().unwrap_or_default();
        let mut out = vec![1; rank];
        for shape in shapes {
            for (out, &size) in out[rank - shape.len()..].iter_mut().zip(*shape) {
                match (*out, size) {
                    (a, b) if a == b => {}
                    (1, size) => *out = size,
                    (_, 1) => {}
                    _ => return Err(self.problem(format!("shapes {shapes:?} do not broadcast"))),
                }
            }
        }
        self.elements::<u8>(&out)?;
        Ok(out)
    }

    /// An array as if it had the shape `to`, to which it broadcasts.
    pub fn broadcast<'b, T>(&self, array: &'b ArrayViewD<'_, T>, to: &[usize]) -> Result<ArrayViewD<'b, T>, Problem> {
        let wrong = || self.problem(format!("shape {:?} does not broadcast to {to:?}", array.shape()));
        array.broadcast(to).ok_or_else(wrong)
    }

    /// An array with another shape of as many elements.
    pub fn reshape<T: Clone>(&self, array: CowArray<'_, T, IxDyn>, shape: &[usize]) -> Result<ArrayD<T>, Problem> {
        let values = array.into_owned();
        let values = if values.is_standard_layout() { values } else { values.as_standard_layout().into_owned() };
        let (values, _) = values.into_raw_vec_and_offset();
        self.array(shape, values)
    }

    /// The tensor with another shape of as many elements.
    pub fn reshaped(&self, tensor: &Tensor, shape: &[usize]) -> Result<Vec<Tensor>, Problem> {
        each!(tensor, array => Ok(vec![self.reshape(array.into(), shape)?.into()]))
    }
}

/// An index from 0, of one that may count from the end.
fn wrapped(index: i64, size: usize) -> Option<usize> {
    let from_zero = if index < 0 { index.checked_add(i64::try_from(size).ok()?)? } else { index };
    usize::try_from(from_zero).ok().filter(|&index| index < size)
}
