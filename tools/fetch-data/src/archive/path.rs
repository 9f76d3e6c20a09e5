//! Paths within an archive.

use anyhow::{Context, bail};
use std::path::{Component, Path};

/// The parts of a member's path, joined by `/`; empty for the archive's own root.
///
/// # Errors
/// When the path is absolute, leads upwards, or is not UTF-8.
pub fn of_member(raw: &[u8]) -> anyhow::Result<String> {
    let path = std::str::from_utf8(raw)
        .with_context(|| format!("member {:?}: its path is not UTF-8", String::from_utf8_lossy(raw)))?;
    // A backslash separates on some systems, and a drive letter begins an absolute path there.
    let drive = path.as_bytes().get(1) == Some(&b':');
    if drive || path.starts_with(['/', '\\']) || path.split(['/', '\\']).any(|part| part == "..") {
        bail!("member {path:?}: its path leads out of the archive");
    }
    let parts: Vec<&str> = path.split(['/', '\\']).filter(|part| !part.is_empty() && *part != ".").collect();
    Ok(parts.join("/"))
}

/// The same of a file below a folder.
pub fn of_file(path: &Path) -> anyhow::Result<String> {
    let parts = path.components().filter_map(|part| match part {
        Component::Normal(part) => Some(part.to_str().context("a path that is not UTF-8")),
        _ => None,
    });
    Ok(parts.collect::<anyhow::Result<Vec<_>>>()?.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_within() {
        for path in ["../x", "a/../../x", "/x", "\\x", "a\\..\\x", "C:\\x", "C:x", "..", "a/.."] {
            assert!(of_member(path.as_bytes()).is_err(), "{path}");
        }
        assert!(of_member(b"a/\xff").is_err());
        for (path, expected) in [("a/b", "a/b"), ("./a//b", "a/b"), ("a/", "a"), ("./", ""), ("a..b/...", "a..b/...")] {
            assert_eq!(of_member(path.as_bytes()).expect(path), expected);
        }
    }
}
