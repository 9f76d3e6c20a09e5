//! Folders that are created for an output, and deleted again where nothing was written.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// The folders that [`NewFolders::create`] created. Dropping it deletes those that are empty.
#[derive(Debug)]
pub struct NewFolders(Vec<PathBuf>);

impl NewFolders {
    /// Creates the folder at `path`, with its parents where they are missing.
    ///
    /// # Errors
    /// I/O errors; folders that were created by then are deleted.
    pub fn create(path: &Path) -> io::Result<Self> {
        let missing = |path: &&Path| !path.as_os_str().is_empty() && !path.exists();
        // The innermost first: that is the order to delete them in.
        let folders = Self(path.ancestors().take_while(missing).map(Path::to_owned).collect());
        fs::create_dir_all(path)?;
        Ok(folders)
    }
}

impl Drop for NewFolders {
    fn drop(&mut self) {
        // A folder with something in it is not removed.
        self.0.iter().for_each(|folder| drop(fs::remove_dir(folder)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_new_and_empty_folders_are_deleted() {
        let here = tempfile::tempdir().expect("a folder");
        let (old, inner) = (here.path().join("old"), here.path().join("old/new/inner"));
        fs::create_dir(&old).expect("created");
        let folders = NewFolders::create(&inner).expect("created");
        assert!(inner.is_dir());
        drop(folders);
        assert!(old.is_dir() && !old.join("new").exists());
        let folders = NewFolders::create(&inner).expect("created");
        fs::write(old.join("new/file"), "kept").expect("written");
        drop(folders);
        assert!(!inner.exists() && old.join("new/file").exists());
    }

    #[test]
    fn a_folder_that_cannot_be_created_leaves_none() {
        let here = tempfile::tempdir().expect("a folder");
        fs::write(here.path().join("file"), "").expect("written");
        assert!(NewFolders::create(&here.path().join("new/../file/x")).is_err(), "a file is no folder");
        assert!(!here.path().join("new").exists());
    }
}
