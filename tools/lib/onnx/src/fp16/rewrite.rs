//! Nodes over values of both types.

use super::{
    Form,
    constants::Rounded,
    operators,
    values::{Value, Values},
};
use crate::{DataType, Graph, Node, Problem, Tensor, Value as GraphValue};

/// Lets the nodes read and compute values by their names in either type, and adds the casts; returns how many.
///
/// # Errors
/// When an attribute has the wrong type.
pub(super) fn nodes(graph: &mut Graph, forms: &[Option<Form>], values: &Values) -> Result<usize, Problem> {
    let mut names = graph.node_names();
    let mut cast = |name: &String| {
        let mut cast = cast(values.get(name)?)?;
        cast.name = names.fresh(&cast.name);
        Some(cast)
    };
    let mut nodes: Vec<Node> = graph.inputs.iter().filter_map(|input| cast(&input.name)).collect();
    let mut casts = nodes.len();
    for (mut node, form) in std::mem::take(&mut graph.nodes).into_iter().zip(forms) {
        let Some(form) = *form else {
            nodes.push(node);
            continue;
        };
        let added: Vec<Node> = node.outputs.iter().filter_map(&mut cast).collect();
        if form == Form::Half {
            convert_attributes(&mut node, values)?;
        }
        rename(&mut node, form, values);
        nodes.push(node);
        casts += added.len();
        nodes.extend(added);
    }
    graph.nodes = nodes;
    Ok(casts)
}

/// The cast of a value into the type that it is not computed in, if that is read.
fn cast(value: &Value) -> Option<Node> {
    let from = value.native?;
    let to = from.other();
    let node = || Node::new("Cast", &[value.name(from)], value.name(to)).with("to", i64::from(to.dtype() as i32));
    value.is_read(to).then(node)
}

/// Puts in the names of the values that a node reads and computes.
fn rename(node: &mut Node, form: Form, values: &Values) {
    for index in 0..node.inputs.len() {
        let Some(value) = values.get(&node.inputs[index]) else { continue };
        // Of a constant, either type may be there.
        let stored = if value.is_read(Form::Full) { Form::Full } else { Form::Half };
        let form = operators::input_form(node, form, index).unwrap_or(value.native.unwrap_or(stored));
        value.name(form).clone_into(&mut node.inputs[index]);
    }
    for output in &mut node.outputs {
        if let Some(value) = values.get(output) {
            value.name(value.native.unwrap_or(Form::Full)).clone_into(output);
        }
    }
}

/// Types in the attributes of a node that computes in float16.
fn convert_attributes(node: &mut Node, values: &Values) -> Result<(), Problem> {
    let computes = node.output(0).is_some_and(|output| values.get(output).is_some());
    if node.is("Cast") && computes {
        node.set("to", i64::from(DataType::Float16 as i32));
    }
    if node.is("ConstantOfShape") && computes {
        let value = node.tensor("value")?.unwrap_or_else(|| Tensor::from_f32(&[1], &[0.0]));
        if let Some(rounded) = Rounded::of(&value) {
            node.set_tensor("value", &rounded.tensor);
        }
    }
    Ok(())
}

/// Declares the types of inputs, outputs and values between as they are now.
pub(super) fn declared_types(graph: &mut Graph, values: &Values) {
    let declared = graph.inputs.iter_mut().chain(&mut graph.outputs).chain(graph.value_info.values_mut());
    for value in declared {
        let is_half = values.get(&value.name).is_some_and(|it| it.name(Form::Half) == value.name);
        if let Some(ty) = value.tensor_type().filter(|ty| is_half && ty.dtype == DataType::Float) {
            let ty = crate::TensorType { dtype: DataType::Float16, ..ty };
            *value = GraphValue { doc: value.doc.clone(), ..GraphValue::tensor(&value.name, &ty) };
        }
    }
}
