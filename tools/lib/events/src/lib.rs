//! The run log: what a training run tells while it runs, one JSON object a line.
//!
//! `train` writes it, on standard output and to `events.ndjson` of the run folder; `track` and
//! `plot` read it. Volatile facts (times, commit, threads) live here and in no other output. The
//! JSON Schema of a line is `docs/events.schema.json`.
//!
//! ```
//! use events::{Epoch, Event, Metrics};
//!
//! let metrics = Metrics::from([("train_loss", 0.5), ("learning_rate", 1e-3)]);
//! let event = Event::Epoch(Epoch { epoch: 1, step: 625, metrics, seconds: 1.25, time: 1.8e9 });
//! assert_eq!(
//!     event.to_line(),
//!     "{\"event\":\"epoch\",\"epoch\":1,\"step\":625,\"metrics\":{\"train_loss\":0.5,\"learning_rate\":0.001},\
//!      \"seconds\":1.25,\"time\":1800000000.0}\n"
//! );
//! ```

mod event;
mod line;
mod metrics;

pub use event::{Checkpoint, End, Epoch, Event, Git, Resumed, RowCounts, Start, Status, Step, Test, Validation};
pub use line::{Error, json_schema, now};
pub use metrics::Metrics;
