//! One run of a tool's binary.

use std::{
    env,
    ffi::{OsStr, OsString},
    io::{self, BufReader},
    path::{Path, PathBuf},
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

/// How long a program may be busy.
const BUSY: Duration = Duration::from_secs(10);

/// The tool of this name, in an integration test of its own crate: cargo builds it and says where it is.
#[macro_export]
macro_rules! tool {
    ($name:literal) => {
        $crate::Tool::new(env!(concat!("CARGO_BIN_EXE_", $name)))
    };
}

/// A program, and how it is to be run. Unless said otherwise: in the system's temporary folder, away from any
/// `configs/`; with this process's environment; with an empty standard input; for five minutes at most.
#[derive(Debug, Clone)]
#[must_use = "it runs by `run`, `output`, `spawn` or `command`"]
pub struct Tool {
    /// What runs the program: empty, or a command that takes it as its last arguments.
    runner: Vec<OsString>,
    program: OsString,
    args: Vec<OsString>,
    folder: PathBuf,
    environment: Vec<(OsString, Option<OsString>)>,
    stdin: Vec<u8>,
    limit: Duration,
}

impl Tool {
    /// The program at a path; see [`tool!`](crate::tool).
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Self {
            runner: Vec::new(),
            program: program.as_ref().to_owned(),
            args: Vec::new(),
            folder: env::temp_dir(),
            environment: Vec::new(),
            stdin: Vec::new(),
            limit: Duration::from_secs(300),
        }
    }

    /// Runs in this folder.
    pub fn within(mut self, folder: impl AsRef<Path>) -> Self {
        self.folder = folder.as_ref().to_owned();
        self
    }

    /// More arguments.
    pub fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets a variable of the environment.
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.environment.push((name.as_ref().to_owned(), Some(value.as_ref().to_owned())));
        self
    }

    /// Takes variables out of the environment.
    pub fn without_env(mut self, names: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.environment.extend(names.into_iter().map(|name| (name.as_ref().to_owned(), None)));
        self
    }

    /// What it reads from standard input, by [`Tool::run`] and [`Tool::output`].
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// Runs it by another command, which takes the program and its arguments as its last ones.
    pub fn under(mut self, runner: &[&str]) -> Self {
        self.runner.splice(0..0, runner.iter().map(OsString::from));
        self
    }

    /// Runs a script of `sh` in which `"$0"` is the program, and `"$@"` its arguments.
    pub fn shell(self, script: &str) -> Self {
        self.under(&["sh", "-c", script])
    }

    /// Undoes that the tests' caller ignores signals, as `nohup` and an `&` in a script do.
    pub fn heeding_signals(self) -> Self {
        if cfg!(target_os = "linux") { self.under(&["env", "--default-signal=HUP,INT,TERM"]) } else { self }
    }

    /// As a command of the standard library, for what is special; standard input is not given to it.
    pub fn command(self) -> Command {
        let words: Vec<_> = self.runner.into_iter().chain([self.program]).chain(self.args).collect();
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).current_dir(self.folder);
        for (name, value) in self.environment {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command
    }

    /// Runs it to its end.
    ///
    /// # Panics
    ///
    /// If it cannot be started, or takes longer than five minutes.
    pub fn output(mut self) -> Output {
        let (stdin, limit) = (std::mem::take(&mut self.stdin), self.limit);
        let shown = format!("{self:?}");
        let once = || {
            let mut command = assert_cmd::Command::from_std(self.clone().command());
            command.write_stdin(stdin.clone()).timeout(limit).output()
        };
        // A program that a test has copied is busy as long as a child that another thread started has not let go of it.
        let is_busy = |error: &io::Error| error.kind() == io::ErrorKind::ExecutableFileBusy;
        let began = Instant::now();
        let mut output = once();
        while output.as_ref().is_err_and(is_busy) && began.elapsed() < BUSY {
            thread::sleep(Duration::from_millis(10));
            output = once();
        }
        output.unwrap_or_else(|error| panic!("{shown}: {error}"))
    }

    /// As [`Tool::output`], of a tool that writes text and ends by itself, not by a signal.
    pub fn run(self) -> Done {
        Done::from(self.output())
    }

    /// As [`Tool::run`]: fails the test unless the exit status is 0 and standard error is empty. Returns what it wrote.
    pub fn works(self) -> String {
        let shown = format!("{:?}", self.args);
        let done = self.run();
        assert_eq!((done.status, done.error.as_str()), (0, ""), "{shown}");
        done.out
    }

    /// Starts it with pipes for standard input, output and error.
    pub fn spawn(self) -> Running {
        let mut command = self.command();
        let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Running(Some(pipes.spawn().unwrap()))
    }
}

/// How a run ended, and what it wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// The exit status.
    pub status: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub error: String,
}

impl Done {
    /// Exit status, standard output and standard error.
    pub fn parts(self) -> (i32, String, String) {
        (self.status, self.out, self.error)
    }
}

impl From<Output> for Done {
    fn from(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (out, error) = (text(&output.stdout), text(&output.stderr));
        let status = output.status.code().unwrap_or_else(|| panic!("ended by a signal: {}: {error}", output.status));
        Self { status, out, error }
    }
}

/// A tool that runs. It is killed when dropped, so that a failed test leaves none behind.
#[derive(Debug)]
pub struct Running(Option<Child>);

impl Running {
    fn child(&mut self) -> &mut Child {
        self.0.as_mut().unwrap()
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.0.as_ref().unwrap().id()
    }

    /// Its standard input, once; closed when dropped.
    pub fn stdin(&mut self) -> ChildStdin {
        self.child().stdin.take().unwrap()
    }

    /// Its standard output, once.
    pub fn stdout(&mut self) -> BufReader<ChildStdout> {
        BufReader::new(self.child().stdout.take().unwrap())
    }

    /// Its standard error, once.
    pub fn stderr(&mut self) -> BufReader<ChildStderr> {
        BufReader::new(self.child().stderr.take().unwrap())
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child().try_wait().unwrap().is_some()
    }

    /// Sends a signal, by its name without SIG.
    pub fn signal(&self, name: &str) {
        crate::system::signal(name, &[self.id()]);
    }

    /// Kills it.
    pub fn kill(mut self) -> ExitStatus {
        self.child().kill().unwrap();
        self.wait()
    }

    /// Waits for its end. What it writes must fit into a pipe, or be read.
    pub fn wait(mut self) -> ExitStatus {
        self.child().wait().unwrap()
    }

    /// Closes its standard input, reads what it still writes, and waits for its end.
    pub fn output(mut self) -> Output {
        self.0.take().unwrap().wait_with_output().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::Folder;
    use std::io::{BufRead, Write};

    #[test]
    fn a_run_has_its_folder_arguments_environment_and_input() {
        let folder = Folder::with(&[("x", "in the folder\n")]);
        let tool = Tool::new("echo").within(&folder).args(["a b", "c"]).env("MINE", "1").without_env(["HOME"]);
        let script = r#"cat x -; echo "$@" "$MINE" "${HOME-none}"; echo told >&2; exit 3"#;
        let done = tool.shell(script).stdin("from stdin\n").run();
        assert_eq!(done.parts(), (3, "in the folder\nfrom stdin\na b c 1 none\n".into(), "told\n".into()));
        assert_eq!(Tool::new("echo").shell("\"$0\" $0").works(), "echo\n");
    }

    #[test]
    #[should_panic(expected = "ended by a signal")]
    fn a_signal_is_no_exit_status() {
        Tool::new("").shell("kill -TERM $$").run();
    }

    #[test]
    fn a_running_tool_is_spoken_to_and_ended() {
        let mut cat = Tool::new("cat").heeding_signals().spawn();
        let (mut stdin, mut stdout, mut line) = (cat.stdin(), cat.stdout(), String::new());
        stdin.write_all(b"one\n").unwrap();
        stdout.read_line(&mut line).unwrap();
        assert_eq!((line.as_str(), cat.has_ended()), ("one\n", false));
        cat.signal("TERM");
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&cat.wait()), Some(15));
    }

    #[test]
    fn a_running_tool_ends_when_dropped() {
        let mut parent = Tool::new("sleep").args(["1000"]).spawn();
        let mut stdout = parent.stdout();
        drop(parent);
        let mut rest = String::new();
        assert_eq!(stdout.read_line(&mut rest).unwrap(), 0);
    }
}
