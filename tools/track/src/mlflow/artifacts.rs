//! Stores of artifacts: a server, or a folder of this machine.

use super::{Client, Result, RunInfo};
use anyhow::{Context, ensure};
use files::Output;
use percent_encoding::percent_decode_str;
use reqwest::blocking::Body;
use std::{
    fs::{self, File},
    io,
    path::{Component, Path, PathBuf},
    time::Duration,
};

/// The store of a run's `artifact_uri`.
#[derive(Debug, PartialEq, Eq)]
pub enum ArtifactStore {
    /// `path` on an artifact server: the tracking server, or the server at `host` (with the port).
    Server { host: Option<String>, path: String },
    /// `folder` of this machine, which is in `root`, the folder `tracking.artifact_root`.
    Folder { root: PathBuf, folder: PathBuf },
}

/// The content of an artifact.
pub enum Artifact<'a> {
    /// The file at this path.
    File(&'a Path),
    /// These bytes.
    Bytes(Vec<u8>),
}

impl ArtifactStore {
    /// None if the store needs a client of its own (`s3:`), or is a folder outside `root`: a server's response must not
    /// choose a folder of this machine.
    pub fn of(run: &RunInfo, root: Option<&Path>) -> Option<Self> {
        let uri = run.artifact_uri.as_str();
        if let Some(rest) = uri.strip_prefix("mlflow-artifacts:") {
            let (host, path) = match rest.strip_prefix("//") {
                Some(other) => other.split_once('/').unwrap_or((other, "")),
                None => ("", rest),
            };
            let host = (!host.is_empty()).then(|| host.to_owned());
            return Some(Self::Server { host, path: path.trim_start_matches('/').to_owned() });
        }
        let folder = match uri.strip_prefix("file:") {
            Some(path) => {
                let path = path.strip_prefix("//").unwrap_or(path);
                PathBuf::from(percent_decode_str(path).decode_utf8_lossy().as_ref())
            }
            None => PathBuf::from(uri),
        };
        let root = fs::canonicalize(root?).ok()?;
        let plain = folder.components().all(|component| matches!(component, Component::RootDir | Component::Normal(_)));
        let inside = plain && folder.is_absolute() && within(&folder, &root);
        inside.then_some(Self::Folder { root, folder })
    }
}

/// Whether the longest existing prefix of `path`, links resolved, is in `root`.
fn within(path: &Path, root: &Path) -> bool {
    let existing = path.ancestors().find_map(|ancestor| fs::canonicalize(ancestor).ok());
    existing.is_some_and(|existing| existing.starts_with(root))
}

impl Client {
    /// Writes an artifact as `name`, a path with `/`. An existing artifact is replaced. `timeout` is for a server.
    pub fn log_artifact(&self, store: &ArtifactStore, from: Artifact, name: &str, timeout: Duration) -> Result<()> {
        match store {
            ArtifactStore::Server { host, path } => {
                let body = match from {
                    Artifact::File(from) => Body::from(open(from)?),
                    Artifact::Bytes(bytes) => Body::from(bytes),
                };
                self.put_artifact(host.as_deref(), &format!("{path}/{name}"), body, timeout)
            }
            ArtifactStore::Folder { root, folder } => {
                let to = folder.join(name);
                let context = || to.display().to_string();
                ensure_within(&to, root).with_context(context)?;
                match from {
                    Artifact::File(from) => copy(&mut open(from)?, &to),
                    Artifact::Bytes(bytes) => copy(&mut bytes.as_slice(), &to),
                }
                .with_context(context)?;
                Ok(())
            }
        }
    }
}

fn open(path: &Path) -> anyhow::Result<File> {
    File::open(path).with_context(|| path.display().to_string())
}

/// Creates the parent folder of `to`, which must be in `root`. `to` must be a regular file or not exist: a pipe, for example,
/// is not written to.
fn ensure_within(to: &Path, root: &Path) -> anyhow::Result<()> {
    let outside = "leads out of tracking.artifact_root";
    ensure!(within(to, root), "{outside}");
    let parent = to.parent().context(outside)?;
    fs::create_dir_all(parent)?;
    ensure!(fs::canonicalize(parent)?.starts_with(root), "{outside}");
    ensure!(to.is_file() || !to.exists(), "not a regular file");
    Ok(())
}

/// Copies to a temporary file, which is then renamed: readers never see a partial file.
fn copy(from: &mut impl io::Read, to: &Path) -> anyhow::Result<()> {
    let mut output = Output::create(Some(to))?;
    io::copy(from, &mut output)?;
    Ok(output.finish()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn store(uri: &str, root: Option<&Path>) -> Option<ArtifactStore> {
        let run = json!({"run_id": "r", "experiment_id": "1", "artifact_uri": uri});
        ArtifactStore::of(&serde_json::from_value(run).expect("a run"), root)
    }

    #[test]
    fn an_artifact_uri_has_a_store() {
        let server = |host: Option<&str>| {
            Some(ArtifactStore::Server { host: host.map(str::to_owned), path: "1/r/artifacts".to_owned() })
        };
        assert_eq!(store("mlflow-artifacts:/1/r/artifacts", None), server(None));
        assert_eq!(store("mlflow-artifacts:///1/r/artifacts", None), server(None));
        assert_eq!(store("mlflow-artifacts://host:5000/1/r/artifacts", None), server(Some("host:5000")));
        assert_eq!(store("s3://bucket/1/r/artifacts", Some(Path::new("/"))), None);
    }

    #[test]
    fn only_folders_in_the_root_are_stores() {
        let here = tempfile::tempdir().expect("a folder");
        let here = fs::canonicalize(here.path()).expect("a path");
        let (root, other) = (here.join("a b"), here.join("other"));
        fs::create_dir(&root).expect("a folder");
        fs::create_dir(&other).expect("a folder");
        let folder = root.join("1/r/artifacts");
        let uri = folder.to_str().expect("UTF-8").to_owned();
        let inside = || Some(ArtifactStore::Folder { root: root.clone(), folder: folder.clone() });
        assert_eq!(store(&uri, Some(&root)), inside());
        assert_eq!(store(&format!("file://{}", uri.replace(' ', "%20")), Some(&root)), inside());
        assert_eq!(store(&uri, None), None);
        assert_eq!(store(&uri, Some(&other)), None);
        assert_eq!(store(&uri, Some(&here.join("missing"))), None);
        for outside in ["1/../../other/r", "1/%2e%2e/%2e%2e/other"] {
            let uri = format!("file://{}/{outside}", root.display());
            assert_eq!(store(&uri, Some(&root)), None, "{uri}");
        }
        assert_eq!(store("a b/1/r", Some(&root)), None);
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(&other, root.join("link")).expect("a link");
            let uri = format!("{}/link/r", root.display());
            assert_eq!(store(&uri, Some(&root)), None, "{uri}");
        }
    }
}
