//! Fetching a tracked input that is not here.

use anyhow::{Context, bail};
use files::Input;
use std::{fs, path::Path, process::Command};

/// Opens `path`; where it is missing and `pull` is set, fetches it with `dvc pull` first.
///
/// # Errors
/// When the file is missing and is not to be, or cannot be, pulled.
pub fn open_or_pull(path: Option<&Path>, pull: bool) -> anyhow::Result<Input> {
    if let Some(path) = path
        && !path.exists()
        && pull
    {
        dvc_pull(path)?;
    }
    crate::open(path, "records")
}

fn dvc_pull(path: &Path) -> anyhow::Result<()> {
    refuse_programs(path)?;
    // DVC reports on its standard output, which here belongs to the records.
    let output = Command::new("dvc")
        .args(["pull", "--"])
        .arg(path)
        // DVC asks git about the repository, whose configuration may name a program.
        .envs([("GIT_CONFIG_COUNT", "1"), ("GIT_CONFIG_KEY_0", "core.fsmonitor"), ("GIT_CONFIG_VALUE_0", "false")])
        .output()
        .with_context(|| format!("{}: missing, and dvc cannot be run to pull it", path.display()))?;
    if output.status.success() && path.exists() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.lines().find(|line| line.starts_with("ERROR")).unwrap_or("dvc pull did not bring it");
    bail!("{}: missing, and not pulled: {said}", path.display())
}

/// Keys of DVC's configuration by which a remote runs a program: a command that prints a token, and files of AWS
/// settings, which may name one.
const PROGRAMS: [&str; 3] = ["command", "configpath", "credentialpath"];

/// A project that was unpacked or cloned brings its `.dvc/config`: what that names runs only by the user's own `dvc pull`.
fn refuse_programs(path: &Path) -> anyhow::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // The input is missing, and its folder may be too; DVC itself begins at the working folder.
    let starts = [folder.canonicalize().ok(), std::env::current_dir().ok()];
    let projects = starts.iter().flatten().filter_map(|start| start.ancestors().find(|it| it.join(".dvc").is_dir()));
    for file in projects.flat_map(|project| ["config", "config.local"].map(|name| project.join(".dvc").join(name))) {
        let Ok(text) = fs::read(&file) else { continue };
        if let Some(key) = program(&String::from_utf8_lossy(&text)) {
            bail!(
                "{}: missing, and not pulled: {} names a program by {key}; if you trust it, run: dvc pull {}",
                path.display(),
                file.display(),
                path.display()
            )
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
