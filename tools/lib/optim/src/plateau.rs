//! The learning rate that follows a metric.

use metrics::Direction;

/// When [`Plateau`] reduces the learning rate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlateauOptions {
    /// Whether lower or higher values of the metric are better.
    pub direction: Direction,
    /// A reduction multiplies the learning rate by this factor, below 1.
    pub factor: f64,
    /// Measurements without an improvement before the learning rate is reduced at the next one.
    pub patience: u64,
    /// Smallest improvement that counts, relative to the best value (`threshold_mode="rel"`).
    pub threshold: f64,
    /// Measurements after a reduction that do not count as bad.
    pub cooldown: u64,
    /// Lower bound of the learning rate.
    pub min_learning_rate: f64,
}

/// State of PyTorch's `ReduceLROnPlateau`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plateau {
    /// The best value so far.
    pub best: f64,
    /// Measurements since then, cooldown left out.
    pub num_bad_epochs: u64,
    /// Measurements of the cooldown that are left.
    pub cooldown_counter: u64,
    /// The current learning rate.
    pub learning_rate: f64,
}

impl Plateau {
    /// The state before the first measurement.
    pub fn new(direction: Direction, learning_rate: f64) -> Self {
        Self { best: direction.worst(), num_bad_epochs: 0, cooldown_counter: 0, learning_rate }
    }

    /// Updates the state with a measurement of the metric: PyTorch's `scheduler.step(value)`.
    pub fn step(&mut self, value: f64, options: &PlateauOptions) {
        // Relative to the best value with its sign, as in PyTorch.
        let margin = if self.best.is_finite() { options.threshold * self.best } else { 0.0 };
        if options.direction.improves(value, self.best, margin) {
            self.best = value;
            self.num_bad_epochs = 0;
        } else {
            self.num_bad_epochs += 1;
        }
        if self.cooldown_counter > 0 {
            self.cooldown_counter -= 1;
            self.num_bad_epochs = 0;
        }
        if self.num_bad_epochs > options.patience {
            // PyTorch's `eps`: smaller changes are skipped.
            const EPS: f64 = 1e-8;
            let lower = (self.learning_rate * options.factor).max(options.min_learning_rate);
            if self.learning_rate - lower > EPS {
                self.learning_rate = lower;
            }
            self.cooldown_counter = options.cooldown;
            self.num_bad_epochs = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_below_1e_8_is_skipped_and_one_above_is_not() {
        let options = PlateauOptions {
            direction: Direction::Minimize,
            factor: 0.5,
            patience: 0,
            threshold: 0.0,
            cooldown: 2,
            min_learning_rate: 0.0,
        };
        // As `ReduceLROnPlateau(optimizer, factor=0.5, patience=0, cooldown=2)` of PyTorch 2, whose `eps` is 1e-8.
        for (learning_rate, expected) in [(1.9e-8, 1.9e-8), (2.1e-8, 1.05e-8), (1.0, 0.5)] {
            let mut plateau = Plateau::new(Direction::Minimize, learning_rate);
            plateau.step(1.0, &options);
            assert_eq!((plateau.learning_rate, plateau.cooldown_counter), (learning_rate, 0));
            plateau.step(1.0, &options);
            assert_eq!((plateau.learning_rate, plateau.num_bad_epochs, plateau.cooldown_counter), (expected, 0, 2));
        }
        let mut plateau = Plateau::new(Direction::Minimize, 1.0);
        (0..2).for_each(|_| plateau.step(1.0, &PlateauOptions { min_learning_rate: 0.75, ..options }));
        assert_eq!(plateau.learning_rate, 0.75);
    }
}
