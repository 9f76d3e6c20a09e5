//! `trt-run`: TensorRT in a process of its own, which answers requests on standard input (`trt-protocol`).

use anyhow::ensure;
use cli::Outcome;
use files::Limit;
use std::{
    env,
    fs::File,
    io::{self, BufReader, IsTerminal},
    path::{Path, PathBuf},
    process::ExitCode,
};
use tensorrt::{Engine, Error, Library, Log};
use trt_protocol::{
    Answer, Failure, FailureKind, LoadOptions, PROGRAM, PROTOCOL, Request,
    frame::{self, FrameError},
};

/// Most bytes of a file of compiled kernels.
const CACHE: Limit<'_> = Limit { bytes: 1 << 30, setting: None };

type Reply = Result<(Answer, Vec<u8>), Failure>;

fn main() -> ExitCode {
    cli::run_without_arguments(PROGRAM, work)
}

fn work() -> anyhow::Result<Outcome> {
    let has_no_work = env::args_os().len() > 1 || io::stdin().is_terminal();
    ensure!(!has_no_work, "has no arguments: trt-build and servers start it, with requests on standard input");
    let mut answers = answers()?;
    frame::write(&mut answers, &Answer::Ready { protocol: PROTOCOL }, &[])?;
    let mut requests = BufReader::new(io::stdin().lock());
    let mut loaded = None;
    loop {
        let (request, payload) = match frame::read(&mut requests) {
            Ok(request) => request,
            Err(FrameError::Closed) => return Ok(Outcome::Done),
            Err(error) => return Err(error.into()),
        };
        let (answer, payload) = match reply(request, &payload, &mut loaded) {
            Ok(reply) => reply,
            Err(failure) => (Answer::Failed(failure), Vec::new()),
        };
        frame::write(&mut answers, &answer, &payload)?;
    }
}

/// Standard output, for answers only: what TensorRT prints there goes to standard error.
fn answers() -> io::Result<File> {
    let answers = rustix::io::dup(io::stdout())?;
    rustix::stdio::dup2_stdout(io::stderr())?;
    Ok(answers.into())
}

/// An engine, and where its compiled kernels are kept once it has run.
struct Loaded {
    engine: Engine,
    cache: Option<PathBuf>,
}

fn reply(request: Request, payload: &[u8], loaded: &mut Option<Loaded>) -> Reply {
    match request {
        Request::Build(options) => {
            let log = Log::new(options.verbose);
            let library = Library::load(options.library.as_deref())?;
            let (engine, built) = tensorrt::build(&library, &log, payload, &options)?;
            Ok((Answer::Built(Box::new(built)), engine))
        }
        Request::Load(options) => {
            let loaded = loaded.insert(load(&options, payload)?);
            let (inputs, outputs) = (loaded.engine.inputs().to_vec(), loaded.engine.outputs().to_vec());
            Ok((Answer::Loaded { inputs, outputs }, Vec::new()))
        }
        Request::Run { shapes } => {
            let loaded = loaded.as_mut().ok_or_else(|| Error::Request("no engine is loaded".into()))?;
            let (shapes, outputs) = loaded.engine.run(&shapes, payload)?;
            if let (Some(path), Some(kernels)) = (loaded.cache.take(), loaded.engine.cache()) {
                files::write_file(&path, &kernels).map_err(|e| of_files(&e))?;
            }
            Ok((Answer::Ran { shapes }, outputs))
        }
    }
}

fn load(options: &LoadOptions, engine: &[u8]) -> Result<Loaded, Failure> {
    let library = Library::load(options.library.as_deref())?;
    let kernels = options.runtime_cache.as_deref().map(kernels).transpose()?;
    let log = Log::new(options.verbose);
    let engine = Engine::load(&library, &log, engine, options.device, kernels.as_deref())?;
    Ok(Loaded { engine, cache: options.runtime_cache.clone() })
}

/// The kernels that an earlier process compiled; none in the first.
fn kernels(path: &Path) -> Result<Vec<u8>, Failure> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    files::read_file(path, CACHE).map_err(|e| of_files(&e))
}

fn of_files(error: &files::Error) -> Failure {
    Failure { kind: FailureKind::Request, message: error.to_string() }
}
