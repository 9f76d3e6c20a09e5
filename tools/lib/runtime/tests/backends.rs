//! Which backend runs a model, and what each says of a faulty one.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{refused, run};
use files::Limit;
use onnx::{
    DataType, GraphBuilder, ModelInfo,
    proto::{ModelProto, SparseTensorProto, StringStringEntryProto, TensorProto, tensor_proto::DataLocation},
};
use prost::Message;
use runtime::{Backend, Model, Options};
use testkit::Folder;

const LIMIT: Limit<'_> = Limit { bytes: 1_000_000, setting: Some("infer.model_bytes") };

/// `y = x + x` of rows of two values.
fn doubling() -> Vec<u8> {
    let mut graph = GraphBuilder::new("doubling");
    let x = graph.input("x", &[2], "");
    let y = graph.node("Add", &[&x, &x], "y", &[]);
    graph.output(&y, &[2], "");
    graph.to_bytes(&ModelInfo { opset: 17, description: String::new(), metadata: vec![("key".into(), "value".into())] })
}

/// `y = x + w`, where `change` changes what the file says.
fn changed(change: impl Fn(&mut onnx::proto::GraphProto)) -> Vec<u8> {
    let mut model = ModelProto::decode(doubling().as_slice()).unwrap();
    let graph = model.graph.as_mut().unwrap();
    graph.node[0].input[1] = "w".into();
    change(graph);
    model.encode_to_vec()
}

/// Whether ONNX Runtime's library is there. In CI it must be.
fn has_library() -> bool {
    let found = runtime::finds_library(None);
    assert!(found || std::env::var_os("CI").is_none());
    found
}

#[test]
fn both_backends_run_a_model_alike() {
    let mut backends = vec![(Backend::Auto, Backend::Native), (Backend::Native, Backend::Native)];
    if has_library() {
        backends.push((Backend::Ort, Backend::Ort));
    }
    for (asked, expected) in backends {
        let options = Options { backend: asked, ..Options::default() };
        let mut model = Model::from_bytes("m", &doubling(), &options).unwrap();
        assert_eq!(model.backend(), expected);
        assert_eq!(model.metadata("key").as_deref(), Some("value"));
        assert_eq!(model.metadata("none"), None);
        let [x, y] = [&model.inputs()[0], &model.outputs()[0]];
        assert_eq!((x.name.as_str(), x.to_string()), ("x", "float32 [?, 2]".to_owned()));
        assert_eq!((y.name.as_str(), y.to_string()), ("y", "float32 [?, 2]".to_owned()));
        assert_eq!(run(&mut model, &[2, 2], &[1.0, -2.0, 0.5, 4.0]).unwrap(), [2.0, -4.0, 1.0, 8.0]);
        assert_eq!(run(&mut model, &[1, 2], &[3.0, 5.0]).unwrap(), [6.0, 10.0]);
    }
}

/// Sparse initializers: valid ONNX, which the native backend refuses.
#[test]
fn what_onnx_runtime_accepts_it_runs() {
    let bytes = changed(|graph| {
        let tensor = |name: &str, dtype: DataType, bytes: Vec<u8>| TensorProto {
            name: Some(name.into()),
            data_type: Some(dtype.into()),
            dims: vec![1],
            raw_data: Some(bytes),
            ..TensorProto::default()
        };
        graph.sparse_initializer.push(SparseTensorProto {
            values: Some(tensor("w", DataType::Float, 5f32.to_le_bytes().to_vec())),
            indices: Some(tensor("i", DataType::Int64, 1i64.to_le_bytes().to_vec())),
            dims: vec![2],
        });
    });
    let native = "m: tensor \"w\": a sparse tensor, which is not supported; store it dense";
    assert_eq!(refused("m", &bytes, &Options { backend: Backend::Native, ..Options::default() }), native);
    if has_library() {
        let mut model = Model::from_bytes("m", &bytes, &Options::default()).unwrap();
        assert_eq!(model.backend(), Backend::Ort);
        assert_eq!(run(&mut model, &[1, 2], &[1.0, 2.0]).unwrap(), [1.0, 7.0]);
    }
}

/// Both refuse it; the native message names the node.
#[test]
fn a_fault_that_both_see_is_told_by_the_name_of_the_node() {
    let cyclic = changed(|graph| graph.node[0].input[1] = "y".into());
    let undefined = changed(|_| ());
    for backend in [Backend::Auto, Backend::Native] {
        let options = Options { backend, ..Options::default() };
        let error = refused("m", &cyclic, &options);
        assert!(error.starts_with("m: node ") && error.ends_with("depends on its own output"), "{error}");
        let error = refused("m", &undefined, &options);
        assert!(error.starts_with("m: node ") && error.ends_with("its input \"w\" is defined nowhere"), "{error}");
        let error = refused("m", b"garbage", &options);
        assert!(error.starts_with("m: no ONNX model: "), "{error}");
    }
}

#[test]
fn weights_are_read_from_the_models_folder_alone() {
    let folder = Folder::new();
    let values: Vec<u8> = [10f32, 20.0].iter().flat_map(|x| x.to_le_bytes()).collect();
    folder.write("model/w.bin", &values);
    folder.write("w.bin", &values);
    let model = |location: &str| {
        changed(|graph| {
            let entry =
                |key: &str, value: &str| StringStringEntryProto { key: Some(key.into()), value: Some(value.into()) };
            graph.initializer.push(TensorProto {
                name: Some("w".into()),
                data_type: Some(DataType::Float.into()),
                dims: vec![2],
                data_location: Some(DataLocation::External.into()),
                external_data: vec![entry("location", location), entry("length", "8")],
                ..TensorProto::default()
            });
        })
    };
    let path = folder.join("model/m.onnx");
    let open = |location: &str, limit: Limit<'_>, backend| {
        folder.write("model/m.onnx", model(location));
        Model::open(&path, limit, &Options { backend, ..Options::default() }).map_err(|e| e.to_string())
    };
    let mut backends = vec![Backend::Auto, Backend::Native];
    if has_library() {
        backends.push(Backend::Ort);
    }
    for backend in backends {
        let mut inside = open("w.bin", LIMIT, backend).unwrap();
        assert_eq!(run(&mut inside, &[1, 2], &[1.0, 2.0]).unwrap(), [11.0, 22.0]);
        for outside in ["../w.bin", "/dev/zero", ""] {
            let error = open(outside, LIMIT, backend).err().unwrap();
            assert!(error.starts_with(&format!("{}: ", path.display())) && error.contains("weights"), "{error}");
        }
        let length = model("w.bin").len() as u64;
        let error = open("w.bin", Limit { bytes: length + 7, ..LIMIT }, backend).err().unwrap();
        assert!(error.contains("(the setting infer.model_bytes)"), "{error}");
    }
}
