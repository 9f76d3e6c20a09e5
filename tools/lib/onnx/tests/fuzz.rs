//! The fuzz target of ONNX files on the checked-in corpus and on mutations of it, of bytes and of messages: bounded, seeded,
//! on any compiler. `cargo fuzz` runs the same target without a bound (CONTRIBUTING.md).

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "../../../../fuzz/byte_mutations.rs"]
mod mutations;
#[path = "../../../../fuzz/onnx.rs"]
mod onnx_file;

use onnx::proto::{
    ModelProto, NodeProto, TensorProto, TensorShapeProto, ValueInfoProto,
    attribute_proto::AttributeType,
    tensor_shape_proto::{Dimension, dimension::Value},
    type_proto,
};
use prost::Message;
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};
use std::{env, fs, path::Path};

/// Tags of fields with lengths and values, as the format has them, and numbers at the ends of their ranges.
const PIECES: [&[u8]; 12] = [
    b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
    b"\x10\x80\x80\x80\x80\x08",
    b"\x3a\x00",
    b"\x0a\x04axis\x18\x7f\xa0\x01\x02",
    b"\x0a\x01x",
    b"\x12\x01y",
    b"\x22\x04Conv",
    b"\x22\x07Reshape",
    b"\xff\xff\xff\xff\x0f",
    b"\x0a\x05\x0a\x03\x0a\x01n",
    b"\x00\x00\x00\x00\x00\x00\x00\x80",
    b"\xff\xff\xff\xff\xff\xff\xff\x7f",
];

/// Sizes, axes and elements at the ends of ranges.
const NUMBERS: [i64; 16] = [
    0,
    1,
    2,
    3,
    -1,
    -2,
    7,
    64,
    1025,
    i32::MAX as i64,
    i32::MAX as i64 + 1,
    i32::MIN as i64,
    1 << 16,
    1 << 40,
    i64::MAX,
    i64::MIN,
];

/// Operators that a node may become.
const OPERATORS: [&str; 48] = [
    "Add",
    "ArgMax",
    "Attention",
    "AveragePool",
    "BatchNormalization",
    "Cast",
    "Compress",
    "Concat",
    "Constant",
    "ConstantOfShape",
    "Conv",
    "ConvTranspose",
    "DepthToSpace",
    "Div",
    "Einsum",
    "Equal",
    "Expand",
    "Flatten",
    "GRU",
    "Gather",
    "GatherElements",
    "GatherND",
    "Gemm",
    "GridSample",
    "LSTM",
    "LayerNormalization",
    "MatMul",
    "MaxPool",
    "Mul",
    "NonZero",
    "OneHot",
    "Pad",
    "QLinearConv",
    "Range",
    "ReduceSum",
    "Reshape",
    "Resize",
    "Shape",
    "Size",
    "Slice",
    "SpaceToDepth",
    "Split",
    "Squeeze",
    "Tile",
    "TopK",
    "Transpose",
    "Unsqueeze",
    "Where",
];

#[test]
fn any_bytes() {
    mutations::run("onnx_model", &PIECES, onnx_file::model);
}

#[test]
fn any_graph() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../fuzz/corpus/onnx_model");
    let rounds = env::var("FUZZ_MUTATIONS").ok().and_then(|text| text.parse().ok()).unwrap_or(400);
    let mut random = Random(ChaCha8Rng::seed_from_u64(1));
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        let model = ModelProto::decode(fs::read(&path).unwrap().as_slice()).unwrap();
        for _ in 0..rounds {
            let mut changed = model.clone();
            (0..=random.below(4)).for_each(|_| mutate(&mut changed, &mut random));
            let bytes = changed.encode_to_vec();
            let panicked = std::panic::catch_unwind(|| onnx_file::model(&bytes));
            assert!(panicked.is_ok(), "{}: a panic at {changed:?}", path.display());
        }
    }
}

struct Random(ChaCha8Rng);

impl Random {
    fn below(&mut self, count: usize) -> usize {
        self.0.next_u64() as usize % count.max(1)
    }

    fn number(&mut self) -> i64 {
        NUMBERS[self.below(NUMBERS.len())]
    }

    fn of<'a, T>(&mut self, items: &'a mut [T]) -> Option<&'a mut T> {
        let index = self.below(items.len());
        items.get_mut(index)
    }
}

fn mutate(model: &mut ModelProto, random: &mut Random) {
    let graph = model.graph.as_mut().unwrap();
    match random.below(6) {
        0 => {
            if let Some(import) = random.of(&mut model.opset_import) {
                import.version = Some(7 + random.below(20) as i64);
            }
        }
        1 => random.of(&mut graph.input).into_iter().for_each(|input| resize(input, random)),
        2 => random.of(&mut graph.initializer).into_iter().for_each(|tensor| change(tensor, random)),
        3 => {
            if let Some(node) = random.of(&mut graph.node) {
                node.op_type = Some(OPERATORS[random.below(OPERATORS.len())].into());
            }
        }
        _ => {
            let names: Vec<String> = graph.input.iter().map(|it| it.name().into()).collect();
            let names: Vec<String> = names
                .into_iter()
                .chain(graph.initializer.iter().map(|it| it.name().into()))
                .chain([String::new()])
                .collect();
            random.of(&mut graph.node).into_iter().for_each(|node| rewire(node, &names, random));
        }
    }
}

/// Another dimension, or another rank.
fn resize(input: &mut ValueInfoProto, random: &mut Random) {
    let Some(type_proto::Value::TensorType(tensor)) = input.r#type.as_mut().and_then(|it| it.value.as_mut()) else {
        return;
    };
    let shape = tensor.shape.get_or_insert_with(TensorShapeProto::default);
    let dim = Dimension { value: Some(Value::DimValue(random.number())), denotation: None };
    match random.below(4) {
        0 => shape.dim.clear(),
        1 => shape.dim.extend(vec![dim; random.below(70)]),
        _ => random.of(&mut shape.dim).into_iter().for_each(|old| *old = dim.clone()),
    }
}

/// Other elements of integers, or more of them.
fn change(tensor: &mut TensorProto, random: &mut Random) {
    let Some(data) = tensor.raw_data.as_mut() else { return };
    if tensor.data_type == Some(7) && data.len() >= 8 {
        let at = random.below(data.len() / 8) * 8;
        data[at..at + 8].copy_from_slice(&random.number().to_le_bytes());
        if random.below(3) == 0 {
            let count = random.below(100);
            *data = std::iter::repeat_with(|| random.number().to_le_bytes()).take(count).flatten().collect();
            tensor.dims = vec![count as i64];
        }
    } else if random.below(2) == 0 {
        tensor.dims.push(1);
    } else {
        data.clear();
        tensor.dims = vec![random.number().max(0), 0, random.number().max(0)];
    }
}

/// Another input, one more or less; another number in an attribute, or one more.
fn rewire(node: &mut NodeProto, names: &[String], random: &mut Random) {
    let name = names[random.below(names.len())].clone();
    match random.below(5) {
        0 => node.input.push(name),
        1 => drop(node.input.pop()),
        2 => random.of(&mut node.input).into_iter().for_each(|input| name.clone_into(input)),
        _ => {
            let Some(attribute) = random.of(&mut node.attribute) else { return };
            match attribute.r#type() {
                AttributeType::Int => attribute.i = Some(random.number()),
                AttributeType::Ints if random.below(3) == 0 => attribute.ints.push(random.number()),
                AttributeType::Ints => random.of(&mut attribute.ints).into_iter().for_each(|it| *it = random.number()),
                _ => attribute.name = Some("axes".into()),
            }
        }
    }
}
