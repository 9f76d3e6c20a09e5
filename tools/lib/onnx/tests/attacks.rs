//! Files that are meant to mislead the reader: each is an error of one line, without a panic, soon and in little memory.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use files::Limit;
use onnx::{
    DataType, Model, Node, Problem,
    proto::{
        AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, SparseTensorProto,
        StringStringEntryProto, TensorAnnotation, TensorProto, TrainingInfoProto, ValueInfoProto,
        attribute_proto::AttributeType,
        tensor_proto::{DataLocation, Segment},
    },
};
use prost::Message;
use std::{collections::BTreeMap, fs, os::unix::fs::symlink, path::Path};

fn value(name: &str) -> ValueInfoProto {
    ValueInfoProto { name: Some(name.into()), ..ValueInfoProto::default() }
}

fn node(op: &str, inputs: &[&str], outputs: &[&str]) -> NodeProto {
    NodeProto {
        op_type: Some(op.into()),
        input: inputs.iter().map(ToString::to_string).collect(),
        output: outputs.iter().map(ToString::to_string).collect(),
        ..NodeProto::default()
    }
}

fn floats(name: &str, dims: &[i64], count: usize) -> TensorProto {
    TensorProto {
        name: Some(name.into()),
        dims: dims.into(),
        data_type: Some(DataType::Float.into()),
        raw_data: Some(vec![0; 4 * count]),
        ..TensorProto::default()
    }
}

/// From input x to output y.
fn model(nodes: Vec<NodeProto>, initializers: Vec<TensorProto>) -> ModelProto {
    ModelProto {
        ir_version: Some(8),
        opset_import: vec![OperatorSetIdProto { domain: None, version: Some(17) }],
        graph: Some(GraphProto {
            node: nodes,
            initializer: initializers,
            input: vec![value("x")],
            output: vec![value("y")],
            ..GraphProto::default()
        }),
        ..ModelProto::default()
    }
}

fn add(weights: TensorProto) -> ModelProto {
    model(vec![node("Add", &["x", "w"], &["y"])], vec![weights])
}

fn read(model: &ModelProto) -> Result<Model, String> {
    Model::from_bytes("m.onnx", &model.encode_to_vec()).map_err(|e| e.to_string())
}

fn refused(model: &ModelProto) -> String {
    let error = read(model).expect_err("refused");
    assert!(error.starts_with("m.onnx: ") && !error.contains('\n'), "{error}");
    error
}

#[test]
fn tensors_are_as_long_as_their_shape_says() {
    read(&add(floats("w", &[2, 3], 6))).expect("six floats");
    read(&add(floats("w", &[0, 1 << 40], 0))).expect("none");
    for dims in [&[2, 3][..], &[-1], &[1 << 40, 1 << 40], &[i64::MAX], &[1 << 62, 4], &[i64::MIN]] {
        let error = refused(&add(floats("w", dims, 5)));
        assert!(error.contains("tensor \"w\""), "{error}");
    }
    let mut strange = floats("w", &[1], 1);
    strange.data_type = Some(99);
    assert!(refused(&add(strange)).contains("type 99"));
    let integers = |dtype: DataType, element: i32| {
        let data = TensorProto {
            data_type: Some(dtype.into()),
            int32_data: vec![element],
            raw_data: None,
            ..floats("w", &[1], 0)
        };
        read(&add(data))
    };
    for (dtype, inside, outside) in [
        (DataType::Int8, -128, -129),
        (DataType::Uint8, 255, 256),
        (DataType::Float16, 0x7c00, 1 << 16),
        (DataType::Bool, 1, i32::MAX),
    ] {
        integers(dtype, inside).expect("within the type");
        let error = integers(dtype, outside).expect_err("beyond the type");
        assert!(error.contains("tensor \"w\": an element does not fit"), "{error}");
    }
    let mut segment = floats("w", &[1], 1);
    segment.segment = Some(Segment { begin: Some(0), end: Some(1) });
    assert!(refused(&add(segment)).contains("segment"));
}

#[test]
fn each_value_has_one_definition_and_no_cycle() {
    let relu = |input: &str, output: &str| node("Relu", &[input], &[output]);
    read(&model(vec![relu("a", "y"), relu("x", "a")], vec![])).expect("unsorted nodes are sorted");
    assert!(refused(&model(vec![relu("x", "y"), relu("x", "y")], vec![])).contains("\"y\" is defined twice"));
    assert!(refused(&model(vec![relu("x", "x"), relu("x", "y")], vec![])).contains("\"x\" is defined twice"));
    assert!(refused(&model(vec![relu("z", "y")], vec![])).contains("\"z\" is defined nowhere"));
    assert!(
        refused(&model(vec![relu("b", "a"), relu("a", "b"), relu("x", "y")], vec![])).contains("depends on its own")
    );
    assert!(refused(&model(vec![relu("y", "y")], vec![])).contains("depends on its own"));
    assert!(refused(&model(vec![relu("x", "a")], vec![])).contains("computed by no node"));
    let twice = model(vec![relu("x", "y")], vec![floats("w", &[], 1), floats("w", &[], 1)]);
    assert!(refused(&twice).contains("defined twice"));
    let mut inputs = model(vec![relu("x", "y")], vec![]);
    inputs.graph.as_mut().unwrap().input.push(value("x"));
    assert!(refused(&inputs).contains("input \"x\" is defined twice"));
}

#[test]
fn versions_that_are_not_known_are_named() {
    let with = |change: fn(&mut ModelProto)| {
        let mut it = model(vec![node("Relu", &["x"], &["y"])], vec![]);
        change(&mut it);
        refused(&it)
    };
    assert!(with(|it| it.ir_version = Some(15)).contains("version 15 of the format; 1 to 14"));
    assert!(with(|it| it.ir_version = None).contains("says no version"));
    assert!(with(|it| it.opset_import.clear()).contains("which operator set"));
    assert!(with(|it| it.opset_import[0].version = Some(27)).contains("operator set 27; 7 to 26"));
    assert!(
        with(|it| it.opset_import.push(OperatorSetIdProto { domain: None, version: Some(13) }))
            .contains("two versions")
    );
    assert!(with(|it| it.graph = None).contains("no graph"));
    assert!(with(|it| it.training_info.push(TrainingInfoProto::default())).contains("training information"));
    let graph = |it: &mut ModelProto, change: fn(&mut GraphProto)| change(it.graph.as_mut().unwrap());
    let mut sparse = model(vec![], vec![]);
    graph(&mut sparse, |it| it.sparse_initializer.push(SparseTensorProto::default()));
    assert!(refused(&sparse).contains("sparse"));
    let mut annotated = model(vec![], vec![]);
    graph(&mut annotated, |it| it.quantization_annotation.push(TensorAnnotation::default()));
    assert!(refused(&annotated).contains("annotated for quantization"));
    let error = Model::from_bytes("m.ort", b"\x18\0\0\0ORTM\0\0\0\0").expect_err("refused").to_string();
    assert!(error.contains("(.ort)"), "{error}");
}

#[test]
fn truncated_files_and_garbage_are_errors() {
    let bytes = add(floats("w", &[2, 3], 6)).encode_to_vec();
    for end in 0..bytes.len() {
        assert!(Model::from_bytes("m", &bytes[..end]).is_err(), "{end} bytes");
    }
    for garbage in [&b"PK\x03\x04 a zip file"[..], b"{}", &[0xff; 100], &[0x0a; 1000]] {
        assert!(Model::from_bytes("m", garbage).is_err());
    }
}

/// Graphs within graphs; the decoder stops at its limit of 100 messages.
#[test]
fn nested_graphs_are_bounded() {
    let mut it = model(vec![node("Relu", &["x"], &["y"])], vec![]);
    for _ in 0..60 {
        let inner = it.graph.take();
        let body = AttributeProto {
            name: Some("then_branch".into()),
            r#type: Some(AttributeType::Graph.into()),
            g: inner,
            ..AttributeProto::default()
        };
        let outer = NodeProto { attribute: vec![body], ..node("If", &["x"], &["y"]) };
        it = model(vec![outer], vec![]);
    }
    assert!(refused(&it).contains("recursion limit"));
}

/// Work that grows with the square of the nodes would take hours here.
#[test]
fn long_and_wide_graphs_are_read() {
    let count = 100_000;
    let name = |index: usize| {
        if index == count {
            "y".to_owned()
        } else if index == 0 {
            "x".to_owned()
        } else {
            format!("v{index}")
        }
    };
    let chain = (0..count).rev().map(|index| node("Relu", &[&name(index)], &[&name(index + 1)])).collect();
    let long = read(&model(chain, vec![])).expect("a chain, written backwards");
    onnx::shape::infer(&long, &BTreeMap::new()).expect("inferred");
    let parts: Vec<_> = (0..count).map(|index| node("Relu", &["x"], &[&format!("w{index}")])).collect();
    let names: Vec<_> = (0..count).map(|index| format!("w{index}")).collect();
    let sum = node("Sum", &names.iter().map(String::as_str).collect::<Vec<_>>(), &["y"]);
    let mut wide = model(parts.into_iter().chain([sum]).collect(), vec![]);
    wide.graph.as_mut().unwrap().output = names.iter().map(|name| value(name)).collect();
    let wide = read(&wide).expect("a wide graph");
    onnx::shape::infer(&wide, &BTreeMap::new()).expect("inferred");
}

fn external(entries: &[(&str, &str)], dims: &[i64]) -> ModelProto {
    let entry = |(key, value): &(&str, &str)| StringStringEntryProto {
        key: Some(key.to_string()),
        value: Some(value.to_string()),
    };
    add(TensorProto {
        data_location: Some(DataLocation::External.into()),
        external_data: entries.iter().map(entry).collect(),
        raw_data: None,
        ..floats("w", dims, 0)
    })
}

fn open(folder: &Path, model: &ModelProto, limit: u64) -> Result<Model, String> {
    let path = folder.join("m.onnx");
    fs::write(&path, model.encode_to_vec()).unwrap();
    Model::open(&path, Limit { bytes: limit, setting: Some("export.model_bytes") }).map_err(|e| e.to_string())
}

#[test]
fn external_data_is_read_from_the_models_folder_only() {
    let here = tempfile::tempdir().unwrap();
    let folder = here.path().join("m");
    fs::create_dir(&folder).unwrap();
    let data: Vec<u8> = (0..10u32).flat_map(|it| (it as f32).to_le_bytes()).collect();
    fs::write(folder.join("w.bin"), &data).unwrap();
    fs::write(here.path().join("secret"), &data).unwrap();
    symlink("../secret", folder.join("link")).unwrap();
    let limit = 1 << 20;
    let good = external(&[("location", "w.bin"), ("offset", "4"), ("length", "24")], &[2, 3]);
    let read = open(&folder, &good, limit).expect("in the folder");
    assert_eq!(read.graph.initializers["w"].to_f32().unwrap(), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    // What is written has the data inside.
    assert_eq!(Model::from_bytes("m", &read.to_bytes()).unwrap().graph, read.graph);

    let secret = here.path().join("secret").display().to_string();
    for location in ["../secret", "link", &secret, "", "none", ".", "m.onnx/x"] {
        let error = open(&folder, &external(&[("location", location)], &[1]), limit).expect_err(location);
        assert!(error.contains("weights file") && !error.contains('\n'), "{error}");
    }
    for (entries, dims) in [
        (&[("location", "w.bin"), ("offset", "20")][..], &[6][..]),
        (&[("location", "w.bin"), ("offset", "18446744073709551615")], &[1]),
        (&[("location", "w.bin"), ("offset", "-1")], &[1]),
        (&[("location", "w.bin"), ("length", "8")], &[1]),
        (&[("location", "w.bin"), ("length", "x")], &[1]),
        (&[("location", "w.bin")], &[1 << 40]),
        (&[("location", "w.bin")], &[-1]),
        (&[("offset", "0")], &[1]),
    ] {
        open(&folder, &external(entries, dims), limit).expect_err("refused");
    }
    let size = good.encoded_len() as u64 + 23;
    let error = open(&folder, &good, size).expect_err("too long");
    assert!(error.contains(&format!("more than {size} bytes (the setting export.model_bytes)")), "{error}");
    // A file is one thing, what is read of it another: the same bytes read often count each time.
    let mut often = external(&[("location", "w.bin")], &[10]);
    let graph = often.graph.as_mut().unwrap();
    let tensor = graph.initializer[0].clone();
    graph.initializer.extend((0..100).map(|index| TensorProto { name: Some(format!("w{index}")), ..tensor.clone() }));
    let size = often.encoded_len() as u64;
    open(&folder, &often, size + 3000).expect_err("101 tensors of 40 bytes");
    open(&folder, &often, size + 4040).expect("within the limit");
    let error = Model::from_bytes("pipe", &good.encode_to_vec()).expect_err("no folder").to_string();
    assert!(error.contains("not in a file"), "{error}");
}

fn infer(model: &ModelProto) -> Result<onnx::shape::Types, Problem> {
    onnx::shape::infer(&read(model).expect("read"), &BTreeMap::new())
}

#[test]
fn a_node_is_named_that_breaks_its_rule() {
    let int64s = |name: &str, values: &[i64]| TensorProto {
        name: Some(name.into()),
        dims: vec![values.len() as i64],
        data_type: Some(DataType::Int64.into()),
        int64_data: values.into(),
        ..TensorProto::default()
    };
    let w = || floats("w", &[4, 5], 20);
    for (nodes, other) in [
        (node("MatMul", &["w", "w"], &["y"]), w()),
        (node("Add", &["w", "b"], &["y"]), floats("b", &[3], 3)),
        (node("Reshape", &["w", "s"], &["y"]), int64s("s", &[3, -1])),
        (node("Reshape", &["w", "s"], &["y"]), int64s("s", &[-1, -1])),
        (node("Reshape", &["w", "s"], &["y"]), int64s("s", &[-5])),
        (node("Unsqueeze", &["w", "s"], &["y"]), int64s("s", &[2, 2])),
        (node("Squeeze", &["w", "s"], &["y"]), int64s("s", &[0])),
        (node("Concat", &["w", "b"], &["y"]), floats("b", &[3, 3], 9)),
        (node("Expand", &["w", "s"], &["y"]), int64s("s", &[7, 5])),
        (node("ConstantOfShape", &["s"], &["y"]), int64s("s", &[3, -1])),
        (node("Split", &["w", "s"], &["y"]), int64s("s", &[3])),
        (node("Add", &["w", "s"], &["y"]), int64s("s", &[1])),
        (node("Add", &["w"], &["y"]), int64s("s", &[1])),
        (node("Gather", &["w"], &["y"]), int64s("s", &[1])),
    ] {
        let others = if other.name() == "w" { vec![w()] } else { vec![w(), other] };
        let error = infer(&model(vec![nodes.clone()], others)).expect_err(&format!("{nodes:?}")).to_string();
        assert!(error.starts_with(&format!("node \"y\" ({})", nodes.op_type())) && !error.contains('\n'), "{error}");
    }
}

/// Sizes that a program of 32 bits would wrap, and shapes that would fill the memory if they were made.
#[test]
fn huge_sizes_cost_nothing() {
    let int64s = |values: &[i64]| TensorProto {
        name: Some("s".into()),
        dims: vec![values.len() as i64],
        data_type: Some(DataType::Int64.into()),
        int64_data: values.into(),
        ..TensorProto::default()
    };
    /// Operators, the sizes that they begin with, and the shape of the last output. None: refused, or not known.
    type Case = (&'static [&'static str], &'static [i64], Option<&'static [usize]>);
    let cases: [Case; 7] = [
        (&["ConstantOfShape", "Flatten"], &[65536, 65536, 3], Some(&[65536, 196_608])),
        (
            &["ConstantOfShape", "Shape", "ConstantOfShape"],
            &[i64::MAX, 1 << 31, 2],
            Some(&[i64::MAX as usize, 1 << 31, 2]),
        ),
        (&["ConstantOfShape", "Flatten"], &[2, i64::MAX, 2], None),
        (&["ConstantOfShape", "Flatten"], &[2, i64::MAX, i64::MAX, i64::MAX], None),
        (&["ConstantOfShape", "ConstantOfShape"], &[1 << 30], None),
        (&["Tile", "ConstantOfShape"], &[1 << 20], None),
        (&["Mul", "ConstantOfShape"], &[1 << 20, i64::MIN], None),
    ];
    for (ops, values, expected) in cases {
        let mut nodes = Vec::new();
        let mut last = "s".to_owned();
        for (index, op) in ops.iter().enumerate() {
            let output = if index + 1 == ops.len() { "y".into() } else { format!("v{index}") };
            let inputs: &[&str] = if matches!(*op, "Tile" | "Mul") { &[&last, "s"] } else { &[&last] };
            nodes.push(node(op, inputs, &[&output]));
            last = output;
        }
        let mut it = model(nodes, vec![int64s(values)]);
        it.graph.as_mut().unwrap().input.clear();
        let dims = infer(&it).ok().and_then(|types| types.get("y")?.dims());
        assert_eq!(dims.as_deref(), expected, "{ops:?} of {values:?}");
    }
}

#[test]
fn nodes_are_described_in_one_line() {
    assert_eq!(Node::new("Relu", &["x"], "y\n").describe(), "\"y\\n\" (Relu)");
}

/// Nodes whose outputs are left out, or that have none.
#[test]
fn nodes_without_outputs_change_nothing() {
    let initializers = || {
        let square = floats("w", &[1, 1, 1, 1], 1);
        ["g", "b", "m", "v"].map(|name| floats(name, &[1], 1)).into_iter().chain([square]).collect::<Vec<_>>()
    };
    for outputs in [&[][..], &[""]] {
        let nodes = vec![
            node("Conv", &["x", "w"], &["c"]),
            node("Conv", &["x", "w"], &["d"]),
            node("BatchNormalization", &["c", "g", "b", "m", "v"], outputs),
            node("Relu", &["d"], outputs),
            node("Conv", &["x", "w"], &["y"]),
        ];
        let mut it = read(&model(nodes, initializers())).expect("read");
        it.graph.inputs = vec![onnx::Value::tensor("x", &onnx::TensorType { dtype: DataType::Float, shape: None })];
        assert_eq!(onnx::simplify::fold_batch_norms(&mut it.clone().graph).expect("a sound graph"), 0);
        let options = onnx::quantize::Options::new(onnx::quantize::Target::OnnxRuntime);
        let values = onnx::quantize::observed(&it, &options).expect("a plan");
        let ranges = values.into_iter().map(|value| (value, (-1.0, 1.0))).collect();
        onnx::quantize::quantize(&mut it, &ranges, &options).expect("quantized");
        Model::from_bytes("again", &it.to_bytes()).expect("a sound graph");
    }
}

#[test]
fn empty_weights_of_huge_dimensions_are_left() {
    for dims in [&[0, 1 << 40, 1 << 40][..], &[0, 1 << 60, 3]] {
        for op in ["Conv", "ConvTranspose"] {
            let group = AttributeProto {
                name: Some("group".into()),
                r#type: Some(AttributeType::Int.into()),
                i: Some(1 << 40),
                ..AttributeProto::default()
            };
            let convolution = NodeProto { attribute: vec![group], ..node(op, &["x", "w"], &["c"]) };
            let norm = node("BatchNormalization", &["c", "g", "b", "m", "v"], &["y"]);
            let statistics = ["g", "b", "m", "v"].map(|name| floats(name, &[1], 1));
            let initializers = statistics.into_iter().chain([floats("w", dims, 0)]).collect();
            let mut it = read(&model(vec![convolution, norm], initializers)).expect("read");
            assert_eq!(onnx::simplify::fold_batch_norms(&mut it.graph).expect("nothing to fold"), 0);
        }
    }
}

#[test]
fn a_constants_attribute_is_of_its_type() {
    for (name, kind) in [("value_ints", AttributeType::Int), ("value_float", AttributeType::Ints)] {
        let value = AttributeProto { name: Some(name.into()), r#type: Some(kind.into()), ..AttributeProto::default() };
        let constant = NodeProto { attribute: vec![value], ..node("Constant", &[], &["y"]) };
        let error = infer(&model(vec![constant], vec![])).expect_err("another type").to_string();
        assert!(error.contains(&format!("attribute {name} is of type")), "{error}");
    }
}
