//! Names of classes, for the classification extension.

use crate::repository::inside;
use anyhow::Context;
use files::Limit;
use std::path::Path;

/// The lines of the file `name` in a model's folder; links do not lead out of `root`.
///
/// # Errors
/// When the file cannot be read, or is no text.
pub fn read(folder: &Path, root: &Path, name: &str, limit: Limit<'_>) -> anyhow::Result<Vec<String>> {
    let path = folder.join(name);
    inside(root, &path)?;
    let text = String::from_utf8(files::read_file(&path, limit)?);
    let text = text.with_context(|| format!("{}: no UTF-8", path.display()))?;
    Ok(text.lines().map(|line| line.trim().to_owned()).collect())
}
