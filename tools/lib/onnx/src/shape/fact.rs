//! What inference knows of one value.

use super::expression::{MAX_VALUES, Symbols, to_dim};
use crate::{DataType, Dim, Tensor, TensorType, type_name};
use rten_shape_inference::{SymExpr, SymTensor};

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
            Some(&[value]) if dims.is_empty() => SymTensor::from_scalar(symbols.value(value)),
            Some(values) => SymTensor::from_vec(values.iter().map(|&value| symbols.value(value)).collect()),
            None => SymTensor::from_shape(dims.iter().map(|&dim| symbols.dim(&Dim::Known(dim))).collect()),
        };
        Self { dtype: tensor.dtype(), tensor: symbols.settle_tensor(&known) }
    }

    /// The type as others see it; None if a dimension is negative.
    pub fn to_type(&self) -> Option<TensorType> {
        let shape = self.tensor.shape().map(|dims| dims.map(|dim| to_dim(&dim)).collect::<Option<Vec<_>>>());
        match shape {
            Some(None) => None,
            shape => Some(TensorType { dtype: self.dtype, shape: shape.flatten() }),
        }
    }

    /// The elements, if they are known integers.
    pub fn values(&self) -> Option<Vec<i64>> {
        let value = |it: &SymExpr| if let SymExpr::Value(value) = it { Some(i64::from(*value)) } else { None };
        self.tensor.values()?.iter().map(value).collect()
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
        let clash = |(ours, theirs): (&SymExpr, &SymExpr)| matches!((ours, theirs), (SymExpr::Value(a), SymExpr::Value(b)) if a != b);
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

/// A shape for messages: `2, batch, ?`; `…` if the rank is not known.
pub(super) fn describe(tensor: &SymTensor) -> String {
    let dim = |dim: SymExpr| match to_dim(&dim) {
        Some(Dim::Known(size)) => size.to_string(),
        Some(Dim::Symbol(name)) => name.escape_debug().to_string(),
        Some(Dim::Unknown) => "?".into(),
        None => dim.to_string(),
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
