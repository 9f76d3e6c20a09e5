//! Whether what is quantized in the graph is computed in int8. TensorRT computes a quantized operator in float where it has no
//! int8 kernel for the Q/DQ around it, and does not say so: TensorRT-RTX 1.7 does that with convolutions whose activations have a
//! scale of shape `[1]` in place of a scalar.

use onnx::{Graph, Node};
use trt_protocol::Layer;

/// Operators that have kernels of int8 somewhere.
const OPERATORS: [&str; 4] = ["Conv", "ConvTranspose", "Gemm", "MatMul"];
/// Names in a message.
const NAMED: usize = 3;

/// A line that says which quantized nodes are computed in float; None if there are none.
pub fn in_float(graph: &Graph, layers: &[Layer]) -> Option<String> {
    let quantized: Vec<&Node> = graph.nodes.iter().filter(|node| is_quantized(graph, node)).collect();
    let reads_int8 = |node: &&&Node| {
        let mut its_layers = layers.iter().filter(|layer| layer.onnx_nodes.contains(&node.name));
        its_layers.any(|layer| layer.inputs.iter().any(|tensor| matches!(tensor.dtype.as_str(), "int8" | "uint8")))
    };
    let floating: Vec<String> = quantized.iter().filter(|node| !reads_int8(node)).map(|node| node.describe()).collect();
    let (count, all) = (floating.len(), quantized.len());
    let names = floating.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = if count > NAMED { ", …" } else { "" };
    (count > 0).then(|| {
        format!("TensorRT computes {count} of {all} quantized nodes in float, having no int8 kernel for them as they are: {names}{more}")
    })
}

/// Whether data and weights of a node come from DequantizeLinear. A node without a name cannot be found among the layers.
fn is_quantized(graph: &Graph, node: &Node) -> bool {
    let from_int8 = |input| {
        let producer =
            graph.nodes.iter().find(|other| node.input(input).is_some_and(|name| other.output(0) == Some(name)));
        producer.is_some_and(|producer| producer.is("DequantizeLinear"))
    };
    !node.name.is_empty() && OPERATORS.iter().any(|operator| node.is(operator)) && from_int8(0) && from_int8(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use trt_protocol::TensorInfo;

    #[test]
    fn quantized_nodes_that_read_float_are_named() {
        let nodes =
            [("DequantizeLinear", ["q", "s"], "x"), ("DequantizeLinear", ["p", "s"], "w"), ("Conv", ["x", "w"], "c")];
        let nodes = nodes.map(|(op, inputs, output)| Node::new(op, &inputs, output));
        let graph =
            Graph { nodes: [&nodes[..], &[Node::new("MatMul", &["c", "w"], "m")]].concat(), ..Graph::default() };
        let layer = |dtype: &str| Layer {
            name: String::new(),
            kind: String::new(),
            onnx_nodes: vec!["c".into()],
            inputs: vec![TensorInfo { name: "t".into(), dtype: dtype.into(), shape: vec![] }],
            outputs: vec![],
        };
        assert_eq!(in_float(&graph, &[layer("float32"), layer("int8")]), None);
        let expected = "TensorRT computes 1 of 1 quantized nodes in float, having no int8 kernel for them as they are: \"c\" (Conv)";
        assert_eq!(in_float(&graph, &[layer("float32")]).as_deref(), Some(expected));
    }
}
