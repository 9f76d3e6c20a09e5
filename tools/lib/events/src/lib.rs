//! The run log: what a training run tells while it runs, one JSON object a line.
//!
//! Every event has the key `event` that names its kind. Volatile facts (times, durations) live here
//! and in no other output.

use serde::{Deserialize, Serialize};
use std::time::{SystemTime, UNIX_EPOCH};

/// One line of the run log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The run begins: first line of a log.
    Start(Start),
    /// An epoch ended.
    Epoch(Epoch),
    /// The model that was kept, measured on rows that training never saw.
    Test(Test),
    /// The run is over: last line of a log.
    End(End),
}

/// What the run is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Start {
    /// The run folder.
    pub run_dir: String,
    /// Every setting.
    pub config: serde_json::Value,
    /// Seed of split, start and order.
    pub seed: u64,
    /// Rows for training, validation and test.
    pub rows: [usize; 3],
    /// Number of parameters of the model.
    pub parameters: usize,
    /// Seconds since 1970-01-01 UTC.
    pub time: f64,
}

/// How an epoch went.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// Counted from 1.
    pub epoch: usize,
    /// Optimizer steps so far.
    pub step: usize,
    /// Mean loss of the epoch's batches, each before its step.
    pub train_loss: f64,
    /// Loss on the validation rows after the epoch; null where there are none.
    pub val_loss: Option<f64>,
    /// Seconds since the run began.
    pub seconds: f64,
}

/// Metrics on the test rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Test {
    /// The epoch whose parameters were kept.
    pub epoch: usize,
    /// Mean squared error.
    pub mse: f64,
    /// Mean absolute error.
    pub mae: f64,
    /// Coefficient of determination; null where the targets do not vary.
    pub r2: Option<f64>,
}

/// How the run ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct End {
    /// Whether it went through.
    pub status: Status,
    /// Seconds since 1970-01-01 UTC.
    pub time: f64,
}

/// How a run can end, in MLflow's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// All epochs done.
    Finished,
    /// An error ended it.
    Failed,
}

impl Event {
    /// The event as a line, newline included.
    pub fn to_line(&self) -> String {
        let mut line = serde_json::to_string(self).expect("events hold strings, numbers and JSON values only");
        line.push('\n');
        line
    }
}

/// Seconds since 1970-01-01 UTC; 0 on a clock that stands before that.
pub fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_that_names_its_kind() {
        let event = Event::Epoch(Epoch { epoch: 1, step: 625, train_loss: 0.5, val_loss: None, seconds: 1.25 });
        let line = event.to_line();
        let expected = r#"{"event":"epoch","epoch":1,"step":625,"train_loss":0.5,"val_loss":null,"seconds":1.25}"#;
        assert_eq!(line, format!("{expected}\n"));
        assert_eq!(serde_json::from_str::<Event>(&line).expect("own line"), event);
    }
}
