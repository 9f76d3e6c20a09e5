//! The folders of an archive, including empty ones.

use std::collections::BTreeSet;

/// Paths of folders.
#[derive(Default)]
pub struct Folders(BTreeSet<String>);

impl Folders {
    /// Adds a folder, if it is wanted.
    pub fn add(&mut self, path: &str, wanted: impl Fn(&str) -> bool) {
        if !self.0.contains(path) && wanted(path) {
            self.0.insert(path.to_owned());
        }
    }

    /// Adds the folder of a file: it need not be a member of the archive.
    pub fn add_parent(&mut self, file: &str, wanted: impl Fn(&str) -> bool) {
        if let Some((folder, _)) = file.rsplit_once('/') {
            self.add(folder, wanted);
        }
    }

    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}
