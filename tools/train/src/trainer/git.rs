//! Commit and state of the source repository, for the start event.
//!
//! An unpacked or copied repository has its own configuration, and git runs the programs that it names: file system
//! monitor, hooks, filters. None of them runs here.

use events::Git;
use std::process::{Command, Stdio};

/// Override the repository's configuration: no monitor, no hooks, no pager.
const SETTINGS: [&str; 6] = ["-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "core.pager=cat"];

/// A partial clone fetches no object, by any protocol (`remote.*.vcs`, `core.sshCommand`); no lock is taken that a
/// concurrent commit would wait for.
const ENVIRONMENT: [(&str, &str); 4] = [
    ("GIT_NO_LAZY_FETCH", "1"),
    ("GIT_ALLOW_PROTOCOL", "none"),
    ("GIT_OPTIONAL_LOCKS", "0"),
    ("GIT_TERMINAL_PROMPT", "0"),
];

/// Settings that name programs for comparing files, and cannot be overridden one by one.
const PROGRAMS: [&str; 2] = ["filter.", "lfs."];

/// The commit of the repository around the working folder, and whether tracked files differ from it (None if only programs
/// that the repository names could tell). None outside a repository, before its first commit, without git, or if another
/// user owns the repository (git's `safe.directory`).
pub fn state() -> Option<Git> {
    let commit = git(&["rev-parse", "--verify", "--end-of-options", "HEAD"])?;
    Some(Git { commit: commit.trim().to_owned(), dirty: dirty() })
}

fn dirty() -> Option<bool> {
    if names_programs(&git(&["config", "--includes", "--show-scope", "--null", "--list"])?) {
        return None;
    }
    // Submodules have configurations of their own: only their commit is compared with the recorded one.
    let status = ["status", "--porcelain", "--untracked-files=no", "--ignore-submodules=dirty"];
    Some(!git(&status)?.trim().is_empty())
}

/// Whether the repository itself, not the user or the system, configures filters. `settings` are
/// `scope NUL key LF value NUL` each.
fn names_programs(settings: &str) -> bool {
    let mut parts = settings.split('\0');
    while let (Some(scope), Some(setting)) = (parts.next(), parts.next()) {
        let own = ["local", "worktree"].contains(&scope);
        let key = setting.to_ascii_lowercase();
        if own && PROGRAMS.iter().any(|program| key.starts_with(program)) {
            return true;
        }
    }
    false
}

fn git(args: &[&str]) -> Option<String> {
    let mut command = Command::new("git");
    command.args(SETTINGS).args(args).envs(ENVIRONMENT).stdin(Stdio::null()).stderr(Stdio::null());
    let output = command.output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_filters_of_the_repository_count() {
        let of =
            |scope: &str, key: &str| format!("global\0user.name\nx\0{scope}\0{key}\nvalue\0local\0core.bare\nfalse\0");
        for key in ["filter.x.clean", "Filter.X.process", "lfs.extension.x.clean"] {
            assert!(names_programs(&of("local", key)) && names_programs(&of("worktree", key)), "{key}");
            assert!(!names_programs(&of("global", key)) && !names_programs(&of("system", key)), "{key}");
        }
        assert!(!names_programs(&of("local", "core.filter")));
        assert!(!names_programs("local\0odd") && !names_programs(""));
    }
}
