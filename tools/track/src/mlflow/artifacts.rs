//! Where a run's artifacts go.

use super::{Answer, Client, RunInfo};
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

/// The place that a run's `artifact_uri` names.
#[derive(Debug, PartialEq, Eq)]
pub enum Store {
    /// Behind a server, at this path: the tracking server, or the one of that host and port.
    Server { host: Option<String>, path: String },
    /// A folder of this machine, in one that the user named.
    Folder { root: PathBuf, folder: PathBuf },
}

/// What is kept.
pub enum Artifact<'a> {
    /// A file of this machine.
    File(&'a Path),
    /// Bytes.
    Bytes(Vec<u8>),
}

impl Store {
    /// None for one that only a client of that store can write to, or that the user has not named: a server's answer
    /// chooses no folder of this machine.
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
        let plain = folder.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
        let inside = plain && folder.is_absolute() && within(&folder, &root);
        inside.then_some(Self::Folder { root, folder })
    }
}

/// Whether what there is of `path` already leads, whatever links are in it, into `root`.
fn within(path: &Path, root: &Path) -> bool {
    let there = path.ancestors().find_map(|part| fs::canonicalize(part).ok());
    // Of a path that is not there yet, the root itself has to be.
    there.is_some_and(|there| there.starts_with(root))
}

impl Client {
    /// Keeps an artifact under the name `name`, with `/` between its parts. One that is there is replaced.
    pub fn log_artifact(&self, store: &Store, from: Artifact, name: &str, timeout: Duration) -> Answer<()> {
        match store {
            Store::Server { host, path } => {
                let body = match from {
                    Artifact::File(from) => Body::from(open(from)?),
                    Artifact::Bytes(bytes) => Body::from(bytes),
                };
                self.put_artifact(host.as_deref(), &format!("{path}/{name}"), body, timeout)
            }
            Store::Folder { root, folder } => {
                let to = folder.join(name);
                let place = || to.display().to_string();
                ensure_within(&to, root).with_context(place)?;
                match from {
                    Artifact::File(from) => copy(&mut open(from)?, &to),
                    Artifact::Bytes(bytes) => copy(&mut bytes.as_slice(), &to),
                }
                .with_context(place)?;
                Ok(())
            }
        }
    }
}

fn open(path: &Path) -> anyhow::Result<File> {
    File::open(path).with_context(|| path.display().to_string())
}

/// Makes the folder of `to`, in `root` alone. What is there and no file, a pipe for instance, is not written to.
fn ensure_within(to: &Path, root: &Path) -> anyhow::Result<()> {
    let outside = "leads out of tracking.artifact_root";
    ensure!(within(to, root), "{outside}");
    let parent = to.parent().context(outside)?;
    fs::create_dir_all(parent)?;
    ensure!(fs::canonicalize(parent)?.starts_with(root), "{outside}");
    ensure!(to.is_file() || !to.exists(), "no regular file");
    Ok(())
}

/// The copy appears whole or not at all.
fn copy(from: &mut impl io::Read, to: &Path) -> anyhow::Result<()> {
    let mut output = Output::create(Some(to))?;
    io::copy(from, &mut output)?;
    Ok(output.finish()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn store(uri: &str, root: Option<&Path>) -> Option<Store> {
        let run = json!({"run_id": "r", "experiment_id": "1", "artifact_uri": uri});
        Store::of(&serde_json::from_value(run).expect("a run"), root)
    }

    #[test]
    fn the_address_of_artifacts_names_their_store() {
        let server = |host: Option<&str>| {
            Some(Store::Server { host: host.map(str::to_owned), path: "1/r/artifacts".to_owned() })
        };
        assert_eq!(store("mlflow-artifacts:/1/r/artifacts", None), server(None));
        assert_eq!(store("mlflow-artifacts:///1/r/artifacts", None), server(None));
        assert_eq!(store("mlflow-artifacts://host:5000/1/r/artifacts", None), server(Some("host:5000")));
        assert_eq!(store("s3://bucket/1/r/artifacts", Some(Path::new("/"))), None);
    }

    #[test]
    fn a_folder_is_one_that_the_user_named_or_none() {
        let here = tempfile::tempdir().expect("a folder");
        let here = fs::canonicalize(here.path()).expect("a path");
        let (root, other) = (here.join("a b"), here.join("other"));
        fs::create_dir(&root).expect("a folder");
        fs::create_dir(&other).expect("a folder");
        let folder = root.join("1/r/artifacts");
        let uri = folder.to_str().expect("UTF-8").to_owned();
        let inside = || Some(Store::Folder { root: root.clone(), folder: folder.clone() });
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
