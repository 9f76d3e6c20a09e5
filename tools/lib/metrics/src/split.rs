//! The rows that a metric was measured on.

/// A split of the data, named in front of a metric: `val_loss` in the run log, `val.loss` in `metrics.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Split {
    /// `train`
    Train,
    /// `val`
    Validation,
    /// `test`
    Test,
}

impl Split {
    /// Every split.
    pub const ALL: [Self; 3] = [Self::Train, Self::Validation, Self::Test];

    /// The name in front of a metric.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "val",
            Self::Test => "test",
        }
    }

    /// The split of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|split| split.name() == name)
    }

    /// The name that a metric of this split has in the run log: `val_loss`.
    pub fn metric(self, metric: &str) -> String {
        format!("{}_{metric}", self.name())
    }

    /// The split that a metric's name in the run log begins with, and the rest of the name.
    pub fn of_metric(name: &str) -> (Option<Self>, &str) {
        let rest = |split: Self| name.strip_prefix(split.name())?.strip_prefix('_');
        let found = Self::ALL.into_iter().find_map(|split| Some((Some(split), rest(split)?)));
        found.unwrap_or((None, name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_split_as_it_is_joined() {
        for split in Split::ALL {
            assert_eq!(Split::of_metric(&split.metric("macro_f1")), (Some(split), "macro_f1"));
            assert_eq!(Split::from_name(split.name()), Some(split));
        }
        assert_eq!(Split::Validation.metric("loss"), "val_loss");
        for name in ["loss", "value", "training_loss", "val", ""] {
            assert_eq!(Split::of_metric(name), (None, name));
        }
        assert_eq!(Split::from_name("validation"), None);
    }
}
