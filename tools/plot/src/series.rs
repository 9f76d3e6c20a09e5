//! The series that a metric's name says: which chart shows it, and what it was measured on.

use metrics::Split;

/// What the values of a curve were measured on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Series {
    Train,
    Validation,
    Test,
    /// The metric's name says nothing of that.
    Unsplit,
    /// Single batches of training, `train_loss_step`.
    Batch,
}

impl Series {
    /// The name in the legend; `chart` is the chart's.
    pub fn name(self, chart: &str) -> &str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
            Self::Unsplit => chart,
            Self::Batch => "batch",
        }
    }

    /// Whether it is drawn pale, behind the others.
    pub fn is_pale(self) -> bool {
        self == Self::Batch
    }
}

/// The chart and the series of a metric: `val_loss` is the validation series of `loss`. Besides the names of the run log,
/// those of Lightning and TensorBoard are known: `val/loss`, `validation_loss`, `train_loss_epoch`.
pub fn of_metric(metric: &str) -> (&str, Series) {
    let Some((split, name)) = split(metric) else { return (metric, Series::Unsplit) };
    let series = match split {
        Split::Train => match name.strip_suffix("_step") {
            Some(name) if !name.is_empty() => return (name, Series::Batch),
            _ => Series::Train,
        },
        Split::Validation => Series::Validation,
        Split::Test => Series::Test,
    };
    // Lightning's name of a mean over an epoch.
    (name.strip_suffix("_epoch").unwrap_or(name), series)
}

fn split(metric: &str) -> Option<(Split, &str)> {
    let (prefix, name) = metric.split_once(['_', '/'])?;
    let split = if prefix == "validation" { Some(Split::Validation) } else { Split::from_name(prefix) };
    split.filter(|_| !name.is_empty()).map(|split| (split, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_of_one_name_share_a_chart() {
        for (metric, chart, series) in [
            ("train_loss", "loss", Series::Train),
            ("train_loss_step", "loss", Series::Batch),
            ("train_loss_epoch", "loss", Series::Train),
            ("val_loss", "loss", Series::Validation),
            ("val/acc", "acc", Series::Validation),
            ("validation_loss", "loss", Series::Validation),
            ("test_r2", "r2", Series::Test),
            ("learning_rate", "learning_rate", Series::Unsplit),
            ("value", "value", Series::Unsplit),
            ("train_", "train_", Series::Unsplit),
            ("training_loss", "training_loss", Series::Unsplit),
        ] {
            assert_eq!(of_metric(metric), (chart, series), "{metric}");
        }
    }
}
