//! The state of the source that is being run.

use events::Git;
use std::process::Command;

/// The commit of the repository around the working folder, and whether tracked files differ from it.
/// None outside a repository, before its first commit, or where git is not installed.
pub fn state() -> Option<Git> {
    let commit = git(&["rev-parse", "--verify", "HEAD"])?;
    // `git` may refresh its index; a log must not contend for the lock with somebody's commit.
    let dirty = !git(&["--no-optional-locks", "status", "--porcelain", "--untracked-files=no"])?.is_empty();
    Some(Git { commit, dirty })
}

fn git(args: &[&str]) -> Option<String> {
    let output = Command::new("git").args(args).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}
