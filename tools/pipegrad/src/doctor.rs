//! `pipegrad doctor`: what this machine has of all that the tools use, and what to do about what it lacks.

mod configs;
mod libraries;
mod machine;
mod server;
mod software;

use crate::tools::TOOLS;
use cli::{Common, Input, Outcome};
use serde::Serialize;
use std::{ffi::OsString, path::PathBuf, str::FromStr};

/// The name of the command.
pub const COMMAND: &str = "doctor";
/// What it does.
pub const ABOUT: &str = "checks tools, libraries and programs, and says what to do";

/// What is looked at besides the tools, in the order of the table.
const SUBJECTS: [(&str, &str); 10] = [
    ("tools", "pipegrad's tools, of pipegrad's version"),
    ("cpu", "the instruction set that the kernels use"),
    ("threads", "threads that a tool uses"),
    ("onnxruntime", "ONNX Runtime, for models that export, infer, serve and profile do not run by themselves"),
    ("tensorrt", "TensorRT, for trt-build"),
    ("dvc", "DVC, for projects"),
    ("git", "git with a name for commits, for experiments with DVC"),
    ("make", "make, for the targets of a project"),
    ("mlflow", "an MLflow server, for track"),
    ("configs", "the configs of this folder"),
];
/// What can be asked for by name.
const NAMES: [(&str, &str); SUBJECTS.len() + TOOLS.len()] = {
    let mut names = [("", ""); SUBJECTS.len() + TOOLS.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = if at < SUBJECTS.len() {
            SUBJECTS[at]
        } else {
            let tool = &TOOLS[at - SUBJECTS.len()];
            (tool.name, tool.summary)
        };
        at += 1;
    }
    names
};

cli::arguments! {
    settings: none,
    input: Input::Words(&NAMES),
    as "name" "what is required: a name of the table, or a tool (default: nothing, and all is shown)",
    /// Checks what this machine has of all that the tools use, and says what to do about what it lacks.
    #[argh(
        example = "{command_name}\n{command_name} onnxruntime dvc --to json",
        note = "Exit status 1 means that something that was named is missing or wrong; without a name the status is 0. Libraries \
                are looked for where the tools look for them, and not loaded. The MLflow server is asked for its version \
                if MLFLOW_TRACKING_URI, or a config, names one."
    )]
    struct Args {
        /// table or json (default: table)
        #[argh(option, arg_name = "table|json", default = "Encoding::Table")]
        to: Encoding,
    }
}

/// How the answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Table,
    Json,
}

/// Another word behind `--to`.
#[derive(Debug, thiserror::Error)]
#[error("expected table or json")]
struct UnknownEncoding;

impl FromStr for Encoding {
    type Err = UnknownEncoding;

    fn from_str(name: &str) -> Result<Self, UnknownEncoding> {
        match name {
            "table" => Ok(Self::Table),
            "json" => Ok(Self::Json),
            _ => Err(UnknownEncoding),
        }
    }
}

/// What was found of one subject.
#[derive(Debug, Clone, Serialize)]
struct Check {
    name: String,
    state: State,
    version: Option<String>,
    path: Option<PathBuf>,
    /// What else there is to know.
    about: Option<String>,
    /// What to do, unless all is well.
    remedy: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Ok,
    Missing,
    /// There, and not usable.
    Wrong,
}

impl Check {
    fn ok(name: &str) -> Self {
        Self { name: name.to_owned(), state: State::Ok, version: None, path: None, about: None, remedy: None }
    }

    fn missing(name: &str, about: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { state: State::Missing, about: Some(about.into()), remedy: Some(remedy.into()), ..Self::ok(name) }
    }

    fn wrong(name: &str, about: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { state: State::Wrong, ..Self::missing(name, about, remedy) }
    }

    fn version(self, version: impl Into<String>) -> Self {
        Self { version: Some(version.into()), ..self }
    }

    fn at(self, path: impl Into<PathBuf>) -> Self {
        Self { path: Some(path.into()), ..self }
    }

    fn about(self, about: impl Into<String>) -> Self {
        Self { about: Some(about.into()), ..self }
    }
}

/// Runs the command with the arguments behind its name.
pub fn run(args: impl Iterator<Item = OsString>) -> anyhow::Result<Outcome> {
    cli::run_command("pipegrad doctor", args, work)
}

fn work(args: Args, common: Common) -> anyhow::Result<Outcome> {
    let required: Vec<String> = common.inputs.iter().flatten().map(|name| name.display().to_string()).collect();
    let checks =
        if required.is_empty() { everything() } else { required.iter().flat_map(|name| of(name, true)).collect() };
    let text = match args.to {
        Encoding::Table => table(&checks),
        Encoding::Json => serde_json::to_string_pretty(&serde_json::json!({ "checks": checks }))? + "\n",
    };
    cli::print(&text)?;
    let bad: Vec<&str> =
        checks.iter().filter(|check| check.state != State::Ok).map(|check| check.name.as_str()).collect();
    if required.is_empty() || bad.is_empty() {
        return Ok(Outcome::Done);
    }
    let verb = if bad.len() == 1 { "is" } else { "are" };
    Ok(Outcome::No(format!("{COMMAND}: {} {verb} missing or wrong", bad.join(", "))))
}

fn everything() -> Vec<Check> {
    let subjects = SUBJECTS.iter().flat_map(|(name, _)| of(name, false));
    std::iter::once(software::pipegrad()).chain(subjects).collect()
}

/// What is found of a subject or a tool. One that is required is looked for also where nothing says that there is one.
fn of(name: &str, is_required: bool) -> Vec<Check> {
    match name {
        "tools" => software::tools(),
        "cpu" => vec![machine::cpu()],
        "threads" => vec![machine::threads()],
        "onnxruntime" => vec![libraries::onnx_runtime()],
        "tensorrt" => vec![libraries::tensorrt()],
        "dvc" => vec![software::dvc()],
        "git" => vec![software::git()],
        "make" => vec![software::make()],
        "mlflow" => vec![server::mlflow(is_required)],
        "configs" => configs::configs(),
        tool => vec![software::tool(tool)],
    }
}

/// A line for each check, in columns: name, state, version, and what else there is to know or to do.
fn table(checks: &[Check]) -> String {
    let width = |column: &dyn Fn(&Check) -> usize| checks.iter().map(column).max().unwrap_or(0);
    let (names, versions) =
        (width(&|check| check.name.chars().count()), width(&|check| version(check).chars().count()));
    let mut text = String::new();
    for check in checks {
        let state = match check.state {
            State::Ok => "ok",
            State::Missing => "missing",
            State::Wrong => "wrong",
        };
        let path = check.path.as_ref().map(|path| path.display().to_string());
        let rest =
            [path, check.about.clone(), check.remedy.clone()].into_iter().flatten().collect::<Vec<_>>().join("; ");
        let line = format!("{:names$}  {state:7}  {:versions$}  {rest}", check.name, version(check));
        text.push_str(cli::printable(line.trim_end()).as_str());
        text.push('\n');
    }
    text
}

fn version(check: &Check) -> &str {
    check.version.as_deref().unwrap_or("-")
}
