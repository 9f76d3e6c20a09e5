//! Values that are float32, as far as types follow from operators.

use crate::{DataType, Graph, Node};
use std::collections::HashSet;

/// Operators whose outputs do not have the type of their first input.
const OTHER_TYPE: [&str; 20] = [
    "And",
    "ArgMax",
    "ArgMin",
    "Cast",
    "CastLike",
    "ConstantOfShape",
    "Equal",
    "Greater",
    "GreaterOrEqual",
    "If",
    "IsInf",
    "IsNaN",
    "Less",
    "LessOrEqual",
    "Loop",
    "NonZero",
    "Not",
    "OneHot",
    "Shape",
    "Size",
];

/// Operators whose first two inputs have the type of the output.
const ARITHMETIC: [&str; 8] = ["Add", "Conv", "ConvTranspose", "Div", "Gemm", "MatMul", "Mul", "Sub"];

/// Names of values that are float32. A value whose type does not follow is not among them, unless the model declares it.
pub(super) fn float_values(graph: &Graph) -> HashSet<String> {
    let float = DataType::Float;
    let declared = graph.inputs.iter().chain(&graph.outputs).chain(graph.value_info.values());
    let declared = declared.filter(|value| value.tensor_type().is_some_and(|ty| ty.dtype == float));
    let constants = graph.initializers.iter().filter(|(_, tensor)| tensor.dtype() == float);
    let mut floats: HashSet<String> = declared.map(|value| value.name.clone()).collect();
    floats.extend(constants.map(|(name, _)| name.clone()));
    for node in &graph.nodes {
        if gives_float(node, &floats) {
            floats.extend(node.output(0).map(ToOwned::to_owned));
        }
    }
    floats
}

fn gives_float(node: &Node, floats: &HashSet<String>) -> bool {
    if node.is("Cast") {
        return node.int("to", 0).is_ok_and(|to| to == i64::from(i32::from(DataType::Float)));
    }
    // Both operands of arithmetic have one type; the type of a constant weight is known.
    let inputs = if ARITHMETIC.iter().any(|op| node.is(op)) { 2 } else { 1 };
    keeps_type(node) && (0..inputs).any(|input| node.input(input).is_some_and(|value| floats.contains(value)))
}

fn keeps_type(node: &Node) -> bool {
    node.domain.is_empty() && !OTHER_TYPE.contains(&node.op_type.as_str()) && node.subgraphs().next().is_none()
}
