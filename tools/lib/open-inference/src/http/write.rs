//! Responses.

use crate::{DataType, InferRequest, InferResponse, Tensor};
use bytes::Bytes;

/// Bytes of JSON that an output has around its data, about.
const AROUND: usize = 128;

/// Bytes of an element in JSON, about.
const ELEMENT: usize = 12;

/// A response's body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    /// JSON, and the binary data of the outputs that have the parameter `binary_data_size`, in their order.
    pub bytes: Bytes,
    /// Bytes of the JSON, for the header `Inference-Header-Content-Length`; None if there is no binary data.
    pub header_length: Option<usize>,
}

/// Why a tensor cannot be written as JSON.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum WriteError {
    /// Half-precision floats.
    #[error("output {name:?}: {data_type} has no JSON form; ask for binary data (parameter binary_data)")]
    NoJsonForm {
        /// The output.
        name: String,
        /// Its type.
        data_type: DataType,
    },
    /// JSON has no such numbers.
    #[error(
        "output {name:?}: element {index} is {value}, which JSON does not have; ask for binary data (parameter binary_data)"
    )]
    NotFinite {
        /// The output.
        name: String,
        /// Index of the element.
        index: usize,
        /// What it is.
        value: f64,
    },
    /// JSON has text alone.
    #[error("output {name:?}: element {index} is not UTF-8; ask for binary data (parameter binary_data)")]
    NotText {
        /// The output.
        name: String,
        /// Index of the element.
        index: usize,
    },
}

/// Writes a response. An output is binary if `request` names it so or, where it is not named, asks for binary outputs.
///
/// # Errors
/// When an output that is to be JSON has no JSON form: half precision, NaN, infinity, strings that are not UTF-8.
pub fn write_response(response: &InferResponse, request: &InferRequest) -> Result<Body, WriteError> {
    let is_binary = |output: &Tensor| {
        let named = request.outputs.iter().find(|requested| requested.name == output.name());
        named.map_or(request.binary_output, |requested| requested.binary)
    };
    let outputs: Vec<(&Tensor, bool)> = response.outputs.iter().map(|output| (output, is_binary(output))).collect();
    let mut out = Vec::with_capacity(AROUND + outputs.iter().map(|output| capacity(*output)).sum::<usize>());
    out.push(b'{');
    if let Some(id) = response.id.as_deref().filter(|id| !id.is_empty()) {
        out.extend(b"\"id\":");
        string(&mut out, id);
        out.push(b',');
    }
    out.extend(b"\"model_name\":");
    string(&mut out, &response.model_name);
    out.extend(b",\"model_version\":");
    string(&mut out, &response.model_version);
    out.extend(b",\"outputs\":");
    list(&mut out, &outputs, |out, (tensor, binary)| output(out, tensor, *binary))?;
    out.push(b'}');
    let header = out.len();
    for (tensor, _) in outputs.iter().filter(|(_, binary)| *binary) {
        out.extend(tensor.data());
    }
    let header_length = outputs.iter().any(|(_, binary)| *binary).then_some(header);
    Ok(Body { bytes: out.into(), header_length })
}

/// The body of an error: `{"error": message}`.
pub fn write_error(message: &str) -> Bytes {
    let mut out = Vec::with_capacity(AROUND + message.len());
    out.extend(b"{\"error\":");
    string(&mut out, message);
    out.push(b'}');
    out.into()
}

fn capacity((tensor, binary): (&Tensor, bool)) -> usize {
    AROUND + tensor.name().len() + if binary { tensor.data().len() } else { ELEMENT.saturating_mul(tensor.elements()) }
}

fn output(out: &mut Vec<u8>, tensor: &Tensor, binary: bool) -> Result<(), WriteError> {
    out.extend(b"{\"name\":");
    string(out, tensor.name());
    out.extend(b",\"datatype\":\"");
    out.extend_from_slice(tensor.data_type().name().as_bytes());
    out.extend(b"\",\"shape\":");
    list(out, tensor.shape(), |out, dim| integer(out, *dim))?;
    if binary {
        out.extend(b",\"parameters\":{\"binary_data_size\":");
        integer(out, tensor.data().len())?;
        out.push(b'}');
    } else {
        out.extend(b",\"data\":");
        data(out, tensor)?;
    }
    out.push(b'}');
    Ok(())
}

fn data(out: &mut Vec<u8>, tensor: &Tensor) -> Result<(), WriteError> {
    let bytes = tensor.data();
    match tensor.data_type() {
        DataType::Bool => list(out, bytes.iter(), |out, byte| {
            out.extend(if *byte == 0 { b"false".as_slice() } else { b"true" });
            Ok(())
        }),
        DataType::Uint8 => integers(out, bytes, u8::from_le_bytes),
        DataType::Uint16 => integers(out, bytes, u16::from_le_bytes),
        DataType::Uint32 => integers(out, bytes, u32::from_le_bytes),
        DataType::Uint64 => integers(out, bytes, u64::from_le_bytes),
        DataType::Int8 => integers(out, bytes, i8::from_le_bytes),
        DataType::Int16 => integers(out, bytes, i16::from_le_bytes),
        DataType::Int32 => integers(out, bytes, i32::from_le_bytes),
        DataType::Int64 => integers(out, bytes, i64::from_le_bytes),
        DataType::Fp32 => floats(out, tensor, f32::from_le_bytes),
        DataType::Fp64 => floats(out, tensor, f64::from_le_bytes),
        DataType::Bytes => {
            let not_text = |index| WriteError::NotText { name: tensor.name().to_owned(), index };
            list(out, tensor.strings().enumerate(), |out, (index, bytes)| {
                string(out, simdutf8::basic::from_utf8(bytes).map_err(|_| not_text(index))?);
                Ok(())
            })
        }
        data_type @ (DataType::Fp16 | DataType::Bf16) => {
            Err(WriteError::NoJsonForm { name: tensor.name().to_owned(), data_type })
        }
    }
}

/// An array.
fn list<T>(
    out: &mut Vec<u8>,
    elements: impl IntoIterator<Item = T>,
    mut element: impl FnMut(&mut Vec<u8>, T) -> Result<(), WriteError>,
) -> Result<(), WriteError> {
    out.push(b'[');
    for (index, value) in elements.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        element(out, value)?;
    }
    out.push(b']');
    Ok(())
}

fn integer(out: &mut Vec<u8>, value: impl itoa::Integer) -> Result<(), WriteError> {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    Ok(())
}

fn integers<T: itoa::Integer, const N: usize>(
    out: &mut Vec<u8>,
    bytes: &[u8],
    of: fn([u8; N]) -> T,
) -> Result<(), WriteError> {
    list(out, bytes.as_chunks().0, |out, chunk| integer(out, of(*chunk)))
}

/// The shortest digits that read back as the same number of its own type.
fn floats<T: zmij::Float + Into<f64> + Copy, const N: usize>(
    out: &mut Vec<u8>,
    tensor: &Tensor,
    of: fn([u8; N]) -> T,
) -> Result<(), WriteError> {
    let mut buffer = zmij::Buffer::new();
    list(out, tensor.data().as_chunks().0.iter().enumerate(), |out, (index, chunk)| {
        let number = of(*chunk);
        let value: f64 = number.into();
        if !value.is_finite() {
            return Err(WriteError::NotFinite { name: tensor.name().to_owned(), index, value });
        }
        out.extend_from_slice(buffer.format_finite(number).as_bytes());
        Ok(())
    })
}

/// A string, escaped.
fn string(out: &mut Vec<u8>, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some(special) = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)) {
        let (plain, after) = rest.split_at(special);
        out.extend(plain);
        match after[0] {
            byte @ (b'"' | b'\\') => out.extend([b'\\', byte]),
            b'\n' => out.extend(b"\\n"),
            b'\r' => out.extend(b"\\r"),
            b'\t' => out.extend(b"\\t"),
            byte => {
                out.extend(b"\\u00");
                out.extend([HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 0xF)]]);
            }
        }
        rest = &after[1..];
    }
    out.extend(rest);
    out.push(b'"');
}
