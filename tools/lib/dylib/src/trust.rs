//! Whether a library that the search found may be loaded: another user's code would run with this user's rights.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Why `library`, in or below the folder `project`, is not loaded: names the outermost of the two and all folders between
/// them that another user owns or may write. None if it may be loaded.
#[cfg(unix)]
pub(crate) fn refusal(project: &Path, library: &Path) -> Option<String> {
    let user = user();
    let mut paths: Vec<PathBuf> =
        library.ancestors().take_while(|path| path.starts_with(project)).map(Path::to_owned).collect();
    // A link may point out of the project.
    let real = fs::canonicalize(library).ok();
    paths.extend(real.iter().flat_map(|real| [real.clone(), real.parent().unwrap_or(real).to_owned()]));
    paths.iter().rev().find_map(|path| {
        let why = match fs::metadata(path) {
            Ok(metadata) => foreign(&metadata, user)?,
            Err(error) => error.to_string(),
        };
        Some(format!("{} {why}", path.display()))
    })
}

#[cfg(unix)]
fn foreign(metadata: &fs::Metadata, user: u32) -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    const STICKY: u32 = 0o1000;
    let (owner, mode) = (metadata.uid(), metadata.mode());
    if owner != user && owner != 0 {
        return Some(format!("belongs to user {owner}"));
    }
    // In a sticky folder (/tmp) others cannot rename what is not theirs.
    let is_sticky = metadata.is_dir() && mode & STICKY != 0;
    // A group with the user's own number has no other members (user private groups).
    let by_group = mode & 0o020 != 0 && metadata.gid() != owner;
    let by_all = mode & 0o002 != 0;
    ((by_group || by_all) && !is_sticky).then(|| "may be written by other users".to_owned())
}

/// The user that this process acts as.
#[cfg(unix)]
fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// On systems without Unix permissions, only a named library is loaded.
#[cfg(not(unix))]
pub(crate) fn refusal(_: &Path, library: &Path) -> Option<String> {
    Some(format!("{} was not named", library.display()))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    /// A project with a library in `.venv/lib`.
    fn project() -> (tempfile::TempDir, PathBuf) {
        let project = tempfile::tempdir().expect("a folder");
        let folder = project.path().join(".venv/lib");
        fs::create_dir_all(&folder).expect("a folder");
        for path in [folder.clone(), project.path().join(".venv")] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("a mode");
        }
        let library = folder.join("libx.so");
        fs::write(&library, "").expect("written");
        fs::set_permissions(&library, fs::Permissions::from_mode(0o644)).expect("a mode");
        (project, library)
    }

    #[test]
    fn a_library_that_only_the_user_may_write_is_loaded() {
        let (project, library) = project();
        assert_eq!(refusal(project.path(), &library), None);
        let metadata = fs::metadata(&library).expect("a file");
        // Files of root are trusted, those of other users are not.
        assert_eq!(foreign(&metadata, user() + 1).is_some(), user() != 0);
    }

    #[test]
    fn a_library_or_folder_that_others_may_write_is_refused() {
        for which in ["", ".venv", ".venv/lib", ".venv/lib/libx.so"] {
            let (project, library) = project();
            let path = project.path().join(which);
            fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).expect("a mode");
            let refused = refusal(project.path(), &library).expect("refused");
            assert!(refused.contains("may be written by other users"), "{refused}");
            assert!(refused.starts_with(path.to_str().expect("text").trim_end_matches('/')), "{refused}");
        }
    }

    #[test]
    fn the_target_of_a_link_is_checked() {
        let (project, library) = project();
        let away = tempfile::tempdir().expect("a folder");
        let real = away.path().join("real.so");
        fs::write(&real, "").expect("written");
        fs::set_permissions(&real, fs::Permissions::from_mode(0o644)).expect("a mode");
        fs::remove_file(&library).expect("removed");
        symlink(&real, &library).expect("a link");
        assert_eq!(refusal(project.path(), &library), None);
        fs::set_permissions(away.path(), fs::Permissions::from_mode(0o777)).expect("a mode");
        assert!(refusal(project.path(), &library).is_some());
    }

    #[test]
    fn a_sticky_folder_is_accepted() {
        let (project, library) = project();
        fs::set_permissions(project.path(), fs::Permissions::from_mode(0o1777)).expect("a mode");
        assert_eq!(refusal(project.path(), &library), None);
    }
}
