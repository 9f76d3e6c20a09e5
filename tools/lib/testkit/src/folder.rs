//! A temporary folder.

use std::{
    collections::BTreeMap,
    fs,
    ops::Deref,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

/// A temporary folder, removed with all that is in it when dropped. It is used as a [`Path`]: `folder.join("x")`.
#[derive(Debug)]
pub struct Folder(TempDir);

impl Folder {
    /// An empty one.
    #[allow(clippy::new_without_default, reason = "it creates a folder")]
    pub fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    /// One with these files, as (path, content).
    pub fn with(files: &[(&str, &str)]) -> Self {
        let folder = Self::new();
        files.iter().for_each(|(path, text)| drop(folder.write(path, text)));
        folder
    }

    /// Writes a file, and creates the folders above it; returns its path.
    pub fn write(&self, path: impl AsRef<Path>, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    /// The bytes of a file.
    pub fn bytes(&self, path: impl AsRef<Path>) -> Vec<u8> {
        let path = self.join(path);
        fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// The text of a file.
    pub fn text(&self, path: impl AsRef<Path>) -> String {
        String::from_utf8(self.bytes(path)).unwrap()
    }

    /// The JSON document of a file.
    pub fn json(&self, path: impl AsRef<Path>) -> serde_json::Value {
        serde_json::from_slice(&self.bytes(path)).unwrap()
    }

    /// The names of the files and folders right below, sorted.
    pub fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Deref for Folder {
    type Target = Path;

    fn deref(&self) -> &Path {
        self.0.path()
    }
}

impl AsRef<Path> for Folder {
    fn as_ref(&self) -> &Path {
        self.0.path()
    }
}

/// The files below `folder`, at any depth: relative path, with `/`, to bytes.
pub fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            found.extend(contents(&path).into_iter().map(|(below, bytes)| (format!("{name}/{below}"), bytes)));
        } else {
            found.insert(name, fs::read(&path).unwrap());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_holds_what_was_written_and_goes_when_dropped() {
        let folder = Folder::with(&[("b/c/d", "1"), ("a", "2")]);
        folder.write("b/e", b"\xff");
        assert_eq!(folder.names(), ["a", "b"]);
        assert_eq!((folder.text("a"), folder.bytes("b/e")), ("2".into(), vec![0xff]));
        let all = contents(&folder);
        assert_eq!(all.keys().collect::<Vec<_>>(), ["a", "b/c/d", "b/e"]);
        assert_eq!(all["b/c/d"], b"1");
        let path = folder.to_owned();
        drop(folder);
        assert!(!path.exists());
    }
}
