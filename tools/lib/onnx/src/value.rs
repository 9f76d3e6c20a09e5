//! Types of values: inputs, outputs, and what lies between.

use crate::proto::{
    TensorShapeProto, TypeProto, ValueInfoProto,
    tensor_proto::DataType,
    tensor_shape_proto::{Dimension, dimension},
    type_proto,
};

/// A dimension of a shape.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Dim {
    /// Of this size.
    Known(usize),
    /// Of a size that has a name, or is an expression over such names: `batch`, `2*height`.
    Symbol(String),
    /// Of any size.
    Unknown,
}

/// The type and shape of a tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorType {
    /// Type of the elements; [`DataType::Undefined`] if it is not known.
    pub dtype: DataType,
    /// The shape; None if not even its rank is known.
    pub shape: Option<Vec<Dim>>,
}

impl TensorType {
    /// The shape, if all dimensions are known.
    pub fn dims(&self) -> Option<Vec<usize>> {
        let known = |dim: &Dim| if let Dim::Known(size) = dim { Some(*size) } else { None };
        self.shape.as_ref()?.iter().map(known).collect()
    }
}

/// A named value of a graph.
#[derive(Debug, Clone, PartialEq)]
pub struct Value {
    /// Its name.
    pub name: String,
    /// Its documentation.
    pub doc: String,
    /// Its type as the format's message: sequences and maps are kept as they are.
    pub type_proto: TypeProto,
}

impl Value {
    /// A tensor.
    pub fn tensor(name: &str, ty: &TensorType) -> Self {
        Self { name: name.into(), doc: String::new(), type_proto: ty.to_proto() }
    }

    /// The type, if the value is a tensor.
    pub fn tensor_type(&self) -> Option<TensorType> {
        TensorType::from_proto(&self.type_proto)
    }

    /// Reads a value; a negative dimension counts as unknown.
    pub fn from_proto(proto: ValueInfoProto) -> Self {
        Self {
            name: proto.name.unwrap_or_default(),
            doc: proto.doc_string.unwrap_or_default(),
            type_proto: proto.r#type.unwrap_or_default(),
        }
    }

    /// The value as the format's message.
    pub fn to_proto(&self) -> ValueInfoProto {
        ValueInfoProto {
            name: Some(self.name.clone()),
            doc_string: (!self.doc.is_empty()).then(|| self.doc.clone()),
            r#type: Some(self.type_proto.clone()),
            ..ValueInfoProto::default()
        }
    }
}

impl TensorType {
    fn from_proto(proto: &TypeProto) -> Option<Self> {
        let Some(type_proto::Value::TensorType(tensor)) = &proto.value else { return None };
        let dtype = DataType::try_from(tensor.elem_type()).unwrap_or(DataType::Undefined);
        let shape = tensor.shape.as_ref().map(|shape| shape.dim.iter().map(Dim::from_proto).collect());
        Some(Self { dtype, shape })
    }

    fn to_proto(&self) -> TypeProto {
        let shape = self.shape.as_ref().map(|dims| TensorShapeProto { dim: dims.iter().map(Dim::to_proto).collect() });
        let tensor = type_proto::Tensor { elem_type: Some(self.dtype.into()), shape };
        TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..TypeProto::default() }
    }
}

impl Dim {
    fn from_proto(proto: &Dimension) -> Self {
        match &proto.value {
            Some(dimension::Value::DimValue(size)) => usize::try_from(*size).map_or(Self::Unknown, Self::Known),
            Some(dimension::Value::DimParam(name)) if !name.is_empty() => Self::Symbol(name.clone()),
            _ => Self::Unknown,
        }
    }

    fn to_proto(&self) -> Dimension {
        let value = match self {
            Self::Known(size) => Some(dimension::Value::DimValue(*size as i64)),
            Self::Symbol(name) => Some(dimension::Value::DimParam(name.clone())),
            Self::Unknown => None,
        };
        Dimension { value, ..Dimension::default() }
    }
}
