//! Range checks of numeric settings, and their errors.

use anyhow::{Result, ensure};

/// Checks the keys of one group.
pub struct Check {
    group: &'static str,
}

impl Check {
    pub fn of(group: &'static str) -> Self {
        Self { group }
    }

    pub fn positive(&self, key: &str, x: f64) -> Result<()> {
        ensure!(x > 0.0 && x.is_finite(), "{}.{key}: {x}; expected a positive number", self.group);
        Ok(())
    }

    pub fn not_negative(&self, key: &str, x: f64) -> Result<()> {
        ensure!(x >= 0.0 && x.is_finite(), "{}.{key}: {x}; expected a number of at least 0", self.group);
        Ok(())
    }

    /// At least 0 and below 1.
    pub fn below_one(&self, key: &str, x: f64) -> Result<()> {
        ensure!((0.0..1.0).contains(&x), "{}.{key}: {x}; expected a number of at least 0 and below 1", self.group);
        Ok(())
    }

    /// From 0 to 1.
    pub fn share(&self, key: &str, x: f64) -> Result<()> {
        ensure!((0.0..=1.0).contains(&x), "{}.{key}: {x}; expected a number from 0 to 1", self.group);
        Ok(())
    }

    pub fn at_least_one(&self, key: &str, n: u64) -> Result<()> {
        ensure!(n > 0, "{}.{key}: 0; at least 1 is needed", self.group);
        Ok(())
    }

    /// As [`Check::at_least_one`]; None passes.
    pub fn none_or_one(&self, key: &str, n: Option<u64>) -> Result<()> {
        n.map_or(Ok(()), |n| self.at_least_one(key, n))
    }

    /// As [`Check::positive`]; None passes.
    pub fn none_or_positive(&self, key: &str, x: Option<f64>) -> Result<()> {
        x.map_or(Ok(()), |x| self.positive(key, x))
    }
}
