//! Hand-worked cases, and what operators refuse. The ONNX project's own tests of nodes are in `tests/peer_node.py`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::{Call, Outcome, find};
use crate::{Tensor, element::Element};
use half::f16;
use ndarray::ArrayD;
use onnx::{Attribute, Node};

const OPSET: i64 = 21;

fn tensor<T: Element>(shape: &[usize], values: &[T]) -> Tensor {
    ArrayD::from_shape_vec(shape, values.to_vec()).unwrap().into()
}

/// A node of as many inputs; `attributes` by name.
fn node(op_type: &str, inputs: usize, attributes: &[(&str, Attribute)]) -> Node {
    let names: Vec<_> = (0..inputs).map(|index| format!("x{index}")).collect();
    let mut node = Node::new(op_type, &names.iter().map(String::as_str).collect::<Vec<_>>(), "y");
    attributes.iter().for_each(|(name, value)| node.set(name, value.clone()));
    node
}

fn run_at(opset: i64, op_type: &str, attributes: &[(&str, Attribute)], inputs: &[&Tensor]) -> Outcome {
    let node = node(op_type, inputs.len(), attributes);
    let inputs: Vec<_> = inputs.iter().map(|&input| Some(input)).collect();
    find(&node).expect("an operator")(&Call { node: &node, opset, inputs: &inputs, most_bytes: super::MOST_BYTES })
}

/// The only output.
fn run(op_type: &str, attributes: &[(&str, Attribute)], inputs: &[&Tensor]) -> Tensor {
    let outputs = run_at(OPSET, op_type, attributes, inputs).unwrap();
    assert_eq!(outputs.len(), 1);
    outputs.into_iter().next().unwrap()
}

fn refused(op_type: &str, attributes: &[(&str, Attribute)], inputs: &[&Tensor]) -> String {
    run_at(OPSET, op_type, attributes, inputs).unwrap_err().to_string()
}

fn ints(values: &[i64]) -> Attribute {
    Attribute::Ints(values.to_vec())
}

fn text(value: &str) -> Attribute {
    Attribute::String(value.into())
}

#[test]
fn operands_broadcast_and_integers_wrap() {
    let sum = run("Add", &[], &[&tensor(&[2, 1], &[250u8, 1]), &tensor(&[3], &[1u8, 5, 6])]);
    assert_eq!(sum, tensor(&[2, 3], &[251u8, 255, 0, 2, 6, 7]));
    let quotient = run("Div", &[], &[&tensor(&[3], &[-7i32, 7, i32::MIN]), &tensor(&[3], &[2i32, -2, -1])]);
    assert_eq!(quotient, tensor(&[3], &[-3i32, -3, i32::MIN]));
    let power = run("Pow", &[], &[&tensor(&[3], &[2i64, -3, 1]), &tensor(&[3], &[10i32, 3, -5])]);
    assert_eq!(power, tensor(&[3], &[1024i64, -27, 1]));
    let rest = run("Mod", &[], &[&tensor(&[2], &[-7i8, 7]), &tensor(&[1], &[3i8])]);
    assert_eq!(rest, tensor(&[2], &[2i8, 1]));
}

#[test]
fn half_precision_is_computed_in_float32_and_rounded() {
    let halves =
        |values: &[f32]| tensor(&[values.len()], &values.iter().map(|&x| f16::from_f32(x)).collect::<Vec<_>>());
    // 2048 + 1 is between two float16 values, and goes to the even one.
    assert_eq!(run("Add", &[], &[&halves(&[2048.0]), &halves(&[1.0])]), halves(&[2048.0]));
    assert_eq!(run("ReduceSum", &[], &[&tensor(&[3], &[f16::from_f32(2048.0), f16::ONE, f16::ONE])]), {
        tensor(&[1], &[f16::from_f32(2050.0)])
    });
}

#[test]
fn nan_and_signed_zero_survive_activations() {
    let x = tensor(&[4], &[f32::NAN, -0.0, -1.0, 2.0]);
    let Tensor::F32(relu) = run("Relu", &[], &[&x]) else { panic!("another type") };
    assert!(relu[0].is_nan() && relu[1].is_sign_negative());
    assert_eq!(relu.as_slice().unwrap()[2..], [0.0, 2.0]);
    let Tensor::F32(clipped) = run("Clip", &[], &[&x, &tensor(&[], &[0.5f32]), &tensor(&[], &[1.5f32])]) else {
        panic!("another type")
    };
    assert!(clipped[0].is_nan());
    assert_eq!(clipped.as_slice().unwrap()[1..], [0.5, 0.5, 1.5]);
}

#[test]
fn products_of_matrices_and_vectors() {
    let (a, b) = (tensor(&[2, 3], &[1f32, 2.0, 3.0, 4.0, 5.0, 6.0]), tensor(&[3, 1], &[1f32, 0.0, -1.0]));
    assert_eq!(run("MatMul", &[], &[&a, &b]), tensor(&[2, 1], &[-2f32, -2.0]));
    assert_eq!(run("MatMul", &[], &[&a, &tensor(&[3], &[1f32, 0.0, -1.0])]), tensor(&[2], &[-2f32, -2.0]));
    let gemm = [("transB", Attribute::Int(1)), ("alpha", Attribute::Float(0.5)), ("beta", Attribute::Float(2.0))];
    let c = tensor(&[2], &[10f32, 20.0]);
    assert_eq!(run("Gemm", &gemm, &[&a, &a, &c]), tensor(&[2, 2], &[27f32, 56.0, 36.0, 78.5]));
    assert!(refused("MatMul", &[], &[&a, &a]).contains("[2, 3] and [2, 3]"));
    assert!(refused("MatMul", &[], &[&a, &tensor(&[], &[1f32])]).contains("scalar"));
}

#[test]
fn a_convolution_with_padding_stride_and_groups() {
    let x = tensor(&[1, 2, 1, 4], &[1f32, 2.0, 3.0, 4.0, 10.0, 20.0, 30.0, 40.0]);
    let weight = tensor(&[2, 1, 1, 3], &[1f32, 1.0, 1.0, 0.0, 1.0, -1.0]);
    let attributes = [("group", Attribute::Int(2)), ("strides", ints(&[1, 2])), ("pads", ints(&[0, 1, 0, 1]))];
    let bias = tensor(&[2], &[0.5f32, 0.0]);
    let y = run("Conv", &attributes, &[&x, &weight, &bias]);
    // 0+1+2, 2+3+4; 10-20, 30-40.
    assert_eq!(y, tensor(&[1, 2, 1, 2], &[3.5f32, 9.5, -10.0, -10.0]));
}

#[test]
fn windows_of_pools() {
    let x = tensor(&[1, 1, 4], &[1f32, 2.0, 3.0, 4.0]);
    let attributes =
        |ceil| [("kernel_shape", ints(&[3])), ("strides", ints(&[2])), ("ceil_mode", Attribute::Int(ceil))];
    assert_eq!(run("MaxPool", &attributes(0), &[&x]), tensor(&[1, 1, 1], &[3f32]));
    assert_eq!(run("MaxPool", &attributes(1), &[&x]), tensor(&[1, 1, 2], &[3f32, 4.0]));
    // What lies beyond the padding is not counted.
    let counted = |include| {
        [("kernel_shape", ints(&[3])), ("pads", ints(&[1, 0])), ("count_include_pad", Attribute::Int(include))]
    };
    assert_eq!(run("AveragePool", &counted(0), &[&x]), tensor(&[1, 1, 3], &[1.5f32, 2.0, 3.0]));
    assert_eq!(run("AveragePool", &counted(1), &[&x]), tensor(&[1, 1, 3], &[1f32, 2.0, 3.0]));
    let mut indices = node("MaxPool", 1, &attributes(0));
    indices.outputs.push("indices".into());
    assert!(find(&indices).is_none());
    assert!(refused("MaxPool", &[("kernel_shape", ints(&[5]))], &[&x]).contains("does not fit"));
    assert!(refused("MaxPool", &[("kernel_shape", ints(&[0]))], &[&x]).contains("kernel"));
    assert!(refused("MaxPool", &[("kernel_shape", ints(&[2])), ("strides", ints(&[0]))], &[&x]).contains("strides"));
    assert!(refused("MaxPool", &[("kernel_shape", ints(&[2])), ("pads", ints(&[-1, 0]))], &[&x]).contains("-1"));
    let endless = [("kernel_shape", ints(&[i64::MAX])), ("auto_pad", text("SAME_UPPER"))];
    assert_eq!(run("MaxPool", &endless, &[&x]), tensor(&[1, 1, 4], &[4f32; 4]));
    let huge = [("kernel_shape", ints(&[2])), ("pads", ints(&[i64::MAX, i64::MAX]))];
    assert!(refused("MaxPool", &huge, &[&x]).contains("fit"));
}

#[test]
fn softmax_of_older_operator_sets_takes_all_axes_together() {
    let x = tensor(&[1, 2, 2], &[0f32; 4]);
    let axis = [("axis", Attribute::Int(1))];
    assert_eq!(run_at(11, "Softmax", &axis, &[&x]).unwrap(), [tensor(&[1, 2, 2], &[0.25f32; 4])]);
    assert_eq!(run_at(13, "Softmax", &axis, &[&x]).unwrap(), [tensor(&[1, 2, 2], &[0.5f32; 4])]);
}

#[test]
fn shapes_keep_infer_and_refuse() {
    let x = tensor(&[2, 3], &[0i8; 6]);
    let shape = |sizes: &[i64]| tensor(&[sizes.len()], sizes);
    assert_eq!(run("Reshape", &[], &[&x, &shape(&[0, -1, 1])]).shape(), [2, 3, 1]);
    for wrong in [&[-1, -1][..], &[4, -1], &[-2, 3], &[7], &[2, 3, 0], &[i64::MAX, i64::MAX, -1]] {
        refused("Reshape", &[], &[&x, &shape(wrong)]);
    }
    let empty = tensor::<f32>(&[0, 4], &[]);
    assert_eq!(run("Reshape", &[("allowzero", Attribute::Int(1))], &[&empty, &shape(&[3, 0])]).shape(), [3, 0]);
    refused("Reshape", &[], &[&empty, &shape(&[0, 0, -1])]);
    assert_eq!(run("Flatten", &[("axis", Attribute::Int(2))], &[&x]).shape(), [6, 1]);
    refused("Flatten", &[("axis", Attribute::Int(3))], &[&x]);
    assert_eq!(run("Unsqueeze", &[], &[&x, &shape(&[-1, 0])]).shape(), [1, 2, 3, 1]);
    assert!(refused("Unsqueeze", &[], &[&x, &shape(&[0, 0])]).contains("twice"));
    assert!(refused("Squeeze", &[], &[&x, &shape(&[1])]).contains("not of size 1"));
    assert!(refused("Transpose", &[("perm", ints(&[0, 2]))], &[&x]).contains("out of range"));
    assert!(refused("Transpose", &[("perm", ints(&[0, 0]))], &[&x]).contains("twice"));
    assert!(refused("Expand", &[], &[&x, &shape(&[1 << 40, 2, 3])]).contains("too large"));
    refused("ConstantOfShape", &[], &[&shape(&[-1])]);
    refused("ConstantOfShape", &[], &[&shape(&[1 << 40, 1 << 40])]);
}

#[test]
fn slices_clamp_and_go_backwards() {
    let x = tensor(&[5], &[0i64, 1, 2, 3, 4]);
    let slice = |start: i64, end: i64, step: i64| {
        let bound = |value: i64| tensor(&[1], &[value]);
        run("Slice", &[], &[&x, &bound(start), &bound(end), &bound(0), &bound(step)])
    };
    assert_eq!(slice(-2, i64::MAX, 1), tensor(&[2], &[3i64, 4]));
    assert_eq!(slice(i64::MAX, i64::MIN, -2), tensor(&[3], &[4i64, 2, 0]));
    assert_eq!(slice(4, 2, 1), tensor::<i64>(&[0], &[]));
    assert_eq!(slice(0, 5, i64::MAX), tensor(&[1], &[0i64]));
    let (zero, one) = (tensor(&[1], &[0i64]), tensor(&[1], &[1i64]));
    assert!(refused("Slice", &[], &[&x, &zero, &one, &one, &one]).contains("out of range"));
    assert!(refused("Slice", &[], &[&x, &zero, &one, &zero, &zero]).contains("step of zero"));
}

#[test]
fn indices_out_of_range_are_errors() {
    let x = tensor(&[2, 2], &[1f32, 2.0, 3.0, 4.0]);
    assert_eq!(run("Gather", &[], &[&x, &tensor(&[1], &[-1i64])]), tensor(&[1, 2], &[3f32, 4.0]));
    for index in [2, -3, i64::MAX, i64::MIN] {
        let indices = tensor(&[1, 1], &[index]);
        assert!(refused("Gather", &[], &[&x, &indices]).contains("out of range"));
        assert!(refused("GatherElements", &[], &[&x, &indices]).contains("out of range"));
        assert!(refused("GatherND", &[], &[&x, &indices]).contains("out of range"));
        assert!(refused("ScatterElements", &[], &[&x, &indices, &tensor(&[1, 1], &[0f32])]).contains("out of range"));
    }
    assert!(refused("Gather", &[("axis", Attribute::Int(2))], &[&x, &tensor(&[1], &[0i64])]).contains("axis 2"));
    assert!(refused("Softmax", &[("axis", Attribute::Int(i64::MIN))], &[&x]).contains("out of range"));
    assert!(refused("ReduceSum", &[], &[&x, &tensor(&[1], &[5i64])]).contains("out of range"));
    assert!(refused("Concat", &[("axis", Attribute::Int(2))], &[&x, &x]).contains("out of range"));
    assert!(refused("TopK", &[], &[&x, &tensor(&[1], &[3i64])]).contains("3 of 2"));
}

#[test]
fn divisions_by_zero() {
    let integers = tensor(&[2], &[1i32, 0]);
    for op_type in ["Div", "Mod"] {
        assert!(refused(op_type, &[], &[&integers, &integers]).contains("zero"));
    }
    let floats = tensor(&[2], &[1f32, -1.0]);
    let quotient = run("Div", &[], &[&floats, &tensor(&[1], &[0f32])]);
    assert_eq!(quotient, tensor(&[2], &[f32::INFINITY, f32::NEG_INFINITY]));
    refused("Range", &[], &[&tensor(&[], &[0i64]), &tensor(&[], &[5i64]), &tensor(&[], &[0i64])]);
}

#[test]
fn padding_beyond_the_input() {
    let x = tensor(&[3], &[1i32, 2, 3]);
    let pad = |mode: &str, pads: [i64; 2]| run("Pad", &[("mode", text(mode))], &[&x, &tensor(&[2], &pads)]);
    assert_eq!(pad("reflect", [3, 0]), tensor(&[6], &[2i32, 3, 2, 1, 2, 3]));
    assert_eq!(pad("wrap", [0, 4]), tensor(&[7], &[1i32, 2, 3, 1, 2, 3, 1]));
    assert_eq!(pad("edge", [1, 1]), tensor(&[5], &[1i32, 1, 2, 3, 3]));
    assert_eq!(pad("constant", [1, -2]), tensor(&[2], &[0i32, 1]));
    assert_eq!(pad("constant", [-2, -2]), tensor::<i32>(&[0], &[]));
    for pads in [[i64::MAX, i64::MAX], [i64::MIN, 0], [1 << 60, 0]] {
        refused("Pad", &[], &[&x, &tensor(&[2], &pads)]);
    }
    let empty = tensor::<i32>(&[0], &[]);
    assert!(
        refused("Pad", &[("mode", text("edge"))], &[&empty, &tensor(&[2], &[1i64, 0])]).contains("without elements")
    );
    assert!(find(&node("Pad", 2, &[("mode", text("cubic"))])).is_none());
}

#[test]
fn values_without_elements() {
    let empty = tensor::<f32>(&[0, 3], &[]);
    assert_eq!(run("Add", &[], &[&empty, &tensor(&[3], &[1f32; 3])]).shape(), [0, 3]);
    assert_eq!(run("MatMul", &[], &[&empty, &tensor(&[3, 2], &[1f32; 6])]).shape(), [0, 2]);
    let (a, b) = (tensor::<f32>(&[2, 0], &[]), tensor::<f32>(&[0, 2], &[]));
    assert_eq!(run("MatMul", &[], &[&a, &b]), tensor(&[2, 2], &[0f32; 4]));
    assert_eq!(run("ReduceSum", &[], &[&empty, &tensor(&[1], &[0i64])]), tensor(&[1, 3], &[0f32; 3]));
    let Tensor::F32(mean) = run("ReduceMean", &[], &[&empty, &tensor(&[1], &[0i64])]) else { panic!("another type") };
    assert!(mean.iter().all(|x| x.is_nan()));
    assert!(refused("ReduceMean", &[], &[&tensor::<i32>(&[0], &[])]).contains("no integers"));
    assert_eq!(run("Softmax", &[], &[&empty]).shape(), [0, 3]);
    assert_eq!(run("Concat", &[("axis", Attribute::Int(0))], &[&empty, &empty]).shape(), [0, 3]);
    assert!(refused("ArgMax", &[], &[&empty]).contains("without elements"));
    let images = tensor::<f32>(&[0, 2, 4, 4], &[]);
    assert_eq!(run("Conv", &[], &[&images, &tensor(&[3, 2, 3, 3], &[1f32; 54])]).shape(), [0, 3, 2, 2]);
    assert_eq!(run("MaxPool", &[("kernel_shape", ints(&[2, 2]))], &[&images]).shape(), [0, 2, 3, 3]);
    assert_eq!(run("GlobalAveragePool", &[], &[&images]).shape(), [0, 2, 1, 1]);
}

#[test]
fn quantization_rounds_to_even_and_saturates() {
    let x = tensor(&[6], &[0.5f32, 1.5, 2.5, -0.5, 1e9, -1e9]);
    let (scale, zero) = (tensor(&[], &[1f32]), tensor(&[], &[10u8]));
    assert_eq!(run("QuantizeLinear", &[], &[&x, &scale, &zero]), tensor(&[6], &[10u8, 12, 12, 10, 255, 0]));
    let bytes = tensor(&[2, 2], &[0u8, 10, 20, 30]);
    let scales = tensor(&[2], &[1f32, 0.5]);
    let y = run("DequantizeLinear", &[("axis", Attribute::Int(1))], &[&bytes, &scales, &tensor(&[2], &[10u8, 0])]);
    assert_eq!(y, tensor(&[2, 2], &[-10f32, 5.0, 10.0, 15.0]));
    let three = tensor(&[3], &[1f32; 3]);
    refused("DequantizeLinear", &[("axis", Attribute::Int(1))], &[&bytes, &three]);
}

#[test]
fn conversions_wrap_and_truncate() {
    let to = |dtype: onnx::DataType| [("to", Attribute::Int(i32::from(dtype).into()))];
    let x = tensor(&[4], &[-1i64, 256, 300, 0]);
    assert_eq!(run("Cast", &to(onnx::DataType::Uint8), &[&x]), tensor(&[4], &[255u8, 0, 44, 0]));
    assert_eq!(run("Cast", &to(onnx::DataType::Bool), &[&x]), tensor(&[4], &[true, true, true, false]));
    let x = tensor(&[3], &[-1.9f32, 2.9, f32::NAN]);
    assert_eq!(run("Cast", &to(onnx::DataType::Int32), &[&x]), tensor(&[3], &[-1i32, 2, 0]));
    assert!(find(&node("Cast", 1, &to(onnx::DataType::String))).is_none());
    assert!(find(&node("Cast", 1, &[("to", Attribute::Int(99))])).is_none());
}

#[test]
fn types_and_shapes_that_do_not_fit_name_the_node() {
    let (floats, integers) = (tensor(&[2], &[1f32; 2]), tensor(&[2], &[1i32; 2]));
    assert!(refused("Add", &[], &[&floats, &integers]).starts_with("node \"y\" (Add): "));
    assert!(refused("Add", &[], &[&floats, &tensor(&[3], &[1f32; 3])]).contains("do not broadcast"));
    assert!(refused("Exp", &[], &[&integers]).contains("int32"));
    assert!(refused("Relu", &[], &[]).contains("input 0 is missing"));
    let attribute = [("axis", text("last"))];
    assert!(refused("Softmax", &attribute, &[&floats]).contains("axis"));
    assert!(find(&Node { domain: "com.example".into(), ..node("Relu", 1, &[]) }).is_none());
}

#[test]
fn empty_tensors_of_long_axes_take_no_memory() {
    let empty = tensor::<f32>(&[0, isize::MAX as usize], &[]);
    assert_eq!(run("LogSoftmax", &[("axis", Attribute::Int(1))], &[&empty]), empty);
}
