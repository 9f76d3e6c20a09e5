//! Config group `entropy`.

use kernels::{Base, EntropyOptions};
use serde::Deserialize;

/// How entropy is taken, and of what.
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
    /// Most bytes of an array in Fortran order that comes over a pipe.
    pub fortran_bytes: u64,
}

/// A base as YAML has it: a name or a number.
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
    /// Reads the group.
    pub fn read(document: &config::Document) -> anyhow::Result<Self> {
        Ok(document.section("entropy")?)
    }

    /// What the kernel is told.
    pub fn options(&self) -> anyhow::Result<EntropyOptions> {
        let Self { normalize, tolerance, .. } = *self;
        anyhow::ensure!(tolerance >= 0.0, "entropy.tolerance: {tolerance}; expected at least 0");
        Ok(EntropyOptions { base: self.base.base()?, normalize, tolerance })
    }
}
