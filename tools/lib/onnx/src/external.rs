//! External data: tensors whose bytes are in files beside the model.
//!
//! The files must be in the model's folder, and what is read of them counts against the limit of the model. Their names,
//! offsets and lengths are data and not trusted. A `checksum` is ignored, as ONNX and ONNX Runtime do.

use crate::{
    Problem,
    proto::{
        AttributeProto, GraphProto, ModelProto, NodeProto, SparseTensorProto, TensorProto, tensor_proto::DataLocation,
    },
    tensor::expected_length,
};
use files::Limit;
use std::{
    collections::HashMap,
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::Path,
};

/// Where tensors of a model are read from.
pub(crate) struct Source<'a> {
    /// The model's folder; None for a model that is not in a file.
    folder: Option<&'a Path>,
    limit: Limit<'a>,
    /// Bytes that may still be read.
    left: u64,
    files: HashMap<String, File>,
}

impl<'a> Source<'a> {
    /// Files in `folder`, beside a model of `taken` bytes; together they have at most `limit`.
    pub fn new(folder: Option<&'a Path>, limit: Limit<'a>, taken: u64) -> Self {
        Self { folder, limit, left: limit.bytes.saturating_sub(taken), files: HashMap::new() }
    }

    /// Reads all external tensors of a model into it, those of subgraphs and functions included.
    ///
    /// # Errors
    /// Names the first file that must not or cannot be read.
    pub fn load(&mut self, model: &mut ModelProto) -> Result<(), Problem> {
        model.graph.iter_mut().try_for_each(|graph| self.graph(graph))?;
        let mut bodies = model.functions.iter_mut().flat_map(|function| &mut function.node);
        bodies.try_for_each(|node| self.node(node))
    }

    fn graph(&mut self, graph: &mut GraphProto) -> Result<(), Problem> {
        graph.initializer.iter_mut().try_for_each(|tensor| self.tensor(tensor))?;
        graph.sparse_initializer.iter_mut().try_for_each(|tensor| self.sparse(tensor))?;
        graph.node.iter_mut().try_for_each(|node| self.node(node))
    }

    fn node(&mut self, node: &mut NodeProto) -> Result<(), Problem> {
        node.attribute.iter_mut().try_for_each(|attribute| self.attribute(attribute))
    }

    fn attribute(&mut self, attribute: &mut AttributeProto) -> Result<(), Problem> {
        attribute.t.iter_mut().chain(&mut attribute.tensors).try_for_each(|tensor| self.tensor(tensor))?;
        let mut sparse = attribute.sparse_tensor.iter_mut().chain(&mut attribute.sparse_tensors);
        sparse.try_for_each(|tensor| self.sparse(tensor))?;
        attribute.g.iter_mut().chain(&mut attribute.graphs).try_for_each(|graph| self.graph(graph))
    }

    fn sparse(&mut self, tensor: &mut SparseTensorProto) -> Result<(), Problem> {
        tensor.values.iter_mut().chain(&mut tensor.indices).try_for_each(|tensor| self.tensor(tensor))
    }

    fn tensor(&mut self, tensor: &mut TensorProto) -> Result<(), Problem> {
        if tensor.data_location() != DataLocation::External {
            return Ok(());
        }
        let range = Range::of(tensor)?;
        let bytes = self.read(&range).map_err(|reason| {
            let location = range.location.clone();
            Problem::Weights { location, reason: format!("tensor {:?}: {reason}", tensor.name()) }
        })?;
        tensor.raw_data = Some(bytes);
        tensor.external_data.clear();
        tensor.data_location = None;
        Ok(())
    }

    /// The bytes of a range.
    fn read(&mut self, range: &Range) -> Result<Vec<u8>, String> {
        let Some(folder) = self.folder else { return Err("the model is not in a file, so none is beside it".into()) };
        if range.length > self.left {
            let setting = self.limit.setting.map_or(String::new(), |setting| format!(" (the setting {setting})"));
            return Err(format!("model and weights have more than {} bytes{setting}", self.limit.bytes));
        }
        if !self.files.contains_key(&range.location) {
            let path = files::file_inside(folder, &range.location).map_err(|e| e.to_string())?;
            self.files.insert(range.location.clone(), File::open(path).map_err(|e| e.to_string())?);
        }
        let Some(mut file) = self.files.get(&range.location) else { return Err("not opened".into()) };
        let size = file.metadata().map_err(|e| e.to_string())?.len();
        if range.offset.checked_add(range.length).is_none_or(|end| end > size) {
            return Err(format!("{} bytes from byte {}, and the file has {size}", range.length, range.offset));
        }
        let length = usize::try_from(range.length).map_err(|e| e.to_string())?;
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(length).map_err(|e| e.to_string())?;
        file.seek(SeekFrom::Start(range.offset)).map_err(|e| e.to_string())?;
        file.take(range.length).read_to_end(&mut bytes).map_err(|e| e.to_string())?;
        if bytes.len() != length {
            return Err("the file became shorter".into());
        }
        self.left -= range.length;
        Ok(bytes)
    }
}

/// Part of a file.
struct Range {
    location: String,
    offset: u64,
    length: u64,
}

impl Range {
    /// What a tensor says of its data.
    ///
    /// # Errors
    /// When it names no file, has other data too, or the length is not that of its shape.
    fn of(tensor: &TensorProto) -> Result<Self, Problem> {
        let fault = |reason: String| Problem::tensor(tensor.name(), reason);
        let entry = |key: &str| {
            tensor.external_data.iter().find(|entry| entry.key() == key).map(|entry| entry.value().to_owned())
        };
        let number = |key: &str| {
            let parse = |text: String| text.parse().map_err(|_| fault(format!("its external {key} is {text:?}")));
            entry(key).map(parse).transpose()
        };
        let location = entry("location").ok_or_else(|| fault("its external data names no file".into()))?;
        let length = expected_length(tensor)? as u64;
        match number("length")? {
            Some(stated) if stated != length => {
                Err(fault(format!("its external data has {stated} bytes, its shape needs {length}")))
            }
            _ => Ok(Self { location, offset: number("offset")?.unwrap_or(0), length }),
        }
    }
}
