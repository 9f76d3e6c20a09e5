//! Where a tool's output goes, with the real binary: links, devices, descriptors, modes, signals.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    os::unix::{
        fs::{FileTypeExt, PermissionsExt, symlink},
        process::ExitStatusExt,
    },
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};
use testkit::{Folder, Running, Tool, system, tool};

/// `gen-data` in a folder.
fn gen_data(folder: &Path, args: &[&str]) -> Tool {
    tool!("gen-data").within(folder).args(args)
}

/// What `gen-data rows=2` writes.
fn rows(folder: &Path) -> String {
    gen_data(folder, &["rows=2"]).run().out
}

fn works(tool: Tool) {
    tool.works();
}

fn fails(tool: Tool) -> String {
    let shown = format!("{tool:?}");
    let done = tool.run();
    assert_eq!(done.status, 2, "{shown}");
    done.error
}

#[test]
#[cfg(target_os = "linux")]
fn descriptors_are_written_by_any_name() {
    let folder = &Folder::new();
    let rows = rows(folder);
    for name in ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "link", "-"] {
        let _ = symlink("/dev/stdout", folder.join("link"));
        // A file in append mode, one with something in front, and a pipe.
        fs::write(folder.join("out"), "before\n").unwrap();
        let mut begun = File::create(folder.join("begun")).unwrap();
        begun.write_all(b"before\n").unwrap();
        let appended = OpenOptions::new().append(true).open(folder.join("out")).unwrap();
        for file in [appended, begun] {
            assert!(gen_data(folder, &["rows=2", "-o", name]).command().stdout(file).status().unwrap().success());
        }
        let piped = gen_data(folder, &["rows=2", "-o", name]).output().stdout;
        let expected = format!("before\n{rows}");
        assert_eq!(fs::read_to_string(folder.join("out")).unwrap(), expected, "{name}");
        assert_eq!(fs::read_to_string(folder.join("begun")).unwrap(), expected, "{name}");
        assert_eq!(piped, rows.as_bytes(), "{name}");
    }
    assert!(fs::symlink_metadata("/dev/stdout").unwrap().is_symlink());
    let errors = gen_data(folder, &["rows=2", "-o", "/dev/stderr"]).output().stderr;
    assert_eq!(errors, rows.as_bytes());
    let script = "{ echo before >&3; \"$0\" rows=2 -o /dev/fd/3; echo after >&3; } 3> three";
    works(gen_data(folder, &[]).shell(script));
    assert_eq!(fs::read_to_string(folder.join("three")).unwrap(), format!("before\n{rows}after\n"));
}

#[test]
fn devices_and_pipes_stay_what_they_are() {
    let folder = &Folder::new();
    works(gen_data(folder, &["rows=2", "-o", "/dev/null"]));
    assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());
    system::fifo(folder.join("pipe"));
    symlink("pipe", folder.join("link")).unwrap();
    for name in ["pipe", "link"] {
        let cat = Command::new("cat").arg(folder.join("pipe")).stdout(Stdio::piped()).spawn().unwrap();
        works(gen_data(folder, &["rows=2", "-o", name]));
        assert_eq!(cat.wait_with_output().unwrap().stdout, rows(folder).as_bytes());
    }
    assert!(fs::symlink_metadata(folder.join("pipe")).unwrap().file_type().is_fifo());
    assert_eq!(folder.names(), ["link", "pipe"]);
}

#[test]
fn links_stay_and_their_file_is_written() {
    let folder = &Folder::new();
    fs::create_dir(folder.join("d")).unwrap();
    fs::write(folder.join("d/old"), "old").unwrap();
    for (link, target) in [("first", "d/old"), ("d/second", "../first"), ("none", "d/new")] {
        symlink(target, folder.join(link)).unwrap();
    }
    for (link, file) in [("first", "d/old"), ("d/second", "d/old"), ("none", "d/new")] {
        let _ = fs::remove_file(folder.join("d/new"));
        works(gen_data(folder, &["rows=2", "-o", link]));
        assert!(fs::symlink_metadata(folder.join(link)).unwrap().is_symlink(), "{link}");
        assert_eq!(fs::read_to_string(folder.join(file)).unwrap(), rows(folder), "{link}");
    }
    symlink("loop", folder.join("loop")).unwrap();
    symlink("away/x", folder.join("away")).unwrap();
    for name in ["loop", "away", "d"] {
        fails(gen_data(folder, &["rows=2", "-o", name]));
    }
    // As the links that DVC puts in place of cached files: who writes through them spoils the cache.
    fs::set_permissions(folder.join("d/old"), fs::Permissions::from_mode(0o444)).unwrap();
    assert!(fails(gen_data(folder, &["rows=2", "-o", "first"])).contains("write-protected; remove the link"));
}

#[test]
fn a_replaced_file_keeps_its_mode_and_a_new_one_has_the_umasks() {
    let folder = &Folder::new();
    let mode = |name: &str| fs::metadata(folder.join(name)).unwrap().permissions().mode() & 0o777;
    for old in [0o600, 0o640, 0o666, 0o755, 0o444] {
        fs::write(folder.join("x"), "").unwrap();
        fs::set_permissions(folder.join("x"), fs::Permissions::from_mode(old)).unwrap();
        works(gen_data(folder, &["rows=2", "-o", "x"]));
        assert_eq!(mode("x"), old);
        fs::remove_file(folder.join("x")).unwrap();
    }
    works(gen_data(folder, &["rows=2", "-o", "new"]).shell("umask 027; \"$0\" \"$@\""));
    assert_eq!(mode("new"), 0o640);
}

#[test]
fn a_name_as_long_as_names_may_be_is_written() {
    let here = Folder::new();
    for name in ["x".repeat(255), "é".repeat(127)] {
        works(gen_data(&here, &["rows=2", "-o", &name]));
        assert_eq!(here.names(), [name.as_str()]);
        fs::remove_file(here.join(name)).unwrap();
    }
}

/// A writer of many rows, when its temporary file is there beside `others`.
fn writing(folder: &Folder, others: usize) -> Running {
    let running = gen_data(folder, &["rows=300000000", "-o", "x.npy"]).heeding_signals().spawn();
    while folder.names().iter().filter(|name| name.ends_with(".tmp")).count() <= others {
        thread::sleep(Duration::from_millis(1));
    }
    running
}

fn end(running: Running, signal: &str) -> Option<i32> {
    running.signal(signal);
    running.wait().signal()
}

#[test]
fn signals_leave_nothing_and_what_a_kill_left_goes_with_the_next_writer() {
    let folder = &Folder::new();
    for (name, signal) in [("TERM", 15), ("HUP", 1), ("INT", 2)] {
        assert_eq!(end(writing(folder, 0), name), Some(signal));
        assert_eq!(folder.names(), [""; 0], "{name}");
    }
    let alive = writing(folder, 0);
    let before = folder.names();
    assert_eq!(end(writing(folder, 1), "KILL"), Some(9));
    assert_eq!(folder.names().len(), 2);
    works(gen_data(folder, &["rows=2", "-o", "x.npy"]));
    // Only the file of the writer that is alive is still there.
    assert_eq!(folder.names(), [before.as_slice(), &["x.npy".to_owned()]].concat());
    end(alive, "TERM");
    assert_eq!(folder.names(), ["x.npy"]);
}

/// `nohup`, and `&` in a script.
#[test]
#[cfg(target_os = "linux")]
fn a_signal_that_was_ignored_stays_so() {
    let here = Folder::new();
    let script = "trap '' HUP INT; exec \"$0\" rows=300000000 -o x.npy";
    let mut running = gen_data(&here, &[]).shell(script).spawn();
    while here.names().is_empty() {
        thread::sleep(Duration::from_millis(1));
    }
    for signal in ["HUP", "INT"] {
        running.signal(signal);
    }
    thread::sleep(Duration::from_millis(100));
    assert!(!running.has_ended());
    assert_eq!(end(running, "TERM"), Some(15));
}
