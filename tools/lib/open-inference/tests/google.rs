//! `config.pbtxt` as Google's parser of the text format reads it, and the JSON that protobuf makes of it
//! (`fixtures/config.py`).

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use open_inference::model_config::{ConfigError, parse, to_json};
use serde_json::Value;

#[derive(serde::Deserialize)]
struct Case {
    text: String,
    /// None where Google's parser refuses the text.
    config: Option<Value>,
}

/// Our JSON has numbers where protobuf's has strings, because they have 64 bits.
fn same(ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => {
            ours.len() == theirs.len()
                && ours.iter().all(|(name, value)| theirs.get(name).is_some_and(|other| same(value, other)))
        }
        (Value::Array(ours), Value::Array(theirs)) => {
            ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(ours, theirs)| same(ours, theirs))
        }
        (Value::Number(number), Value::String(text)) => number.to_string() == *text,
        (Value::Number(ours), Value::Number(theirs)) => ours.as_f64() == theirs.as_f64(),
        _ => ours == theirs,
    }
}

#[test]
fn the_same_message_as_googles_parser() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("fixtures/config.json")).unwrap();
    for Case { text, config } in cases {
        match (parse(&text, "config.pbtxt"), config) {
            (Ok(ours), Some(theirs)) => assert!(same(&to_json(&ours), &theirs), "{text}\n{}\n{theirs}", to_json(&ours)),
            (Err(ConfigError::Syntax { .. }), None) => {}
            // The message is the same, but no model can have its values.
            (Err(ConfigError::Value { .. }), Some(_)) => {}
            (ours, theirs) => panic!("{text}\n{ours:?}\n{theirs:?}"),
        }
    }
}
