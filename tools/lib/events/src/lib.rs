//! The run log: typed events, one JSON object a line.
//!
//! In the pipe: `train` writes the events, to standard output and to `events.ndjson` in the run folder; `track`, `plot`
//! and `compare` (through `runs`) read them. What differs between runs of the same settings and data (times, commit,
//! threads) is in the log and in no other output. `docs/events.schema.json` is the JSON Schema of a line.
//!
//! Units: `time` is in seconds since 1970-01-01 UTC, `seconds` is the duration since the start of the run, `epoch` counts
//! from 1, and `step` is the number of optimizer steps done.
//!
//! ```
//! use events::{Epoch, Event, Metrics};
//!
//! let metrics = Metrics::from([("train_loss", 0.5), ("learning_rate", 1e-3)]);
//! let event = Event::Epoch(Epoch { epoch: 1, step: 625, metrics, seconds: 1.25, time: 1.8e9 });
//! let line = event.to_line();
//! assert_eq!(
//!     line,
//!     "{\"event\":\"epoch\",\"epoch\":1,\"step\":625,\"metrics\":{\"train_loss\":0.5,\"learning_rate\":0.001},\
//!      \"seconds\":1.25,\"time\":1800000000.0}\n"
//! );
//!
//! assert_eq!(Event::from_line(&line)?, Some(event));
//! assert_eq!(Event::from_line(r#"{"event":"of a later version"}"#)?, None);
//! # Ok::<(), events::Error>(())
//! ```

mod event;
mod line;
mod metrics;

pub use event::{Checkpoint, End, Epoch, Event, Git, Resumed, RowCounts, Start, Status, Step, Test, Validation};
pub use line::{Error, json_schema, now};
pub use metrics::Metrics;
