//! Where a run's artifacts go.

use super::{Answer, Client, RunInfo};
use anyhow::Context;
use percent_encoding::percent_decode_str;
use records::Output;
use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

/// Folders between the root of a store and a run's artifacts: experiment, run, `artifacts`.
const DEPTH: usize = 3;

/// The place that a run's `artifact_uri` names.
#[derive(Debug, PartialEq, Eq)]
pub enum Store {
    /// Behind a server, at this path: the tracking server, or the one of that host and port.
    Server { host: Option<String>, path: String },
    /// A folder of this machine.
    Folder(PathBuf),
}

impl Store {
    /// None for one that only a client of that store can write to.
    pub fn of(run: &RunInfo) -> Option<Self> {
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
                Some(PathBuf::from(percent_decode_str(path).decode_utf8_lossy().as_ref()))
            }
            None => Path::new(uri).is_absolute().then(|| PathBuf::from(uri)),
        };
        // Of a server on another machine, not even the root would be here.
        folder.filter(|folder| folder.ancestors().nth(DEPTH).is_some_and(Path::is_dir)).map(Self::Folder)
    }
}

impl Client {
    /// Keeps the file at `from` under the name `name`, with `/` between its parts. One that is there is replaced.
    pub fn log_artifact(&self, store: &Store, from: &Path, name: &str, timeout: Duration) -> Answer<()> {
        let place = || from.display().to_string();
        match store {
            Store::Server { host, path } => {
                let file = File::open(from).with_context(place)?;
                self.put_artifact(host.as_deref(), &format!("{path}/{name}"), file, timeout)
            }
            Store::Folder(folder) => {
                let to = folder.join(name);
                if let Some(parent) = to.parent() {
                    fs::create_dir_all(parent).with_context(|| parent.display().to_string())?;
                }
                copy(from, &to).with_context(|| format!("{} to {}", place(), to.display()))?;
                Ok(())
            }
        }
    }
}

/// The copy appears whole or not at all.
fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    let mut output = Output::create(Some(to))?;
    io::copy(&mut File::open(from)?, &mut output)?;
    Ok(output.finish()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn store(uri: &str) -> Option<Store> {
        let run = json!({"run_id": "r", "experiment_id": "1", "artifact_uri": uri});
        Store::of(&serde_json::from_value(run).expect("a run"))
    }

    #[test]
    fn the_address_of_artifacts_names_their_store() {
        let server = |host: Option<&str>| {
            Some(Store::Server { host: host.map(str::to_owned), path: "1/r/artifacts".to_owned() })
        };
        assert_eq!(store("mlflow-artifacts:/1/r/artifacts"), server(None));
        assert_eq!(store("mlflow-artifacts:///1/r/artifacts"), server(None));
        assert_eq!(store("mlflow-artifacts://host:5000/1/r/artifacts"), server(Some("host:5000")));
        assert_eq!(store("s3://bucket/1/r/artifacts"), None);
        assert_eq!(store("/no/such/root/1/r/artifacts"), None);
        let here = tempfile::tempdir().expect("a folder");
        let folder = here.path().join("a b/1/r/artifacts");
        fs::create_dir(here.path().join("a b")).expect("a folder");
        let uri = folder.to_str().expect("UTF-8").to_owned();
        assert_eq!(store(&uri), Some(Store::Folder(folder.clone())));
        assert_eq!(store(&format!("file://{}", uri.replace(' ', "%20"))), Some(Store::Folder(folder)));
    }
}
