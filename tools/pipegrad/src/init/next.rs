//! The commands that a new project wants next, to be pasted into a shell.

use crate::programs;
use std::{env, path::Path};

/// The commands for the project in `folder`, as the user wrote it, which is at `path`. They have no comments: zsh takes
/// none at its prompt.
pub fn commands(folder: &Path, path: &Path, experiment: &str) -> String {
    let has_git = programs::find("git").is_some();
    let mut lines = Vec::new();
    if env::current_dir().ok().and_then(|here| here.canonicalize().ok()).as_deref() != Some(path) {
        lines.push(format!("cd {}", quoted(folder)));
    }
    // The stages call it by its name.
    if programs::find("pipegrad").is_none()
        && let Some(folder) = env::current_exe().ok().as_deref().and_then(Path::parent)
    {
        lines.push(format!("export PATH={}:\"$PATH\"", quoted(folder)));
    }
    if programs::find("dvc").is_none() {
        lines.push(setup());
    }
    lines.extend(repository(path, has_git));
    lines.push("dvc repro".to_owned());
    // With what the stages wrote: an experiment starts from it, and is compared with it.
    if has_git {
        lines.push("git add . && git commit -qm 'A project of pipegrad' .".to_owned());
    }
    lines.push("dvc metrics show".to_owned());
    // An experiment is a commit.
    if has_git {
        lines.push(format!("dvc exp run -S {experiment}"));
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// What installs DVC: into the virtual environment that is active, otherwise into the project's.
fn setup() -> String {
    const PACKAGES: &str = "'dvc>=3.67,<4'";
    match (dylib::in_venv(), programs::find("make")) {
        (true, _) => dylib::pip_install(PACKAGES),
        (false, Some(_)) => "make setup && . .venv/bin/activate".to_owned(),
        (false, None) => format!("{} && . .venv/bin/activate", dylib::pip_install(PACKAGES)),
    }
}

/// What makes the folder at `path` a repository of DVC and git, as far as it is none.
fn repository(path: &Path, has_git: bool) -> Option<String> {
    let above = path.ancestors().skip(1).any(|folder| folder.join(".git").exists());
    let init = match (has_git, path.join(".git").exists(), above) {
        (false, ..) => "dvc init -q --no-scm",
        (true, true, _) => "dvc init -q",
        (true, false, true) => "dvc init -q --subdir",
        (true, false, false) => "git init -q && dvc init -q",
    };
    (!path.join(".dvc").exists()).then(|| init.to_owned())
}

/// A path as a word of a shell's command.
pub fn quoted(path: &Path) -> String {
    let text = path.to_string_lossy();
    let text = if text.starts_with('-') { format!("./{text}") } else { text.into_owned() };
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c);
    if text.chars().all(is_plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_one_word() {
        let quoted = |path: &str| super::quoted(Path::new(path));
        assert_eq!(quoted("a/b-1.x"), "a/b-1.x");
        assert_eq!(quoted("a b"), "'a b'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted("-x"), "./-x");
    }
}
