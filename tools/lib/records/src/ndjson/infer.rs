//! What a schema is when nobody wrote one: read off the first line.

use super::cursor::Cursor;
use crate::{DType, Field, Schema, wanted::Wanted};
use std::collections::HashMap;

/// More dimensions than any tensor here needs; the limit bounds recursion.
const MAX_DIMS: usize = 16;

/// The schema of the wanted fields, in the order of the object on the first of `lines`, and of each field whether its
/// values are booleans. What is null there is known by the lines behind it.
pub(crate) fn schema<'a>(
    mut lines: impl Iterator<Item = &'a [u8]>,
    wanted: &Wanted,
) -> Result<(Schema, Vec<bool>), String> {
    let mut fields = fields(lines.next().unwrap_or_default(), wanted)?;
    let mut known: HashMap<_, _> =
        fields.iter().enumerate().map(|(index, (field, _))| (field.name.clone(), index)).collect();
    for line in lines {
        if !wanted.others && fields.iter().all(|(_, found)| found.is_some()) {
            break;
        }
        // What is wrong with another line is told when it is read.
        let Ok(more) = self::fields(line, wanted) else { continue };
        let before = fields.len();
        for (field, found) in more {
            let index = known.get(&field.name).copied().filter(|&index| index < before);
            match index.map(|index| &mut fields[index]) {
                Some(unknown) if unknown.1.is_none() && found.is_some() => *unknown = (field, found),
                // A field that nothing is computed with need not be on the first line. One that is twice on this line
                // is added twice, which the schema refuses.
                None if wanted.others => {
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

/// The wanted fields of a line, and of each what its value looks like; a null looks like nothing.
fn fields(line: &[u8], wanted: &Wanted) -> Result<Vec<(Field, Option<DType>)>, String> {
    let mut cursor = Cursor::new(line);
    let (mut fields, mut names) = (Vec::new(), Vec::new());
    cursor.expect(b'{')?;
    if !cursor.take(b'}') {
        loop {
            let name = key(&mut cursor)?;
            let first = cursor.peek();
            if wanted.is_literal(&name) {
                cursor.skip_value()?;
                // A list or an object is read only where it is needed, and then refused.
                if !matches!(first, Some(b'[' | b'{')) || wanted.computes(&name) {
                    fields.push((Field::new(&name, DType::Text, &[]), Some(DType::Text)));
                }
            } else if wanted.has(&name) {
                fields.push(value(&mut cursor, &name, wanted)?);
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
    match wanted.needed().find(|name| !names.contains(name)) {
        Some(missing) => Err(wanted.lacks(missing, names.iter().map(String::as_str))),
        None => Ok(fields),
    }
}

/// Takes a key and its colon.
fn key(cursor: &mut Cursor<'_>) -> Result<String, String> {
    let raw = cursor.string()?;
    cursor.expect(b':')?;
    decode(raw)
}

/// The text that a JSON string stands for.
pub(crate) fn decode(raw: &[u8]) -> Result<String, String> {
    let text = String::from_utf8_lossy(raw);
    serde_json::from_str(&format!("\"{text}\"")).map_err(|_| format!("the name \"{text}\" is no Unicode text"))
}

/// Takes a value; returns its field, and what it looks like: a null is taken for a number.
fn value(cursor: &mut Cursor<'_>, name: &str, wanted: &Wanted) -> Result<(Field, Option<DType>), String> {
    let mut shape = Vec::new();
    let found = dimensions(cursor, name, &mut shape, wanted)?;
    let dtype = match found {
        Some(DType::Text) if !shape.is_empty() => {
            return Err(format!("field {name:?} holds a list of texts, which records cannot carry"));
        }
        Some(DType::Text) if wanted.is_float(name) => {
            return Err(format!("field {name:?} holds text, expected numbers"));
        }
        // A boolean that may be missing needs a value that says so.
        Some(DType::B1) if wanted.computes(name) && wanted.missing => wanted.float,
        Some(DType::I8) | None if wanted.computes(name) => wanted.float,
        Some(dtype) if dtype.is_float() => wanted.float,
        Some(dtype) => dtype,
        None => wanted.float,
    };
    Ok((Field::new(name, dtype, &shape), found))
}

/// Takes one value, notes the lengths on the way to its first scalar, and returns that scalar's type; none of a null.
fn dimensions(
    cursor: &mut Cursor<'_>,
    name: &str,
    shape: &mut Vec<usize>,
    wanted: &Wanted,
) -> Result<Option<DType>, String> {
    match cursor.peek() {
        Some(b'[') if shape.len() < MAX_DIMS => {
            cursor.at += 1;
            let dim = shape.len();
            shape.push(1);
            let mut dtype = dimensions(cursor, name, shape, wanted)?;
            while cursor.take(b',') {
                shape[dim] += 1;
                match dtype {
                    // The first that is not null says the type.
                    None if dim + 1 == shape.len() => dtype = dimensions(cursor, name, &mut shape.clone(), wanted)?,
                    _ => cursor.skip_value()?,
                }
            }
            cursor.expect(b']')?;
            Ok(dtype)
        }
        Some(b'[') => Err(format!("field {name:?} has more than {MAX_DIMS} dimensions")),
        Some(b']') => Err(format!("field {name:?} is empty")),
        Some(b't' | b'f') => cursor.word().map(|_| Some(DType::B1)),
        Some(b'"') => cursor.string().map(|_| Some(DType::Text)),
        Some(b'{') => Err(format!("field {name:?} holds an object, which records cannot carry")),
        Some(b'n') if wanted.takes_null(name) => cursor.word().map(|_| None),
        Some(b'n') => Err(is_null(name)),
        _ => cursor.number().map(|(_, real)| Some(if real { DType::F8 } else { DType::I8 })),
    }
}

/// The message that a field which a tool needs is null.
pub(crate) fn is_null(name: &str) -> String {
    format!("field {name:?} is null; records have a value in every field")
}
