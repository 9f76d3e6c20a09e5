//! Batches within the server's limits.

use super::{Answer, Client};
use serde_json::{Value, json};
use std::ops::Range;

/// Bytes of a request: MLflow's limit is 1 MB, a part of which is for what surrounds the entries.
const MAX_BYTES: usize = 950_000;
/// Metrics of a request.
pub const MAX_METRICS: usize = 1000;
/// Params, or tags, of a request.
const MAX_PAIRS: usize = 100;

impl Client {
    /// Logs metrics; those that the run has already, with the same step and time, stay single.
    pub fn log_metrics(&self, run_id: &str, metrics: &[Value]) -> Answer<()> {
        self.log(run_id, "metrics", metrics, MAX_METRICS)
    }

    /// Logs params, or tags.
    pub fn log_pairs(&self, run_id: &str, kind: &str, pairs: &[Value]) -> Answer<()> {
        self.log(run_id, kind, pairs, MAX_PAIRS)
    }

    fn log(&self, run_id: &str, kind: &str, entries: &[Value], most: usize) -> Answer<()> {
        parts(entries, most).into_iter().try_for_each(|part| self.log_part(run_id, kind, &entries[part]))
    }

    /// One entry that the server does not accept must not take the others with it: halves are tried, down to that one.
    fn log_part(&self, run_id: &str, kind: &str, entries: &[Value]) -> Answer<()> {
        match self.post("runs/log-batch", &json!({ "run_id": run_id, kind: entries })) {
            Err(failure) if failure.is("INVALID_PARAMETER_VALUE") => match entries {
                [] => Ok(()),
                [entry] => {
                    let name = entry.get("key").and_then(Value::as_str).unwrap_or_default();
                    cli::note(&format!("{kind} {name:?}: not logged: {failure}"));
                    Ok(())
                }
                _ => {
                    let (first, second) = entries.split_at(entries.len() / 2);
                    self.log_part(run_id, kind, first)?;
                    self.log_part(run_id, kind, second)
                }
            },
            answer => answer.map(drop),
        }
    }
}

/// Entries in parts, none of more than `most` or of too many bytes.
fn parts(entries: &[Value], most: usize) -> Vec<Range<usize>> {
    let mut parts: Vec<Range<usize>> = Vec::new();
    let mut bytes = 0;
    for (i, entry) in entries.iter().enumerate() {
        let size = entry.to_string().len() + 1;
        bytes += size;
        match parts.last_mut() {
            Some(part) if part.len() < most && bytes <= MAX_BYTES => part.end = i + 1,
            _ => {
                parts.push(i..i + 1);
                bytes = size;
            }
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_bounded_in_number_and_in_bytes() {
        let small = vec![json!({"key": "a", "value": 1}); 2001];
        assert_eq!(parts(&small, 1000), [0..1000, 1000..2000, 2000..2001]);
        let large = vec![json!("x".repeat(MAX_BYTES / 2 - 10)); 5];
        assert_eq!(parts(&large, 100), [0..2, 2..4, 4..5]);
        assert!(parts(&[], 100).is_empty());
    }
}
