//! Limits on the number of batches: `trainer.limit_*_batches`.

use serde::Deserialize;

/// A number of batches, or a share of them, as Lightning's `limit_train_batches`.
#[derive(Deserialize, Clone, Copy, Debug, PartialEq)]
#[serde(untagged, expecting = "expected a number of batches, or a share above 0 and up to 1.0")]
pub enum BatchLimit {
    Count(u64),
    Share(f64),
}

impl BatchLimit {
    /// The number of `batches` to use; None is all. A share gives at least one.
    pub fn of(limit: Option<Self>, batches: usize) -> usize {
        match limit {
            None => batches,
            Some(Self::Count(count)) => usize::try_from(count).unwrap_or(usize::MAX).min(batches),
            Some(Self::Share(share)) => ((batches as f64 * share) as usize).max(1).min(batches),
        }
    }

    /// Why the value is invalid, if it is.
    pub fn problem(self) -> Option<String> {
        match self {
            Self::Count(0) => Some("0; at least 1 is needed".into()),
            Self::Share(share) if !(share > 0.0 && share <= 1.0) => Some(format!(
                "{share:?}; expected a share above 0 and up to 1.0, or a whole number of batches, without a point"
            )),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_a_number_and_a_share_a_share() {
        assert_eq!(BatchLimit::of(None, 7), 7);
        assert_eq!(BatchLimit::of(Some(BatchLimit::Count(3)), 7), 3);
        assert_eq!(BatchLimit::of(Some(BatchLimit::Count(30)), 7), 7);
        assert_eq!(BatchLimit::of(Some(BatchLimit::Share(0.5)), 7), 3);
        assert_eq!(BatchLimit::of(Some(BatchLimit::Share(0.01)), 7), 1);
        assert_eq!(BatchLimit::of(Some(BatchLimit::Share(0.5)), 0), 0);
    }
}
