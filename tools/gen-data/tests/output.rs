//! Where a tool's output goes, with the real binary: links, devices, descriptors, modes, signals.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use assert_cmd::cargo::cargo_bin;
use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    os::unix::{
        fs::{FileTypeExt, PermissionsExt, symlink},
        process::{CommandExt, ExitStatusExt},
    },
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::Duration,
};
use tempfile::TempDir;

/// `gen-data` in a folder.
fn gen_data(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(cargo_bin!("gen-data"));
    command.current_dir(folder).args(args);
    command
}

/// The same, where whoever runs the tests has had signals ignored, as `nohup` does.
fn gen_data_that_heeds_signals(folder: &Path) -> Command {
    let mut command = Command::new("env");
    command.current_dir(folder).arg("--default-signal=HUP,INT,TERM").arg(cargo_bin!("gen-data"));
    command
}

/// What `gen-data rows=2` writes.
fn rows(folder: &Path) -> String {
    String::from_utf8(gen_data(folder, &["rows=2"]).output().unwrap().stdout).unwrap()
}

fn works(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn fails(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{command:?}");
    String::from_utf8(output.stderr).unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
#[cfg(target_os = "linux")]
fn descriptors_are_written_by_any_name() {
    let here = TempDir::new().unwrap();
    let folder = here.path();
    let rows = rows(folder);
    for name in ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "link", "-"] {
        let _ = symlink("/dev/stdout", folder.join("link"));
        // A file in append mode, one with something in front, and a pipe.
        fs::write(folder.join("out"), "before\n").unwrap();
        let mut begun = File::create(folder.join("begun")).unwrap();
        begun.write_all(b"before\n").unwrap();
        works(
            gen_data(folder, &["rows=2", "-o", name])
                .stdout(OpenOptions::new().append(true).open(folder.join("out")).unwrap()),
        );
        works(gen_data(folder, &["rows=2", "-o", name]).stdout(begun));
        let piped = gen_data(folder, &["rows=2", "-o", name]).output().unwrap().stdout;
        let expected = format!("before\n{rows}");
        assert_eq!(fs::read_to_string(folder.join("out")).unwrap(), expected, "{name}");
        assert_eq!(fs::read_to_string(folder.join("begun")).unwrap(), expected, "{name}");
        assert_eq!(piped, rows.as_bytes(), "{name}");
    }
    assert!(fs::symlink_metadata("/dev/stdout").unwrap().is_symlink());
    let errors = gen_data(folder, &["rows=2", "-o", "/dev/stderr"]).output().unwrap().stderr;
    assert_eq!(errors, rows.as_bytes());
    let script = "{ echo before >&3; \"$0\" rows=2 -o /dev/fd/3; echo after >&3; } 3> three";
    works(Command::new("sh").current_dir(folder).args(["-c", script]).arg(cargo_bin!("gen-data")));
    assert_eq!(fs::read_to_string(folder.join("three")).unwrap(), format!("before\n{rows}after\n"));
}

#[test]
fn devices_and_pipes_stay_what_they_are() {
    let here = TempDir::new().unwrap();
    let folder = here.path();
    works(&mut gen_data(folder, &["rows=2", "-o", "/dev/null"]));
    assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());
    works(Command::new("mkfifo").current_dir(folder).arg("pipe"));
    symlink("pipe", folder.join("link")).unwrap();
    for name in ["pipe", "link"] {
        let cat = Command::new("cat").arg(folder.join("pipe")).stdout(Stdio::piped()).spawn().unwrap();
        works(&mut gen_data(folder, &["rows=2", "-o", name]));
        assert_eq!(cat.wait_with_output().unwrap().stdout, rows(folder).as_bytes());
    }
    assert!(fs::symlink_metadata(folder.join("pipe")).unwrap().file_type().is_fifo());
    assert_eq!(names(folder), ["link", "pipe"]);
}

#[test]
fn links_stay_and_their_file_is_written() {
    let here = TempDir::new().unwrap();
    let folder = here.path();
    fs::create_dir(folder.join("d")).unwrap();
    fs::write(folder.join("d/old"), "old").unwrap();
    for (link, target) in [("first", "d/old"), ("d/second", "../first"), ("none", "d/new")] {
        symlink(target, folder.join(link)).unwrap();
    }
    for (link, file) in [("first", "d/old"), ("d/second", "d/old"), ("none", "d/new")] {
        let _ = fs::remove_file(folder.join("d/new"));
        works(&mut gen_data(folder, &["rows=2", "-o", link]));
        assert!(fs::symlink_metadata(folder.join(link)).unwrap().is_symlink(), "{link}");
        assert_eq!(fs::read_to_string(folder.join(file)).unwrap(), rows(folder), "{link}");
    }
    symlink("loop", folder.join("loop")).unwrap();
    symlink("away/x", folder.join("away")).unwrap();
    for name in ["loop", "away", "d"] {
        fails(&mut gen_data(folder, &["rows=2", "-o", name]));
    }
    // As the links that DVC puts in place of cached files: who writes through them spoils the cache.
    fs::set_permissions(folder.join("d/old"), fs::Permissions::from_mode(0o444)).unwrap();
    assert!(fails(&mut gen_data(folder, &["rows=2", "-o", "first"])).contains("write-protected; remove the link"));
}

#[test]
fn a_replaced_file_keeps_its_mode_and_a_new_one_has_the_umasks() {
    let here = TempDir::new().unwrap();
    let folder = here.path();
    let mode = |name: &str| fs::metadata(folder.join(name)).unwrap().permissions().mode() & 0o777;
    for old in [0o600, 0o640, 0o666, 0o755, 0o444] {
        fs::write(folder.join("x"), "").unwrap();
        fs::set_permissions(folder.join("x"), fs::Permissions::from_mode(old)).unwrap();
        works(&mut gen_data(folder, &["rows=2", "-o", "x"]));
        assert_eq!(mode("x"), old);
        fs::remove_file(folder.join("x")).unwrap();
    }
    works(
        Command::new("sh")
            .current_dir(folder)
            .args(["-c", "umask 027; \"$0\" rows=2 -o new"])
            .arg(cargo_bin!("gen-data")),
    );
    assert_eq!(mode("new"), 0o640);
}

#[test]
fn a_name_as_long_as_names_may_be_is_written() {
    let here = TempDir::new().unwrap();
    for name in ["x".repeat(255), "é".repeat(127)] {
        works(&mut gen_data(here.path(), &["rows=2", "-o", &name]));
        assert_eq!(names(here.path()), [name.as_str()]);
        fs::remove_file(here.path().join(name)).unwrap();
    }
}

/// A writer of many rows, when its temporary file is there.
fn writing(command: &mut Command) -> Child {
    let folder = command.get_current_dir().unwrap().to_owned();
    let child = command.args(["rows=300000000", "-o", "x.npy"]).spawn().unwrap();
    while !names(&folder).iter().any(|name| name.ends_with(".tmp")) {
        thread::sleep(Duration::from_millis(1));
    }
    child
}

fn end(mut child: Child, signal: &str) -> ExitStatus {
    Command::new("kill").args(["-s", signal, &child.id().to_string()]).status().unwrap();
    child.wait().unwrap()
}

#[test]
fn signals_leave_nothing_and_what_a_kill_left_goes_with_the_next_writer() {
    let here = TempDir::new().unwrap();
    let folder = here.path();
    for (name, signal) in [("TERM", 15), ("HUP", 1), ("INT", 2)] {
        let child = writing(&mut gen_data_that_heeds_signals(folder));
        assert_eq!(end(child, name).signal(), Some(signal));
        assert_eq!(names(folder), [""; 0], "{name}");
    }
    let alive = writing(&mut gen_data(folder, &[]));
    let before = names(folder);
    let killed = writing(gen_data(folder, &[]).process_group(0));
    while names(folder).len() < 2 {
        thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(end(killed, "KILL").signal(), Some(9));
    assert_eq!(names(folder).len(), 2);
    works(&mut gen_data(folder, &["rows=2", "-o", "x.npy"]));
    // Only the file of the writer that is alive is still there.
    assert_eq!(names(folder), [before.as_slice(), &["x.npy".to_owned()]].concat());
    end(alive, "TERM");
    assert_eq!(names(folder), ["x.npy"]);
}

/// `nohup`, and `&` in a script.
#[test]
#[cfg(target_os = "linux")]
fn a_signal_that_was_ignored_stays_so() {
    let here = TempDir::new().unwrap();
    let script = "trap '' HUP INT; exec \"$0\" rows=300000000 -o x.npy";
    let mut command = Command::new("sh");
    command.current_dir(here.path()).args(["-c", script]).arg(cargo_bin!("gen-data"));
    let mut child = command.spawn().unwrap();
    while names(here.path()).is_empty() {
        thread::sleep(Duration::from_millis(1));
    }
    for signal in ["HUP", "INT"] {
        Command::new("kill").args(["-s", signal, &child.id().to_string()]).status().unwrap();
    }
    thread::sleep(Duration::from_millis(100));
    assert!(child.try_wait().unwrap().is_none());
    assert_eq!(end(child, "TERM").signal(), Some(15));
}
