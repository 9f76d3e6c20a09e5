//! The header of an array, written as `numpy.save` writes it.

use super::MAGIC;
use crate::{DType, Error, Field, Result, Schema, dtype::numeric_names};
use py_literal::Value;

/// The longest header that is read; a longer one is damaged or malicious.
const MAX_HEADER_BYTES: usize = 1 << 20;
/// Deepest nesting of brackets. A structured dtype needs three levels; the limit protects the stack of the parser.
const MAX_HEADER_DEPTH: usize = 16;
/// NumPy pads the header so that the data begins at a multiple of this many bytes.
const ALIGNMENT: usize = 64;
/// NumPy pads the row count to this many digits, so that it can be overwritten later.
const GROWTH_DIGITS: usize = 21;

/// The header of one array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    pub schema: Schema,
    pub rows: u64,
    /// For each field, whether its elements are big-endian.
    pub big_endian: Vec<bool>,
    /// Whether the first index of the array varies fastest in memory: a plain array of several dimensions only.
    pub fortran_order: bool,
    /// Whether the array has no field names.
    pub is_plain: bool,
}

impl Header {
    /// The header of a structured array, byte for byte as `numpy.save` writes it.
    pub fn format(schema: &Schema, rows: u64) -> Vec<u8> {
        let fields: Vec<_> = schema.fields().iter().map(field_descr).collect();
        let rows = rows.to_string();
        let growth = " ".repeat(GROWTH_DIGITS.saturating_sub(rows.len()));
        let text =
            format!("{{'descr': [{}], 'fortran_order': False, 'shape': ({rows},), }}{growth}", fields.join(", "));
        let latin1: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect();
        let (version, body) = match latin1 {
            Some(body) if body.len() + ALIGNMENT + 10 <= usize::from(u16::MAX) => (1, body),
            Some(body) => (2, body),
            None => (3, text.into_bytes()),
        };
        let prefix = if version == 1 { 10 } else { 12 };
        let pad = ALIGNMENT - (prefix + body.len() + 1) % ALIGNMENT;
        let length = body.len() + pad + 1;
        let mut bytes = Vec::with_capacity(prefix + length);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&[version, 0]);
        // The text is bounded: a schema is at most 256 MiB a row, and its names fit in memory as u32 lengths.
        match version {
            1 => bytes.extend_from_slice(&(length as u16).to_le_bytes()),
            _ => bytes.extend_from_slice(&(length as u32).to_le_bytes()),
        }
        bytes.extend_from_slice(&body);
        bytes.resize(prefix + length - 1, b' ');
        bytes.push(b'\n');
        bytes
    }

    /// Length in bytes of the header text that follows magic and version, from its length field.
    pub fn text_length(length_field: &[u8]) -> Result<usize> {
        let mut wide = [0; 8];
        wide[..length_field.len()].copy_from_slice(length_field);
        let length = u64::from_le_bytes(wide);
        match usize::try_from(length) {
            Ok(length) if length <= MAX_HEADER_BYTES => Ok(length),
            _ => Err(header_error(format!(
                "the NPY header claims {length} bytes; more than {MAX_HEADER_BYTES} are refused"
            ))),
        }
    }

    /// Parses the header text. A plain array becomes one field called `plain_name`.
    pub fn parse(text: &[u8], version: u8, plain_name: &str) -> Result<Self> {
        let text = match version {
            1 | 2 => text.iter().copied().map(char::from).collect(),
            _ => String::from_utf8(text.to_vec()).map_err(|_| header_error("the NPY header is not UTF-8"))?,
        };
        if depth(&text) > MAX_HEADER_DEPTH {
            return Err(header_error("the NPY header is nested too deeply"));
        }
        let entries = match text.trim().parse::<Value>() {
            Ok(Value::Dict(entries)) => entries,
            _ => return Err(header_error("the NPY header is damaged: no Python dict")),
        };
        let entry = |key: &str| {
            let found = entries.iter().find(|(name, _)| matches!(name, Value::String(name) if name == key));
            found.map(|(_, value)| value).ok_or_else(|| header_error(format!("the NPY header has no {key:?}")))
        };
        let shape = shape(entry("shape")?)?;
        let Some((&rows, row_shape)) = shape.split_first() else {
            return Err(header_error(
                "the array has no rows: its shape is (), a single value (save it with np.atleast_1d)",
            ));
        };
        // With one dimension both orders are the same.
        let fortran_order = *entry("fortran_order")? == Value::Boolean(true) && shape.len() > 1;
        let is_plain = matches!(entry("descr")?, Value::String(_));
        let (fields, big_endian) = fields(entry("descr")?, row_shape, plain_name)?;
        let rows = u64::try_from(rows).map_err(|_| header_error("the NPY header has too many rows"))?;
        Ok(Self { schema: Schema::new(fields)?, rows, big_endian, fortran_order, is_plain })
    }
}

pub(crate) fn header_error(text: impl Into<String>) -> Error {
    Error::NpyHeader(text.into())
}

fn field_descr(field: &Field) -> String {
    let name = python_string(&field.name);
    let descr = field.dtype.descr();
    match field.shape.as_slice() {
        [] => format!("({name}, '{descr}')"),
        [one] => format!("({name}, '{descr}', ({one},))"),
        dims => {
            let dims: Vec<_> = dims.iter().map(usize::to_string).collect();
            format!("({name}, '{descr}', ({}))", dims.join(", "))
        }
    }
}

/// The name as Python's `repr` writes it.
fn python_string(name: &str) -> String {
    let quote = if name.contains('\'') && !name.contains('"') { '"' } else { '\'' };
    let mut text = String::from(quote);
    for c in name.chars() {
        match c {
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            c if c == quote => text.extend(['\\', c]),
            c if c.is_ascii_control() => text.push_str(&format!("\\x{:02x}", u32::from(c))),
            c => text.push(c),
        }
    }
    text.push(quote);
    text
}

/// How deep brackets nest; those inside strings count too, which only makes the limit stricter.
fn depth(text: &str) -> usize {
    let (mut depth, mut deepest) = (0usize, 0);
    for byte in text.bytes() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

fn shape(value: &Value) -> Result<Vec<usize>> {
    let dim = |value: &Value| match value {
        Value::Integer(n) => usize::try_from(n).ok(),
        _ => None,
    };
    let dims = match value {
        Value::Tuple(dims) | Value::List(dims) => dims.iter().map(dim).collect(),
        one => dim(one).map(|n| vec![n]),
    };
    dims.ok_or_else(|| header_error(format!("the NPY header has a bad shape: {value}")))
}

/// Fields of a structured dtype, or the one field of a plain array whose rows have `row_shape`.
fn fields(descr: &Value, row_shape: &[usize], plain_name: &str) -> Result<(Vec<Field>, Vec<bool>)> {
    match descr {
        Value::String(descr) => {
            let (dtype, big) = element_type(descr)?;
            Ok((vec![Field::new(plain_name, dtype, row_shape)], vec![big]))
        }
        Value::List(_) if !row_shape.is_empty() => {
            Err(header_error(format!("a structured array has one dimension; this one has {}", row_shape.len() + 1)))
        }
        Value::List(entries) => {
            let fields: Vec<_> = entries.iter().map(structured_field).collect::<Result<_>>()?;
            Ok(fields.into_iter().unzip())
        }
        other => Err(header_error(format!("the NPY header has a dtype that is no record: {other}"))),
    }
}

fn structured_field(entry: &Value) -> Result<(Field, bool)> {
    let Value::Tuple(parts) = entry else {
        return Err(header_error(format!("the NPY header has a bad field: {entry}")));
    };
    let dims = match parts.as_slice() {
        [_, _] => Vec::new(),
        [_, _, dims] => shape(dims)?,
        _ => return Err(header_error(format!("the NPY header has a bad field: {entry}"))),
    };
    let (Value::String(name), Value::String(descr)) = (&parts[0], &parts[1]) else {
        return Err(header_error(format!("field {} is nested or has a title; records have flat fields", parts[0])));
    };
    if name.is_empty() && descr.starts_with("|V") {
        return Err(header_error("the dtype has padding; repack it with numpy.lib.recfunctions.repack_fields"));
    }
    let (dtype, big) = element_type(descr).map_err(|e| header_error(format!("field {name:?}: {e}")))?;
    Ok((Field::new(name, dtype, &dims), big))
}

/// The element type that a NumPy type string names, and whether it is big-endian.
fn element_type(descr: &str) -> Result<(DType, bool)> {
    let (order, name) = descr.split_at_checked(1).unwrap_or(("", descr));
    let dtype: Option<DType> = name.parse().ok();
    match (order, dtype) {
        ("<" | "|" | "=", Some(dtype)) => Ok((dtype, false)),
        (">", Some(dtype)) => Ok((dtype, dtype.size() > 1)),
        _ => {
            let known = numeric_names();
            Err(header_error(format!(
                "dtype {descr:?} is not supported; convert with .astype to one of {known}, or save text as CSV"
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &str = "{'descr': '<f8', 'fortran_order': False, 'shape': (3, 2), }";

    #[test]
    fn a_plain_array_is_one_field() {
        let header = Header::parse(PLAIN.as_bytes(), 1, "x").expect("valid");
        assert_eq!(header.schema, Schema::new(vec![Field::new("x", DType::F8, &[2])]).expect("valid"));
        assert_eq!(header.rows, 3);
    }

    #[test]
    fn the_depth_of_brackets_is_the_maximum_of_those_open_at_once() {
        for (text, expected) in [("", 0), ("()()[]{}", 1), ("([{}])", 3), ("{'a': ((1,), (2,))}", 3), (")))((", 2)] {
            assert_eq!(depth(text), expected, "{text}");
        }
    }

    #[test]
    fn formatted_headers_parse_back_in_every_version() {
        let long = "n".repeat(70_000);
        for (name, version) in [("probs", 1), ("it's \"q\" \\ \n", 1), (long.as_str(), 2), ("\u{3c0}", 3)] {
            let fields = vec![Field::new(name, DType::F4, &[2, 3]), Field::new("n", DType::U1, &[])];
            let schema = Schema::new(fields).expect("valid");
            let bytes = Header::format(&schema, 12345);
            assert_eq!((bytes[6], bytes.len() % ALIGNMENT), (version, 0));
            let skip = if version == 1 { 10 } else { 12 };
            let header = Header::parse(&bytes[skip..], version, "x").expect("own header");
            assert_eq!((header.schema, header.rows), (schema, 12345));
        }
    }

    #[test]
    fn the_row_count_can_grow_without_moving_the_data() {
        let schema = Schema::new(vec![Field::new("x", DType::F4, &[])]).expect("valid");
        assert_eq!(Header::format(&schema, 0).len(), Header::format(&schema, u64::MAX).len());
    }

    #[test]
    fn bad_headers_are_refused_by_name() {
        let cases = [
            ("{'descr': '<f8', 'fortran_order': False, 'shape': (), }", "single value"),
            ("{'descr': '|O', 'fortran_order': False, 'shape': (3,), }", "not supported"),
            ("{'descr': '<U3', 'fortran_order': False, 'shape': (3,), }", "not supported"),
            ("{'descr': [('a', '|u1'), ('', '|V3')], 'fortran_order': False, 'shape': (3,), }", "padding"),
            ("{'descr': [('a', [('b', '<f4')])], 'fortran_order': False, 'shape': (3,), }", "nested"),
            ("{'descr': [('a', '<f4'), ('a', '<f4')], 'fortran_order': False, 'shape': (3,), }", "twice"),
            ("{'descr': '<f8', 'fortran_order': False, 'shape': (3, 99999999999999), }", "larger than"),
            ("{'descr': '<f8', 'fortran_order': False, 'shape': (-3,), }", "bad shape"),
            ("{'descr': '<f8', 'fortran_order': False, }", "shape"),
            ("garbage", "damaged"),
            ("", "damaged"),
        ];
        for (text, expected) in cases {
            let error = Header::parse(text.as_bytes(), 1, "x").expect_err(text);
            let error = error.to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
        let deep = "[".repeat(100_000);
        assert!(Header::parse(deep.as_bytes(), 1, "x").is_err());
    }
}
