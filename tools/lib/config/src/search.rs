//! The search path of config files.

use crate::error::{Error, ErrorKind, Result};
use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

/// The embedded copy of the repository's `configs/`: path below it, text.
static BUILTIN: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/builtin.rs"));

/// The folder that is searched when it exists.
const LOCAL: &str = "configs";
/// What file names of the embedded copy begin with.
const BUILTIN_NAME: &str = "builtin:";
const EXTENSION: &str = ".yaml";
/// Largest config file, in bytes. Configs have a few kilobytes; a larger file is probably a wrong path.
const MAX_BYTES: u64 = 16 << 20;

/// A file that was read, under the name that errors call it by.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub name: Arc<str>,
    pub text: String,
}

/// Folders of config groups, first hit wins; the embedded copy comes last.
#[derive(Debug)]
pub(crate) struct SearchPath {
    folders: Vec<Folder>,
}

/// A folder of the search path, and who put it there, in Hydra's words.
#[derive(Debug)]
struct Folder {
    path: PathBuf,
    provider: &'static str,
}

impl SearchPath {
    /// The folder of the primary configs (`./configs`, where it exists, if none is given), then
    /// `more` folders.
    ///
    /// # Errors
    /// When one of the folders given is not a folder.
    pub fn new(main: Option<&Path>, more: &[PathBuf]) -> Result<Self> {
        if let Some(bad) = main.into_iter().chain(more.iter().map(PathBuf::as_path)).find(|folder| !folder.is_dir()) {
            return Err(Error::new(format!("{}: no such folder of configs", bad.display())));
        }
        let main = main.map(Path::to_owned).or_else(|| Some(PathBuf::from(LOCAL)).filter(|folder| folder.is_dir()));
        let main = main.map(|path| Folder { path, provider: "main" });
        let more = more.iter().map(|path| Folder { path: path.clone(), provider: "command-line" });
        Ok(Self { folders: main.into_iter().chain(more).collect() })
    }

    /// The embedded copy alone.
    pub fn builtin() -> Self {
        Self { folders: Vec::new() }
    }

    /// Appends a folder to the search path, if it exists.
    pub fn push(&mut self, path: PathBuf, provider: &'static str) -> bool {
        let is_folder = path.is_dir();
        if is_folder {
            self.folders.push(Folder { path, provider });
        }
        is_folder
    }

    /// Provider and folder of each part, in the order of the search.
    pub fn parts(&self) -> Vec<(&'static str, String)> {
        let folders = self.folders.iter().map(|folder| (folder.provider, folder.path.display().to_string()));
        folders.chain([("pipegrad", BUILTIN_NAME.to_owned())]).collect()
    }

    /// The config `path` (`data/line`, with or without its extension), or None where there is none.
    pub fn read(&self, path: &str) -> Result<Option<Source>> {
        let file = if path.ends_with(EXTENSION) { path.to_owned() } else { path.to_owned() + EXTENSION };
        for folder in &self.folders {
            if let Some(source) = read_file(&folder.path.join(&file))? {
                return Ok(Some(source));
            }
        }
        Ok(builtin(&file))
    }

    /// The built-in config `path`, even if a file replaces it.
    pub fn read_builtin(path: &str) -> Option<Source> {
        builtin(&format!("{path}{EXTENSION}"))
    }

    /// Whether `group` is a folder anywhere on the path.
    pub fn has_group(&self, group: &str) -> bool {
        let prefix = format!("{group}/");
        self.folders.iter().any(|folder| folder.path.join(group).is_dir())
            || BUILTIN.iter().any(|(name, _)| name.starts_with(&prefix))
    }

    /// The names of the configs directly in `group`; the empty group holds the primary configs.
    pub fn options(&self, group: &str) -> BTreeSet<String> {
        let mut options = BTreeSet::new();
        for folder in &self.folders {
            // A folder that cannot be listed has nothing to offer; its files are still read by name.
            let Ok(entries) = folder.path.join(group).read_dir() else { continue };
            let files = entries.flatten().filter(|entry| entry.path().is_file());
            options.extend(files.filter_map(|entry| option_name(&entry.file_name().to_string_lossy())));
        }
        let prefix = if group.is_empty() { String::new() } else { format!("{group}/") };
        options.extend(BUILTIN.iter().filter_map(|(name, _)| option_name(name.strip_prefix(&prefix)?)));
        options
    }

    /// The names of the folders directly in `group`; the empty group holds those at the top.
    pub fn groups(&self, group: &str) -> BTreeSet<String> {
        let mut groups = BTreeSet::new();
        for folder in &self.folders {
            let Ok(entries) = folder.path.join(group).read_dir() else { continue };
            let folders = entries.flatten().filter(|entry| entry.path().is_dir());
            groups.extend(folders.map(|entry| entry.file_name().to_string_lossy().into_owned()));
        }
        let prefix = if group.is_empty() { String::new() } else { format!("{group}/") };
        let below = BUILTIN.iter().filter_map(|(name, _)| name.strip_prefix(&prefix)?.split_once('/'));
        groups.extend(below.map(|(name, _)| name.to_owned()));
        groups
    }
}

fn builtin(file: &str) -> Option<Source> {
    let (name, text) = BUILTIN.iter().find(|(name, _)| *name == file)?;
    Some(Source { name: format!("{BUILTIN_NAME}{name}").into(), text: (*text).to_owned() })
}

fn option_name(file: &str) -> Option<String> {
    file.strip_suffix(EXTENSION).filter(|name| !name.contains('/')).map(str::to_owned)
}

/// Reads a file that may be absent.
pub(crate) fn read_file(path: &Path) -> Result<Option<Source>> {
    let name: Arc<str> = path.to_string_lossy().into();
    let failed = |error| Error::new(ErrorKind::Read { file: Arc::clone(&name), error: Arc::new(error) });
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(failed(error)),
    };
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Error::new(format!("{name}: longer than a config may be (16 MiB)")));
    }
    let text = String::from_utf8(bytes).map_err(|_| Error::new(format!("{name}: not UTF-8")))?;
    Ok(Some(Source { name, text }))
}
