//! Files that data names, which must be inside one folder.

use std::{
    fs, io,
    path::{Component, Path, PathBuf},
};

/// Why a file that data names is not opened.
#[derive(Debug, thiserror::Error)]
pub enum Misplaced {
    /// An absolute path, an empty one, or one with `..`.
    #[error("expected a path inside the model's folder, without ..")]
    Outside,
    /// A link out of the folder.
    #[error("a link out of the model's folder; copy the file there")]
    Link,
    /// A folder or device.
    #[error("no regular file")]
    NotAFile,
    /// The operating system refused.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// The regular file that `name`, a relative path, names in `folder`, with all links resolved. Links within the folder are
/// followed.
///
/// # Errors
/// When the name leads out of the folder, by itself or by a link, or there is no regular file.
pub fn file_inside(folder: &Path, name: &str) -> Result<PathBuf, Misplaced> {
    let plain = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
    if name.is_empty() || !Path::new(name).components().all(plain) {
        return Err(Misplaced::Outside);
    }
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder }.canonicalize()?;
    let file = folder.join(name).canonicalize()?;
    if !file.starts_with(&folder) {
        return Err(Misplaced::Link);
    }
    if fs::metadata(&file)?.is_file() { Ok(file) } else { Err(Misplaced::NotAFile) }
}

/// Whether two paths name one file, of other spelling or by links; of files that are not there, whether they are spelled alike.
pub fn is_same_file(a: &Path, b: &Path) -> bool {
    match (a.canonicalize(), b.canonicalize()) {
        (Ok(a), Ok(b)) => a == b,
        _ => a == b,
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn no_name_leads_out_of_the_folder() {
        let here = tempfile::tempdir().expect("a folder");
        let folder = here.path().join("m");
        fs::create_dir_all(folder.join("weights")).expect("a folder");
        fs::write(here.path().join("secret"), "x").expect("written");
        fs::write(folder.join("weights/w"), "w").expect("written");
        fs::write(folder.join("v"), "v").expect("written");
        symlink("../secret", folder.join("out")).expect("a link");
        symlink("..", folder.join("up")).expect("a link");
        symlink("weights/w", folder.join("in")).expect("a link");
        for good in ["weights/w", "./v", "in"] {
            file_inside(&folder, good).expect(good);
        }
        let secret = here.path().join("secret").display().to_string();
        for bad in
            ["", "../secret", "weights/../../secret", "out", "up/secret", "weights", "none", "/dev/zero", &secret]
        {
            file_inside(&folder, bad).expect_err(bad);
        }
    }
}
