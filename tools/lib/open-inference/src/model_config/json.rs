//! A configuration in JSON, as `GET /v2/models/M/config` has it.

use super::{ConfigError, DESCRIPTOR, MAX_BYTES, ModelConfig, check::check, text};
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MapKey, ReflectMessage, Value as Field};
use serde_json::{Map, Value};
use std::collections::HashMap;

/// The configuration as Triton prints it: the field names of the proto, every field that is not a message or in a `oneof`
/// even where it has its default, enums by name, 64-bit integers as numbers. The order is the proto's; of maps, the keys'.
pub fn to_json(config: &ModelConfig) -> Value {
    let mut message = DynamicMessage::new(DESCRIPTOR.clone());
    message.transcode_from(config).expect("the descriptor is the message's own");
    message_json(&message)
}

/// The configuration that JSON `text` holds, read from `file`; what [`to_json`] writes is read.
///
/// # Errors
/// As those of [`super::parse`].
pub fn from_json(text: &str, file: &str) -> Result<ModelConfig, ConfigError> {
    if text.len() > MAX_BYTES {
        return Err(ConfigError::TooLarge { file: file.to_owned(), bytes: text.len() });
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let message = DynamicMessage::deserialize(DESCRIPTOR.clone(), &mut deserializer)
        .and_then(|message| deserializer.end().map(|()| message))
        .map_err(|error| syntax_error(&error, file))?;
    let config = message.transcode_to().map_err(|error| text::whole_text(&error, file))?;
    check(&config, file)?;
    Ok(config)
}

fn syntax_error(error: &serde_json::Error, file: &str) -> ConfigError {
    let (line, column) = (error.line().max(1), error.column().max(1));
    // The message repeats the location.
    let message = error.to_string();
    let problem = message.rsplit_once(" at line ").map_or(message.as_str(), |(problem, _)| problem);
    ConfigError::Syntax { file: file.to_owned(), line, column, problem: text::one_line(problem) }
}

fn message_json(message: &DynamicMessage) -> Value {
    let descriptor = message.descriptor();
    // The iterator of the descriptor itself is ordered by number.
    let numbers = descriptor.descriptor_proto().field.iter().filter_map(|field| u32::try_from(field.number()).ok());
    let fields = numbers.filter_map(|number| descriptor.get_field(number));
    let printed = fields.filter(|field| message.has_field(field) || !field.supports_presence());
    Value::Object(
        printed.map(|field| (field.name().to_owned(), field_json(&message.get_field(&field), &field))).collect(),
    )
}

fn field_json(value: &Field, field: &FieldDescriptor) -> Value {
    match (value, field.kind()) {
        (Field::List(values), kind) => values.iter().map(|value| scalar_json(value, &kind)).collect(),
        (Field::Map(entries), Kind::Message(entry)) => map_json(entries, &entry.map_entry_value_field().kind()),
        (value, kind) => scalar_json(value, &kind),
    }
}

fn map_json(entries: &HashMap<MapKey, Field>, kind: &Kind) -> Value {
    let mut entries: Vec<(String, Value)> =
        entries.iter().map(|(key, value)| (key_text(key), scalar_json(value, kind))).collect();
    entries.sort_by(|(left, _), (right, _)| left.cmp(right));
    Value::Object(Map::from_iter(entries))
}

fn key_text(key: &MapKey) -> String {
    match key {
        MapKey::Bool(key) => key.to_string(),
        MapKey::I32(key) => key.to_string(),
        MapKey::I64(key) => key.to_string(),
        MapKey::U32(key) => key.to_string(),
        MapKey::U64(key) => key.to_string(),
        MapKey::String(key) => key.clone(),
    }
}

fn scalar_json(value: &Field, kind: &Kind) -> Value {
    match (value, kind) {
        (Field::Bool(value), _) => Value::from(*value),
        (Field::I32(value), _) => Value::from(*value),
        (Field::I64(value), _) => Value::from(*value),
        (Field::U32(value), _) => Value::from(*value),
        (Field::U64(value), _) => Value::from(*value),
        (Field::F32(value), _) => float_json(value),
        (Field::F64(value), _) => float_json(value),
        (Field::String(value), _) => Value::from(value.as_str()),
        (Field::EnumNumber(number), Kind::Enum(names)) => {
            names.get_value(*number).map_or_else(|| Value::from(*number), |value| Value::from(value.name()))
        }
        (Field::Message(message), _) => message_json(message),
        // A configuration has no bytes, and a list or map is no scalar.
        (Field::Bytes(_) | Field::EnumNumber(_) | Field::List(_) | Field::Map(_), _) => Value::Null,
    }
}

/// The shortest number that reads as the float; what JSON has no number for is a string, as in protobuf's JSON.
fn float_json(value: &impl ToString) -> Value {
    match value.to_string().as_str() {
        "inf" => Value::from("Infinity"),
        "-inf" => Value::from("-Infinity"),
        text => text.parse::<f64>().ok().filter(|number| number.is_finite()).map_or(Value::from("NaN"), Value::from),
    }
}
