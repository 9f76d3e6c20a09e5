//! `--confusion`: the classes of each row, for DVC's confusion plot.

use anyhow::Context;
use dataset::classes;
use files::Output;
use std::path::Path;

/// A CSV file with the columns `actual,predicted`.
pub struct Pairs(csv::Writer<Output>);

impl Pairs {
    pub fn create(path: &Path) -> anyhow::Result<Self> {
        let mut writer = csv::Writer::from_writer(Output::create(Some(path))?);
        writer.write_record(["actual", "predicted"])?;
        Ok(Self(writer))
    }

    /// Writes rows of (actual, predicted), by the names of the classes where they have some.
    pub fn write(&mut self, pairs: &[(usize, usize)], names: Option<&[String]>) -> anyhow::Result<()> {
        for &(actual, predicted) in pairs {
            self.0.write_record([actual, predicted].map(|class| classes::name(names, class)))?;
        }
        Ok(())
    }

    pub fn finish(self) -> anyhow::Result<()> {
        let output = self.0.into_inner().map_err(|error| error.into_error()).context("--confusion")?;
        Ok(output.finish()?)
    }
}
