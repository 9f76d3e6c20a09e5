//! What inference knows of one value.

use super::expression::{MAX_VALUES, Symbols, known, number, render, to_dim};
use crate::{DataType, Dim, Tensor, TensorType, type_name};
use rten_shape_inference::{SymExpr, SymTensor};
use std::ops::RangeInclusive;

/// What is known of a value.
#[derive(Debug, Clone)]
pub(super) struct Fact {
    /// Type of the elements; [`DataType::Undefined`] if it is not known.
    pub dtype: DataType,
    /// The shape, or the elements of an integer scalar or vector.
    pub tensor: SymTensor,
}

impl Fact {
    /// Of which nothing is known.
    pub fn unknown() -> Self {
        Self { dtype: DataType::Undefined, tensor: SymTensor::unknown("") }
    }

    /// A value whose type the file tells.
    pub fn declared(ty: &TensorType, symbols: &Symbols) -> Self {
        let dims = |shape: &Vec<Dim>| SymTensor::from_shape(shape.iter().map(|dim| symbols.dim(dim)).collect());
        let tensor = ty.shape.as_ref().map_or(SymTensor::unknown(""), dims);
        Self { dtype: ty.dtype, tensor: symbols.settle_tensor(&tensor) }
    }

    /// A constant; short integer vectors keep their elements.
    pub fn constant(tensor: &Tensor, symbols: &Symbols) -> Self {
        let dims = tensor.dims();
        let short = dims.len() <= 1 && dims.iter().all(|&dim| dim <= MAX_VALUES);
        let values = if short { tensor.to_i64() } else { None };
        let known = match values.as_deref() {
            Some(&[value]) if dims.is_empty() => SymTensor::from_scalar(number(value.into())),
            Some(values) => SymTensor::from_vec(values.iter().map(|&value| number(value.into())).collect()),
            None => SymTensor::from_shape(dims.iter().map(|&dim| number(dim as i128)).collect()),
        };
        Self { dtype: tensor.dtype(), tensor: symbols.settle_tensor(&known) }
    }

    /// What a rule has found. Elements are followed in integers only, for a quotient of floating-point numbers is another one;
    /// those that leave their type are unknown.
    pub fn computed(dtype: DataType, tensor: &SymTensor, symbols: &Symbols) -> Self {
        let limits: RangeInclusive<i128> = match dtype {
            DataType::Int64 => i64::MIN.into()..=i64::MAX.into(),
            DataType::Int32 => i32::MIN.into()..=i32::MAX.into(),
            DataType::Bool => 0..=1,
            _ => return Self { dtype, tensor: shape_of(&symbols.settle_tensor(tensor)) },
        };
        let tensor = symbols.settle_tensor(tensor);
        let element = |value: &SymExpr| match known(value) {
            Some(number) if !limits.contains(&number) => symbols.unknown_value(),
            _ => value.clone(),
        };
        let tensor = match (tensor.as_scalar(), tensor.as_vector()) {
            (Some(value), _) => SymTensor::from_scalar(element(value)),
            (_, Some(values)) => SymTensor::from_vec(values.iter().map(element).collect()),
            (None, None) => tensor,
        };
        Self { dtype, tensor }
    }

    /// The type as others see it; None if a dimension is negative, or beyond int64.
    pub fn to_type(&self) -> Option<TensorType> {
        let shape = self.tensor.shape().map(|dims| dims.map(|dim| to_dim(&dim)).collect::<Option<Vec<_>>>());
        match shape {
            Some(None) => None,
            shape => Some(TensorType { dtype: self.dtype, shape: shape.flatten() }),
        }
    }

    /// The elements, if they are known integers.
    pub fn values(&self) -> Option<Vec<i64>> {
        self.tensor.values()?.iter().map(|value| i64::try_from(known(value)?).ok()).collect()
    }

    /// Fills in what the file declares and inference did not find.
    ///
    /// # Errors
    /// The two types as text, when they contradict each other.
    pub fn merge(&mut self, declared: &TensorType, symbols: &Symbols) -> Result<(), String> {
        let contradiction = |inferred: &str| Err(format!("the file says {}, inferred {inferred}", show(declared)));
        match (self.dtype, declared.dtype) {
            (DataType::Undefined, dtype) => self.dtype = dtype,
            (_, DataType::Undefined) => {}
            (ours, theirs) if ours == theirs => {}
            (ours, _) => return contradiction(&type_name(ours)),
        }
        let Some(theirs) = &declared.shape else { return Ok(()) };
        let Some(ours) = self.tensor.shape().map(Iterator::collect::<Vec<_>>) else {
            self.tensor = Self::declared(declared, symbols).tensor;
            return Ok(());
        };
        let theirs: Vec<_> = theirs.iter().map(|dim| symbols.dim(dim)).collect();
        let clash = |(ours, theirs)| matches!((known(ours), known(theirs)), (Some(a), Some(b)) if a != b);
        if ours.len() != theirs.len() || ours.iter().zip(&theirs).any(clash) {
            return contradiction(&format!("[{}]", self.describe()));
        }
        if self.tensor.values().is_none() {
            let fill = |(ours, theirs)| if to_dim(&ours) == Some(Dim::Unknown) { theirs } else { ours };
            self.tensor = SymTensor::from_shape(ours.into_iter().zip(theirs).map(fill).collect());
        }
        Ok(())
    }

    /// The shape for messages: `2, batch, ?`.
    pub fn describe(&self) -> String {
        describe(&self.tensor)
    }
}

/// The shape of a tensor, without its elements.
pub(super) fn shape_of(tensor: &SymTensor) -> SymTensor {
    tensor.shape().map_or_else(|| SymTensor::unknown(""), |dims| SymTensor::from_shape(dims.collect()))
}

/// A shape for messages: `2, batch, ?`; `…` if the rank is not known.
pub(super) fn describe(tensor: &SymTensor) -> String {
    let dim = |dim: SymExpr| match to_dim(&dim) {
        Some(Dim::Known(size)) => size.to_string(),
        Some(Dim::Symbol(name)) => name.escape_debug().to_string(),
        Some(Dim::Unknown) => "?".into(),
        None => render(&dim),
    };
    tensor.shape().map_or("…".into(), |dims| dims.map(dim).collect::<Vec<_>>().join(", "))
}

/// A type of the file for messages.
fn show(ty: &TensorType) -> String {
    let dim = |dim: &Dim| match dim {
        Dim::Known(size) => size.to_string(),
        Dim::Symbol(name) => name.escape_debug().to_string(),
        Dim::Unknown => "?".into(),
    };
    let shape = ty.shape.as_ref().map(|dims| dims.iter().map(dim).collect::<Vec<_>>().join(", "));
    format!("{} [{}]", type_name(ty.dtype), shape.unwrap_or("…".into()))
}
