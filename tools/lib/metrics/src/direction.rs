/// Which values of a metric are better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Higher ones.
    Maximize,
    /// Lower ones.
    Minimize,
}

impl Direction {
    /// Whether `value` is better than `best` by more than `margin`; NaN never is.
    pub fn improves(self, value: f64, best: f64, margin: f64) -> bool {
        match self {
            Self::Minimize => value < best - margin,
            Self::Maximize => value > best + margin,
        }
    }

    /// The value that every other one improves on: positive or negative infinity.
    pub fn worst(self) -> f64 {
        match self {
            Self::Minimize => f64::INFINITY,
            Self::Maximize => f64::NEG_INFINITY,
        }
    }
}

/// What a metric's name may begin with: the rows that it was measured on.
const PREFIXES: [&str; 3] = ["train_", "val_", "test_"];

/// Whether higher or lower values of a metric are better, by its name, which may begin with `train_`, `val_` or `test_`.
///
/// Accuracy, precision, recall, F1 and their macro means, AUC, average precision and R2 (`r2`, `r2_0`) are maximized;
/// everything else, such as a loss or an error, is minimized.
pub fn direction_of(metric: &str) -> Direction {
    let metric = PREFIXES.iter().find_map(|prefix| metric.strip_prefix(prefix)).unwrap_or(metric);
    match metric.strip_prefix("macro_").unwrap_or(metric) {
        "accuracy" | "subset_accuracy" | "precision" | "recall" | "f1" | "auc" | "average_precision" | "r2" => {
            Direction::Maximize
        }
        of_target if of_target.starts_with("r2_") => Direction::Maximize,
        _ => Direction::Minimize,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directions_are_known_with_and_without_a_prefix() {
        for name in ["accuracy", "val_accuracy", "test_auc", "macro_f1", "val_macro_recall", "r2", "train_r2_0", "f1"] {
            assert_eq!(direction_of(name), Direction::Maximize, "{name}");
        }
        for name in ["loss", "val_loss", "test_mse", "mae", "cross_entropy", "learning_rate", "", "auction", "r20"] {
            assert_eq!(direction_of(name), Direction::Minimize, "{name}");
        }
    }
    #[test]
    fn an_improvement_exceeds_the_margin() {
        use Direction::{Maximize, Minimize};
        assert!(
            Minimize.improves(0.8, 1.0, 0.1) && !Minimize.improves(0.95, 1.0, 0.1) && !Minimize.improves(1.2, 1.0, 0.1)
        );
        assert!(
            Maximize.improves(1.2, 1.0, 0.1) && !Maximize.improves(1.05, 1.0, 0.1) && !Maximize.improves(0.8, 1.0, 0.1)
        );
        for direction in [Minimize, Maximize] {
            assert!(!direction.improves(1.0, 1.0, 0.0), "no improvement");
            assert!(!direction.improves(f64::NAN, direction.worst(), 0.0), "NaN");
            assert!(
                direction.improves(-1e308, direction.worst(), 0.0) && direction.improves(1e308, direction.worst(), 0.0)
            );
        }
    }
}
