//! Requests.

use super::{
    data,
    error::{Problem, RequestError, Result, Within},
    json::Cursor,
};
use crate::{DataType, InferRequest, Limits, RequestedOutput, Tensor};
use bytes::Bytes;
use std::collections::HashSet;

/// Parses the body of a request. `header_length` is the value of `Inference-Header-Content-Length`: so many bytes are JSON,
/// and the rest is the binary data of the inputs that have the parameter `binary_data_size`, in their order; without the
/// header all is JSON. Binary data is not copied, and aligned only by chance; JSON tensors are aligned for their type.
///
/// A header of 0, with which Triton's clients send the bytes of a model's only input and no JSON, is not for this function.
///
/// # Errors
/// [`RequestError::Syntax`] for text that is not JSON, [`RequestError::Invalid`] for anything else: what, and where.
pub fn parse_request(
    body: &Bytes,
    header_length: Option<usize>,
    limits: &Limits,
) -> std::result::Result<InferRequest, RequestError> {
    parse(body, header_length, limits).map_err(|error| *error)
}

fn parse(body: &Bytes, header_length: Option<usize>, limits: &Limits) -> Result<InferRequest> {
    let header = header_length.unwrap_or(body.len());
    if header > body.len() {
        return Err(Problem::HeaderLength { header, body: body.len() }.into());
    }
    let mut parser = Parser { limits, elements: limits.elements, binary: body.slice(header..) };
    let mut cursor = Cursor::new(&body[..header]);
    let request = parser.request(&mut cursor)?;
    if cursor.peek().is_some() {
        return Err(cursor.unexpected("the end of the JSON").into());
    }
    match parser.binary.len() {
        0 => Ok(request),
        left => Err(Problem::BinaryLeft(left).into()),
    }
}

struct Parser<'a> {
    limits: &'a Limits,
    /// Elements that inputs may still have.
    elements: usize,
    /// Binary data that no input has taken yet.
    binary: Bytes,
}

/// Sets a field of a request; refuses a second value.
fn set<T>(field: &mut Option<T>, name: &'static str, value: T) -> Result<()> {
    if field.replace(value).is_some() {
        return Err(Problem::Duplicate(name).into());
    }
    Ok(())
}

/// The text of a number, or an error that it is no unsigned integer.
fn size(cursor: &mut Cursor<'_>) -> Result<usize> {
    let value = cursor.unsigned()?;
    usize::try_from(value).map_err(|_| Problem::NotUnsigned(value.to_string()).into())
}

impl Parser<'_> {
    fn request(&mut self, cursor: &mut Cursor<'_>) -> Result<InferRequest> {
        let (mut id, mut inputs, mut outputs, mut parameters) = (None, None, None, None);
        cursor.object(|cursor, key| match key {
            "id" => {
                let value = if cursor.null()? { None } else { Some(cursor.string().within(|| "id")?.into_owned()) };
                set(&mut id, "id", value)
            }
            "inputs" => {
                let value = self.inputs(cursor)?;
                set(&mut inputs, "inputs", value)
            }
            "outputs" => {
                let value = if cursor.null()? { Vec::new() } else { self.outputs(cursor)? };
                set(&mut outputs, "outputs", value)
            }
            "parameters" => {
                let value = RequestParameters::parse(cursor).within(|| "parameters")?;
                set(&mut parameters, "parameters", value)
            }
            _ => cursor.skip_value(),
        })?;
        let parameters = parameters.unwrap_or_default();
        Ok(InferRequest {
            id: id.flatten(),
            inputs: inputs.ok_or(Problem::Missing("inputs"))?,
            outputs: outputs.unwrap_or_default(),
            binary_output: parameters.binary_data_output.unwrap_or_default(),
            timeout_us: parameters.timeout,
            priority: parameters.priority.unwrap_or_default(),
        })
    }

    fn inputs(&mut self, cursor: &mut Cursor<'_>) -> Result<Vec<Tensor>> {
        let mut inputs: Vec<Tensor> = Vec::new();
        let mut array = |cursor: &mut Cursor<'_>, index| {
            self.within_limit(index)?;
            inputs.push(self.input(cursor).within(|| format!("[{index}]"))?);
            Ok(())
        };
        cursor.array(&mut array).within(|| "inputs")?;
        unique(inputs.iter().map(Tensor::name)).within(|| "inputs")?;
        Ok(inputs)
    }

    fn outputs(&mut self, cursor: &mut Cursor<'_>) -> Result<Vec<RequestedOutput>> {
        let mut outputs: Vec<RequestedOutput> = Vec::new();
        let array = |cursor: &mut Cursor<'_>, index| {
            self.within_limit(index)?;
            outputs.push(output(cursor).within(|| format!("[{index}]"))?);
            Ok(())
        };
        cursor.array(array).within(|| "outputs")?;
        unique(outputs.iter().map(|output| output.name.as_str())).within(|| "outputs")?;
        Ok(outputs)
    }

    /// Whether a list of tensors may have one more than `index`.
    fn within_limit(&self, index: usize) -> Result<()> {
        within("tensors", index + 1, self.limits.tensors, "serve.max_tensors")
    }

    fn input(&mut self, cursor: &mut Cursor<'_>) -> Result<Tensor> {
        let mut input = Input::default();
        cursor.object(|cursor, key| match key {
            "name" => set(&mut input.name, "name", cursor.string().within(|| "name")?.into_owned()),
            "datatype" => set(&mut input.data_type, "datatype", data_type(cursor).within(|| "datatype")?),
            "shape" => {
                let shape = self.shape(cursor).within(|| "shape")?;
                set(&mut input.shape, "shape", shape)
            }
            "parameters" => {
                let parameters = InputParameters::parse(cursor).within(|| "parameters")?;
                set(&mut input.parameters, "parameters", parameters)
            }
            "data" => self.data(cursor, &mut input),
            _ => cursor.skip_value(),
        })?;
        self.tensor(cursor, input)
    }

    /// Consumes the elements of an input: parses them, or notes where they are if type or shape are still to come.
    fn data<'a>(&mut self, cursor: &mut Cursor<'a>, input: &mut Input) -> Result<()> {
        let data = match (input.data_type, &input.shape) {
            (Some(data_type), Some(shape)) => Data::Parsed(self.elements(cursor, data_type, shape)?),
            _ => {
                cursor.peek();
                let offset = cursor.at;
                cursor.skip_value()?;
                Data::At(offset)
            }
        };
        set(&mut input.data, "data", data)
    }

    /// Consumes the elements of an input of that type and shape.
    fn elements(&mut self, cursor: &mut Cursor<'_>, data_type: DataType, shape: &[usize]) -> Result<Bytes> {
        let elements = self.count(shape).within(|| "shape")?;
        data::parse(cursor, data_type, shape, elements).within(|| "data")
    }

    /// The tensor of an input whose object was read.
    fn tensor(&mut self, cursor: &Cursor<'_>, input: Input) -> Result<Tensor> {
        let name = input.name.ok_or(Problem::Missing("name"))?;
        let data_type = input.data_type.ok_or(Problem::Missing("datatype"))?;
        let shape = input.shape.ok_or(Problem::Missing("shape"))?;
        let elements = self.count(&shape).within(|| "shape")?;
        let data = match (input.data, input.parameters.unwrap_or_default().binary_data_size) {
            (Some(Data::Parsed(data)), None) => data,
            (Some(Data::At(offset)), None) => {
                let mut cursor = Cursor { at: offset, ..cursor.clone() };
                self.elements(&mut cursor, data_type, &shape)?
            }
            (None, Some(size)) => self.take_binary(size).within(|| "parameters")?,
            (None, None) => return Err(Problem::NoData.into()),
            (Some(_), Some(_)) => return Err(Problem::TwiceData.into()),
        };
        self.elements -= elements;
        Ok(Tensor::new(name, data_type, shape, data).map_err(Problem::Tensor)?)
    }

    /// The next `size` bytes of binary data.
    fn take_binary(&mut self, size: usize) -> Result<Bytes> {
        let left = self.binary.len();
        if size > left {
            return Err(Problem::BinaryShort { size, left }.into());
        }
        Ok(self.binary.split_to(size))
    }

    fn shape(&self, cursor: &mut Cursor<'_>) -> Result<Vec<usize>> {
        let mut shape = Vec::new();
        cursor.array(|cursor, index| {
            within("dimensions", index + 1, self.limits.dimensions, "serve.max_dimensions")?;
            shape.push(size(cursor).within(|| format!("[{index}]"))?);
            Ok(())
        })?;
        Ok(shape)
    }

    /// The product of a shape, within what is left of the limit.
    fn count(&self, shape: &[usize]) -> Result<usize> {
        let product = shape.iter().try_fold(1_usize, |product, &dim| product.checked_mul(dim));
        // With a dimension of 0, the order of the factors must not matter.
        let elements = if shape.contains(&0) { 0 } else { product.unwrap_or(usize::MAX) };
        if elements > self.elements {
            let found = elements.saturating_add(self.limits.elements - self.elements);
            within("elements", found, self.limits.elements, "serve.max_elements")?;
        }
        Ok(elements)
    }
}

/// An input as far as it was read.
#[derive(Default)]
struct Input {
    name: Option<String>,
    data_type: Option<DataType>,
    shape: Option<Vec<usize>>,
    parameters: Option<InputParameters>,
    data: Option<Data>,
}

enum Data {
    Parsed(Bytes),
    /// Its offset, before type and shape are known.
    At(usize),
}

fn data_type(cursor: &mut Cursor<'_>) -> Result<DataType> {
    let name = cursor.string()?;
    DataType::from_name(&name).ok_or_else(|| Problem::DataType(name.into_owned()).into())
}

fn output(cursor: &mut Cursor<'_>) -> Result<RequestedOutput> {
    let (mut name, mut parameters) = (None, None);
    cursor.object(|cursor, key| match key {
        "name" => set(&mut name, "name", cursor.string().within(|| "name")?.into_owned()),
        "parameters" => set(&mut parameters, "parameters", OutputParameters::parse(cursor).within(|| "parameters")?),
        _ => cursor.skip_value(),
    })?;
    let parameters = parameters.unwrap_or_default();
    Ok(RequestedOutput {
        name: name.ok_or(Problem::Missing("name"))?,
        binary: parameters.binary_data.unwrap_or_default(),
        classes: parameters.classification.filter(|classes| *classes > 0),
    })
}

/// Parameters of a request. Those that are not known are for the model, and no model here takes any: they are ignored, as
/// Triton does.
#[derive(Default)]
struct RequestParameters {
    binary_data_output: Option<bool>,
    timeout: Option<u64>,
    priority: Option<u64>,
}

impl RequestParameters {
    fn parse(cursor: &mut Cursor<'_>) -> Result<Self> {
        let mut parameters = Self::default();
        parameters_of(cursor, |cursor, key| match key {
            "binary_data_output" => {
                set(&mut parameters.binary_data_output, "binary_data_output", cursor.boolean().within(|| key)?)
            }
            "timeout" => set(&mut parameters.timeout, "timeout", cursor.unsigned().within(|| key)?),
            "priority" => set(&mut parameters.priority, "priority", cursor.unsigned().within(|| key)?),
            "sequence_id" => match cursor.peek() {
                Some(b'"') if cursor.string()?.is_empty() => Ok(()),
                Some(b'0'..=b'9') if cursor.unsigned()? == 0 => Ok(()),
                _ => Err(Problem::Sequence.into()),
            },
            "sequence_start" | "sequence_end" if cursor.boolean().within(|| key)? => Err(Problem::Sequence.into()),
            "sequence_start" | "sequence_end" => Ok(()),
            _ => cursor.skip_value(),
        })?;
        Ok(parameters)
    }
}

/// Parameters of an input.
#[derive(Default)]
struct InputParameters {
    binary_data_size: Option<usize>,
}

impl InputParameters {
    fn parse(cursor: &mut Cursor<'_>) -> Result<Self> {
        let mut parameters = Self::default();
        parameters_of(cursor, |cursor, key| match key {
            "binary_data_size" => {
                set(&mut parameters.binary_data_size, "binary_data_size", size(cursor).within(|| key)?)
            }
            "shared_memory_region" => Err(Problem::SharedMemory.into()),
            _ => cursor.skip_value(),
        })?;
        Ok(parameters)
    }
}

/// Parameters of an output.
#[derive(Default)]
struct OutputParameters {
    binary_data: Option<bool>,
    classification: Option<usize>,
}

impl OutputParameters {
    fn parse(cursor: &mut Cursor<'_>) -> Result<Self> {
        let mut parameters = Self::default();
        parameters_of(cursor, |cursor, key| match key {
            "binary_data" => set(&mut parameters.binary_data, "binary_data", cursor.boolean().within(|| key)?),
            "classification" => set(&mut parameters.classification, "classification", size(cursor).within(|| key)?),
            "shared_memory_region" => Err(Problem::SharedMemory.into()),
            _ => cursor.skip_value(),
        })?;
        Ok(parameters)
    }
}

/// Calls `parameter` with each key of an object; null is an object without any.
fn parameters_of(cursor: &mut Cursor<'_>, parameter: impl FnMut(&mut Cursor<'_>, &str) -> Result<()>) -> Result<()> {
    if cursor.null()? { Ok(()) } else { cursor.object(parameter) }
}

fn within(what: &'static str, found: usize, limit: usize, setting: &'static str) -> Result<()> {
    if found > limit { Err(Problem::Limit { what, found, limit, setting }.into()) } else { Ok(()) }
}

/// Refuses a name that comes twice.
fn unique<'a>(names: impl Iterator<Item = &'a str> + Clone) -> Result<()> {
    // A request has a few tensors; for many, comparing each with all before it would take long.
    const FEW: usize = 16;
    let mut seen = HashSet::new();
    for (index, name) in names.clone().enumerate() {
        let twice =
            if index < FEW { names.clone().take(index).any(|other| other == name) } else { seen.contains(name) };
        if twice {
            return Err(Problem::SameName(name.to_owned()).into());
        }
        if index + 1 == FEW {
            seen.extend(names.clone().take(FEW));
        } else if index >= FEW {
            seen.insert(name);
        }
    }
    Ok(())
}
