//! The folders of an archive, also those without a file in them.

use std::collections::BTreeSet;

/// Paths of folders.
#[derive(Default)]
pub struct Folders(BTreeSet<String>);

impl Folders {
    /// Takes a folder in, if it is wanted.
    pub fn add(&mut self, path: &str, wanted: impl Fn(&str) -> bool) {
        if !self.0.contains(path) && wanted(path) {
            self.0.insert(path.to_owned());
        }
    }

    /// Takes in the folder that a file is in: an archive need not name it.
    pub fn add_parent(&mut self, file: &str, wanted: impl Fn(&str) -> bool) {
        if let Some((folder, _)) = file.rsplit_once('/') {
            self.add(folder, wanted);
        }
    }

    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}
