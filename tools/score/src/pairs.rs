//! The classes of each row, for DVC's confusion plot.

use crate::per_class::cell;
use dataset::classes;
use files::Output;
use std::path::Path;

/// A CSV file with the columns `actual,predicted`.
pub struct Pairs(Output);

impl Pairs {
    pub fn create(path: &Path) -> anyhow::Result<Self> {
        let mut output = Output::create(Some(path))?;
        output.write_all(b"actual,predicted\n")?;
        Ok(Self(output))
    }

    /// Writes rows of (actual, predicted), by the names of the classes where they have some.
    pub fn write(&mut self, pairs: &[(usize, usize)], names: Option<&[String]>) -> anyhow::Result<()> {
        let name = |class| cell(&classes::name(names, class));
        let lines = pairs.iter().map(|&(actual, predicted)| format!("{},{}\n", name(actual), name(predicted)));
        Ok(self.0.write_all(lines.collect::<String>().as_bytes())?)
    }

    pub fn finish(self) -> anyhow::Result<()> {
        Ok(self.0.finish()?)
    }
}
