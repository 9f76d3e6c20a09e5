//! Whole models: a graph, its operator sets and its metadata.

use crate::{
    Graph, Problem, Result,
    builder::ir_version,
    check,
    external::Source,
    proto::{FunctionProto, ModelProto, OperatorSetIdProto, StringStringEntryProto},
};
use files::Limit;
use indexmap::IndexMap;
use prost::Message;
use std::path::Path;

/// The long name of ONNX's own domain, which the format also writes as an empty name.
pub(crate) const ONNX_DOMAIN: &str = "ai.onnx";

/// A model that was read and checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// The file's path, or the name that [`Model::from_bytes`] was given; for messages.
    pub name: String,
    /// The graph.
    pub graph: Graph,
    /// Version of the format.
    pub ir_version: i64,
    /// Versions of operator sets by domain; ONNX's own is under the empty name.
    pub opsets: IndexMap<String, i64>,
    /// `metadata_props`, in the file's order.
    pub metadata: IndexMap<String, String>,
    /// Documentation.
    pub doc: String,
    /// Functions that nodes of the graph call; kept as they are.
    pub functions: Vec<FunctionProto>,
}

impl Model {
    /// A model of ONNX's own operators; errors call it `name`.
    pub fn new(name: &str, graph: Graph, opset: i64) -> Self {
        Self {
            name: name.into(),
            graph,
            ir_version: ir_version(opset),
            opsets: IndexMap::from([(String::new(), opset)]),
            metadata: IndexMap::new(),
            doc: String::new(),
            functions: Vec::new(),
        }
    }

    /// Reads the model at `path`; it and its files of weights (external data), which must be in its folder, have at most
    /// `limit` bytes together.
    ///
    /// Not kept: names of the model's domain and producer, metadata of nodes and values, documentation of tensors.
    ///
    /// # Errors
    /// When it cannot be read, is too long, breaks the format's rules, or has what is not supported: sparse initializers,
    /// training information, quantization annotations, overloads of functions, several devices.
    pub fn open(path: &Path, limit: Limit<'_>) -> Result<Self> {
        Self::of_file(path, files::read_file(path, limit)?, limit)
    }

    /// As [`Model::open`], of a file that was read: `bytes` is all of it.
    ///
    /// # Errors
    /// As [`Model::open`].
    pub fn of_file(path: &Path, bytes: impl AsRef<[u8]>, limit: Limit<'_>) -> Result<Self> {
        let name = path.display().to_string();
        let folder = path.is_file().then(|| path.parent().unwrap_or(Path::new("")));
        let source = Source::new(folder, limit, bytes.as_ref().len() as u64);
        Self::read(&name, bytes, source).map_err(|problem| problem.of(&name))
    }

    /// Reads a model without files of weights; errors call it `name`.
    ///
    /// # Errors
    /// As [`Model::open`].
    pub fn from_bytes(name: &str, bytes: &[u8]) -> Result<Self> {
        let source = Source::new(None, Limit { bytes: u64::MAX, setting: None }, 0);
        Self::read(name, bytes, source).map_err(|problem| problem.of(name))
    }

    /// Reads a model; its encoded form is dropped as soon as it is decoded.
    fn read(name: &str, bytes: impl AsRef<[u8]>, mut source: Source<'_>) -> Result<Self, Problem> {
        check::format(bytes.as_ref())?;
        let mut proto = ModelProto::decode(bytes.as_ref())?;
        drop(bytes);
        check::model(&proto)?;
        source.load(&mut proto)?;
        Self::from_proto(name, proto)
    }

    fn from_proto(name: &str, proto: ModelProto) -> Result<Self, Problem> {
        let opsets = check::opsets(&proto)?;
        let graph = proto.graph.ok_or_else(|| Problem::graph("no ONNX model: it has no graph"))?;
        let entry = |it: StringStringEntryProto| (it.key.unwrap_or_default(), it.value.unwrap_or_default());
        Ok(Self {
            name: name.into(),
            graph: Graph::from_proto(graph)?,
            ir_version: proto.ir_version.unwrap_or_default(),
            opsets,
            metadata: proto.metadata_props.into_iter().map(entry).collect(),
            doc: proto.doc_string.unwrap_or_default(),
            functions: proto.functions,
        })
    }

    /// Version of ONNX's own operator set; 1 if the file does not say.
    pub fn opset(&self) -> i64 {
        self.opsets.get("").copied().unwrap_or(1)
    }

    /// The model as the bytes of an `.onnx` file, weights included; the same model gives the same bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let opset = |(domain, version): (&String, &i64)| OperatorSetIdProto {
            domain: Some(domain.clone()),
            version: Some(*version),
        };
        let property = |(key, value): (&String, &String)| StringStringEntryProto {
            key: Some(key.clone()),
            value: Some(value.clone()),
        };
        let model = ModelProto {
            ir_version: Some(self.ir_version),
            opset_import: self.opsets.iter().map(opset).collect(),
            producer_name: Some("pipegrad".into()),
            producer_version: Some(env!("CARGO_PKG_VERSION").into()),
            doc_string: (!self.doc.is_empty()).then(|| self.doc.clone()),
            metadata_props: self.metadata.iter().map(property).collect(),
            graph: Some(self.graph.to_proto()),
            functions: self.functions.clone(),
            ..ModelProto::default()
        };
        model.encode_to_vec()
    }
}
