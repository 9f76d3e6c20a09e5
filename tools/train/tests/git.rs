//! What the run log says of the source, and that nothing of a repository's configuration runs for it.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::Value;
use std::{fs, path::Path, process::Command};
use testkit::{Folder, tool};

fn git(folder: &Path, args: &[&str]) {
    let output = Command::new("git")
        .current_dir(folder)
        .args(["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"])
        .args(args)
        .output()
        .unwrap();
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A repository with a committed file.
fn repository() -> Folder {
    let folder = Folder::new();
    git(&folder, &["init", "-q"]);
    folder.write("file", "content\n");
    git(&folder, &["add", "file"]);
    git(&folder, &["commit", "-q", "-m", "first"]);
    folder
}

/// `git` of the start event.
fn state(folder: &Path, environment: &[(&str, &str)]) -> Value {
    let rows: String = (0..20).map(|i| format!("{{\"probs\":[0.{i:02},0.5],\"entropy\":0.{i:02}}}\n")).collect();
    let args = ["-o", "/dev/null/none", "--quiet", "trainer.max_epochs=1", "trainer.fast_dev_run=true"];
    let command = tool!("train").within(folder).args(args).stdin(rows);
    let command = environment.iter().fold(command, |command, (name, value)| command.env(name, value));
    let done = command.run();
    let start = done.out.lines().next().unwrap_or_else(|| panic!("{}", done.error));
    serde_json::from_str::<Value>(start).unwrap()["git"].clone()
}

#[test]
fn the_commit_and_whether_files_differ_from_it() {
    let folder = repository();
    let clean = state(&folder, &[]);
    assert_eq!((clean["commit"].as_str().unwrap().len(), &clean["dirty"]), (40, &Value::from(false)));
    folder.write("file", "other\n");
    assert_eq!(state(&folder, &[])["dirty"], Value::from(true));
}

#[test]
fn nothing_that_a_repository_configures_runs() {
    let settings: [&[(&str, &str)]; 8] = [
        &[("core.fsmonitor", "touch PWNED #")],
        &[("core.hooksPath", "hooks")],
        &[("filter.x.clean", "touch PWNED; cat")],
        &[("filter.x.process", "touch PWNED")],
        &[("lfs.extension.x.clean", "touch PWNED")],
        &[("diff.external", "touch PWNED"), ("diff.x.textconv", "touch PWNED"), ("core.pager", "touch PWNED")],
        &[("alias.status", "!touch PWNED"), ("alias.rev-parse", "!touch PWNED"), ("alias.config", "!touch PWNED")],
        &[
            ("extensions.partialClone", "origin"),
            ("remote.origin.promisor", "true"),
            ("remote.origin.url", "ext::touch PWNED"),
            ("protocol.ext.allow", "always"),
            ("core.sshCommand", "touch PWNED"),
        ],
    ];
    for settings in settings {
        let folder = repository();
        let here = &folder;
        fs::create_dir(here.join("hooks")).unwrap();
        fs::create_dir_all(here.join(".git/hooks")).unwrap();
        for hooks in ["hooks", ".git/hooks"] {
            let hook = here.join(hooks).join("post-index-change");
            fs::write(&hook, "#!/bin/sh\ntouch PWNED\n").unwrap();
            Command::new("chmod").arg("+x").arg(hook).status().unwrap();
        }
        fs::write(here.join(".gitattributes"), "file filter=x diff=x\n").unwrap();
        // Of another time and of the same length, so that only its content tells.
        fs::write(here.join("file"), "Content\n").unwrap();
        settings.iter().for_each(|(key, value)| git(here, &["config", key, value]));
        let found = state(here, &[]);
        assert!(!here.join("PWNED").exists(), "{settings:?}");
        assert!(found["commit"].is_string(), "{settings:?}");
        let filters = settings.iter().any(|(key, _)| key.starts_with("filter") || key.starts_with("lfs"));
        assert_eq!(found["dirty"].is_null(), filters, "{settings:?}: {found}");
    }
}

#[test]
fn a_submodule_has_its_own_configuration_and_it_does_not_run_either() {
    let (inner, outer) = (repository(), repository());
    let path = inner.to_str().unwrap();
    git(&outer, &["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", path, "sub"]);
    git(&outer, &["commit", "-q", "-m", "second"]);
    let pwned = outer.join("PWNED");
    git(&outer.join("sub"), &["config", "core.fsmonitor", &format!("touch {} #", pwned.display())]);
    assert_eq!(state(&outer, &[])["dirty"], Value::from(false));
    assert!(!pwned.exists());
}

#[test]
fn a_repository_of_another_user_is_none() {
    let folder = repository();
    git(&folder, &["config", "core.fsmonitor", "touch PWNED #"]);
    // How git's own tests have it.
    assert!(state(&folder, &[("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")]).is_null());
    assert!(!folder.join("PWNED").exists());
}
