//! A folder of configs, and what is composed from it.

#![allow(dead_code, clippy::unwrap_used, reason = "each test uses a part; a test fails by panicking")]

use config::{Document, Sources};
use std::path::PathBuf;

/// A temporary folder of files.
pub struct Folder(pub testkit::Folder);

impl Folder {
    pub fn new(files: &[(&str, &str)]) -> Self {
        Self(testkit::Folder::with(files))
    }

    pub fn write(&self, name: &str, text: &str) {
        self.0.write(name, text);
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Configs from this folder in place of `./configs`.
    pub fn sources(&self, primary: Option<&str>) -> Sources {
        let config_path = Some(self.0.to_path_buf());
        Sources { config_name: primary.map(str::to_owned), config_path, ..Sources::default() }
    }

    /// The resolved document of a file of this folder.
    pub fn file(&self, name: &str) -> Sources {
        Sources { file: Some(self.path(name)), ..Sources::default() }
    }

    /// `text` without the folder's name.
    pub fn plain(&self, text: &str) -> String {
        text.replace(&format!("{}/", self.0.display()), "")
    }

    /// What a tool that reads `own` composes, or why not.
    pub fn tool(&self, own: &[&str], sources: &Sources, overrides: &[&str]) -> Result<Document, String> {
        let overrides = strings(overrides);
        config::compose_for(own, sources, &overrides).map_err(|error| self.plain(&error.to_string()))
    }
}

pub fn strings(overrides: &[&str]) -> Vec<String> {
    overrides.iter().map(ToString::to_string).collect()
}

/// The groups of `train`.
pub const TRAIN: [&str; 8] =
    ["model", "optimizer", "scheduler", "callbacks", "augmentation", "features", "trainer", "data"];

/// What `train` records of its settings.
pub fn recorded(overrides: &[&str]) -> String {
    let document = config::compose_for(&TRAIN, &Sources::default(), &strings(overrides)).unwrap();
    document.without("data").cleared("trainer.resume").to_yaml()
}

/// The text of the value at `key`, as YAML has it.
pub fn text(document: &Document, key: &str) -> String {
    document.package(key).unwrap().to_yaml().trim_end().to_owned()
}
