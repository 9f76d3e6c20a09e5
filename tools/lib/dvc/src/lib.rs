//! Inputs that DVC tracks: a missing one is pulled before it is opened.
//!
//! `train` and `infer` read their records through [`open`]; whether a missing file is pulled is the setting
//! `data.pull`. DVC itself is run as the program `dvc`.
//!
//! ```no_run
//! # fn main() -> anyhow::Result<()> {
//! let document = config::compose_for(&["data"], &config::Sources::default(), &["pull=true".to_owned()])?;
//! let settings: dvc::DataSettings = document.section("data")?;
//! let records = dvc::open(Some("data/rows.npy".as_ref()), settings.pull)?;
//! # Ok(())
//! # }
//! ```

use files::Input;
use serde::Deserialize;
use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

/// The one key of config group `data` that readers of records use; the others say how records are generated.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct DataSettings {
    /// Whether a missing input is fetched with `dvc pull`; default false.
    #[serde(default)]
    pub pull: bool,
}

/// Why a missing file was not pulled.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `dvc` is not installed, or cannot be started.
    #[error("{}: missing, and dvc cannot be run to pull it", .path.display())]
    NotRun {
        /// The missing file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// `dvc pull` failed.
    #[error("{}: missing, and not pulled: {said}", .path.display())]
    NotPulled {
        /// The missing file.
        path: PathBuf,
        /// The first line of DVC's own error.
        said: String,
    },
    /// The project's configuration makes DVC run a program.
    #[error(
        "{}: missing, and not pulled: {} names a program by {key}; if you trust it, run: dvc pull {}",
        .path.display(), .config.display(), .path.display()
    )]
    NamesProgram {
        /// The missing file.
        path: PathBuf,
        /// The configuration, `.dvc/config` or `.dvc/config.local`.
        config: PathBuf,
        /// The key that names the program.
        key: String,
    },
}

/// Opens `path`, or standard input where there is none. A missing file is fetched first if `pull` is set.
///
/// # Errors
/// An [`Error`] when the file is missing and cannot be pulled, or what opening it says.
pub fn open(path: Option<&Path>, pull: bool) -> anyhow::Result<Input> {
    if let Some(path) = path
        && !path.exists()
        && pull
    {
        self::pull(path)?;
    }
    cli::open(path, "records")
}

/// Fetches the file at `path` with `dvc pull`.
///
/// # Errors
/// When DVC cannot be run, fails, or would run a program that the project's configuration names.
pub fn pull(path: &Path) -> Result<(), Error> {
    refuse_programs(path)?;
    // DVC reports on its standard output, which here belongs to the records.
    let output = Command::new("dvc")
        .args(["pull", "--"])
        .arg(path)
        // DVC asks git about the repository, whose configuration may name a program.
        .envs([("GIT_CONFIG_COUNT", "1"), ("GIT_CONFIG_KEY_0", "core.fsmonitor"), ("GIT_CONFIG_VALUE_0", "false")])
        .output()
        .map_err(|source| Error::NotRun { path: path.to_owned(), source })?;
    if output.status.success() && path.exists() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.lines().find(|line| line.starts_with("ERROR")).unwrap_or("dvc pull did not bring it");
    Err(Error::NotPulled { path: path.to_owned(), said: said.to_owned() })
}

/// Keys of DVC's configuration by which a remote runs a program: a command that prints a token, and files of AWS
/// settings, which may name one.
const PROGRAMS: [&str; 3] = ["command", "configpath", "credentialpath"];

/// A project that was unpacked or cloned brings its `.dvc/config`: what that names runs only by the user's own `dvc pull`.
fn refuse_programs(path: &Path) -> Result<(), Error> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // The input is missing, and its folder may be too; DVC itself begins at the working folder.
    let starts = [folder.canonicalize().ok(), std::env::current_dir().ok()];
    let projects = starts.iter().flatten().filter_map(|start| start.ancestors().find(|it| it.join(".dvc").is_dir()));
    for file in projects.flat_map(|project| ["config", "config.local"].map(|name| project.join(".dvc").join(name))) {
        let Ok(text) = fs::read(&file) else { continue };
        if let Some(key) = program(&String::from_utf8_lossy(&text)) {
            return Err(Error::NamesProgram { path: path.to_owned(), config: file, key: key.to_owned() });
        }
    }
    Ok(())
}

/// The first key of a configuration that names a program.
fn program(config: &str) -> Option<&str> {
    let keys =
        config.lines().filter_map(|line| line.split_once('=')).map(|(key, _)| key.trim().trim_matches(['"', '\'']));
    let is_program = |key: &&str| PROGRAMS.iter().any(|program| key.to_ascii_lowercase().ends_with(program));
    keys.into_iter().find(is_program)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_that_names_programs_is_known() {
        let config = |line: &str| {
            format!("[core]\n    remote = r\n['remote \"r\"']\n    url = webdavs://x/y?z=command\n{line}\n")
        };
        for key in ["bearer_token_command", "Bearer_Token_Command", "configpath", "credentialpath"] {
            assert_eq!(program(&config(&format!("  {key} = touch x"))), Some(key));
            assert_eq!(program(&config(&format!("\"{key}\"=x"))), Some(key));
        }
        assert_eq!(program(&config("  password = command")), None);
    }
}
