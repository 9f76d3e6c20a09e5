//! Metrics by their names: which chart one belongs to, and what it was measured on.

/// What a metric was measured on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    Train,
    Validation,
    Test,
    /// The metric has no such part.
    Whole,
    /// A batch's own value.
    Batch,
}

impl Part {
    /// What the legend calls it; `metric` is the chart's own name.
    pub fn name(self, metric: &str) -> &str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
            Self::Whole => metric,
            Self::Batch => "batch",
        }
    }

    /// Whether it is drawn pale, behind the others.
    pub fn is_pale(self) -> bool {
        self == Self::Batch
    }
}

/// The chart and the part that a metric belongs to.
pub fn split(metric: &str) -> (&str, Part) {
    const PARTS: [(&str, Part); 4] =
        [("train", Part::Train), ("val", Part::Validation), ("validation", Part::Validation), ("test", Part::Test)];
    let found = PARTS.iter().find_map(|(prefix, part)| {
        let rest = metric.strip_prefix(prefix)?.strip_prefix(['_', '/'])?;
        (!rest.is_empty()).then_some((rest, *part))
    });
    match found {
        Some((name, Part::Train)) if name.strip_suffix("_step").is_some_and(|name| !name.is_empty()) => {
            (name.trim_end_matches("_step"), Part::Batch)
        }
        // Lightning's name of a mean over an epoch.
        Some((name, part)) => (name.strip_suffix("_epoch").unwrap_or(name), part),
        None => (metric, Part::Whole),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_of_one_name_share_a_chart() {
        for (metric, name, part) in [
            ("train_loss", "loss", Part::Train),
            ("train_loss_step", "loss", Part::Batch),
            ("train_loss_epoch", "loss", Part::Train),
            ("val_loss", "loss", Part::Validation),
            ("val/acc", "acc", Part::Validation),
            ("test_r2", "r2", Part::Test),
            ("learning_rate", "learning_rate", Part::Whole),
            ("value", "value", Part::Whole),
            ("train_", "train_", Part::Whole),
            ("training_loss", "training_loss", Part::Whole),
        ] {
            assert_eq!(split(metric), (name, part), "{metric}");
        }
    }
}
