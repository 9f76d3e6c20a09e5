//! Config group `profile`.

use crate::run::RunSettings;
use anyhow::{Context, ensure};
use indexmap::IndexMap;
use serde::Deserialize;
use std::str::FromStr;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    pub batch_size: usize,
    /// Sizes of symbolic dimensions.
    pub dims: Option<IndexMap<String, usize>>,
    pub tf32: bool,
    pub max_rows: usize,
    /// Of `--measure-device` and `--run`; 0 is one a core.
    pub threads: usize,
    pub model_bytes: u64,
    pub measure_seconds: f64,
    pub measure_bytes: usize,
    /// Of `--run`.
    pub run: RunSettings,
}

/// A dimension and its size: `height=224`.
#[derive(Debug, Clone)]
pub struct DimFlag {
    pub name: String,
    pub size: usize,
}

impl FromStr for DimFlag {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let size = |text: &str| text.parse().ok().filter(|size| *size > 0);
        let parts = text.split_once('=').and_then(|(name, number)| Some((name.trim(), size(number.trim())?)));
        let (name, size) = parts.filter(|(name, _)| !name.is_empty()).context("expected name=size: height=224")?;
        Ok(Self { name: name.to_owned(), size })
    }
}

impl Settings {
    /// Reads the group; `flags` are dimensions of the command line, which override its own.
    ///
    /// # Errors
    /// When a key is unknown, missing or out of its range.
    pub fn read(document: &config::Document, flags: Vec<DimFlag>) -> anyhow::Result<Self> {
        let mut settings: Self = document.section("profile")?;
        ensure!(settings.batch_size >= 1, "profile.batch_size: 0; expected at least 1");
        ensure!(settings.max_rows >= 1, "profile.max_rows: 0; expected at least 1");
        if settings.threads > 0 {
            settings.threads = cli::limited_threads("profile.threads", settings.threads);
        }
        let seconds = settings.measure_seconds;
        ensure!(seconds > 0.0 && seconds <= 60.0, "profile.measure_seconds: {seconds}; expected above 0, to 60");
        let bytes = settings.measure_bytes;
        ensure!(
            (1 << 20..=1 << 34).contains(&bytes),
            "profile.measure_bytes: {bytes}; expected {} (1 MiB) to {} (16 GiB)",
            1 << 20,
            1u64 << 34
        );
        settings.run.check()?;
        let dims = settings.dims.get_or_insert_default();
        dims.extend(flags.into_iter().map(|flag| (flag.name, flag.size)));
        if let Some((name, _)) = dims.iter().find(|(_, size)| **size == 0) {
            anyhow::bail!("profile.dims: {name} is 0; expected at least 1");
        }
        Ok(settings)
    }
}
