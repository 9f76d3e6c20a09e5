//! Shell completion of a tool's command line.
//!
//! A shell's script asks with `--complete WORD…`, of which the last is the word at the cursor, as far
//! as it is typed. The first line of the answer says what the shell is to add of its own: `words`
//! (nothing), `files` or `folders`, and behind a tab what stands in front of their names. Each further
//! line is a candidate and, behind a tab, what it is. `pipegrad` answers in the same form.

use crate::{Arguments, Common, Input, args};
use argh::{FlagInfo, FlagInfoKind, Optionality};
use config::Candidate;
use std::fmt;

/// The first argument of a question.
pub(crate) const FLAG: &str = "--complete";

/// Answers for the tool whose arguments are `A`. Nothing is an error: a line that makes no sense is
/// one that is being typed.
pub(crate) fn answer<A: Arguments>(words: &[String]) -> String {
    let (current, before) = words.split_last().map_or(("", words), |(last, before)| (last.as_str(), before));
    let flags = A::get_args_info().flags;
    let line = Line::read(args::spelled_out(before.to_vec()).unwrap_or_else(|_| before.to_vec()), flags);
    let is_flag = current.starts_with('-') && !line.flags_ended;
    let answer = match (line.awaits, current.split_once('=')) {
        (Some(flag), _) => value::<A>(flag, &line, "", current),
        (None, Some((name, typed))) if is_flag => match find(flags, name) {
            Some(flag) => value::<A>(flag, &line, &format!("{name}="), typed),
            None => Answer::default(),
        },
        (None, None) if is_flag => Answer::words(line.unused_flags()),
        (None, _) => setting_or_input::<A>(&line, current),
    };
    with_shown(answer, before).beginning_with(current).to_string()
}

/// Behind `--cfg` may stand what it shows, or the next argument.
fn with_shown(mut answer: Answer, before: &[String]) -> Answer {
    if before.last().is_some_and(|word| ["--cfg", "-c"].contains(&word.as_str())) {
        answer.candidates.splice(0..0, args::SHOWN.map(|word| Candidate::new(word, "")));
    }
    answer
}

/// The words before the cursor.
#[derive(Default)]
struct Line<'a> {
    flags: &'a [FlagInfo<'a>],
    given: Vec<&'a str>,
    /// The flags and their values.
    options: Vec<String>,
    positionals: Vec<String>,
    /// The flag whose value comes next.
    awaits: Option<&'a FlagInfo<'a>>,
    /// Whether `--` has come.
    flags_ended: bool,
}

impl<'a> Line<'a> {
    fn read(words: Vec<String>, flags: &'a [FlagInfo<'a>]) -> Self {
        let mut line = Self { flags, ..Self::default() };
        for word in words {
            if line.awaits.take().is_some() {
                line.options.push(word);
            } else if line.flags_ended || !word.starts_with('-') {
                line.positionals.push(word);
            } else if word == "--" {
                line.flags_ended = true;
            } else if let Some(flag) = find(flags, &word) {
                line.given.push(flag.long);
                line.awaits = Some(flag).filter(|flag| matches!(flag.kind, FlagInfoKind::Option { .. }));
                line.options.push(word);
            }
        }
        if line.awaits.is_some() {
            line.options.pop();
        }
        line
    }

    fn overrides(&self) -> Vec<String> {
        self.positionals.iter().filter(|word| args::is_override(word)).cloned().collect()
    }

    fn has_input(&self) -> bool {
        self.positionals.iter().any(|word| !args::is_override(word))
    }

    /// Where settings come from, as the tool itself reads it; a flag with a bad value spoils only that.
    fn sources<A: Arguments>(&self) -> config::Sources {
        let options: Vec<&str> = self.options.iter().map(String::as_str).collect();
        let common = A::from_args(&[""], &options).ok().and_then(|mut args| Common::new::<A>(args.take_common()).ok());
        common.unwrap_or_default().sources
    }

    fn unused_flags(&self) -> Vec<Candidate> {
        let is_unused =
            |flag: &&FlagInfo| flag.optionality == Optionality::Repeating || !self.given.contains(&flag.long);
        let mut found = Vec::new();
        for flag in self.flags.iter().filter(|flag| !flag.hidden).filter(is_unused) {
            found.extend(flag.short.map(|short| Candidate::new(format!("-{short}"), flag.description)));
            found.push(Candidate::new(flag.long, flag.description));
        }
        if self.given.is_empty() && self.positionals.is_empty() {
            found.push(Candidate::new("--version", "display the version"));
        }
        found
    }
}

/// The flag that is written `--long` or `-s`.
pub(crate) fn find<'a>(flags: &'a [FlagInfo<'a>], word: &str) -> Option<&'a FlagInfo<'a>> {
    let is_short = |short: char| word.strip_prefix('-').is_some_and(|rest| rest.chars().eq([short]));
    flags.iter().find(|flag| flag.long == word || flag.short.is_some_and(is_short))
}

/// The values of a flag, behind `prefix`. The name of its argument says what they are.
fn value<A: Arguments>(flag: &FlagInfo, line: &Line, prefix: &str, typed: &str) -> Answer {
    let FlagInfoKind::Option { arg_name } = flag.kind else { return Answer::default() };
    let candidates = match arg_name {
        "file" => return Answer::paths(Add::Files, prefix),
        "folder" => return Answer::paths(Add::Folders, prefix),
        "config" => config::primaries(&line.sources::<A>()),
        "key" => config::candidates(A::GROUPS, &line.sources::<A>(), &line.overrides(), typed)
            .into_iter()
            .map(|one| Candidate { word: one.word.trim_end_matches('=').to_owned(), ..one })
            .collect(),
        names if names.contains('|') => names.split('|').map(|name| Candidate::new(name, "")).collect(),
        _ => Vec::new(),
    };
    let prefixed = candidates.into_iter().map(|one| Candidate { word: format!("{prefix}{}", one.word), ..one });
    Answer::words(prefixed.collect())
}

fn setting_or_input<A: Arguments>(line: &Line, current: &str) -> Answer {
    if let Some((key, typed)) = current.split_once('=').filter(|_| args::is_override(current))
        && typed.starts_with(['.', '/'])
    {
        return Answer::paths(Add::Files, &format!("{key}="));
    }
    if let Input::Words(words) = A::INPUT {
        let unused = words.iter().filter(|(word, _)| !line.positionals.iter().any(|given| given == word));
        return Answer::words(unused.map(|(word, about)| Candidate::new(*word, *about)).collect());
    }
    let mut answer = match A::SETTINGS {
        true => Answer::words(config::candidates(A::GROUPS, &line.sources::<A>(), &line.overrides(), current)),
        false => Answer::default(),
    };
    if (!line.has_input() || matches!(A::INPUT, Input::Many | Input::Paths)) && !args::is_override(current) {
        answer.add = match A::INPUT {
            Input::None | Input::Words(_) => Add::Nothing,
            Input::File | Input::Many | Input::Paths => Add::Files,
            Input::Folder => Add::Folders,
        };
    }
    answer
}

/// The answer to a shell's completion request.
#[derive(Default)]
struct Answer {
    add: Add,
    /// Text to put before a path.
    prefix: String,
    candidates: Vec<Candidate>,
}

/// What a shell adds of its own.
#[derive(Default)]
enum Add {
    #[default]
    Nothing,
    Files,
    Folders,
}

impl Answer {
    fn words(candidates: Vec<Candidate>) -> Self {
        Self { candidates, ..Self::default() }
    }

    fn paths(add: Add, prefix: &str) -> Self {
        Self { add, prefix: prefix.to_owned(), ..Self::default() }
    }

    fn beginning_with(mut self, current: &str) -> Self {
        self.candidates.retain(|one| one.word.starts_with(current));
        self
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let add = match self.add {
            Add::Nothing => "words",
            Add::Files => "files",
            Add::Folders => "folders",
        };
        writeln!(f, "{add}\t{}", self.prefix)?;
        // A config is no friend for certain: its names and comments must not control the terminal.
        for one in self.candidates.iter().filter(|one| !one.word.contains(char::is_control)) {
            let about = one.about.replace(char::is_control, " ");
            writeln!(f, "{}\t{about}", one.word)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    crate::arguments! {
        groups: ["data"],
        input: File,
        /// Tests.
        #[allow(dead_code, reason = "only the names are asked for")]
        struct Args {
            /// where to write
            #[argh(option, short = 'o', arg_name = "file")]
            out: Option<String>,
            /// the encoding
            #[argh(option, arg_name = "npy|ndjson")]
            to: Vec<String>,
            /// how many
            #[argh(option)]
            threads: Option<usize>,
        }
    }

    fn lines(words: &[&str]) -> Vec<String> {
        let words: Vec<String> = words.iter().map(ToString::to_string).collect();
        answer::<Args>(&words).lines().map(|line| line.split('\t').next().unwrap_or("").to_owned()).collect()
    }

    #[test]
    fn flags_are_offered_once_unless_they_repeat() {
        assert_eq!(lines(&["--t"]), ["words", "--to", "--threads"]);
        assert_eq!(lines(&["--to", "npy", "--threads", "1", "--t"]), ["words", "--to"]);
        assert_eq!(lines(&["--threads=1", "--thr"]), ["words"]);
        assert_eq!(lines(&["-o"]), ["words", "-o"]);
        assert_eq!(lines(&["--vers"]), ["words", "--version"]);
        assert_eq!(lines(&["rows=1", "--vers"]), ["words"]);
        assert_eq!(lines(&["--", "--t"]), ["files"]);
    }

    #[test]
    fn values_of_flags_follow_the_name_of_their_argument() {
        assert_eq!(lines(&["--to", ""]), ["words", "npy", "ndjson"]);
        assert_eq!(lines(&["--to=n"]), ["words", "--to=npy", "--to=ndjson"]);
        assert_eq!(lines(&["--threads", ""]), ["words"]);
        assert_eq!(lines(&["-o", "x"]), ["files"]);
        assert_eq!(lines(&["-cd", ""]), ["folders"]);
        assert_eq!(lines(&["--nonsense=x"]), ["words"]);
        assert_eq!(lines(&["--config-name", "entr"]), ["words", "entropy"]);
        assert_eq!(lines(&["--cfg", "orig"]), ["files", "origin"]);
        assert_eq!(lines(&["--cfg", "origin", "ro"]), ["files", "rows="]);
        // A folder of which the primary configs would be options.
        let folder = "../../../configs/data";
        assert_eq!(lines(&["--config-path", folder, "--config-name", "dirich"]), ["words", "dirichlet"]);
        assert_eq!(answer::<Args>(&["--out=x".to_owned()]), "files\t--out=\n");
    }

    #[test]
    fn input_is_offered_until_there_is_one() {
        assert_eq!(lines(&["no-such-setting"]), ["files"]);
        assert_eq!(lines(&["rows=1", "x"]), ["files"]);
        assert_eq!(lines(&["x.npy", "x"]), ["words"]);
        assert_eq!(lines(&["-", "x"]), ["words"]);
        assert_eq!(answer::<Args>(&["field=./x".to_owned()]), "files\tfield=\n");
    }

    #[test]
    fn nonsense_on_the_line_spoils_no_answer() {
        for nonsense in [&["--threads", "x"][..], &["--cfg", "hydra"], &["--help"], &["--none"], &["a", "b"], &["="]] {
            let words = [nonsense, &["data=line", "noi"]].concat();
            assert_eq!(lines(&words).last().map(String::as_str), Some("noise="), "{nonsense:?}");
        }
        assert_eq!(lines(&[]).first().map(String::as_str), Some("files"));
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        let bad = vec![Candidate::new("a\u{1b}[2J", ""), Candidate::new("b", "x\u{1b}\ty\n")];
        assert_eq!(Answer::words(bad).to_string(), "words\t\nb\tx  y \n");
    }
}
