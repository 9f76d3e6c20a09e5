//! External data: tensors whose bytes are in files beside the model.
//!
//! The files must be in the model's folder, and what is read of them counts against the limit of the model. Their names,
//! offsets and lengths are data and not trusted. A `checksum` is ignored, as ONNX and ONNX Runtime do.

use crate::{
    Problem, WeightsError,
    proto::{
        AttributeProto, GraphProto, ModelProto, NodeProto, SparseTensorProto, TensorProto, tensor_proto::DataLocation,
    },
    tensor::expected_length,
};
use files::Limit;
use std::{
    collections::{HashMap, hash_map::Entry},
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
        let bytes = self.read(&range).map_err(|problem| {
            let (location, tensor) = (range.location.clone(), tensor.name().to_owned());
            Problem::Weights { location, tensor, problem }
        })?;
        tensor.raw_data = Some(bytes);
        tensor.external_data.clear();
        tensor.data_location = None;
        Ok(())
    }

    /// The bytes of a range.
    fn read(&mut self, range: &Range) -> Result<Vec<u8>, WeightsError> {
        let Some(folder) = self.folder else { return Err(WeightsError::NoFolder) };
        let Range { location, offset, length } = range;
        if *length > self.left {
            let setting = self.limit.setting.map_or(String::new(), |setting| format!(" (the setting {setting})"));
            return Err(WeightsError::TooLong { bytes: self.limit.bytes, setting });
        }
        let mut file: &File = match self.files.entry(location.clone()) {
            Entry::Occupied(open) => open.into_mut(),
            Entry::Vacant(new) => new.insert(File::open(files::file_inside(folder, location)?)?),
        };
        let size = file.metadata()?.len();
        if offset.checked_add(*length).is_none_or(|end| end > size) {
            return Err(WeightsError::Range { length: *length, offset: *offset, size });
        }
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(usize::try_from(*length).unwrap_or(usize::MAX))?;
        file.seek(SeekFrom::Start(*offset))?;
        if file.take(*length).read_to_end(&mut bytes)? as u64 != *length {
            return Err(WeightsError::Shorter);
        }
        self.left -= length;
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
