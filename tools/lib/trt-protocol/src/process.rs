//! The process: started, asked, and buried.

use crate::{
    Answer, Error, PROGRAM, PROTOCOL, Request, Result,
    frame::{self, FrameError},
    tail::Tail,
};
use std::{
    env,
    io::BufReader,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// How long the process may take to start, and to end after it has closed its standard output.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the last lines of a process that has ended are waited for.
const LAST_LINES: Duration = Duration::from_secs(1);

type Call = (Request, Vec<u8>);
type Reply = std::result::Result<(Answer, Vec<u8>), FrameError>;

/// A running `trt-run`. Dropping it ends the process.
#[derive(Debug)]
pub struct Process {
    program: PathBuf,
    child: Child,
    /// Calls on their way to standard input. A thread writes them: the process may stop reading.
    calls: Option<Sender<Call>>,
    replies: Receiver<Reply>,
    tail: Tail,
    /// The thread that reads standard error into `tail`.
    follower: JoinHandle<()>,
}

/// The program: beside the one that runs, else found on `PATH`.
pub fn locate() -> PathBuf {
    let beside = env::current_exe().ok().and_then(|program| Some(program.parent()?.join(PROGRAM)));
    beside.filter(|path| path.is_file()).unwrap_or_else(|| PROGRAM.into())
}

impl Process {
    /// Starts `program`. Lines that it writes to standard error are given to `on_line`, on another thread.
    ///
    /// # Errors
    /// When it cannot be started, or does not speak this version of the protocol.
    pub fn start(program: &Path, on_line: impl FnMut(&str) + Send + 'static) -> Result<Self> {
        let started = |source| Error::Start { program: program.into(), source };
        let mut command = Command::new(program);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(started)?;
        let (calls, to_write) = channel();
        let (answered, replies) = channel();
        let tail = Tail::default();
        if let Some(stdin) = child.stdin.take() {
            spawn(move || write_calls(stdin, &to_write)).map_err(started)?;
        }
        if let Some(stdout) = child.stdout.take() {
            spawn(move || read_replies(stdout, &answered)).map_err(started)?;
        }
        let (stderr, lines) = (child.stderr.take(), tail.clone());
        let follow = move || {
            if let Some(stderr) = stderr {
                lines.follow(stderr, on_line);
            }
        };
        let follower = spawn(follow).map_err(started)?;
        let mut process = Self { program: program.into(), child, calls: Some(calls), replies, tail, follower };
        match process.reply(PATIENCE)? {
            (Answer::Ready { protocol: PROTOCOL }, _) => Ok(process),
            (Answer::Ready { protocol }, _) => {
                Err(process.garbage(format!("protocol {protocol}, expected {PROTOCOL}; build both again")))
            }
            _ => Err(process.garbage("an answer before the first request")),
        }
    }

    /// Sends a request, and waits at most `limit` for the answer and its payload.
    ///
    /// # Errors
    /// When the request fails; and when the process ends, answers with what is no answer, or takes longer. Then it is of no
    /// more use.
    pub fn call(&mut self, request: Request, payload: Vec<u8>, limit: Duration) -> Result<(Answer, Vec<u8>)> {
        // If the thread that writes is gone, so is the process: the reply says how.
        let _ = self.calls.as_ref().map(|calls| calls.send((request, payload)));
        match self.reply(limit)? {
            (Answer::Failed(failure), _) => Err(failure.into()),
            answer => Ok(answer),
        }
    }

    /// An error of an answer that does not belong to its request.
    pub fn garbage(&self, reason: impl Into<String>) -> Error {
        Error::Garbage { program: self.program.clone(), reason: reason.into() }
    }

    fn reply(&mut self, limit: Duration) -> Result<(Answer, Vec<u8>)> {
        match self.replies.recv_timeout(limit) {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(FrameError::Closed | FrameError::Io(_))) | Err(RecvTimeoutError::Disconnected) => Err(self.death()),
            Ok(Err(error)) => {
                self.kill();
                Err(self.garbage(error.to_string()))
            }
            Err(RecvTimeoutError::Timeout) => {
                self.kill();
                Err(Error::TimedOut { limit, log: self.last_lines() })
            }
        }
    }

    /// How the process ended, which has closed its standard output.
    fn death(&mut self) -> Error {
        let until = Instant::now() + PATIENCE;
        let how = loop {
            match self.child.try_wait() {
                Ok(Some(status)) => break describe(status),
                Ok(None) if Instant::now() < until => thread::sleep(Duration::from_millis(5)),
                Ok(None) => {
                    self.kill();
                    break "it closed its standard output and was killed".into();
                }
                Err(error) => break error.to_string(),
            }
        };
        Error::Died { how, log: self.last_lines() }
    }

    /// The last lines of standard error of a process that has ended; another that it started may still have it open.
    fn last_lines(&self) -> Vec<String> {
        let until = Instant::now() + LAST_LINES;
        while !self.follower.is_finished() && Instant::now() < until {
            thread::sleep(Duration::from_millis(2));
        }
        self.tail.lines()
    }

    fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.calls = None;
        self.kill();
    }
}

fn spawn(work: impl FnOnce() + Send + 'static) -> std::io::Result<JoinHandle<()>> {
    thread::Builder::new().name(PROGRAM.into()).spawn(work)
}

fn write_calls(mut stdin: ChildStdin, calls: &Receiver<Call>) {
    for (request, payload) in calls {
        if frame::write(&mut stdin, &request, &payload).is_err() {
            break;
        }
    }
}

fn read_replies(stdout: ChildStdout, answered: &Sender<Reply>) {
    let mut stdout = BufReader::with_capacity(1 << 16, stdout);
    loop {
        let reply = frame::read(&mut stdout);
        let is_last = reply.is_err();
        if answered.send(reply).is_err() || is_last {
            break;
        }
    }
}

#[cfg(unix)]
fn describe(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match status.signal() {
        Some(signal) => format!("signal {signal}{}", name(signal)),
        None => status.to_string(),
    }
}

#[cfg(not(unix))]
fn describe(status: ExitStatus) -> String {
    status.to_string()
}

/// The signals of a crash.
#[cfg(unix)]
fn name(signal: i32) -> &'static str {
    match signal {
        4 => " (SIGILL)",
        6 => " (SIGABRT)",
        8 => " (SIGFPE)",
        9 => " (SIGKILL: out of memory?)",
        11 => " (SIGSEGV: it crashed)",
        _ => "",
    }
}
