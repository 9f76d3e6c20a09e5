//! Compiled kernels in the user's cache folder.
//!
//! A file's name is the SHA-256 of what it was compiled from: text, options and compute capability. It begins with the
//! SHA-256 of what follows: a file that is cut or changed is compiled again. Whoever may write the folder could have other code run on the GPU; it is the user's own, as are the settings.

use crate::nvrtc::{Capability, Image, OPTIONS};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Characters of a digest.
const DIGEST: usize = 64;
/// Longest file that is read.
const MAX_BYTES: u64 = 64 << 20;

/// A folder of compiled kernels.
#[derive(Debug, Clone)]
pub struct Cache(Option<PathBuf>);

impl Cache {
    /// The user's: `pipegrad/kernels` in `XDG_CACHE_HOME` or `~/.cache`. None is kept where there is no home.
    pub fn of_user() -> Self {
        Self(dirs::cache_dir().map(|folder| folder.join("pipegrad/kernels")))
    }

    /// Kernels in this folder.
    pub fn in_folder(folder: &Path) -> Self {
        Self(Some(folder.to_owned()))
    }

    /// The kernels compiled from `text` for GPUs of `capability`: those of the cache, or else what `compile` gives, which is
    /// then kept. A folder that cannot be written keeps nothing.
    ///
    /// # Errors
    /// Those of `compile`.
    pub fn get<E>(
        &self,
        text: &str,
        capability: Capability,
        compile: impl FnOnce() -> Result<Image, E>,
    ) -> Result<Image, E> {
        let path = self.0.as_ref().map(|folder| folder.join(key(text, capability)));
        if let Some(image) = path.as_deref().and_then(read) {
            return Ok(image);
        }
        let image = compile()?;
        if let Some(path) = path {
            let folder = path.parent().map(fs::create_dir_all);
            let bytes = [files::sha256(&image.0).as_bytes(), &image.0].concat();
            // The kernels are there without the file, which the next process then lacks.
            let _ = folder.transpose().map(|_| files::write_file(&path, &bytes));
        }
        Ok(image)
    }
}

fn key(text: &str, capability: Capability) -> String {
    files::sha256([text, &capability.to_string(), &OPTIONS.join(" ")].join("\0"))
}

/// None if the file is missing or damaged.
fn read(path: &Path) -> Option<Image> {
    if fs::metadata(path).ok()?.len() > MAX_BYTES {
        return None;
    }
    let bytes = fs::read(path).ok()?;
    let (digest, image) = bytes.split_at_checked(DIGEST)?;
    (files::sha256(image).as_bytes() == digest).then(|| Image(image.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    const HOPPER: Capability = Capability(9, 0);

    #[test]
    fn kernels_are_compiled_once_for_each_text_and_capability() {
        let folder = tempfile::tempdir().expect("a folder");
        let cache = Cache::in_folder(&folder.path().join("a/b"));
        let compiled = Cell::new(0);
        let get = |text: &str, capability: Capability| {
            let compile = || {
                compiled.set(compiled.get() + 1);
                Ok::<_, ()>(Image(format!("{text} for {capability}").into_bytes()))
            };
            cache.get(text, capability, compile).expect("compiled").0
        };
        assert_eq!(get("x", HOPPER), b"x for 90");
        assert_eq!(get("x", HOPPER), b"x for 90");
        assert_eq!(compiled.get(), 1);
        assert_eq!(get("x", Capability(8, 0)), b"x for 80");
        assert_eq!(get("y", HOPPER), b"y for 90");
        let files = fs::read_dir(folder.path().join("a/b")).expect("a folder").count();
        assert_eq!((compiled.get(), files), (3, 3));
    }

    #[test]
    fn a_damaged_file_is_compiled_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let cache = Cache::in_folder(folder.path());
        let get = |code: &[u8]| cache.get("x", HOPPER, || Ok::<_, ()>(Image(code.to_vec()))).expect("compiled").0;
        get(b"first");
        let path = folder.path().join(key("x", HOPPER));
        let whole = fs::read(&path).expect("a file");
        for damaged in [&whole[..whole.len() - 1], &whole[..10], &[&whole[..], b"!"].concat(), b""] {
            fs::write(&path, damaged).expect("written");
            assert_eq!(get(b"second"), b"second");
            assert_eq!(get(b"third"), b"second");
        }
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_no_error() {
        for cache in [Cache(None), Cache::in_folder("/proc/none".as_ref())] {
            let image = cache.get("x", HOPPER, || Ok::<_, ()>(Image(b"code".to_vec())));
            assert_eq!(image, Ok(Image(b"code".to_vec())));
        }
    }
}
