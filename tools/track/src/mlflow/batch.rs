//! Batches within the server's limits on a request.

use super::{Client, Result};
use serde_json::{Value, json};
use std::ops::Range;

/// Most bytes of the entries of a request: MLflow's limit is 1 MB for all of the request.
const MAX_BYTES: usize = 950_000;
/// Most metrics of a request.
pub const MAX_METRICS: usize = 1000;
/// Most params, or tags, of a request.
const MAX_PAIRS: usize = 100;

impl Client {
    /// Logs metrics. A metric that the run already has with the same step, time and value is not added again.
    pub fn log_metrics(&self, run_id: &str, metrics: &[Value]) -> Result<()> {
        self.log(run_id, "metrics", metrics, MAX_METRICS)
    }

    /// Logs params or tags: `kind` is the key of the request, `params` or `tags`.
    pub fn log_pairs(&self, run_id: &str, kind: &str, pairs: &[Value]) -> Result<()> {
        self.log(run_id, kind, pairs, MAX_PAIRS)
    }

    fn log(&self, run_id: &str, kind: &str, entries: &[Value], max_entries: usize) -> Result<()> {
        batches(entries, max_entries).into_iter().try_for_each(|batch| self.log_batch(run_id, kind, &entries[batch]))
    }

    /// Sends one batch. If the server refuses an entry, the halves of the batch are sent separately, recursively, so that
    /// only that entry is lost.
    fn log_batch(&self, run_id: &str, kind: &str, entries: &[Value]) -> Result<()> {
        match self.post("runs/log-batch", &json!({ "run_id": run_id, kind: entries })) {
            Err(error) if error.is("INVALID_PARAMETER_VALUE") => match entries {
                [] => Ok(()),
                [entry] => {
                    let name = entry.get("key").and_then(Value::as_str).unwrap_or_default();
                    cli::note(&format!("{kind} {name:?}: not logged: {error}"));
                    Ok(())
                }
                _ => {
                    let (first, second) = entries.split_at(entries.len() / 2);
                    self.log_batch(run_id, kind, first)?;
                    self.log_batch(run_id, kind, second)
                }
            },
            response => response.map(drop),
        }
    }
}

/// Index ranges of batches of at most `max_entries` entries and, unless a single entry is larger, [`MAX_BYTES`] bytes.
fn batches(entries: &[Value], max_entries: usize) -> Vec<Range<usize>> {
    let mut batches: Vec<Range<usize>> = Vec::new();
    let mut bytes = 0;
    for (i, entry) in entries.iter().enumerate() {
        let size = entry.to_string().len() + 1;
        bytes += size;
        match batches.last_mut() {
            Some(batch) if batch.len() < max_entries && bytes <= MAX_BYTES => batch.end = i + 1,
            _ => {
                batches.push(i..i + 1);
                bytes = size;
            }
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_bounded_in_number_and_in_bytes() {
        let small = vec![json!({"key": "a", "value": 1}); 2001];
        assert_eq!(batches(&small, 1000), [0..1000, 1000..2000, 2000..2001]);
        let large = vec![json!("x".repeat(MAX_BYTES / 2 - 10)); 5];
        assert_eq!(batches(&large, 100), [0..2, 2..4, 4..5]);
        assert!(batches(&[], 100).is_empty());
    }
}
