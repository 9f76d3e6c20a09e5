//! API keys: who may send requests.

use crate::{
    log::{self, Level},
    watched::{Files, Refresh},
};
use anyhow::{Context, bail, ensure};
use axum::http::{HeaderMap, HeaderName, header};
use sha2::{Digest, Sha256};
use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

/// A key by itself; otherwise it is `Authorization: Bearer KEY`.
const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const SCHEME: &str = "bearer";
/// Largest file of keys, in bytes.
const MAX_FILE: u64 = 1 << 20;
/// Permissions of a file that any user of the system can read.
const READABLE_BY_ALL: u32 = 0o004;

/// The keys of a file.
pub struct Keys {
    path: PathBuf,
    files: Files,
    keys: RwLock<Arc<[Key]>>,
}

/// A key, as the server keeps it.
struct Key {
    /// For logs; empty if the file gives none.
    name: Arc<str>,
    hash: [u8; 32],
}

impl Keys {
    /// Reads a file of keys: one a line, `KEY` or `NAME:KEY`; lines that begin with `#` are comments.
    ///
    /// # Errors
    /// When the file cannot be read, has no key, or a line that is none.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let files = Files::new([path.to_owned()]);
        let keys = RwLock::new(read(path)?);
        let mode = std::fs::metadata(path).map_or(0, |metadata| metadata.permissions().mode());
        if mode & READABLE_BY_ALL != 0 {
            cli::note(&format!("{}: every user of this system can read the keys (chmod o-r)", path.display()));
        }
        Ok(Self { path: path.to_owned(), files, keys })
    }

    /// The name of the key that the headers bring; None if they bring none that is in the file.
    ///
    /// How long it takes says nothing about the keys: hashes are compared, all of them to their end.
    pub fn check(&self, headers: &HeaderMap) -> Option<Arc<str>> {
        let hash = hash(presented(headers)?);
        let keys = Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner));
        let (mut found, mut index) = (Choice::from(0), 0_u64);
        for (at, key) in keys.iter().enumerate() {
            let same = key.hash.ct_eq(&hash);
            index.conditional_assign(&(at as u64), same);
            found |= same;
        }
        bool::from(found).then(|| keys.get(index as usize).map(|key| Arc::clone(&key.name)))?
    }
}

impl Refresh for Keys {
    fn refresh(&self) {
        if !self.files.have_changed() {
            return;
        }
        match read(&self.path) {
            Ok(keys) => {
                log::write(Level::Info, "api_keys_read", serde_json::json!({ "keys": keys.len() }));
                *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
            }
            // Those that were read last stay.
            Err(error) => {
                log::write(Level::Error, "api_keys_kept", serde_json::json!({ "error": cli::describe(&error) }))
            }
        }
    }
}

/// The key that a request brings.
fn presented(headers: &HeaderMap) -> Option<&[u8]> {
    if let Some(key) = headers.get(X_API_KEY) {
        return Some(key.as_bytes());
    }
    let value = headers.get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, key) = value.split_at_checked(SCHEME.len())?;
    let key = key.strip_prefix(b" ").filter(|_| scheme.eq_ignore_ascii_case(SCHEME.as_bytes()))?;
    Some(key.trim_ascii())
}

fn hash(key: &[u8]) -> [u8; 32] {
    Sha256::digest(key).into()
}

fn read(path: &Path) -> anyhow::Result<Arc<[Key]>> {
    let name = path.display();
    let bytes = std::fs::metadata(path).with_context(|| name.to_string())?.len();
    ensure!(bytes <= MAX_FILE, "{name}: {bytes} bytes; a file of API keys has at most {MAX_FILE}");
    let text = std::fs::read_to_string(path).with_context(|| name.to_string())?;
    let mut keys = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (owner, key) = line.split_once(':').unwrap_or(("", line));
        // The line is not shown: it may be a key.
        if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            bail!("{name}:{}: expected KEY or NAME:KEY, the key in ASCII without blanks", at + 1);
        }
        keys.push(Key { name: owner.into(), hash: hash(key.as_bytes()) });
    }
    ensure!(!keys.is_empty(), "{name}: no API key; write one a line, KEY or NAME:KEY");
    Ok(keys.into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn keys(text: &str) -> anyhow::Result<Keys> {
        let folder = testkit::Folder::new();
        Keys::open(&folder.write("keys", text))
    }

    fn headers(name: &str, value: &str) -> HeaderMap {
        [(name.parse::<HeaderName>().unwrap(), value.parse().unwrap())].into_iter().collect()
    }

    #[test]
    fn a_key_of_the_file_is_known_by_its_name_and_no_other_is() {
        let keys = keys("# ours\nann:alpha\n\n  beta  \nbob:a:b\n").unwrap();
        let check = |name, value| keys.check(&headers(name, value)).map(|name| name.to_string());
        assert_eq!(check("authorization", "Bearer alpha").as_deref(), Some("ann"));
        assert_eq!(check("authorization", "bearer  alpha ").as_deref(), Some("ann"));
        assert_eq!(check("x-api-key", "beta").as_deref(), Some(""));
        assert_eq!(check("x-api-key", "a:b").as_deref(), Some("bob"));
        for (name, value) in [
            ("authorization", "Bearer alph"),
            ("authorization", "Bearer alphaa"),
            ("authorization", "Bearer ALPHA"),
            ("authorization", "Bearer ann:alpha"),
            ("authorization", "Bearer "),
            ("authorization", "Basic alpha"),
            ("authorization", "alpha"),
            ("x-api-key", "# ours"),
            ("x-api-key", ""),
            ("cookie", "alpha"),
        ] {
            assert_eq!(check(name, value), None, "{name}: {value}");
        }
    }

    #[test]
    fn a_file_without_keys_is_refused_and_no_key_is_shown() {
        for (text, expected) in
            [("", "no API key"), ("# x\n", "no API key"), ("a\nann:\n", ":2: "), ("secret secret", ":1: ")]
        {
            let error = keys(text).err().unwrap().to_string();
            assert!(error.contains(expected) && !error.contains("secret"), "{text}: {error}");
        }
    }
}
