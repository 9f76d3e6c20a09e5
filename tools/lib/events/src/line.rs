//! Events to and from lines of the log.

use crate::Event;
use serde::Deserialize;
use std::time::{SystemTime, UNIX_EPOCH};

/// Why a line cannot be read as an event. Displays as one line.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The line is not a JSON object with a text `event`.
    #[error("not an event: {0}")]
    NotAnEvent(serde_json::Error),
    /// A key of a known kind is missing or has the wrong type.
    #[error("event {kind:?}: {error}")]
    Malformed {
        /// The value of the key `event`.
        kind: String,
        /// The key, and the expected type.
        error: serde_json::Error,
    },
}

/// The kinds of [`Event`].
const KINDS: [&str; 7] = ["start", "step", "validation", "epoch", "checkpoint", "test", "end"];

impl Event {
    /// The event as one line of JSON, newline included.
    pub fn to_line(&self) -> String {
        let mut line = serde_json::to_string(self).expect("events hold strings, numbers and JSON values only");
        line.push('\n');
        line
    }

    /// Parses a line, with or without its newline; None for a kind that this version does not know.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn from_line(line: &str) -> Result<Option<Self>, Error> {
        #[derive(Deserialize)]
        struct Kind {
            event: String,
        }
        let Kind { event: kind } = serde_json::from_str(line).map_err(Error::NotAnEvent)?;
        if !KINDS.contains(&kind.as_str()) {
            return Ok(None);
        }
        serde_json::from_str(line).map(Some).map_err(|error| Error::Malformed { kind, error })
    }
}

/// The current time in seconds since 1970-01-01 UTC; 0 if the clock is set before that.
pub fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// The JSON Schema (draft 2020-12) of a line; `docs/events.schema.json` is a copy.
pub fn json_schema() -> serde_json::Value {
    schemars::schema_for!(Event).to_value()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{End, Epoch, Metrics, Status, Step};

    #[test]
    fn an_event_is_one_line_and_reads_back() {
        let metrics = Metrics::from([("train_loss", 0.5)]);
        let event = Event::Epoch(Epoch { epoch: 1, step: 625, metrics, seconds: 1.25, time: 2.5 });
        let line = event.to_line();
        let expected =
            r#"{"event":"epoch","epoch":1,"step":625,"metrics":{"train_loss":0.5},"seconds":1.25,"time":2.5}"#;
        assert_eq!(line, format!("{expected}\n"));
        assert_eq!(Event::from_line(&line).expect("own line"), Some(event));
    }

    #[test]
    fn non_finite_values_are_null() {
        let metrics = Metrics::from([("a", f64::NAN), ("b", f64::INFINITY), ("c", 1.0)]);
        let event = Event::Step(Step { epoch: 1, step: 1, metrics, time: 0.0 });
        assert!(event.to_line().contains(r#"{"a":null,"b":null,"c":1.0}"#));
        let Some(Event::Step(back)) = Event::from_line(&event.to_line()).expect("own line") else { panic!("a step") };
        assert!(back.metrics.get("a").is_some_and(f64::is_nan));
    }

    #[test]
    fn values_are_read_back_exactly() {
        for i in 1..2000 {
            let value = 1.0 / f64::from(i);
            let event = Event::Step(Step { epoch: 1, step: 1, metrics: Metrics::from([("a", value)]), time: value });
            let Some(Event::Step(back)) = Event::from_line(&event.to_line()).expect("own line") else {
                panic!("a step")
            };
            assert_eq!((back.metrics.get("a"), back.time), (Some(value), value));
        }
    }

    #[test]
    fn unknown_kinds_are_skipped_and_damaged_lines_are_errors() {
        assert_eq!(Event::from_line(r#"{"event":"confetti","size":3}"#).expect("an event"), None);
        assert!(Event::from_line(r#"{"size":3}"#).is_err_and(|e| e.to_string().starts_with("not an event")));
        assert!(Event::from_line(r#"{"event":"end","status":"FINI"#).is_err());
        let missing = Event::from_line(r#"{"event":"end","status":"FINISHED"}"#).expect_err("incomplete").to_string();
        assert!(missing.starts_with("event \"end\": missing field `reason`"), "{missing}");
    }

    #[test]
    fn the_kinds_are_those_of_the_schema() {
        let schema = json_schema();
        let kinds: Vec<_> = schema["oneOf"].as_array().expect("variants").iter().map(kind).collect();
        assert_eq!(kinds, KINDS.to_vec());
    }

    fn kind(variant: &serde_json::Value) -> &str {
        variant["properties"]["event"]["const"].as_str().expect("a constant")
    }

    #[test]
    fn the_schema_in_the_documentation_is_this_one() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../docs/events.schema.json");
        let text = format!("{:#}\n", json_schema());
        if std::env::var_os("UPDATE_SCHEMA").is_some() {
            std::fs::write(path, &text).expect("docs/ can be written");
        }
        // Compared as values: prettier formats the file.
        let documented: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(path).expect("the schema is there")).expect("JSON");
        assert_eq!(documented, json_schema(), "docs/events.schema.json: UPDATE_SCHEMA=1 cargo test -p events");
    }

    #[test]
    fn an_end_has_a_status_and_a_reason() {
        let end = Event::End(End { status: Status::Killed, reason: "SIGTERM".into(), time: 1.0 });
        assert_eq!(end.to_line(), "{\"event\":\"end\",\"status\":\"KILLED\",\"reason\":\"SIGTERM\",\"time\":1.0}\n");
    }
}
