//! Paths of members.

use anyhow::{Context, bail};
use std::path::{Component, Path};

/// The normalized path of an archive's member, with `/` between components; empty for the root of the archive.
///
/// # Errors
/// If the path is absolute, has a component `..`, or is not UTF-8.
pub fn of_member(raw: &[u8]) -> anyhow::Result<String> {
    let path = std::str::from_utf8(raw)
        .with_context(|| format!("member {:?}: its path is not UTF-8", String::from_utf8_lossy(raw)))?;
    // On Windows, a backslash is a separator, and a path with a drive letter is absolute.
    let drive = path.as_bytes().get(1) == Some(&b':');
    if drive || path.starts_with(['/', '\\']) || path.split(['/', '\\']).any(|name| name == "..") {
        bail!("member {path:?}: its path leads out of the archive");
    }
    let components: Vec<&str> = path.split(['/', '\\']).filter(|name| !name.is_empty() && *name != ".").collect();
    Ok(components.join("/"))
}

/// The path of a file relative to its folder, with `/` between components.
pub fn of_file(path: &Path) -> anyhow::Result<String> {
    let names = path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_str().context("a path that is not UTF-8")),
        _ => None,
    });
    Ok(names.collect::<anyhow::Result<Vec<_>>>()?.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_do_not_lead_out() {
        for path in ["../x", "a/../../x", "/x", "\\x", "a\\..\\x", "C:\\x", "C:x", "..", "a/.."] {
            assert!(of_member(path.as_bytes()).is_err(), "{path}");
        }
        assert!(of_member(b"a/\xff").is_err());
        for (path, expected) in [("a/b", "a/b"), ("./a//b", "a/b"), ("a/", "a"), ("./", ""), ("a..b/...", "a..b/...")] {
            assert_eq!(of_member(path.as_bytes()).expect(path), expected);
        }
    }
}
