//! Under which names the float32 values of a graph are to be read in either type.

use super::{Form, operators};
use crate::{DataType, Graph, Problem, shape::Types};
use indexmap::IndexMap;

/// A float32 value and its types after the conversion.
#[derive(Debug, Clone)]
pub(super) struct Value {
    /// What computes it gives this; None for a constant.
    pub native: Option<Form>,
    /// The type that it must have under its own name.
    pinned: Option<Form>,
    half: Named,
    full: Named,
}

/// A value in one type.
#[derive(Debug, Clone, Default)]
struct Named {
    read: bool,
    name: String,
}

impl Value {
    fn named(&self, form: Form) -> &Named {
        match form {
            Form::Half => &self.half,
            Form::Full => &self.full,
        }
    }

    fn named_mut(&mut self, form: Form) -> &mut Named {
        match form {
            Form::Half => &mut self.half,
            Form::Full => &mut self.full,
        }
    }

    /// Its name in a type.
    pub fn name(&self, form: Form) -> &str {
        &self.named(form).name
    }

    /// Whether anything reads it in a type.
    pub fn is_read(&self, form: Form) -> bool {
        self.named(form).read
    }
}

/// The float32 values of a graph by their name, in the graph's order.
pub(super) struct Values(IndexMap<String, Value>);

impl Values {
    /// Finds in which types each value is computed and read, and names them.
    ///
    /// # Errors
    /// When an input or output of the graph would have to be float16 and is read by a subgraph too.
    pub fn new(graph: &Graph, types: &Types, forms: &[Option<Form>], keep_io: bool) -> Result<Self, Problem> {
        let io = if keep_io { Form::Full } else { Form::Half };
        let mut values = Self::defined(graph, types, forms, io);
        for (node, form) in graph.nodes.iter().zip(forms) {
            let Some(form) = *form else { continue };
            for (index, input) in node.inputs.iter().enumerate() {
                if let (Some(value), Some(form)) = (values.0.get_mut(input), operators::input_form(node, form, index)) {
                    value.named_mut(form).read = true;
                }
            }
        }
        for output in &graph.outputs {
            values.pin(&output.name, io)?;
        }
        for name in graph.nodes.iter().flat_map(crate::Node::captured) {
            values.pin(name, Form::Full)?;
        }
        values.choose_names(graph);
        Ok(values)
    }

    /// The values, as inputs, constants and nodes define them.
    fn defined(graph: &Graph, types: &Types, forms: &[Option<Form>], io: Form) -> Self {
        let value = |native, pinned| Value { native, pinned, half: Named::default(), full: Named::default() };
        let mut values = IndexMap::new();
        let floats = |name: &String| types.dtype(name) == DataType::Float;
        for input in graph.inputs.iter().filter(|input| floats(&input.name)) {
            values.insert(input.name.clone(), value(Some(io), Some(io)));
        }
        for name in graph.initializers.keys().filter(|name| floats(name)) {
            values.insert(name.clone(), value(None, None));
        }
        for (node, form) in graph.nodes.iter().zip(forms) {
            let Some(form) = *form else { continue };
            for (index, output) in node.outputs.iter().enumerate().filter(|(_, output)| floats(output)) {
                values.insert(output.clone(), value(Some(operators::output_form(node, form, index)), None));
            }
        }
        Self(values)
    }

    /// Fixes the type of what a value's own name is read as.
    fn pin(&mut self, name: &str, form: Form) -> Result<(), Problem> {
        let Some(value) = self.0.get_mut(name) else { return Ok(()) };
        if value.pinned.is_some_and(|pinned| pinned != form) {
            let reason =
                format!("{name:?} is an input or output and is read by a subgraph in float32: keep inputs and outputs");
            return Err(Problem::graph(reason));
        }
        value.pinned = Some(form);
        value.named_mut(form).read = true;
        Ok(())
    }

    /// A value has its own name in the type that is pinned, or else in which it is computed; of a constant, in the type that
    /// is read, float32 if both are.
    fn choose_names(&mut self, graph: &Graph) {
        let mut names = graph.names();
        for (name, value) in &mut self.0 {
            let constant = if value.full.read { Form::Full } else { Form::Half };
            let own = value.pinned.or(value.native).unwrap_or(constant);
            let suffix = if own == Form::Full { "fp16" } else { "fp32" };
            value.named_mut(own).name.clone_from(name);
            if value.is_read(own.other()) || value.native == Some(own.other()) {
                value.named_mut(own.other()).name = names.fresh(&format!("{name}_{suffix}"));
            }
        }
    }

    /// The value of a name, if it was float32.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }
}
