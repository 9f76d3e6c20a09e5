//! Inferring the schema from the first lines.

use super::cursor::Cursor;
use crate::{DType, Error, Field, Result, Schema, selection::Selection};
use std::collections::HashMap;

/// Most dimensions of a field; bounds recursion.
const MAX_DIMS: usize = 16;

/// The schema of the selected fields, in the order of the first of `lines`, and for each field whether its values are
/// booleans. The type of a value that is null there is that of the first line where it is not.
pub(crate) fn schema<'a>(
    mut lines: impl Iterator<Item = &'a [u8]>,
    selection: &Selection,
) -> Result<(Schema, Vec<bool>)> {
    let mut fields = fields(lines.next().unwrap_or_default(), selection)?;
    let mut known: HashMap<_, _> =
        fields.iter().enumerate().map(|(index, (field, _))| (field.name.clone(), index)).collect();
    for line in lines {
        if !selection.others && fields.iter().all(|(_, found)| found.is_some()) {
            break;
        }
        // An error in a later line is reported when that line is read.
        let Ok(more) = self::fields(line, selection) else { continue };
        let before = fields.len();
        for (field, found) in more {
            let index = known.get(&field.name).copied().filter(|&index| index < before);
            match index.map(|index| &mut fields[index]) {
                Some(unknown) if unknown.1.is_none() && found.is_some() => *unknown = (field, found),
                // A field that is only passed through may be missing on the first line. One that is twice on this line
                // is added twice, which `Schema::new` refuses.
                None if selection.others => {
                    known.insert(field.name.clone(), fields.len());
                    fields.push((field, found));
                }
                _ => {}
            }
        }
    }
    let (fields, found): (Vec<_>, Vec<_>) = fields.into_iter().unzip();
    Ok((Schema::new(fields)?, found.into_iter().map(|found| found == Some(DType::B1)).collect()))
}

/// The selected fields of a line, and the type that each value looks like; None for null.
fn fields(line: &[u8], selection: &Selection) -> Result<Vec<(Field, Option<DType>)>> {
    let mut cursor = Cursor::new(line);
    let (mut fields, mut names) = (Vec::new(), Vec::new());
    cursor.expect(b'{')?;
    if !cursor.take(b'}') {
        loop {
            let name = key(&mut cursor)?;
            let first = cursor.peek();
            if selection.is_verbatim(&name) {
                cursor.skip_value()?;
                // A list or an object is read only where it is needed, and then refused.
                if !matches!(first, Some(b'[' | b'{')) || selection.requires(&name) {
                    fields.push((Field::new(&name, DType::Text, &[]), Some(DType::Text)));
                }
            } else if selection.contains(&name) {
                fields.push(value(&mut cursor, &name, selection)?);
            } else {
                cursor.skip_value()?;
            }
            names.push(name);
            if !cursor.take(b',') {
                break;
            }
        }
        cursor.expect(b'}').map_err(|_| cursor.unexpected("',' or '}'"))?;
    }
    match selection.required().find(|name| !names.contains(name)) {
        Some(missing) => Err(selection.no_field(missing, names.iter().map(String::as_str))),
        None => Ok(fields),
    }
}

/// Consumes a key and its colon.
fn key(cursor: &mut Cursor<'_>) -> Result<String> {
    let raw = cursor.string()?;
    cursor.expect(b':')?;
    decode(raw)
}

/// The text of a JSON string, given with its escapes.
pub(crate) fn decode(raw: &[u8]) -> Result<String> {
    let text = String::from_utf8_lossy(raw);
    serde_json::from_str(&format!("\"{text}\""))
        .map_err(|_| Error::Json(format!("the name \"{text}\" is no Unicode text")))
}

/// Consumes a value; returns its field, and the type that it looks like. A null gets the type of numbers.
fn value(cursor: &mut Cursor<'_>, name: &str, selection: &Selection) -> Result<(Field, Option<DType>)> {
    let mut shape = Vec::new();
    let found = dimensions(cursor, name, &mut shape, selection)?;
    let dtype = match found {
        Some(DType::Text) if !shape.is_empty() => {
            return Err(Error::Json(format!("field {name:?} holds a list of texts, which records cannot carry")));
        }
        Some(DType::Text) if selection.is_float(name) => {
            return Err(Error::NotNumeric(name.to_owned()));
        }
        // Booleans have no value for a missing one; NaN is.
        Some(DType::B1) if selection.requires(name) && selection.missing => selection.float,
        Some(DType::I8) | None if selection.requires(name) => selection.float,
        Some(dtype) if dtype.is_float() => selection.float,
        Some(dtype) => dtype,
        None => selection.float,
    };
    Ok((Field::new(name, dtype, &shape), found))
}

/// Consumes one value, pushes the lengths of nested arrays down to its first scalar to `shape`, and returns that scalar's
/// type; None for null.
fn dimensions(
    cursor: &mut Cursor<'_>,
    name: &str,
    shape: &mut Vec<usize>,
    selection: &Selection,
) -> Result<Option<DType>> {
    match cursor.peek() {
        Some(b'[') if shape.len() < MAX_DIMS => {
            cursor.at += 1;
            let dim = shape.len();
            shape.push(1);
            let mut dtype = dimensions(cursor, name, shape, selection)?;
            while cursor.take(b',') {
                shape[dim] += 1;
                match dtype {
                    // The first element that is not null has the type.
                    None if dim + 1 == shape.len() => dtype = dimensions(cursor, name, &mut shape.clone(), selection)?,
                    _ => cursor.skip_value()?,
                }
            }
            cursor.expect(b']')?;
            Ok(dtype)
        }
        Some(b'[') => Err(Error::Json(format!("field {name:?} has more than {MAX_DIMS} dimensions"))),
        Some(b']') => Err(Error::Json(format!("field {name:?} is empty"))),
        Some(b't' | b'f') => {
            cursor.word()?;
            Ok(Some(DType::B1))
        }
        Some(b'"') => {
            cursor.string()?;
            Ok(Some(DType::Text))
        }
        Some(b'{') => Err(Error::Json(format!("field {name:?} holds an object, which records cannot carry"))),
        Some(b'n') if selection.allows_missing(name) => {
            cursor.word()?;
            Ok(None)
        }
        Some(b'n') => Err(is_null(name)),
        _ => {
            let (_, real) = cursor.number()?;
            Ok(Some(if real { DType::F8 } else { DType::I8 }))
        }
    }
}

/// The error that a required field is null.
pub(crate) fn is_null(name: &str) -> Error {
    Error::Json(format!("field {name:?} is null; records have a value in every field"))
}
