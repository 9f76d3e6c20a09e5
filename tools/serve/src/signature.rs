//! Whether files have changed: their paths, sizes, times and inodes.

use std::{
    fs::{self, Metadata},
    path::{Path, PathBuf},
    time::SystemTime,
};

/// Folders within folders that are looked into. A link to a folder above ends here.
const DEPTH: usize = 8;

/// What changes when a file is written, replaced, added or removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Signature(Vec<File>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct File {
    path: PathBuf,
    bytes: u64,
    modified: Option<SystemTime>,
    /// Device and number; 0 where the system has none.
    inode: (u64, u64),
}

impl Signature {
    /// The signature of files, and of all files below folders; a path that cannot be read is not in it.
    pub fn of<P: AsRef<Path>>(paths: impl IntoIterator<Item = P>) -> Self {
        let mut files = Vec::new();
        paths.into_iter().for_each(|path| add(path.as_ref(), DEPTH, &mut files));
        files.sort_by(|one, other| one.path.cmp(&other.path));
        Self(files)
    }
}

fn add(path: &Path, depth: usize, files: &mut Vec<File>) {
    let Ok(metadata) = fs::metadata(path) else { return };
    if metadata.is_dir() {
        let entries = fs::read_dir(path).ok().filter(|_| depth > 0);
        entries.into_iter().flatten().flatten().for_each(|entry| add(&entry.path(), depth - 1, files));
    } else {
        let (bytes, modified, inode) = (metadata.len(), metadata.modified().ok(), inode(&metadata));
        files.push(File { path: path.to_owned(), bytes, modified, inode });
    }
}

#[cfg(unix)]
fn inode(metadata: &Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt;
    (metadata.dev(), metadata.ino())
}

#[cfg(not(unix))]
fn inode(_: &Metadata) -> (u64, u64) {
    (0, 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use testkit::Folder;

    #[test]
    fn every_change_is_seen() {
        let folder = Folder::with(&[("m/1/model.onnx", "one"), ("m/config.pbtxt", "")]);
        let path = folder.join("m");
        let first = Signature::of([&path]);
        assert_eq!(first, Signature::of([&path]));
        // A file of the same size and time in place of another.
        let file = path.join("1/model.onnx");
        let time = fs::metadata(&file).and_then(|it| it.modified()).expect("a time");
        folder.write("m/other", "two");
        let with_other = Signature::of([&path]);
        assert_ne!(first, with_other);
        fs::File::options().write(true).open(path.join("other")).and_then(|it| it.set_modified(time)).expect("set");
        fs::rename(path.join("other"), &file).expect("renamed");
        let replaced = Signature::of([&path]);
        assert_ne!(first, replaced);
        fs::remove_file(path.join("config.pbtxt")).expect("removed");
        assert_ne!(replaced, Signature::of([&path]));
        assert_eq!(Signature::of([path.join("none")]), Signature::default());
    }

    #[test]
    #[cfg(unix)]
    fn a_link_to_a_folder_above_ends() {
        let folder = Folder::with(&[("m/x", "")]);
        std::os::unix::fs::symlink("..", folder.join("m/up")).expect("a link");
        assert!(Signature::of([folder.join("m")]).0.len() <= 2 * DEPTH);
    }
}
