//! Nodes of a graph.

use crate::{
    Problem, Tensor,
    proto::{AttributeProto, GraphProto, NodeProto, attribute_proto::AttributeType},
};
use std::collections::HashSet;

/// A node: one call of an operator.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Its name; may be empty, and need not be unique.
    pub name: String,
    /// Domain of the operator; empty for ONNX's own.
    pub domain: String,
    /// The operator: `Conv`.
    pub op_type: String,
    /// Names of the input values; empty for an optional input that is left out.
    pub inputs: Vec<String>,
    /// Names of the output values; empty for an optional output that is left out.
    pub outputs: Vec<String>,
    /// The attributes, in the file's order.
    pub attributes: Vec<AttributeProto>,
    /// Documentation.
    pub doc: String,
}

impl Node {
    /// A node of ONNX's own domain with one output, which it is named after.
    pub fn new(op_type: &str, inputs: &[&str], output: &str) -> Self {
        Self {
            name: output.into(),
            domain: String::new(),
            op_type: op_type.into(),
            inputs: inputs.iter().map(ToString::to_string).collect(),
            outputs: vec![output.into()],
            attributes: Vec::new(),
            doc: String::new(),
        }
    }

    /// The node with one more attribute.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<crate::Attribute>) -> Self {
        self.attributes.push(value.into().to_proto(name));
        self
    }

    /// Reads a node.
    pub fn from_proto(proto: NodeProto) -> Self {
        let domain = match proto.domain.unwrap_or_default() {
            domain if domain == crate::model::ONNX_DOMAIN => String::new(),
            domain => domain,
        };
        Self {
            name: proto.name.unwrap_or_default(),
            domain,
            op_type: proto.op_type.unwrap_or_default(),
            inputs: proto.input,
            outputs: proto.output,
            attributes: proto.attribute,
            doc: proto.doc_string.unwrap_or_default(),
        }
    }

    /// The node as the format's message.
    pub fn to_proto(&self) -> NodeProto {
        let optional = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        NodeProto {
            name: optional(&self.name),
            domain: optional(&self.domain),
            op_type: Some(self.op_type.clone()),
            input: self.inputs.clone(),
            output: self.outputs.clone(),
            attribute: self.attributes.clone(),
            doc_string: optional(&self.doc),
            ..NodeProto::default()
        }
    }

    /// For messages: `"conv1" (Conv)`, named after its first output if it has no name.
    pub fn describe(&self) -> String {
        let name = if self.name.is_empty() { self.outputs.first().map_or("", String::as_str) } else { &self.name };
        let op_type = self.op_type.escape_debug();
        match self.domain.as_str() {
            "" => format!("{name:?} ({op_type})"),
            domain => format!("{name:?} ({}.{op_type})", domain.escape_debug()),
        }
    }

    /// Whether `name` is the node's, or that of one of its outputs: nodes need no name of their own.
    pub fn is_called(&self, name: &str) -> bool {
        !name.is_empty() && (self.name == name || self.outputs.iter().any(|output| output == name))
    }

    /// Whether the node calls `op_type` of ONNX's own domain.
    pub fn is(&self, op_type: &str) -> bool {
        self.domain.is_empty() && self.op_type == op_type
    }

    /// Name of the input at `index`; None if it is left out.
    pub fn input(&self, index: usize) -> Option<&str> {
        self.inputs.get(index).map(String::as_str).filter(|name| !name.is_empty())
    }

    /// Name of the output at `index`; None if it is left out.
    pub fn output(&self, index: usize) -> Option<&str> {
        self.outputs.get(index).map(String::as_str).filter(|name| !name.is_empty())
    }

    /// An attribute by name.
    pub fn attribute(&self, name: &str) -> Option<&AttributeProto> {
        self.attributes.iter().find(|attribute| attribute.name() == name)
    }

    /// The attribute of a type; None if it is absent.
    fn typed(&self, name: &str, kind: AttributeType) -> Result<Option<&AttributeProto>, Problem> {
        match self.attribute(name) {
            Some(found) if found.r#type() != kind => {
                let (found, expected) = (found.r#type().as_str_name(), kind.as_str_name());
                Err(Problem::node(self, format!("attribute {name} is of type {found}, expected {expected}")))
            }
            found => Ok(found),
        }
    }

    /// An `INT` attribute, or its default.
    ///
    /// # Errors
    /// When the attribute has another type; so too of the other accessors.
    pub fn int(&self, name: &str, default: i64) -> Result<i64, Problem> {
        Ok(self.typed(name, AttributeType::Int)?.map_or(default, AttributeProto::i))
    }

    /// A `FLOAT` attribute, or its default.
    ///
    /// # Errors
    /// As [`Node::int`].
    pub fn float(&self, name: &str, default: f32) -> Result<f32, Problem> {
        Ok(self.typed(name, AttributeType::Float)?.map_or(default, AttributeProto::f))
    }

    /// A `STRING` attribute; None if it is absent.
    ///
    /// # Errors
    /// As [`Node::int`]; and when it is not UTF-8.
    pub fn string(&self, name: &str) -> Result<Option<&str>, Problem> {
        let text = self.typed(name, AttributeType::String)?.map(|found| std::str::from_utf8(found.s()));
        text.transpose().map_err(|_| Problem::node(self, format!("attribute {name} is not UTF-8")))
    }

    /// An `INTS` attribute.
    ///
    /// # Errors
    /// As [`Node::int`].
    pub fn ints(&self, name: &str) -> Result<Option<&[i64]>, Problem> {
        Ok(self.typed(name, AttributeType::Ints)?.map(|found| found.ints.as_slice()))
    }

    /// A `TENSOR` attribute.
    ///
    /// # Errors
    /// As [`Node::int`]; and when the tensor is faulty.
    pub fn tensor(&self, name: &str) -> Result<Option<Tensor>, Problem> {
        let found = self.typed(name, AttributeType::Tensor)?.and_then(|found| found.t.as_ref());
        found.cloned().map(Tensor::from_proto).transpose()
    }

    /// The tensor that a `Constant` node holds, in whichever attribute; None for a sparse one.
    ///
    /// # Errors
    /// When the node has no value, or one that is faulty.
    pub fn constant_value(&self) -> Result<Option<Tensor>, Problem> {
        let Some(value) = self.attributes.first() else { return Err(Problem::node(self, "has no value")) };
        let strings = |dims: &[usize], values: &[Vec<u8>]| {
            let values = values.iter().map(|it| String::from_utf8(it.clone()).ok()).collect::<Option<Vec<_>>>()?;
            Tensor::from_strings(dims, &values)
        };
        let (name, is) = (value.name(), |kind| self.typed(value.name(), kind));
        Ok(match name {
            "value" => self.tensor(name)?,
            "value_int" => is(AttributeType::Int)?.map(|it| Tensor::from_i64(&[], &[it.i()])),
            "value_ints" => is(AttributeType::Ints)?.map(|it| Tensor::from_i64(&[it.ints.len()], &it.ints)),
            "value_float" => is(AttributeType::Float)?.map(|it| Tensor::from_f32(&[], &[it.f()])),
            "value_floats" => is(AttributeType::Floats)?.map(|it| Tensor::from_f32(&[it.floats.len()], &it.floats)),
            "value_string" => is(AttributeType::String)?.and_then(|it| strings(&[], &[it.s().to_vec()])),
            "value_strings" => is(AttributeType::Strings)?.and_then(|it| strings(&[it.strings.len()], &it.strings)),
            _ => None,
        })
    }

    /// Removes an attribute, if it is there.
    pub fn remove_attribute(&mut self, name: &str) {
        self.attributes.retain(|attribute| attribute.name() != name);
    }

    /// Sets a `TENSOR` attribute, replacing one of the same name.
    pub fn set_tensor(&mut self, name: &str, value: &Tensor) {
        self.remove_attribute(name);
        self.attributes.push(AttributeProto {
            name: Some(name.into()),
            r#type: Some(AttributeType::Tensor.into()),
            t: Some(value.to_proto("")),
            ..AttributeProto::default()
        });
    }

    /// Sets an attribute, replacing one of the same name.
    pub fn set(&mut self, name: &str, value: impl Into<crate::Attribute>) {
        self.remove_attribute(name);
        self.attributes.push(value.into().to_proto(name));
    }

    /// The graphs among the attributes: bodies of `If`, `Loop`, `Scan`.
    pub fn subgraphs(&self) -> impl Iterator<Item = &GraphProto> {
        self.attributes.iter().flat_map(|attribute| attribute.g.iter().chain(&attribute.graphs))
    }

    /// Names of values of the enclosing graph that the node's subgraphs read; such a value must stay under its name.
    pub fn captured(&self) -> HashSet<&str> {
        let mut names = HashSet::new();
        self.subgraphs().for_each(|graph| capture(graph, &mut names));
        names
    }
}

/// Adds the names that a subgraph reads and does not define.
fn capture<'a>(graph: &'a GraphProto, names: &mut HashSet<&'a str>) {
    let inputs = graph.input.iter().map(crate::proto::ValueInfoProto::name);
    let initializers = graph.initializer.iter().map(crate::proto::TensorProto::name);
    let outputs = graph.node.iter().flat_map(|node| node.output.iter().map(String::as_str));
    let defined: HashSet<&str> = inputs.chain(initializers).chain(outputs).collect();
    let mut used: HashSet<&str> = graph.node.iter().flat_map(|node| node.input.iter().map(String::as_str)).collect();
    used.extend(graph.output.iter().map(crate::proto::ValueInfoProto::name));
    for attribute in graph.node.iter().flat_map(|node| &node.attribute) {
        attribute.g.iter().chain(&attribute.graphs).for_each(|inner| capture(inner, &mut used));
    }
    names.extend(used.into_iter().filter(|name| !name.is_empty() && !defined.contains(name)));
}
