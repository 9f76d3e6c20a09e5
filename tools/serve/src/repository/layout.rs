//! Where models are: what is named on the command line, and the models in it now.

use super::name;
use crate::signature::Signature;
use anyhow::{Context, bail, ensure};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// The configuration of a model, in its folder.
pub const CONFIGURATION: &str = "config.pbtxt";
/// The model's file, unless its configuration names another.
pub const MODEL: &str = "model.onnx";
/// The version of a model without folders of versions.
const ONLY_VERSION: u64 = 1;
/// Extensions of files that ONNX Runtime loads.
const EXTENSIONS: [&str; 2] = ["onnx", "ort"];
/// Files and folders of other frameworks' models.
const OTHERS: [(&str, &str); 5] = [
    ("saved_model.pb", "a TensorFlow SavedModel; convert it first, for instance with tf2onnx"),
    ("model.savedmodel", "a TensorFlow SavedModel; convert it first, for instance with tf2onnx"),
    ("model.plan", "a TensorRT engine; serve runs the ONNX model that it was built from"),
    ("model.pt", "a TorchScript model; export it first, with torch.onnx.export"),
    ("model.py", "a Python model; serve runs ONNX models"),
];

/// A path that is served.
#[derive(Debug, Clone)]
pub struct Root {
    path: PathBuf,
    kind: Kind,
}

/// What is at the path; a single model always has this name.
#[derive(Debug, Clone)]
enum Kind {
    File(String),
    Folder(String),
    Repository,
}

/// A model, as its files are now.
#[derive(Debug, Clone)]
pub struct Found {
    pub name: String,
    /// Where its configuration, labels and warm-up data are.
    pub folder: PathBuf,
    /// Links do not lead out of this folder.
    pub root: PathBuf,
    /// Whether `config.pbtxt` is read from the folder.
    pub is_configurable: bool,
    pub versions: BTreeMap<u64, Location>,
    /// Why it cannot be loaded, whatever is in its files.
    pub problem: Option<String>,
}

/// Where a version's file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    File(PathBuf),
    /// A folder with the file that the configuration names.
    Folder(PathBuf),
}

impl Root {
    /// What is at `path`; a single model is called `name`, or as its file or folder.
    ///
    /// # Errors
    /// Says what is there in place of a model or a folder of models, and what to do.
    pub fn open(path: &Path, name: Option<&str>) -> anyhow::Result<Self> {
        if !path.exists() {
            let explanation = runtime::explain_not_onnx(path, "serve");
            bail!(explanation.unwrap_or_else(|| format!("{}: no such file or folder", path.display())));
        }
        let found = if path.is_dir() { model_folder(path, path)? } else { Some(model_file(path, None)?) };
        let path = path.to_owned();
        let Some(found) = found else {
            ensure!(name.is_none(), "--name: {} is a folder of models, each with a name of its own", path.display());
            refuse_others(&path)?;
            return Ok(Self { path, kind: Kind::Repository });
        };
        let name = name.map_or(found.name, str::to_owned);
        ensure!(name::is_model(&name), "{}: {name:?} is no name for a model; give one with --name", path.display());
        let kind = if path.is_dir() { Kind::Folder(name) } else { Kind::File(name) };
        Ok(Self { path, kind })
    }

    /// The models in it, and notes about what is none.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn scan(&self) -> anyhow::Result<(Vec<Found>, Vec<String>)> {
        let (found, name) = match &self.kind {
            Kind::Repository => return scan(&self.path),
            Kind::File(name) if self.path.is_file() => (Some(model_file(&self.path, None)?), name),
            Kind::Folder(name) if self.path.is_dir() => (model_folder(&self.path, &self.path)?, name),
            Kind::File(name) | Kind::Folder(name) => (None, name),
        };
        Ok((found.into_iter().map(|found| Found { name: name.clone(), ..found }).collect(), Vec::new()))
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// The models in a folder of models.
fn scan(path: &Path) -> anyhow::Result<(Vec<Found>, Vec<String>)> {
    let (mut found, mut notes) = (Vec::new(), Vec::new());
    for entry in entries(path)? {
        let name = entry.file_name().and_then(|name| name.to_str());
        if !name.is_some_and(name::is_model) {
            continue;
        }
        let model = match entry.is_dir() {
            true => inside(path, &entry).and_then(|()| model_folder(&entry, path)),
            false if has_extension(&entry) => model_file(&entry, Some(path)).map(Some),
            false => continue,
        };
        match model {
            Ok(Some(model)) => found.push(model),
            Ok(None) => notes.push(format!("{}: {}; not served", entry.display(), what_is(&entry))),
            Err(problem) => found.push(Found::broken(&entry, path, cli::describe(&problem))),
        }
    }
    Ok((found, notes))
}

impl Found {
    /// A model that cannot be loaded.
    fn broken(path: &Path, root: &Path, problem: String) -> Self {
        let name = if path.is_dir() { path.file_name() } else { path.file_stem() };
        Self {
            name: name.unwrap_or_default().to_string_lossy().into_owned(),
            folder: path.to_owned(),
            root: root.to_owned(),
            is_configurable: false,
            versions: BTreeMap::new(),
            problem: Some(problem),
        }
    }

    /// The signature of the files of a version, those that all versions share included.
    pub fn signature(&self, version: u64) -> Signature {
        let of_version: Vec<PathBuf> = match self.versions.get(&version) {
            Some(Location::Folder(folder)) => vec![folder.clone()],
            Some(Location::File(file)) => beside(file),
            None => Vec::new(),
        };
        Signature::of(self.shared_files().into_iter().chain(of_version))
    }

    /// The signature of each version; where there is none, that of the configuration as version 0.
    pub fn signatures(&self) -> BTreeMap<u64, Signature> {
        let versions = self.versions.keys().copied().chain(self.versions.is_empty().then_some(0));
        versions.map(|version| (version, self.signature(version))).collect()
    }

    /// The configuration, and what lies beside it: labels, warm-up data.
    fn shared_files(&self) -> Vec<PathBuf> {
        if !self.is_configurable {
            return Vec::new();
        }
        let is_version =
            |path: &PathBuf| self.versions.values().any(|it| matches!(it, Location::Folder(at) if at == path));
        let has_folders = self.versions.values().any(|it| matches!(it, Location::Folder(_)));
        match has_folders || self.versions.is_empty() {
            true => entries(&self.folder).unwrap_or_default().into_iter().filter(|path| !is_version(path)).collect(),
            // A run's folder has much more.
            false => vec![self.folder.join(CONFIGURATION)],
        }
    }
}

/// A file and those beside it whose names begin with its name: `model.onnx.data`.
fn beside(file: &Path) -> Vec<PathBuf> {
    let (Some(folder), Some(name)) = (file.parent(), file.file_name().and_then(|name| name.to_str())) else {
        return vec![file.to_owned()];
    };
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let is_part = |path: &PathBuf| path.file_name().and_then(|it| it.to_str()).is_some_and(|it| it.starts_with(name));
    entries(folder).unwrap_or_default().into_iter().filter(is_part).collect()
}

/// Checks that links do not lead `path` out of `folder`.
///
/// # Errors
/// When they do, or there is nothing at `path`.
pub fn inside(folder: &Path, path: &Path) -> anyhow::Result<()> {
    let resolved = |path: &Path| path.canonicalize().with_context(|| path.display().to_string());
    let (folder, target) = (resolved(folder)?, resolved(path)?);
    ensure!(
        target.starts_with(&folder),
        "{}: a link out of {}; copy the files there",
        path.display(),
        folder.display()
    );
    Ok(())
}

/// A model that is a file; links do not lead it out of `root`.
fn model_file(path: &Path, root: Option<&Path>) -> anyhow::Result<Found> {
    if let Some(explanation) = runtime::explain_not_onnx(path, "serve") {
        bail!("{explanation}");
    }
    ensure!(path.is_file(), "{}: no regular file", path.display());
    ensure!(has_extension(path), "{}: no ONNX model; expected a file that ends in .onnx", path.display());
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    if let Some(root) = root {
        inside(root, path)?;
    }
    let folder = path.parent().map(Path::to_owned).unwrap_or_default();
    let root = root.unwrap_or(&folder).to_owned();
    let versions = BTreeMap::from([(ONLY_VERSION, Location::File(path.to_owned()))]);
    Ok(Found { name, folder, root, is_configurable: false, versions, problem: None })
}

/// The model in a folder; None where it is none. Links do not lead out of `root`.
///
/// # Errors
/// When the folder cannot be read, or has links out of it.
fn model_folder(path: &Path, root: &Path) -> anyhow::Result<Option<Found>> {
    let mut versions = BTreeMap::new();
    let (file, configuration) = (path.join(MODEL), path.join(CONFIGURATION));
    let is_configured = configuration.is_file();
    if is_configured || !file.is_file() {
        for entry in entries(path)? {
            let version = entry.file_name().and_then(|name| name.to_str()).and_then(name::version);
            if let Some(version) = version.filter(|_| entry.is_dir()) {
                inside(root, &entry)?;
                versions.insert(version, Location::Folder(entry));
            }
        }
    }
    if versions.is_empty() && file.is_file() {
        versions.insert(ONLY_VERSION, Location::File(file));
    }
    if versions.is_empty() && !is_configured {
        return Ok(None);
    }
    let named = path.canonicalize().with_context(|| path.display().to_string())?;
    let named = if path.file_name().is_some() { path } else { &named };
    let name = named.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let (folder, root) = (path.to_owned(), root.to_owned());
    Ok(Some(Found { name, folder, root, is_configurable: true, versions, problem: None }))
}

fn has_extension(path: &Path) -> bool {
    path.extension().and_then(|it| it.to_str()).is_some_and(|it| EXTENSIONS.contains(&it))
}

/// What is in a folder, sorted.
fn entries(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let read = || fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>();
    let mut entries = read().with_context(|| folder.display().to_string())?;
    entries.sort();
    Ok(entries)
}

/// Refuses a folder that is a model of another kind, or a run without a model.
fn refuse_others(path: &Path) -> anyhow::Result<()> {
    let is_run = path.join("config.yaml").is_file();
    ensure!(other(path).is_none() && !is_run, "{}: {}", path.display(), what_is(path));
    Ok(())
}

/// What a folder has of another framework.
pub fn other(path: &Path) -> Option<&'static str> {
    OTHERS.iter().find(|(file, _)| path.join(file).exists()).map(|(_, what)| *what)
}

/// What a folder is that has no model.
fn what_is(path: &Path) -> String {
    let explanation = path.join("config.yaml").is_file().then(|| runtime::explain_not_onnx(path, "serve")).flatten();
    let explanation = explanation.and_then(|text| text.split_once(": ").map(|(_, what)| what.to_owned()));
    let other = || other(path).unwrap_or("no model: neither model.onnx nor a version's folder is in it").to_owned();
    explanation.unwrap_or_else(other)
}
