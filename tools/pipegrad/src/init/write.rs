//! The folder of a project: all files of it are written, or none.

use super::Content;
use anyhow::{Context, bail};
use files::{NewFolders, Output};
use std::{
    ffi::OsStr,
    fs::{self, File},
    io,
    path::{Component, Path, PathBuf},
};

/// Most files that a message lists.
const LISTED: usize = 4;
/// What a project has, or gets from its stages, besides its own files.
const OTHERS: [&str; 4] = ["configs", "dvc.lock", "runs/model", "settings.yaml"];

/// The folder.
pub struct Target {
    /// As the user wrote it.
    folder: PathBuf,
    /// Absolute, without links as far as it exists.
    path: PathBuf,
}

impl Target {
    /// # Errors
    /// When something else than a folder is there.
    pub fn new(folder: &Path) -> anyhow::Result<Self> {
        let at = || format!("init: {}", folder.display());
        if folder.exists() && !folder.is_dir() {
            bail!("{}: not a folder; name another", at());
        }
        let path = std::path::absolute(folder).with_context(at)?;
        let existing = path.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
        let rest = path.strip_prefix(existing).unwrap_or(Path::new(""));
        let path = existing.canonicalize().with_context(at)?.join(rest).components().collect();
        Ok(Self { folder: folder.to_owned(), path })
    }

    /// Absolute.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its name, for a title.
    pub fn name(&self) -> String {
        self.path.file_name().map_or_else(|| "project".to_owned(), |name| name.to_string_lossy().into_owned())
    }

    /// The path of an existing file or folder from this one, with `..` where it is outside.
    ///
    /// # Errors
    /// When it does not exist.
    pub fn relative(&self, to: &Path) -> io::Result<PathBuf> {
        let to = to.canonicalize()?;
        let shared = self.path.components().zip(to.components()).take_while(|(one, other)| one == other).count();
        let up = self.path.components().skip(shared).map(|_| Component::ParentDir);
        let path: PathBuf = up.chain(to.components().skip(shared)).collect();
        Ok(if path.as_os_str().is_empty() { PathBuf::from(".") } else { path })
    }

    /// Writes the files, whose paths are within the folder; nothing where one of them exists, or cannot be written.
    ///
    /// # Errors
    /// One line that names what is in the way, or what the system says.
    pub fn write(&self, files: &[(PathBuf, Content)]) -> anyhow::Result<()> {
        self.refuse_what_is_in_the_way(files)?;
        let paths: Vec<PathBuf> = files.iter().map(|(path, _)| self.folder.join(path)).collect();
        let written = self.write_all(files, &paths);
        if written.is_err() {
            // None of them was there before.
            paths.iter().for_each(|path| drop(fs::remove_file(path)));
        }
        written
    }

    fn refuse_what_is_in_the_way(&self, files: &[(PathBuf, Content)]) -> anyhow::Result<()> {
        let paths = files.iter().map(|(path, _)| path.as_path()).chain(OTHERS.map(Path::new));
        let is_there = |path: &&Path| fs::symlink_metadata(self.folder.join(path)).is_ok();
        let mut found: Vec<_> = paths.filter(is_there).map(|path| path.display().to_string()).collect();
        if found.is_empty() {
            return Ok(());
        }
        found.sort();
        let more = found.len().saturating_sub(LISTED);
        found.truncate(LISTED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        bail!(
            "init: {}: in the way: {}{more}; nothing was written; name another folder, or move them",
            self.folder.display(),
            found.join(", ")
        );
    }

    fn write_all(&self, files: &[(PathBuf, Content)], paths: &[PathBuf]) -> anyhow::Result<()> {
        // Folders in which nothing came to be are deleted again, the inner ones first.
        let mut folders = Vec::new();
        for path in paths {
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let new = NewFolders::create(parent).with_context(|| format!("init: {}", parent.display()))?;
            folders.insert(0, new);
        }
        let mut texts = Vec::new();
        for ((_, content), path) in files.iter().zip(paths) {
            match content {
                Content::Bytes(bytes) => texts.push((path.as_path(), bytes.as_slice())),
                Content::CopyOf(file) => copy(file, path)?,
            }
        }
        Ok(files::write_files(&texts)?)
    }
}

fn copy(file: &Path, path: &Path) -> anyhow::Result<()> {
    let mut input = File::open(file).with_context(|| file.display().to_string())?;
    let mut output = Output::create(Some(path))?;
    io::copy(&mut input, &mut output).with_context(|| format!("{} to {}", file.display(), path.display()))?;
    Ok(output.finish()?)
}

/// The name of `path` with no character that a shell or YAML would read as more than a letter.
pub fn plain_name(path: &Path) -> String {
    let name = path.file_name().map(OsStr::to_string_lossy).unwrap_or_default();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    let name: String = name.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
    if name.starts_with(|c: char| c.is_ascii_alphanumeric()) { name } else { format!("data{name}") }
}
