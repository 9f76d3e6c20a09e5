//! Arguments: the flags that every tool has, and whether a positional argument is a setting or an input.

use crate::{
    complete,
    dash::{self, DASH, not_dash},
    exit, help, man, note,
};
use anyhow::bail;
use argh::{ArgsInfo, FromArgs};
use config::overrides::{Override, Value};
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

/// The arguments of every tool, beside its own flags.
#[derive(Debug, Default)]
pub struct Common {
    /// The input file; none is standard input.
    pub input: Option<PathBuf>,
    /// Every input, at least one: what a tool with [`Input::Many`] or [`Input::Paths`] reads.
    pub inputs: Vec<Option<PathBuf>>,
    /// Whether standard input was named, as `-`.
    pub names_stdin: bool,
    /// `key=value` settings, in order.
    pub overrides: Vec<String>,
    /// Where settings come from.
    pub sources: config::Sources,
    /// `--cfg`: print the settings, or where they come from, and stop.
    pub show_settings: Option<Shown>,
    /// The groups whose settings the tool reads.
    groups: Option<&'static [&'static str]>,
}

/// What a tool's positional arguments are, beside settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// Nothing.
    None,
    /// A file, or standard input.
    File,
    /// A folder.
    Folder,
    /// Any number of files and folders, or standard input.
    Many,
    /// Any number of files and folders, never standard input.
    Paths,
    /// Any number of these words, each with what it is.
    Words(&'static [(&'static str, &'static str)]),
}

/// What `--cfg` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, argh::FromArgValue)]
pub enum Shown {
    /// The settings, with their comments.
    Job,
    /// Where each setting is from.
    Origin,
}

/// The flags that [`crate::arguments!`] adds, as they stand on the command line.
#[doc(hidden)]
#[derive(Default)]
pub struct RawCommon {
    pub config: Option<PathBuf>,
    pub config_path: Option<PathBuf>,
    pub config_name: Option<String>,
    pub config_dir: Vec<PathBuf>,
    pub cfg: Option<Shown>,
    pub rest: Vec<String>,
}

/// Arguments declared with [`crate::arguments!`].
pub trait Arguments: FromArgs + ArgsInfo {
    /// The config groups whose settings the tool reads; None is the whole job.
    const GROUPS: Option<&'static [&'static str]>;
    /// What else its positional arguments are.
    const INPUT: Input;
    /// Whether it takes settings, `key=value`.
    const SETTINGS: bool = true;

    #[doc(hidden)]
    fn take_common(&mut self) -> RawCommon;
}

/// Declares a tool's arguments: the config groups that it reads (a list, or `all`), its input (an [`Input`]), its own
/// flags, and those that every tool has. A command without settings has `settings: none` in place of the groups, and says
/// what `--help` calls its input: `input: Input::Folder, as "folder" "the folder to write",`.
///
/// A flag's `arg_name` tells the user, and completion, what its value is: `file`, `folder`, `config` (a primary
/// config), `key` (of the settings), or words with bars between them, `npy|ndjson`.
#[macro_export]
macro_rules! arguments {
    (@groups all) => { None };
    (@groups [$($group:literal),*]) => { Some(&[$($group),*]) };
    (groups: $groups:tt, input: None, $($struct:tt)*) => {
        $crate::arguments! { @struct $groups None "key=value" "key=value settings, in any order" $($struct)* }
    };
    (groups: $groups:tt, input: File, $($struct:tt)*) => {
        $crate::arguments! {
            @struct $groups File "input | key=value"
            "an input file (default: standard input) and key=value settings, in any order" $($struct)*
        }
    };
    (groups: $groups:tt, input: Folder, $($struct:tt)*) => {
        $crate::arguments! {
            @struct $groups Folder "folder | key=value" "a folder and key=value settings, in any order" $($struct)*
        }
    };
    (groups: $groups:tt, input: Many, $($struct:tt)*) => {
        $crate::arguments! {
            @struct $groups Many "input | key=value"
            "input files or folders (default: standard input) and key=value settings, in any order" $($struct)*
        }
    };
    (groups: $groups:tt, input: Paths, $($struct:tt)*) => {
        $crate::arguments! {
            @struct $groups Paths "path | key=value" "files or folders and key=value settings, in any order" $($struct)*
        }
    };
    (
        settings: none, input: $input:expr, as $rest_name:literal $rest:literal,
        $(#[$meta:meta])* struct $name:ident { $($fields:tt)* }
    ) => {
        #[derive(argh::FromArgs, argh::ArgsInfo)]
        #[argh(help_triggers("-h", "--help"))]
        $(#[$meta])*
        struct $name {
            $($fields)*
            #[doc = $rest]
            #[argh(positional, arg_name = $rest_name)]
            rest: Vec<String>,
        }

        impl $crate::Arguments for $name {
            const GROUPS: Option<&'static [&'static str]> = Some(&[]);
            const INPUT: $crate::Input = $input;
            const SETTINGS: bool = false;

            fn take_common(&mut self) -> $crate::RawCommon {
                $crate::RawCommon { rest: std::mem::take(&mut self.rest), ..$crate::RawCommon::default() }
            }
        }
    };
    // The fields pass through token by token: argh tells `Option` and `Vec` by their names.
    (
        @struct $groups:tt $input:ident $rest_name:tt $rest:tt
        $(#[$meta:meta])* struct $name:ident { $($fields:tt)* }
    ) => {
        #[derive(argh::FromArgs, argh::ArgsInfo)]
        #[argh(help_triggers("-h", "--help"))]
        $(#[$meta])*
        struct $name {
            $($fields)*
            /// settings from this resolved file, for instance params.yaml, instead of composed ones
            #[argh(option, arg_name = "file")]
            config: Option<std::path::PathBuf>,
            /// folder of configs to look in instead of ./configs (also -cp)
            #[argh(option, arg_name = "folder")]
            config_path: Option<std::path::PathBuf>,
            /// name of the primary config to compose from (default entropy; also -cn)
            #[argh(option, arg_name = "config")]
            config_name: Option<String>,
            /// folder of configs to look in next; may be given several times (also -cd)
            #[argh(option, arg_name = "folder")]
            config_dir: Vec<std::path::PathBuf>,
            /// print the settings and their comments, or with origin the file, line or override that each is from, and stop
            #[argh(option, arg_name = "job|origin")]
            cfg: Option<$crate::Shown>,
            #[doc = $rest]
            #[argh(positional, arg_name = $rest_name)]
            rest: Vec<String>,
        }

        impl $crate::Arguments for $name {
            const GROUPS: Option<&'static [&'static str]> = $crate::arguments!(@groups $groups);
            const INPUT: $crate::Input = $crate::Input::$input;

            fn take_common(&mut self) -> $crate::RawCommon {
                $crate::RawCommon {
                    config: self.config.take(),
                    config_path: self.config_path.take(),
                    config_name: self.config_name.take(),
                    config_dir: std::mem::take(&mut self.config_dir),
                    cfg: self.cfg.take(),
                    rest: std::mem::take(&mut self.rest),
                }
            }
        }
    };
}

/// Whether the tool has a flag `--model`.
fn takes_a_model<A: Arguments>() -> bool {
    A::get_args_info().flags.iter().any(|flag| flag.long == "--model")
}

impl Common {
    /// Tells the input path from the settings.
    pub(crate) fn new<A: Arguments>(mut raw: RawCommon) -> anyhow::Result<Self> {
        let (overrides, paths): (Vec<_>, Vec<_>) =
            std::mem::take(&mut raw.rest).into_iter().partition(|arg| A::SETTINGS && is_override(arg));
        if let Input::Words(words) = A::INPUT {
            paths.iter().try_for_each(|word| known(word, words))?;
        }
        let input = match paths.as_slice() {
            [] => None,
            [path, ..] if A::INPUT == Input::None => {
                bail!("{}: this tool reads no input; settings are key=value", path.replace(DASH, "-"))
            }
            [path] => not_dash(Some(PathBuf::from(path))),
            _ if matches!(A::INPUT, Input::Many | Input::Paths | Input::Words(_)) => None,
            [_, second, ..] if !A::SETTINGS => bail!("{second}: at most one argument, besides flags"),
            [.., model] | [model, ..] if model.ends_with(".onnx") && takes_a_model::<A>() => {
                bail!("{model}: name the model with --model, in front of its path")
            }
            [_, second, ..] => bail!("{second}: at most one input file (key=value settings need their =)"),
        };
        let names_stdin = paths.iter().any(|path| path == DASH);
        let mut inputs: Vec<_> = paths.into_iter().map(|path| not_dash(Some(PathBuf::from(path)))).collect();
        if inputs.is_empty() {
            inputs.push(None);
        }
        let show_settings = raw.cfg;
        let RawCommon { config: file, config_path, config_name, config_dir: config_dirs, .. } = raw;
        let sources = config::Sources { config_name, config_path, config_dirs, file, ..config::Sources::default() };
        Ok(Self { input, inputs, names_stdin, overrides, sources, show_settings, groups: A::GROUPS })
    }

    /// The settings of the tool's groups: composed, with the command line's overrides, and above them what `flags` give
    /// (see [`set`]; none is a flag that was not given). Warnings go to standard error.
    ///
    /// # Errors
    /// One line naming the file, override or flag at fault. Where `--cfg` asked to print the settings they are printed,
    /// and the error stands for the end of the tool's work, which [`crate::run`] takes for success.
    pub fn settings(&self, flags: impl IntoIterator<Item = Option<Override>>) -> anyhow::Result<config::Document> {
        self.settings_unless_shown(flags)?.ok_or_else(|| exit::Done.into())
    }

    /// As [`Common::settings`]; none where they were only to be printed.
    ///
    /// # Errors
    /// One line naming the file, override or flag at fault.
    pub fn settings_unless_shown(
        &self,
        flags: impl IntoIterator<Item = Option<Override>>,
    ) -> anyhow::Result<Option<config::Document>> {
        let (overrides, groups) = (&self.overrides, self.groups);
        let sources = config::Sources { flags: flags.into_iter().flatten().collect(), ..self.sources.clone() };
        let document = match groups {
            Some(own) => config::compose_for(own, &sources, overrides)?,
            None => config::compose(&sources, overrides)?,
        };
        document.warnings().iter().for_each(|warning| note(warning));
        let text = match self.show_settings {
            None => return Ok(Some(document)),
            Some(Shown::Job) => document.to_commented_yaml(&config::Comments::new(groups, &sources, overrides)?),
            Some(Shown::Origin) => config::origins(groups, &sources, overrides, "")?,
        };
        crate::print(&text)?;
        Ok(None)
    }

    /// The run folder that the command line's settings name, as those of a sweep's job do.
    pub(crate) fn run_folder(&self) -> Option<String> {
        let given = self.overrides.iter().rev().find_map(|one| one.strip_prefix(RUN_FOLDER)?.strip_prefix('='));
        given.map(|text| text.trim_matches(['\'', '"']).to_owned())
    }
}

/// Refuses a word that is none of `words`.
fn known(word: &str, words: &[(&str, &str)]) -> anyhow::Result<()> {
    let names = || words.iter().map(|(name, _)| *name);
    if names().any(|name| name == word) {
        return Ok(());
    }
    match config::did_you_mean(word, names()) {
        near if near.is_empty() => bail!("{word:?}: expected one of {}", names().collect::<Vec<_>>().join(", ")),
        near => bail!("{word:?}: no such name{near}"),
    }
}

/// The setting at `key` that a flag gives: `set("infer.threads", args.threads)`. None where the flag was not given.
pub fn set(key: &str, value: Option<impl Into<Value>>) -> Option<Override> {
    value.map(|value| Override::typed(key, value.into()))
}

/// The setting that names a run folder.
const RUN_FOLDER: &str = "trainer.run_dir";

pub(crate) enum Parsed<A> {
    Arguments(A),
    /// `--help`, `--version`, the manual page or candidates for completion.
    Text(String),
}

/// Tools that a shell has a builtin of the same name for: the front command runs them.
const BUILTINS: [&str; 1] = ["export"];
/// What argh says of a flag that there is none of.
const UNKNOWN_FLAG: &str = "Unrecognized argument: ";

/// Parses `args`, what stands behind the name of the tool or of the front command's command.
pub(crate) fn parse<A: Arguments>(tool: &str, args: impl Iterator<Item = OsString>) -> anyhow::Result<Parsed<A>> {
    let args: Vec<String> = args
        .map(|arg| arg.into_string().map_err(|arg| anyhow::anyhow!("{}: an argument is not UTF-8", arg.display())))
        .collect::<Result<_, _>>()?;
    if let Some((flag, words)) = args.split_first()
        && flag == complete::FLAG
    {
        return Ok(Parsed::Text(complete::answer::<A>(words)));
    }
    if args == ["--version"] {
        return Ok(Parsed::Text(format!("{tool} {}\n", env!("CARGO_PKG_VERSION"))));
    }
    let command = if BUILTINS.contains(&tool) { format!("pipegrad {tool}") } else { tool.to_owned() };
    if args == [man::FLAG] {
        return Ok(Parsed::Text(man::page::<A>(tool, &command)));
    }
    let args = spelled_out(args)?;
    if let Some(help) = help::asked(&args, A::get_args_info().flags) {
        return Ok(Parsed::Text(help::text::<A>(&command, help)));
    }
    let args = dash::as_values(args, A::get_args_info().flags)?;
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match A::from_args(&[&command], &args) {
        Ok(args) => Ok(Parsed::Arguments(args)),
        Err(exit) => {
            let problem = of_value(exit.output.replace(DASH, "-").trim());
            let hint = match problem.strip_prefix(UNKNOWN_FLAG) {
                Some(flag) => {
                    let next = args.iter().skip_while(|arg| **arg != flag).nth(1);
                    help::hint::<A>(flag, next.copied())
                }
                None => String::new(),
            };
            bail!("{problem}{hint} (see {command} --help)")
        }
    }
}

/// What argh says of a flag's value, `Error parsing option '--threads' with value 'x': invalid digit found in string`, as
/// `--threads x: expected a whole number`; anything else as it is.
fn of_value(problem: &str) -> String {
    let parts = problem.strip_prefix("Error parsing option '").and_then(|rest| {
        let (flag, rest) = rest.split_once("' with value '")?;
        let (value, reason) = rest.rsplit_once("': ")?;
        Some((flag, value, reason))
    });
    let Some((flag, value, reason)) = parts else { return problem.to_owned() };
    // The standard library's words for numbers.
    let expected = match reason.trim() {
        "invalid digit found in string" if value.starts_with('-') => "expected a whole number of at least 0",
        "invalid digit found in string" | "cannot parse integer from empty string" => "expected a whole number",
        "number too large to fit in target type" => "too large a number",
        "number too small to fit in target type" => "too small a number",
        "invalid float literal" | "cannot parse float from empty string" => "expected a number",
        other => other,
    };
    let quoted = format!("{value:?}");
    if expected.starts_with(&format!("{quoted}: ")) {
        return format!("{flag} {expected}");
    }
    let is_word = !value.is_empty() && !value.contains(|c: char| c.is_whitespace() || "'\":".contains(c));
    format!("{flag} {}: {expected}", if is_word { value } else { &quoted })
}

/// Arguments as argh reads them: `--flag=value` in two, Hydra's short flags in full, `--cfg` as `--cfg job`.
pub(crate) fn spelled_out(args: Vec<String>) -> anyhow::Result<Vec<String>> {
    let mut out: Vec<String> = Vec::with_capacity(args.len());
    let mut args = args.into_iter().peekable();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--" => {
                out.push(arg);
                out.extend(args);
                break;
            }
            "-" => out.push(DASH.into()),
            "-cp" => out.push("--config-path".into()),
            "-cn" => out.push("--config-name".into()),
            "-cd" => out.push("--config-dir".into()),
            "--cfg" | "-c" => {
                let shown = args.next_if(|next| SHOWN.iter().chain(&HYDRAS).any(|known| known == next));
                out.extend(["--cfg".to_owned(), shown_by(shown.as_deref().unwrap_or(SHOWN[0]))?]);
            }
            flag => match flag.split_once('=').filter(|(name, _)| name.starts_with("--")) {
                Some(("--cfg", shown)) => out.extend(["--cfg".to_owned(), shown_by(shown)?]),
                Some((name, value)) => out.extend([name, value].map(str::to_owned)),
                None => out.push(arg),
            },
        }
    }
    Ok(out)
}

/// What `--cfg` shows here, and what it shows of Hydra.
pub(crate) const SHOWN: [&str; 2] = ["job", "origin"];
const HYDRAS: [&str; 2] = ["hydra", "all"];

fn shown_by(word: &str) -> anyhow::Result<String> {
    if HYDRAS.contains(&word) {
        bail!("--cfg {word}: Hydra's own settings have no meaning here; there is --cfg job and --cfg origin");
    }
    Ok(word.to_owned())
}

/// Whether an argument is a setting: `key=value`, `+key=value`, `++key=value`, `~key`, and no path.
/// A file whose name looks like one can be called `./a=b`; in a folder it is known by being there, since
/// the run folders of a sweep are called `runs/model=mlp,seed=1`.
pub(crate) fn is_override(arg: &str) -> bool {
    if arg.contains('/') && Path::new(arg).exists() {
        return false;
    }
    if arg.starts_with('~') && !arg.starts_with("~/") {
        return true;
    }
    let Some((key, _)) = arg.trim_start_matches('+').split_once('=') else { return false };
    let word = |c: char| c.is_alphanumeric() || "_-.@/:[]$".contains(c);
    key.starts_with(|c: char| c.is_alphabetic() || "_$".contains(c)) && key.chars().all(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    crate::arguments! {
        groups: all,
        input: File,
        /// Tests.
        struct Args {}
    }

    crate::arguments! {
        groups: all,
        input: Many,
        /// Tests.
        struct ManyArgs {}
    }

    #[test]
    fn settings_are_told_from_paths() {
        for arg in ["rows=10", "+a.b=1", "++a=x", "~a", "~a=1", "data@x.y=line", "model/net=mlp", "k="] {
            assert!(is_override(arg), "{arg}");
        }
        for arg in ["x.npy", "./a=b", "/tmp/a=b", "../a=b", "~/x", "=", "", DASH] {
            assert!(!is_override(arg), "{arg}");
        }
    }

    #[test]
    fn flags_are_spelled_as_hydra_and_as_gnu_do() {
        let spelled = |args: &[&str]| spelled_out(args.iter().map(ToString::to_string).collect());
        let ok = |args: &[&str]| spelled(args).expect("valid");
        assert_eq!(ok(&["-cp", "a", "-cn", "b", "-cd=c"])[..4], ["--config-path", "a", "--config-name", "b"]);
        assert_eq!(ok(&["--out=a=b", "x=1", "-"]), ["--out", "a=b", "x=1", DASH]);
        assert_eq!(ok(&["--cfg", "job", "job"]), ["--cfg", "job", "job"]);
        assert_eq!(ok(&["--cfg", "a=1"]), ["--cfg", "job", "a=1"]);
        assert_eq!(ok(&["-c", "origin"]), ["--cfg", "origin"]);
        assert_eq!(ok(&["--cfg=job", "--", "--a=b", "-"]), ["--cfg", "job", "--", "--a=b", "-"]);
        assert!(spelled(&["--cfg", "hydra"]).is_err());
    }

    #[test]
    fn a_wrong_value_of_a_flag_is_told_in_plain_words() {
        let told = |reason: &str| of_value(&format!("Error parsing option '--threads' with value 'x': {reason}"));
        assert_eq!(told("invalid digit found in string"), "--threads x: expected a whole number");
        assert_eq!(told("expected i/n"), "--threads x: expected i/n");
        assert_eq!(told("\"x\": expected a tab"), "--threads \"x\": expected a tab");
        let of = |value: &str| {
            of_value(&format!("Error parsing option '--slope' with value '{value}': invalid digit found in string"))
        };
        assert_eq!(of("-1"), "--slope -1: expected a whole number of at least 0");
        assert_eq!(of(" 5"), "--slope \" 5\": expected a whole number");
        assert_eq!(of(""), "--slope \"\": expected a whole number");
        assert_eq!(of_value("Unrecognized argument: --x"), "Unrecognized argument: --x");
    }

    #[test]
    fn the_text_of_a_flag_is_no_override_grammar() {
        for text in ["probs", "a,b", "null", "1", "it's", "a\\'b", "ends\\", "[x", "a b", "\u{e9}", "\\\\'"] {
            let flags = vec![set("field", Some(text)).expect("given")];
            let sources = config::Sources { flags, ..config::Sources::default() };
            let document = config::compose_for(&["entropy"], &sources, &["field=x".to_owned()]).expect(text);
            assert_eq!(document.section::<String>("entropy.field").expect("a text"), text);
        }
    }

    #[test]
    fn a_dash_is_standard_input_and_two_files_are_refused() {
        let raw =
            |rest: &[&str]| RawCommon { rest: rest.iter().map(ToString::to_string).collect(), ..RawCommon::default() };
        let parsed = Common::new::<Args>(raw(&["a=1", DASH, "b=2"])).expect("valid");
        assert_eq!((parsed.input, parsed.overrides.len()), (None, 2));
        assert!(Common::new::<Args>(raw(&["a", "b"])).is_err());
    }

    crate::arguments! {
        settings: none,
        input: Input::Words(&[("git", "a program"), ("dvc", "another")]),
        as "name" "what is required",
        /// Tests.
        struct WordsArgs {}
    }

    #[test]
    fn a_command_of_words_takes_these_and_no_settings() {
        let inputs = |rest: &[&str]| {
            let rest = rest.iter().map(ToString::to_string).collect();
            Common::new::<WordsArgs>(RawCommon { rest, ..RawCommon::default() }).map_err(|error| error.to_string())
        };
        assert_eq!(inputs(&["dvc", "git"]).expect("known").inputs, [Some("dvc".into()), Some("git".into())]);
        assert_eq!(inputs(&["dcv"]).expect_err("a slip"), "\"dcv\": no such name; did you mean dvc?");
        assert_eq!(inputs(&["a=1"]).expect_err("no setting"), "\"a=1\": expected one of git, dvc");
    }

    #[test]
    fn a_tool_that_compares_takes_any_number_of_inputs() {
        let inputs = |rest: &[&str]| {
            let rest = rest.iter().map(ToString::to_string).collect();
            Common::new::<ManyArgs>(RawCommon { rest, ..RawCommon::default() }).expect("valid").inputs
        };
        assert_eq!(inputs(&["a", "k=1", DASH, "b"]), [Some("a".into()), None, Some("b".into())]);
        assert_eq!(inputs(&[]), [None]);
    }
}
