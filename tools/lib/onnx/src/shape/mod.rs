//! Shapes and element types of all values of a model, with symbolic sizes.
//!
//! Values are followed from inputs to outputs, node by node. What a shape is computed from (`Shape` → `Gather` → `Concat` →
//! `Reshape`) is followed element by element, with symbols for sizes that are not known. Types that the file declares fill
//! in where no rule helps (operators of other domains), and are checked where one does: a contradiction is an error of the
//! node that computes the value.

mod call;
mod control;
mod element_types;
mod expression;
mod fact;
mod rules;

use crate::{DataType, Graph, Model, Node, Problem, Tensor, TensorType};
use call::Call;
use expression::Symbols;
use fact::Fact;
use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
};

/// What is known of a model's values.
#[derive(Debug, Clone, Default)]
pub struct Types {
    types: HashMap<String, TensorType>,
    values: HashMap<String, Vec<i64>>,
}

impl Types {
    /// Type and shape of a value of the graph, inputs and initializers included; None if nothing is known of it, or it is
    /// no tensor.
    pub fn get(&self, value: &str) -> Option<&TensorType> {
        self.types.get(value)
    }

    /// Element type of a value; undefined if it is not known, or the value is no tensor.
    pub fn dtype(&self, value: &str) -> DataType {
        self.get(value).map_or(DataType::Undefined, |ty| ty.dtype)
    }

    /// The elements of an integer scalar or vector whose value follows from shapes and constants alone.
    pub fn values(&self, value: &str) -> Option<&[i64]> {
        self.values.get(value).map(Vec::as_slice)
    }

    fn insert(&mut self, name: &str, fact: &Fact) {
        let known = |ty: &TensorType| ty.dtype != DataType::Undefined || ty.shape.is_some();
        if let Some(ty) = fact.to_type().filter(known) {
            self.types.insert(name.into(), ty);
        }
        if let Some(values) = fact.values() {
            self.values.insert(name.into(), values);
        }
    }
}

/// Infers the types of all values; `bindings` gives sizes to symbols such as `batch`, the others stay symbolic.
///
/// Expressions over symbols that are too deep, or whose numbers leave `i32`, come out as unknown. Values inside of subgraphs are
/// not part of the result; those that leave them are.
///
/// # Errors
/// When a node breaks the rules of its operator, the file declares something else than what follows, or a size is beyond int64.
pub fn infer(model: &Model, bindings: &BTreeMap<String, usize>) -> Result<Types, Problem> {
    if let Some((symbol, size)) = bindings.iter().find(|(_, size)| i64::try_from(**size).is_err()) {
        return Err(Problem::graph(format!("{symbol:?} has the size {size}: expected at most {}", i64::MAX)));
    }
    let symbols = Symbols::new(bindings);
    let mut scope = Scope::new(model, &symbols, None);
    scope.define(&model.graph);
    scope.run(&model.graph.nodes, &declared(&model.graph))?;
    let mut types = Types::default();
    scope.facts.iter().for_each(|(name, fact)| types.insert(name, fact));
    Ok(types)
}

/// Types that the file declares for outputs of nodes.
fn declared(graph: &Graph) -> HashMap<&str, TensorType> {
    let values = graph.value_info.values().chain(&graph.outputs);
    values.filter_map(|value| Some((value.name.as_str(), value.tensor_type()?))).collect()
}

/// The values that nodes of a graph see.
struct Scope<'a> {
    model: &'a Model,
    /// Of the graph around a subgraph.
    outer: Option<&'a Scope<'a>>,
    symbols: &'a Symbols<'a>,
    facts: HashMap<String, Fact>,
    constants: HashMap<String, Cow<'a, Tensor>>,
}

impl<'a> Scope<'a> {
    fn new(model: &'a Model, symbols: &'a Symbols<'a>, outer: Option<&'a Scope<'a>>) -> Self {
        Self { model, outer, symbols, facts: HashMap::new(), constants: HashMap::new() }
    }

    /// What is known of a value, here or around.
    fn fact(&self, name: &str) -> Fact {
        match (self.facts.get(name), self.outer) {
            (Some(fact), _) => fact.clone(),
            (None, Some(outer)) => outer.fact(name),
            (None, None) => Fact::unknown(),
        }
    }

    /// The constant of this name, here or around.
    fn constant(&self, name: &str) -> Option<&Tensor> {
        match self.constants.get(name) {
            Some(tensor) => Some(tensor),
            None if self.facts.contains_key(name) => None,
            None => self.outer?.constant(name),
        }
    }

    /// Adds inputs and initializers.
    fn define(&mut self, graph: &'a Graph) {
        for input in &graph.inputs {
            let fact = input.tensor_type().map_or_else(Fact::unknown, |ty| Fact::declared(&ty, self.symbols));
            self.facts.insert(input.name.clone(), fact);
        }
        for (name, tensor) in &graph.initializers {
            self.facts.insert(name.clone(), Fact::constant(tensor, self.symbols));
            self.constants.insert(name.clone(), Cow::Borrowed(tensor));
        }
    }

    /// Follows the nodes in their order.
    fn run(&mut self, nodes: &[Node], declared: &HashMap<&str, TensorType>) -> Result<(), Problem> {
        for node in nodes {
            let constant = if node.is("Constant") { node.constant_value()? } else { None };
            let outputs = self.node(node, constant.as_ref())?;
            let rest = std::iter::repeat_with(Fact::unknown);
            for (name, mut fact) in node.outputs.iter().zip(outputs.into_iter().chain(rest)) {
                if name.is_empty() {
                    continue;
                }
                if let Some(declared) = declared.get(name.as_str()) {
                    let contradiction = |reason| Problem::node(node, format!("of {name:?} {reason}"));
                    fact.merge(declared, self.symbols).map_err(contradiction)?;
                }
                self.facts.insert(name.clone(), fact);
                if let Some(short) = constant.as_ref().filter(|tensor| tensor.len() <= expression::MAX_VALUES) {
                    self.constants.insert(name.clone(), Cow::Owned(short.clone()));
                }
            }
        }
        Ok(())
    }

    /// What is known of a node's outputs.
    fn node(&self, node: &Node, constant: Option<&Tensor>) -> Result<Vec<Fact>, Problem> {
        if node.domain.is_empty() && node.subgraphs().next().is_some() {
            return control::infer(self, node);
        }
        if let Some(tensor) = constant {
            return Ok(vec![Fact::constant(tensor, self.symbols)]);
        }
        let fact = |name: &String| (!name.is_empty()).then(|| self.fact(name));
        let call = Call {
            node,
            opset: self.model.opsets.get(&node.domain).copied().unwrap_or(1),
            inputs: node.inputs.iter().map(fact).collect(),
            constants: node.inputs.iter().map(|name| self.constant(name)).collect(),
            symbols: self.symbols,
        };
        let dtypes = element_types::infer(&call)?;
        let tensors = rules::infer(&call)?.unwrap_or_default();
        let dtype = |index: usize| dtypes.get(index).copied().unwrap_or(DataType::Undefined);
        let output = |index: usize| match tensors.get(index) {
            Some(tensor) => Fact::computed(dtype(index), tensor, self.symbols),
            None => Fact { dtype: dtype(index), ..Fact::unknown() },
        };
        let outputs: Vec<_> = (0..node.outputs.len().min(tensors.len().max(dtypes.len()))).map(output).collect();
        match outputs.iter().find(|fact| fact.to_type().is_none()) {
            Some(fact) => Err(call.fault(format!("the output would have the shape [{}]", fact.describe()))),
            None => Ok(outputs),
        }
    }
}
