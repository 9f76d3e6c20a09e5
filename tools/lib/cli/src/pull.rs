//! Fetching a tracked input that is not here.

use anyhow::{Context, bail};
use records::Input;
use std::{path::Path, process::Command};

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
    Ok(Input::open(path)?)
}

fn dvc_pull(path: &Path) -> anyhow::Result<()> {
    // DVC reports on its standard output, which here belongs to the records.
    let output = Command::new("dvc")
        .arg("pull")
        .arg(path)
        .output()
        .with_context(|| format!("{}: missing, and dvc cannot be run to pull it", path.display()))?;
    if output.status.success() && path.exists() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.lines().find(|line| line.starts_with("ERROR")).unwrap_or("dvc pull did not bring it");
    bail!("{}: missing, and not pulled: {said}", path.display())
}
