//! What a schema is when nobody wrote one: read off the first line.

use super::{cursor::Cursor, row::Wanted};
use crate::{DType, Field, Schema};

/// More dimensions than any tensor here needs; the limit bounds recursion.
const MAX_DIMS: usize = 16;

/// The schema of the wanted fields, in the order of the object on `line`.
pub(crate) fn schema(line: &[u8], wanted: &Wanted) -> Result<Schema, String> {
    let mut cursor = Cursor::new(line);
    let (mut fields, mut names) = (Vec::new(), Vec::new());
    cursor.expect(b'{')?;
    if !cursor.take(b'}') {
        loop {
            let name = key(&mut cursor)?;
            if wanted.has(&name) {
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
    if let Some(missing) = wanted.floats.iter().find(|name| !names.contains(name)) {
        return Err(format!("no field {missing:?} (there is {})", names.join(", ")));
    }
    Schema::new(fields)
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

fn value(cursor: &mut Cursor<'_>, name: &str, wanted: &Wanted) -> Result<Field, String> {
    let mut shape = Vec::new();
    let dtype = dimensions(cursor, name, &mut shape)?;
    let float = dtype.is_float() || wanted.floats.iter().any(|float| float == name);
    Ok(Field::new(name, if float { wanted.float } else { dtype }, &shape))
}

/// Takes one value, notes the lengths on the way to its first scalar, and returns that scalar's type.
fn dimensions(cursor: &mut Cursor<'_>, name: &str, shape: &mut Vec<usize>) -> Result<DType, String> {
    match cursor.peek() {
        Some(b'[') if shape.len() < MAX_DIMS => {
            cursor.at += 1;
            let dim = shape.len();
            shape.push(1);
            let dtype = dimensions(cursor, name, shape)?;
            while cursor.take(b',') {
                shape[dim] += 1;
                cursor.skip_value()?;
            }
            cursor.expect(b']')?;
            Ok(dtype)
        }
        Some(b'[') => Err(format!("field {name:?} has more than {MAX_DIMS} dimensions")),
        Some(b']') => Err(format!("field {name:?} is empty")),
        Some(b't' | b'f') => cursor.word().map(|_| DType::B1),
        Some(b'"') => Err(format!("field {name:?} holds text, which records cannot carry")),
        Some(b'{') => Err(format!("field {name:?} holds an object, which records cannot carry")),
        Some(b'n') => Err(format!("field {name:?} is null; records have a value in every field")),
        _ => cursor.number().map(|(_, real)| if real { DType::F8 } else { DType::I8 }),
    }
}
