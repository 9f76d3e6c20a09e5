//! Inputs and outputs by path: links, modes, pipes, descriptors, signals.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "a child process tells its parent by its standard output")]

use files::{Input, Limit, Lock, Output, read_file, write_file, write_file_unsynced, write_files};
use std::{
    fs::{self, File, Permissions},
    io::{self, BufRead, Cursor, Read, Write},
    mem::ManuallyDrop,
    os::{
        fd::AsRawFd,
        unix::{
            fs::{FileTypeExt, PermissionsExt, symlink},
            process::ExitStatusExt,
        },
    },
    path::Path,
    thread,
    time::Duration,
};
use testkit::{Folder, Tool, system};

fn written(path: &Path, bytes: &[u8]) {
    let mut output = Output::create(Some(path)).unwrap();
    output.write_all(bytes).unwrap();
    output.finish().unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_new_file_has_the_mode_of_any_and_a_replaced_one_keeps_its_own() {
    let folder = Folder::new();
    let usual = mode(&folder.write("usual", ""));
    written(&folder.join("new"), b"1");
    assert_eq!((mode(&folder.join("new")), folder.names()), (usual, vec!["new".to_owned(), "usual".into()]));
    for old in [0o600, 0o640, 0o755, 0o444] {
        let path = folder.write(format!("{old:o}"), "old");
        fs::set_permissions(&path, Permissions::from_mode(old)).unwrap();
        written(&path, b"new");
        assert_eq!((mode(&path), folder.text(&path).as_str()), (old, "new"), "{old:o}");
    }
}

#[test]
fn a_link_stays_and_the_file_behind_it_is_written() {
    let folder = Folder::with(&[("d/old", "old")]);
    // Relative links are followed from the folder that they are in.
    for (link, target) in [("first", "d/old"), ("d/second", "../first"), ("none", "d/new"), ("folder", "d")] {
        symlink(target, folder.join(link)).unwrap();
    }
    for (link, file) in [("first", "d/old"), ("d/second", "d/old"), ("none", "d/new")] {
        written(&folder.join(link), link.as_bytes());
        assert!(folder.join(link).is_symlink() && !folder.join(file).is_symlink());
        assert_eq!(folder.text(file), link);
    }
    let error = |path: &str| Output::create(Some(&folder.join(path))).map(drop).unwrap_err().to_string();
    assert!(error("folder").contains("directory") && error("d").contains("directory"));
    symlink("loop", folder.join("loop")).unwrap();
    error("loop");
    // A write-protected file itself is replaced; behind a link it may be a cache's.
    fs::set_permissions(folder.join("d/old"), Permissions::from_mode(0o444)).unwrap();
    assert!(error("first").contains("write-protected; remove the link first"));
    written(&folder.join("d/old"), b"direct");
    assert_eq!(folder.text("d/old"), "direct");
}

#[test]
fn a_named_pipe_is_written_directly_and_stays() {
    let folder = Folder::new();
    let path = folder.join("pipe");
    system::fifo(&path);
    let reader = thread::spawn({
        let path = path.clone();
        move || fs::read(path).unwrap()
    });
    let mut output = Output::create(Some(&path)).unwrap();
    assert_eq!((output.can_patch(), output.name()), (false, path.to_str().unwrap()));
    output.write_all(b"one").unwrap();
    assert!(output.patch(0, b"x").is_err(), "a pipe cannot seek");
    output.finish().unwrap();
    assert_eq!(reader.join().unwrap(), b"one");
    assert!(fs::symlink_metadata(&path).unwrap().file_type().is_fifo());
    assert_eq!(folder.names(), ["pipe"]);
}

#[test]
fn what_was_written_to_a_file_is_patched_and_writing_goes_on_at_the_end() {
    let folder = Folder::new();
    let path = folder.join("x");
    let mut output = Output::create(Some(&path)).unwrap();
    assert!(output.can_patch());
    output.write_all(b"abcdef").unwrap();
    output.patch(2, b"XY").unwrap();
    Write::write_all(&mut output, b"gh").unwrap();
    output.flush().unwrap();
    output.finish_unsynced().unwrap();
    assert_eq!(folder.text("x"), "abXYefgh");
}

#[test]
#[cfg(target_os = "linux")]
fn an_open_descriptor_is_shared_with_its_position() {
    let folder = Folder::new();
    let mut file = File::create(folder.join("x")).unwrap();
    file.write_all(b"before\n").unwrap();
    for name in ["/dev/fd", "/proc/self/fd"] {
        let mut output = Output::create(Some(&Path::new(name).join(file.as_raw_fd().to_string()))).unwrap();
        assert!(output.can_patch());
        output.write_all(b"abc\n").unwrap();
        output.patch(1, b"B").unwrap();
        output.finish().unwrap();
    }
    file.write_all(b"after\n").unwrap();
    assert_eq!(folder.text("x"), "before\naBc\naBc\nafter\n");
    let file = File::options().append(true).open(folder.join("x")).unwrap();
    let output = Output::create(Some(Path::new(&format!("/dev/fd/{}", file.as_raw_fd())))).unwrap();
    assert!(!output.can_patch(), "in append mode all bytes go to the end");
    assert_eq!(folder.names(), ["x"], "a descriptor has no temporary file");
}

#[test]
fn several_files_are_written_and_a_link_is_replaced() {
    let folder = Folder::with(&[("mine", "mine"), ("b", "old"), ("d/e", "old")]);
    symlink("mine", folder.join("a")).unwrap();
    fs::set_permissions(folder.join("b"), Permissions::from_mode(0o600)).unwrap();
    let paths = ["a", "b", "d/c"].map(|name| folder.join(name));
    write_files(&[(&paths[0], b"1"), (&paths[1], b"2"), (&paths[2], b"3")]).unwrap();
    assert_eq!(paths.each_ref().map(|path| folder.text(path)), ["1", "2", "3"]);
    assert!(!paths[0].is_symlink() && mode(&paths[1]) == 0o600);
    assert_eq!(folder.text("mine"), "mine");
    assert!(write_files(&[(&paths[0], b"x"), (&folder.join("none/y"), b"x")]).is_err());
    assert_eq!(folder.text("a"), "1", "none is renamed before all are written");
    write_file_unsynced(&paths[0], b"4").unwrap();
    write_file(&paths[1], b"5").unwrap();
    assert_eq!((folder.text("a"), folder.text("b")), ("4".into(), "5".into()));
    assert_eq!(folder.names(), ["a", "b", "d", "mine"]);
}

#[test]
fn what_a_killed_writer_left_goes_with_the_next_writer_of_the_same_file() {
    let folder = Folder::with(&[(".x.npyabcdef.tmp", "left"), (".y.npyabcdef.tmp", "another's")]);
    let output = Output::create(Some(&folder.join("x.npy"))).unwrap();
    let names = folder.names();
    assert_eq!((names.len(), names.contains(&".y.npyabcdef.tmp".into())), (2, true), "{names:?}");
    drop(output);
    assert_eq!(folder.names(), [".y.npyabcdef.tmp"]);
    let error = Output::create(Some(&folder.join("none/x"))).map(drop).unwrap_err().to_string();
    assert!(error.ends_with(&format!("there is no folder {}", folder.join("none").display())), "{error}");
}

/// Gives what is in it, one after the other: bytes, an interruption, an end.
struct Script(Vec<io::Result<&'static [u8]>>);

impl Read for Script {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.0.remove(0)?;
        buffer[..bytes.len()].copy_from_slice(bytes);
        Ok(bytes.len())
    }
}

#[test]
fn bytes_are_looked_at_before_they_are_read() {
    let folder = Folder::with(&[("x", "abcdefgh")]);
    for (mut input, is_file) in
        [(Input::open(Some(&folder.join("x"))).unwrap(), true), (Input::new("stdin", Cursor::new(b"abcdefgh")), false)]
    {
        assert_eq!(input.name(), if is_file { folder.join("x").display().to_string() } else { "stdin".into() });
        assert_eq!(&**input.shared_name(), input.name());
        assert_eq!(input.peek(3).unwrap(), b"abc");
        assert_eq!(input.peek(2).unwrap(), b"abc");
        input.skip(1);
        assert_eq!(input.position().unwrap(), is_file.then_some(1));
        let mut two = [0; 2];
        assert_eq!((input.read_some(&mut two).unwrap(), two), (2, *b"bc"));
        assert_eq!(input.peek(2).unwrap(), b"de");
        let mut buffer = [0; 4];
        assert_eq!((input.fill(&mut buffer).unwrap(), &buffer), (4, b"defg"));
        assert_eq!(input.fill(&mut buffer).unwrap(), 1);
        assert_eq!((input.fill(&mut buffer).unwrap(), input.peek(1).unwrap().len()), (0, 0));
        input.seek(2).unwrap();
        let rest = if is_file { "cdefgh" } else { "" };
        let mut text = String::new();
        input.read_to_string(&mut text).unwrap();
        assert_eq!(text, rest, "a stream has no way back");
    }
}

#[test]
fn the_rest_of_an_input_is_read_up_to_a_limit() {
    let limit = |bytes| Limit { bytes, setting: Some("x.bytes") };
    let mut input = Input::new("stdin", Cursor::new(b"abcdefgh"));
    input.peek(3).unwrap();
    input.skip(1);
    assert_eq!(input.read_all(limit(7)).unwrap(), b"bcdefgh");
    let error = Input::new("stdin", io::repeat(0)).read_all(limit(7)).unwrap_err().to_string();
    assert_eq!(error, "stdin: more than 7 bytes (the setting x.bytes)");
}

#[test]
fn an_interrupted_read_is_repeated_and_an_end_is_an_end() {
    let interrupted = || Err(io::ErrorKind::Interrupted.into());
    let mut input = Input::new("tty", Script(vec![interrupted(), Ok(b"ab"), interrupted(), Ok(b""), Ok(b"more")]));
    let mut buffer = [0; 3];
    assert_eq!(input.fill(&mut buffer).unwrap(), 2);
    // Ctrl-D is typed once.
    assert_eq!((input.fill(&mut buffer).unwrap(), input.peek(1).unwrap()), (0, &b""[..]));
    let mut input = Input::new("tty", Script(vec![Err(io::Error::other("broken"))]));
    assert_eq!(input.fill(&mut buffer).unwrap_err().to_string(), "tty: broken");
}

#[test]
fn a_whole_file_is_read_up_to_its_limit() {
    let folder = Folder::with(&[("x", "0123456789")]);
    let limit = |bytes| Limit { bytes, setting: None };
    for bytes in [10, 11, u64::MAX] {
        assert_eq!(read_file(&folder.join("x"), limit(bytes)).unwrap(), b"0123456789");
    }
    let error = read_file(&folder.join("x"), limit(9)).unwrap_err().to_string();
    assert_eq!(error, format!("{}: more than 9 bytes", folder.join("x").display()));
    assert!(read_file(&folder, limit(9)).unwrap_err().to_string().contains("directory"));
    assert!(read_file(&folder.join("none"), limit(9)).is_err());
    // A pipe has no length; it is read to its end, or to the limit.
    system::fifo(folder.join("pipe"));
    for (bytes, fits) in [(5, true), (4, false)] {
        let path = folder.join("pipe");
        let writer = thread::spawn(move || fs::write(path, "abcde"));
        assert_eq!(read_file(&folder.join("pipe"), limit(bytes)).ok(), fits.then(|| b"abcde".to_vec()));
        let _ = writer.join().unwrap();
    }
}

#[test]
fn the_holder_of_a_lock_is_quoted_in_part_and_escaped() {
    let folder = Folder::new();
    let path = folder.join("lock");
    let holder = |text: &str| {
        let _lock = Lock::create(&path, text).unwrap();
        Lock::create(&path, "me").map(drop).unwrap_err().to_string()
    };
    let locked = |by: &str| format!("{}: locked by {by}", path.display());
    assert_eq!(holder("train, process 7"), locked("train, process 7"));
    assert_eq!(holder(" "), locked("another process"));
    assert_eq!(holder("\u{1b}[31m"), locked("\\u{1b}[31m"));
    assert_eq!(holder(&"x".repeat(100)), locked(&"x".repeat(64)));
}

#[test]
fn a_long_name_has_a_temporary_name_of_its_own_length() {
    for name in ["x".repeat(255), "x".repeat(101)] {
        let folder = Folder::new();
        let _output = Output::create(Some(&folder.join(&name))).unwrap();
        let [temporary] = &folder.names()[..] else { panic!("one file") };
        assert!(temporary.len() == name.len() && temporary.starts_with(".xx"), "{temporary}");
    }
}

#[test]
#[ignore = "run by the test of what is no temporary file any more"]
fn child_that_deletes_its_temporary_files() {
    let create = |name: &str| Output::create(Some(Path::new(name))).unwrap();
    let dropped = create("a");
    let names = || fs::read_dir(".").unwrap().map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>();
    let name = names().remove(0);
    drop(dropped);
    create("b").finish().unwrap();
    // Never dropped: after the call below, dropping it would wait for the end of the process.
    let _open = ManuallyDrop::new(create("c"));
    fs::write(&name, "another's, by chance").unwrap();
    files::remove_temporary_files();
    let mut left = names();
    left.sort();
    assert_eq!(left, [name, "b".into()]);
}

#[test]
fn what_is_no_temporary_file_any_more_is_not_deleted() {
    let folder = Folder::new();
    let done = child("child_that_deletes_its_temporary_files").within(&folder).run();
    assert_eq!(done.status, 0, "{}", done.error);
}

/// Runs one of the ignored tests below in a process of its own.
fn child(name: &str) -> Tool {
    Tool::new(std::env::current_exe().unwrap()).args(["--ignored", "--exact", name, "--nocapture"])
}

#[test]
#[ignore = "run by the test of ignored signals"]
fn child_that_prints_its_signals() {
    println!("signals {:?}", files::termination_signals());
}

#[test]
#[cfg(target_os = "linux")]
fn signals_that_the_parent_ignores_are_left_alone() {
    for (ignored, left) in [("", "[1, 2, 15]"), ("HUP", "[2, 15]"), ("INT TERM", "[1]")] {
        let trap = if ignored.is_empty() { String::new() } else { format!("trap '' {ignored}; ") };
        let child = child("child_that_prints_its_signals").shell(&format!("{trap}exec \"$0\" \"$@\""));
        let done = child.heeding_signals().run();
        assert!(done.out.contains(&format!("signals {left}\n")), "{ignored}: {}", done.out);
    }
}

#[test]
#[ignore = "run by the test of a signal"]
fn child_that_writes_until_it_is_ended() {
    let mut output = Output::create(Some(Path::new("x.npy"))).unwrap();
    output.write_all(b"some").unwrap();
    println!("ready");
    thread::sleep(Duration::from_secs(600));
}

#[test]
fn a_signal_ends_the_writer_and_leaves_no_temporary_file() {
    for (name, number) in [("TERM", 15), ("INT", 2), ("HUP", 1)] {
        let folder = Folder::new();
        let mut writer = child("child_that_writes_until_it_is_ended").heeding_signals().within(&folder).spawn();
        let mut lines = writer.stdout().lines();
        assert!(lines.any(|line| line.unwrap().contains("ready")));
        let names = folder.names();
        assert!(names.len() == 1 && names[0].starts_with(".x.npy") && names[0].ends_with(".tmp"), "{names:?}");
        writer.signal(name);
        assert_eq!(writer.wait().signal(), Some(number));
        assert_eq!(folder.names(), [""; 0], "{name}");
    }
}

#[test]
#[ignore = "run by the test of a closed standard output"]
fn child_that_finds_its_output_closed() {
    assert_eq!(Output::create(None).map(drop).unwrap_err().to_string(), "stdout: standard output is closed");
}

#[test]
fn a_closed_standard_output_is_an_error_and_the_null_device_none() {
    let status = |redirection: &str| {
        let script = format!("exec \"$0\" \"$@\" {redirection}");
        child("child_that_finds_its_output_closed").shell(&script).run().status
    };
    assert_eq!(status(">&-"), 0);
    assert_ne!(status("> /dev/null"), 0);
}
