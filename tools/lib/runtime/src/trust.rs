//! Whether a library that was found, not named, may be loaded: code of another user's would run as this one.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Why not, of `library` below the folder `project`: of the two and all folders between them, the first that another
/// user owns or may write.
#[cfg(unix)]
pub(crate) fn refusal(project: &Path, library: &Path) -> Option<String> {
    let user = user();
    let mut paths: Vec<PathBuf> =
        library.ancestors().take_while(|path| path.starts_with(project)).map(Path::to_owned).collect();
    // A link may lead out of the project.
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
    // A user's own group, of the same number, has no other members.
    let by_group = mode & 0o020 != 0 && metadata.gid() != owner;
    let by_all = mode & 0o002 != 0;
    ((by_group || by_all) && !is_sticky).then(|| "may be written by other users".to_owned())
}

/// The user that this process acts as.
#[cfg(unix)]
fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Where users are told apart by other means, nothing is loaded that was not named.
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
    fn what_the_user_owns_alone_may_be_loaded() {
        let (project, library) = project();
        assert_eq!(refusal(project.path(), &library), None);
        let metadata = fs::metadata(&library).expect("a file");
        // What root owns is anybody's; what another does, nobody's.
        assert_eq!(foreign(&metadata, user() + 1).is_some(), user() != 0);
    }

    #[test]
    fn what_others_may_write_is_refused_wherever_it_stands() {
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
    fn a_link_is_judged_by_what_it_leads_to() {
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
    fn a_folder_like_tmp_is_no_danger_to_what_is_ones_own_there() {
        let (project, library) = project();
        fs::set_permissions(project.path(), fs::Permissions::from_mode(0o1777)).expect("a mode");
        assert_eq!(refusal(project.path(), &library), None);
    }
}
