//! Graphs of one operator, and mutations of graphs.

use onnx::proto::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto, TypeProto,
    ValueInfoProto,
    attribute_proto::AttributeType,
    tensor_proto::DataType,
    tensor_shape_proto::{Dimension, dimension::Value},
    type_proto,
};
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};

/// Sizes, axes and elements at the ends of ranges.
const NUMBERS: [i64; 18] = [
    0,
    1,
    2,
    3,
    4,
    -1,
    -2,
    -3,
    7,
    64,
    1025,
    i32::MAX as i64,
    i32::MIN as i64,
    1 << 16,
    1 << 31,
    1 << 40,
    i64::MAX,
    i64::MIN,
];
/// Values of attributes and constants.
const FLOATS: [f32; 10] = [0.0, 1.0, -1.0, 0.5, 2.0, 1e-30, 1e30, f32::NAN, f32::INFINITY, f32::NEG_INFINITY];
/// Attributes that a node may get.
const ATTRIBUTES: [&str; 16] = [
    "axis",
    "axes",
    "perm",
    "pads",
    "strides",
    "dilations",
    "kernel_shape",
    "group",
    "keepdims",
    "ceil_mode",
    "block_size",
    "batch_dims",
    "to",
    "exclusive",
    "output_shape",
    "output_padding",
];
/// Texts of attributes.
const TEXTS: [&str; 9] =
    ["", "SAME_UPPER", "SAME_LOWER", "VALID", "linear", "cubic", "reflect", "wrap", "tf_crop_and_resize"];
const DTYPES: [DataType; 8] = [
    DataType::Float,
    DataType::Double,
    DataType::Float16,
    DataType::Bfloat16,
    DataType::Int64,
    DataType::Int32,
    DataType::Uint8,
    DataType::Bool,
];
/// Version of the operator set.
const OPSET: i64 = 22;

/// Each operator as `operator | inputs | attributes | types of outputs`. An input is `type shape`, with `= values` if they
/// matter; a `!` marks an initializer.
pub const OPERATORS: &[&str] = &[
    "Abs | f 2x3",
    "Acos | f 2x3",
    "Acosh | f 2x3",
    "Add | f 2x3; f 3",
    "And | b 2x3; b 3 | | b",
    "ArgMax | f 2x3 | axis=1 keepdims=1 | l",
    "ArgMin | f 2x3 | axis=0 select_last_index=1 | l",
    "Asin | f 2x3",
    "Asinh | f 2x3",
    "Atan | f 2x3",
    "Atanh | f 2x3",
    "AveragePool | f 1x2x5x5 | kernel_shape=[3,3] strides=[2,2] pads=[1,1,1,1] count_include_pad=1 ceil_mode=0",
    "AveragePool | f 1x2x7 | kernel_shape=[3] strides=[2] ceil_mode=1 dilations=[1]",
    "BatchNormalization | f 2x3x4x4; f! 3; f! 3; f! 3; f! 3 = 1,2,3 | epsilon=0.001",
    "Cast | f 2x3 | to=7 | l",
    "CastLike | f 2x3; l 1 | | l",
    "Ceil | f 2x3",
    "Celu | f 2x3 | alpha=2.0",
    "Clip | f 2x3; f! - = -1; f! - = 1",
    "Concat | f 2x3; f 2x2 | axis=1",
    "Constant | | value_ints=[1,2] | l",
    "ConstantOfShape | l! 2 = 2,3",
    "Conv | f 1x2x6x6; f! 4x2x3x3; f! 4 | pads=[1,1,1,1] strides=[1,1] group=1 dilations=[1,1]",
    "Conv | f 2x4x5x5; f! 4x2x3x3 | pads=[0,1,1,0] strides=[2,1] group=2",
    "Conv | f 1x2x6; f 3x2x3; f 3 | auto_pad=SAME_UPPER",
    "ConvInteger | u 1x2x5x5; u! 3x2x3x3; u! - = 1; u! - = 2 | pads=[1,1,1,1] | i",
    "ConvTranspose | f 1x2x4x4; f! 2x3x3x3; f! 3 | strides=[2,2] pads=[1,1,1,1] output_padding=[1,1] group=1",
    "Cos | f 2x3",
    "Cosh | f 2x3",
    "CumProd | f 2x3; l! - = 1 | exclusive=0 reverse=0",
    "CumSum | f 2x3; l! - = 1 | exclusive=1 reverse=1",
    "DepthToSpace | f 1x8x2x3 | blocksize=2",
    "DequantizeLinear | u 2x3; f! 3; u! 3 = 1,2,3 | axis=1",
    "Div | f 2x3; f 2x3",
    "Dropout | f 2x3; f! - = 0.5",
    "DynamicQuantizeLinear | f 2x3 | | u,f,u",
    "Elu | f 2x3 | alpha=1.0",
    "Equal | l 2x3; l 3 | | b",
    "Erf | f 2x3",
    "Exp | f 2x3",
    "Expand | f 2x1; l! 3 = 2,2,3",
    "Flatten | f 2x3x4 | axis=1",
    "Floor | f 2x3",
    "Gather | f 4x3; l! 2x2 = 0,1,2,-1 | axis=0",
    "GatherElements | f 3x3; l! 2x3 = 0,1,2,0,-1,1 | axis=0",
    "GatherND | f 2x3x2; l! 2x1 = 1,0 | batch_dims=1",
    "Gelu | f 2x3",
    "Gemm | f 2x3; f! 4x3; f! 4 | alpha=0.5 beta=2.0 transA=0 transB=1",
    "Gemm | f 3x2; f 3x4; f 1x4 | transA=1",
    "GlobalAveragePool | f 1x2x4x4",
    "GlobalMaxPool | f 1x2x4x4",
    "Greater | f 2x3; f 3 | | b",
    "GreaterOrEqual | f 2x3; f 3 | | b",
    "GroupNormalization | f 2x4x3x3; f! 4; f! 4 | num_groups=2",
    "HardSigmoid | f 2x3 | alpha=0.25 beta=0.5",
    "HardSwish | f 2x3",
    "Identity | f 2x3",
    "InstanceNormalization | f 2x3x4; f! 3; f! 3 | epsilon=0.01",
    "IsInf | f 2x3 | | b",
    "IsNaN | f 2x3 | | b",
    "LRN | f 1x5x3x3 | size=3 alpha=0.001",
    "LayerNormalization | f 2x3x4; f! 4; f! 4 | axis=-1 epsilon=0.001",
    "LayerNormalization | f 2x3x4; f! 3x4 | axis=1 | f,f,f",
    "LeakyRelu | f 2x3 | alpha=0.1",
    "Less | f 2x3; f 3 | | b",
    "LessOrEqual | f 2x3; f 3 | | b",
    "Log | f 2x3",
    "LogSoftmax | f 2x3 | axis=1",
    "MatMul | f 2x3; f! 3x4",
    "MatMul | f 2x1x3x2; f 2x2x3",
    "MatMulInteger | u 2x3; u! 3x4; u! - = 1; u! 4 = 0,1,2,3 | | i",
    "Max | f 2x3; f 3; f 1",
    "MaxPool | f 1x2x5x5 | kernel_shape=[3,3] strides=[2,2] pads=[1,1,1,1] ceil_mode=0 dilations=[1,1]",
    "MaxPool | f 1x2x4x5x5 | kernel_shape=[2,2,2] auto_pad=SAME_LOWER",
    "Mean | f 2x3; f 3",
    "Min | f 2x3; f 3",
    "Mish | f 2x3",
    "Mod | l 2x3; l! - = 2 | fmod=0 | l",
    "Mul | f 2x3; f 2x3",
    "Neg | f 2x3",
    "NonZero | f 2x3 | | l",
    "Not | b 2x3 | | b",
    "OneHot | l 3; l! - = 4; f! 2 = 0,1 | axis=-1",
    "Or | b 2x3; b 3 | | b",
    "PRelu | f 2x3; f! 3",
    "Pad | f 2x3; l! 4 = 1,0,0,2; f! - = 1 | mode=constant",
    "Pad | f 3x3; l! 4 = 1,1,-1,2 | mode=reflect",
    "Pad | f 3x3; l! 4 = 1,4,0,2 | mode=wrap",
    "Pow | f 2x3; f! - = 2",
    "QLinearConv | u 1x2x5x5; f! - = 0.5; u! - = 1; u! 3x2x3x3; f! 3 = 0.1,0.2,0.3; u! 3 = 1,1,1; f! - = 2; u! - = 3; i! 3 = 1,2,3 | pads=[1,1,1,1] | u",
    "QLinearMatMul | u 2x3; f! - = 0.5; u! - = 1; u! 3x4; f! - = 0.5; u! - = 1; f! - = 0.5; u! - = 1 | | u",
    "QuantizeLinear | f 2x3; f! - = 0.1; u! - = 128 | axis=1 | u",
    "QuantizeLinear | f 2x4; f! 2x2 = 0.1,0.2,0.3,0.4; u! 2x2 = 1,2,3,4 | axis=1 block_size=2 | u",
    "RMSNormalization | f 2x3x4; f! 4 | axis=-1",
    "Range | l! - = 0; l! - = 6; l! - = 2 | | l",
    "Reciprocal | f 2x3",
    "ReduceL1 | f 2x3x4; l! 1 = 1 | keepdims=0",
    "ReduceL2 | f 2x3x4; l! 1 = -1",
    "ReduceLogSum | f 2x3x4; l! 1 = 1",
    "ReduceLogSumExp | f 2x3x4; l! 1 = 0",
    "ReduceMax | f 2x3x4; l! 2 = 0,2",
    "ReduceMean | f 1x2x4x4; l! 2 = 2,3 | keepdims=1 noop_with_empty_axes=0",
    "ReduceMin | f 2x3x4",
    "ReduceProd | f 2x3x4; l! 1 = 1",
    "ReduceSum | f 2x3x4; l! 1 = 1",
    "ReduceSumSquare | f 2x3x4; l! 1 = 1",
    "Relu | f 2x3",
    "Reshape | f 2x3x4; l! 3 = 0,-1,2 | allowzero=0",
    "Resize | f 1x2x3x3; f! 0; f! 4 = 1,1,2,2 | mode=nearest nearest_mode=floor coordinate_transformation_mode=asymmetric",
    "Resize | f 1x2x3x3; f! 0; f! 0; l! 2 = 5,7 | mode=cubic axes=[2,3] cubic_coeff_a=-0.5 exclude_outside=1",
    "Resize | f 1x1x4x4; f! 8 = 0,0,0,0,1,1,1,2; f! 0; l! 4 = 1,1,3,2 | mode=linear coordinate_transformation_mode=tf_crop_and_resize extrapolation_value=3.0",
    "Round | f 2x3",
    "ScatterElements | f 3x3; l! 1x2 = 1,-1; f 1x2 | axis=1 reduction=add",
    "ScatterND | f 4x2; l! 2x1 = 1,3; f 2x2",
    "Selu | f 2x3",
    "Shape | f 2x3 | start=0 end=2 | l",
    "Sigmoid | f 2x3",
    "Sign | f 2x3",
    "Sin | f 2x3",
    "Sinh | f 2x3",
    "Size | f 2x3 | | l",
    "Slice | f 4x5; l! 2 = 1,-1; l! 2 = 3,-6; l! 2 = 0,1; l! 2 = 1,-2",
    "Slice | f 4x5; l 1; l 1",
    "Softmax | f 2x3x4 | axis=1",
    "Softplus | f 2x3",
    "Softsign | f 2x3",
    "SpaceToDepth | f 1x2x4x6 | blocksize=2",
    "Split | f 4x5; l! 2 = 2,3 | axis=1 | f,f",
    "Split | f 5x2 | axis=0 num_outputs=2 | f,f",
    "Sqrt | f 2x3",
    "Squeeze | f 1x3x1; l! 1 = 2",
    "Sub | f 2x3; f 2x3",
    "Sum | f 2x3; f 3; f 2x1",
    "Tan | f 2x3",
    "Tanh | f 2x3",
    "ThresholdedRelu | f 2x3 | alpha=0.5",
    "Tile | f 2x3; l! 2 = 2,3",
    "TopK | f 2x5; l! 1 = 3 | axis=1 largest=1 sorted=1 | f,l",
    "Transpose | f 2x3x4 | perm=[2,0,1]",
    "Trilu | f 3x4; l! - = 1 | upper=1",
    "Unsqueeze | f 2x3; l! 2 = 0,-1",
    "Where | b 2x3; f 3; f 2x1",
    "Xor | b 2x3; b 3 | | b",
];

/// Nodes that may follow, of the value `{}`; they are fused with what computes it.
const FOLLOWERS: [(&str, &str); 9] = [
    ("Relu", ""),
    ("Tanh", ""),
    ("Add", "{}"),
    ("Mul", "{}"),
    ("Add", "x0"),
    ("Identity", ""),
    ("Transpose", ""),
    ("Flatten", ""),
    ("MaxPool", ""),
];

/// A random stream.
pub struct Random(ChaCha8Rng);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    pub fn below(&mut self, count: usize) -> usize {
        self.0.next_u64() as usize % count.max(1)
    }

    fn number(&mut self) -> i64 {
        // Most are small, so that graphs stay plausible.
        let count = if self.below(3) > 0 { 8 } else { NUMBERS.len() };
        NUMBERS[self.below(count)]
    }

    fn one<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }

    fn of<'a, T>(&mut self, items: &'a mut [T]) -> Option<&'a mut T> {
        let index = self.below(items.len());
        items.get_mut(index)
    }
}

/// The graph of one of [`OPERATORS`].
pub fn model(case: &str) -> ModelProto {
    let mut parts = case.split('|').map(str::trim).chain(["", "", ""]);
    let (op_type, inputs) = (parts.next().unwrap(), parts.next().unwrap());
    let (attributes, outputs) = (parts.next().unwrap(), parts.next().unwrap());
    let outputs = if outputs.is_empty() { "f" } else { outputs };
    let mut graph = GraphProto::default();
    let mut node = NodeProto { op_type: Some(op_type.into()), ..NodeProto::default() };
    node.attribute = attributes.split_whitespace().map(attribute).collect();
    for (index, input) in inputs.split(';').map(str::trim).filter(|input| !input.is_empty()).enumerate() {
        let name = format!("x{index}");
        node.input.push(name.clone());
        add_input(&mut graph, name, input);
    }
    for (index, ty) in outputs.split(',').enumerate() {
        let name = format!("y{index}");
        node.output.push(name.clone());
        graph.output.push(value(&name, dtype(ty), None));
    }
    graph.node.push(node);
    ModelProto {
        ir_version: Some(10),
        opset_import: vec![OperatorSetIdProto {
            domain: None,
            version: Some(if op_type == "RMSNormalization" { 23 } else { OPSET }),
        }],
        graph: Some(graph),
        ..ModelProto::default()
    }
}

fn dtype(name: &str) -> DataType {
    match name {
        "l" => DataType::Int64,
        "i" => DataType::Int32,
        "u" => DataType::Uint8,
        "b" => DataType::Bool,
        _ => DataType::Float,
    }
}

fn add_input(graph: &mut GraphProto, name: String, input: &str) {
    let (ty, values) = input.split_once('=').unwrap_or((input, ""));
    let (ty, shape) = ty.trim().split_once(' ').unwrap();
    let dims: Vec<i64> =
        if shape == "-" { vec![] } else { shape.split('x').map(|size| size.parse().unwrap()).collect() };
    let Some(ty) = ty.strip_suffix('!') else {
        graph.input.push(value(&name, dtype(ty), Some(&dims)));
        return;
    };
    let len = dims.iter().product::<i64>() as usize;
    let mut values: Vec<f32> = values.split(',').filter_map(|value| value.trim().parse().ok()).collect();
    if values.is_empty() {
        values = (0..len).map(|index| ((index * 5 + 2) % 11) as f32 / 4.0).collect();
    }
    graph.initializer.push(tensor(&name, dtype(ty), dims, &values));
}

/// A tensor of the values, converted to its type.
fn tensor(name: &str, dtype: DataType, dims: Vec<i64>, values: &[f32]) -> TensorProto {
    let bytes = |value: &f32| match dtype {
        DataType::Int64 => (*value as i64).to_le_bytes().to_vec(),
        DataType::Int32 => (*value as i32).to_le_bytes().to_vec(),
        DataType::Float => value.to_le_bytes().to_vec(),
        _ => vec![*value as u8],
    };
    TensorProto {
        name: Some(name.into()),
        data_type: Some(dtype.into()),
        dims,
        raw_data: Some(values.iter().flat_map(bytes).collect()),
        ..TensorProto::default()
    }
}

/// A value of a type; its sizes are symbols, which end with the size that is meant.
fn value(name: &str, dtype: DataType, dims: Option<&[i64]>) -> ValueInfoProto {
    let dim = |size: &i64| Dimension { value: Some(Value::DimParam(format!("{name}d{size}"))), denotation: None };
    let shape = dims.map(|dims| TensorShapeProto { dim: dims.iter().map(dim).collect() });
    let ty = type_proto::Value::TensorType(type_proto::Tensor { elem_type: Some(dtype.into()), shape });
    ValueInfoProto {
        name: Some(name.into()),
        r#type: Some(TypeProto { value: Some(ty), ..TypeProto::default() }),
        ..ValueInfoProto::default()
    }
}

/// `name=1`, `name=0.5`, `name=[1,2]` or `name=text`.
fn attribute(text: &str) -> AttributeProto {
    let (name, value) = text.split_once('=').unwrap();
    let mut attribute = AttributeProto { name: Some(name.into()), ..AttributeProto::default() };
    let list = value.strip_prefix('[').and_then(|value| value.strip_suffix(']'));
    attribute.r#type = Some(
        if let Some(list) = list {
            attribute.ints = list.split(',').map(|value| value.parse().unwrap()).collect();
            AttributeType::Ints
        } else if let Ok(value) = value.parse() {
            attribute.i = Some(value);
            AttributeType::Int
        } else if let Ok(value) = value.parse() {
            attribute.f = Some(value);
            AttributeType::Float
        } else {
            attribute.s = Some(value.into());
            AttributeType::String
        }
        .into(),
    );
    attribute
}

/// Appends a node that reads the last output, and makes its result an output in place of it or beside it.
pub fn extend(model: &mut ModelProto, random: &mut Random) {
    let graph = model.graph.as_mut().unwrap();
    let Some(last) = graph.output.last().map(|output| output.name().to_owned()) else { return };
    let (op_type, other) = random.one(&FOLLOWERS);
    let name = format!("{last}_");
    let mut node = NodeProto { op_type: Some(op_type.into()), ..NodeProto::default() };
    node.input.push(last.clone());
    if !other.is_empty() {
        node.input.push(other.replace("{}", &last));
    }
    if op_type == "MaxPool" {
        node.attribute = vec![attribute("kernel_shape=[2,2]")];
    }
    node.output.push(name.clone());
    graph.node.push(node);
    if random.below(3) > 0 {
        graph.output.pop();
    }
    graph.output.push(value(&name, DataType::Float, None));
}

/// One change of a graph.
pub fn mutate(model: &mut ModelProto, random: &mut Random) {
    let graph = model.graph.as_mut().unwrap();
    match random.below(12) {
        0 => {
            if let Some(import) = random.of(&mut model.opset_import) {
                import.version = Some(7 + random.below(20) as i64);
            }
        }
        1 | 2 => random.of(&mut graph.input).into_iter().for_each(|input| retype(input, random)),
        3..=5 => random.of(&mut graph.initializer).into_iter().for_each(|tensor| change(tensor, random)),
        6 => {
            if let Some(node) = random.of(&mut graph.node) {
                let case = random.one(OPERATORS);
                node.op_type = case.split_whitespace().next().map(Into::into);
            }
        }
        7 => to_input(graph, random),
        _ => {
            let names = graph.input.iter().map(|it| it.name()).chain(graph.initializer.iter().map(|it| it.name()));
            let names: Vec<String> = names.chain([""]).map(Into::into).collect();
            random.of(&mut graph.node).into_iter().for_each(|node| rewire(node, &names, random));
        }
    }
}

/// Another type, size or rank, or no shape.
fn retype(input: &mut ValueInfoProto, random: &mut Random) {
    let Some(type_proto::Value::TensorType(tensor)) = input.r#type.as_mut().and_then(|it| it.value.as_mut()) else {
        return;
    };
    let shape = tensor.shape.get_or_insert_with(TensorShapeProto::default);
    let number = random.number();
    let dim = Dimension { value: Some(Value::DimValue(number)), denotation: None };
    match random.below(7) {
        0 => tensor.elem_type = Some(random.one(&DTYPES).into()),
        1 => tensor.shape = None,
        2 => shape.dim.clear(),
        3 => shape.dim.extend(vec![dim; random.below(4)]),
        4 => drop(shape.dim.pop()),
        _ => random.of(&mut shape.dim).into_iter().for_each(|old| *old = dim.clone()),
    }
}

/// Other elements, or another shape or type.
fn change(tensor: &mut TensorProto, random: &mut Random) {
    let Some(data) = tensor.raw_data.as_mut() else { return };
    let width = match tensor.data_type {
        Some(1 | 6) => 4,
        Some(7) => 8,
        _ => 1,
    };
    let len = data.len() / width;
    match random.below(6) {
        0 => (tensor.dims, *data) = (vec![], data.iter().copied().take(width).collect()),
        1 => {
            let count = 1 + random.below(5);
            tensor.dims = vec![count as i64];
            *data = data.iter().copied().chain(vec![0; width * count]).take(width * count).collect();
        }
        2 => {
            let at = random.below(tensor.dims.len() + 1);
            tensor.dims.insert(at, 1);
        }
        3 if random.below(3) == 0 => {
            data.clear();
            tensor.dims = vec![random.number().max(0), 0];
        }
        4 if random.below(3) == 0 => {
            let dtype = random.one(&DTYPES);
            let values: Vec<f32> = (0..len).map(|index| index as f32 % 3.0).collect();
            *tensor = self::tensor(tensor.name.as_deref().unwrap_or(""), dtype, tensor.dims.clone(), &values);
        }
        _ if len > 0 => {
            let at = random.below(len) * width;
            let (number, float) = (random.number(), random.one(&FLOATS));
            let bytes = match tensor.data_type {
                Some(1) => float.to_le_bytes().to_vec(),
                _ => number.to_le_bytes()[..width].to_vec(),
            };
            data[at..at + width].copy_from_slice(&bytes);
        }
        _ => {}
    }
}

/// An initializer becomes an input, of the same type.
fn to_input(graph: &mut GraphProto, random: &mut Random) {
    if graph.initializer.is_empty() {
        return;
    }
    let tensor = graph.initializer.remove(random.below(graph.initializer.len()));
    let dtype = DataType::try_from(tensor.data_type()).unwrap_or_default();
    graph.input.push(value(tensor.name(), dtype, Some(&tensor.dims)));
}

/// Another input, one more or less; another output; other attributes.
fn rewire(node: &mut NodeProto, names: &[String], random: &mut Random) {
    let name = names[random.below(names.len())].clone();
    match random.below(12) {
        0 => node.input.push(name),
        1 => drop(node.input.pop()),
        2 | 3 => random.of(&mut node.input).into_iter().for_each(|input| name.clone_into(input)),
        4 => node.output.push(format!("more{}", node.output.len())),
        5 => {
            let value = if random.below(2) == 0 { random.number().to_string() } else { "[1,1]".into() };
            node.attribute.push(attribute(&format!("{}={value}", random.one(&ATTRIBUTES))));
        }
        6 => drop(node.attribute.pop()),
        _ => {
            let Some(attribute) = random.of(&mut node.attribute) else { return };
            match attribute.r#type() {
                AttributeType::Int => attribute.i = Some(random.number()),
                AttributeType::Float => attribute.f = Some(random.one(&FLOATS)),
                AttributeType::String => attribute.s = Some(random.one(&TEXTS).into()),
                AttributeType::Ints if random.below(4) == 0 => attribute.ints.push(random.number()),
                AttributeType::Ints if random.below(4) == 0 => drop(attribute.ints.pop()),
                AttributeType::Ints => random.of(&mut attribute.ints).into_iter().for_each(|it| *it = random.number()),
                _ => {}
            }
        }
    }
}
