//! A call, against programs that stand in for `trt-run`: shell scripts that answer, crash, hang and talk nonsense.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{path::PathBuf, time::Duration};
use testkit::{Folder, trt_run};
use trt_protocol::{Answer, Error, FailureKind, LoadOptions, Process, Request};

const LIMIT: Duration = Duration::from_secs(20);

/// A folder with a program that runs `script`.
struct Fake {
    program: PathBuf,
    _folder: Folder,
}

impl Fake {
    fn new(script: &str, answers: &[(Answer, &[u8])]) -> Self {
        let folder = Folder::new();
        Self { program: trt_run(&folder, script, answers), _folder: folder }
    }

    fn start(&self) -> Result<Process, Error> {
        // A test on another thread may hold the script open for writing at the moment that it forks (ETXTBSY).
        loop {
            match Process::start(&self.program, |_| {}) {
                Err(Error::Start { source, .. }) if source.raw_os_error() == Some(26) => {}
                started => return started,
            }
        }
    }
}

fn ready() -> (Answer, &'static [u8]) {
    (Answer::Ready { protocol: trt_protocol::PROTOCOL }, &[])
}

fn load() -> Request {
    Request::Load(LoadOptions::default())
}

#[test]
fn an_answer_comes_with_its_payload() {
    let ran = (Answer::Ran { shapes: vec![vec![1, 2]] }, &[1, 2, 3, 4][..]);
    let fake = Fake::new("frame 0; head -c 60 > /dev/null; frame 1; cat > /dev/null", &[ready(), ran.clone()]);
    let mut process = fake.start().unwrap();
    let (answer, payload) = process.call(load(), vec![0; 1000], LIMIT).unwrap();
    assert_eq!((answer, payload.as_slice()), ran);
}

#[test]
fn a_failure_keeps_its_kind() {
    let failure = trt_protocol::Failure { kind: FailureKind::Device, message: "no GPU".into() };
    let fake = Fake::new("frame 0; frame 1; cat > /dev/null", &[ready(), (Answer::Failed(failure.clone()), &[])]);
    let error = fake.start().unwrap().call(load(), vec![], LIMIT).unwrap_err();
    assert!(matches!(&error, Error::Failed(found) if *found == failure), "{error}");
}

#[test]
fn a_crash_is_an_error_with_the_signal_and_the_last_lines() {
    let fake = Fake::new("frame 0; echo first >&2; echo 'E about to crash' >&2; kill -SEGV $$", &[ready()]);
    let error = fake.start().unwrap().call(load(), vec![0; 1 << 20], LIMIT).unwrap_err();
    let expected =
        "TensorRT's process ended: signal 11 (SIGSEGV: it crashed); its last words: first | E about to crash";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn an_exit_status_is_told() {
    let fake = Fake::new("frame 0; head -c 4 > /dev/null; exit 3", &[ready()]);
    let error = fake.start().unwrap().call(load(), vec![], LIMIT).unwrap_err();
    assert_eq!(error.to_string(), "TensorRT's process ended: exit status: 3");
    let error = Fake::new("exit 0", &[]).start().unwrap_err();
    assert_eq!(error.to_string(), "TensorRT's process ended: exit status: 0");
}

#[test]
fn half_an_answer_is_a_death() {
    let ran = (Answer::Ran { shapes: vec![] }, &[7; 100][..]);
    let fake = Fake::new("frame 0; frame 1 | head -c 50; exit 1", &[ready(), ran]);
    let error = fake.start().unwrap().call(load(), vec![], LIMIT).unwrap_err();
    assert!(matches!(error, Error::Died { .. }), "{error}");
}

#[test]
fn a_process_that_hangs_is_killed() {
    let fake = Fake::new("frame 0; echo waiting >&2; exec sleep 1000", &[ready()]);
    let mut process = fake.start().unwrap();
    // More than a pipe holds: the process does not read it.
    let error = process.call(load(), vec![0; 1 << 22], Duration::from_millis(300)).unwrap_err();
    let expected = "no answer of TensorRT's process in 0.3 s, so it was killed; its last words: waiting";
    assert_eq!(error.to_string(), expected);
    assert!(matches!(process.call(load(), vec![], LIMIT), Err(Error::Died { .. })));
}

#[test]
fn nonsense_is_no_answer() {
    for (script, expected) in [
        ("echo 'usage: trt-run'; sleep 1", "begins with [75, 73, 61, 67], expected PGT1"),
        ("printf 'PGT1\\377\\377\\377\\377\\0\\0\\0\\0\\0\\0\\0\\0'; sleep 1", "a head of 4294967295 bytes"),
        ("printf 'PGT1\\2\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0{}'; sleep 1", "missing field `answer`"),
    ] {
        let error = Fake::new(script, &[]).start().unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let error = Fake::new("frame 0; sleep 1", &[(Answer::Ready { protocol: 99 }, &[])]).start().unwrap_err();
    assert!(error.to_string().ends_with("protocol 99, expected 1; build both again"), "{error}");
}

#[test]
fn a_missing_program_is_told() {
    let error = Process::start("/nonexistent/trt-run".as_ref(), |_| {}).unwrap_err().to_string();
    assert!(error.starts_with("/nonexistent/trt-run: cannot be started (No such file or directory"), "{error}");
}
