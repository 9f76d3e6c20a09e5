//! Config group `entropy`.

use anyhow::Context;
use kernels::{Base, EntropyOptions};
use records::Batch;
use serde::Deserialize;

/// The settings of config group `entropy`, checked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The field of probabilities.
    pub field: String,
    /// The field to add.
    pub out_field: String,
    base: BaseName,
    normalize: bool,
    tolerance: f64,
    /// Files of settings from before it existed lack it.
    #[serde(default)]
    device: cuda::Device,
    /// Largest array in Fortran order on a pipe, in bytes: it is held in memory.
    pub fortran_bytes: u64,
}

/// The base of the logarithm in YAML: `e`, or the number 2 or 10.
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected e, 2 or 10")]
enum BaseName {
    Number(u64),
    Name(String),
}

impl BaseName {
    fn base(&self) -> anyhow::Result<Base> {
        let name = match self {
            Self::Name(name) => name.clone(),
            Self::Number(number) => number.to_string(),
        };
        match name.as_str() {
            "e" => Ok(Base::E),
            "2" => Ok(Base::Two),
            "10" => Ok(Base::Ten),
            _ => anyhow::bail!("entropy.base: {name}; expected e, 2 or 10"),
        }
    }
}

impl Settings {
    /// Reads and checks the group.
    pub fn read(document: &config::Document) -> anyhow::Result<Self> {
        Ok(document.section("entropy")?)
    }

    /// The GPU that is chosen; None is the CPU.
    pub fn open_device(&self) -> anyhow::Result<Option<cuda::Gpu>> {
        self.device.open(None).with_context(|| format!("entropy.device={}", self.device))
    }

    /// The elements of a row of the field.
    pub fn width(&self, batch: &Batch) -> anyhow::Result<usize> {
        let field = batch.field(&self.field)?;
        anyhow::ensure!(field.shape.len() == 1, batch.wrong_shape(field, "a vector of probabilities"));
        Ok(field.elements())
    }

    /// The kernel's options.
    pub fn options(&self) -> anyhow::Result<EntropyOptions> {
        let Self { normalize, tolerance, .. } = *self;
        anyhow::ensure!(tolerance >= 0.0, "entropy.tolerance: {tolerance}; expected at least 0");
        Ok(EntropyOptions { base: self.base.base()?, normalize, tolerance })
    }
}
