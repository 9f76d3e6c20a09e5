//! A duration with units: `trainer.max_time`, `trainer.distributed.timeout`.

use serde::{
    Deserialize, Deserializer,
    de::{self, Unexpected},
};
use std::{fmt, time::Duration};

/// `90s`, `15m` or `1h 30m`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WallTime(pub Duration);

impl<'de> Deserialize<'de> for WallTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Visitor)
    }
}

struct Visitor;

impl de::Visitor<'_> for Visitor {
    type Value = WallTime;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time, for instance 90s, 15m or 1h 30m")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<WallTime, E> {
        humantime::parse_duration(text).map(WallTime).map_err(|_| E::invalid_value(Unexpected::Str(text), &self))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<WallTime, E> {
        Err(E::custom(format_args!("{number} has no unit; write {number}s for seconds, {number}m for minutes")))
    }
}
