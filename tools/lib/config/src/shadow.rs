//! Files of a project that replace built-in configs of the same name.

use crate::error::{Origin, list};
use std::sync::Arc;

/// A file that was read in place of a built-in one that says something else.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Shadow {
    /// The file, as errors call it.
    pub file: Arc<str>,
    /// The built-in config, `trainer/default`.
    pub path: String,
    /// Where its values go.
    pub package: String,
}

/// A note for the error of a wrong or missing key, where its group is read from a project's files instead of the
/// built-in ones; empty otherwise.
pub(crate) fn note(shadows: &[Shadow], key: &str) -> String {
    let group = key.split('.').next().unwrap_or("");
    let files = shadows.iter().filter(|one| !group.is_empty() && one.package.split('.').next() == Some(group));
    let files: Vec<&Shadow> = files.collect();
    let Some(first) = files.first() else { return String::new() };
    let names = list(files.iter().map(|one| &*one.file));
    let takes = if files.len() == 1 { "takes" } else { "take" };
    format!(" ({names} {takes} the place of the built-in {}; --config-path FOLDER looks elsewhere)", first.path)
}

/// As [`note`], of a value at `origin`: one on the command line is not the file's fault.
pub(crate) fn note_at(shadows: &[Shadow], key: &str, origin: &Origin) -> String {
    match origin {
        Origin::File { .. } => note(shadows, key),
        Origin::Override(_) => String::new(),
    }
}
