//! What `-h` and `--help` print: argh's text, in lines that fit a terminal, and the tool's settings.

use crate::Arguments;
use argh::{FlagInfo, FlagInfoKind};
use config::{Group, Setting};

/// Columns of a line; examples are as long as they are, so that they can be pasted.
const COLUMNS: usize = 100;
/// Where the comments of settings begin.
const COMMENT: usize = 36;

/// What argh says of `--help`, and what is true.
const ARGHS: &str = "-h, --help        display usage information";
const OURS: &str =
    "-h, --help        display the flags, and with --help the settings\n                    and examples too";

/// Stands for a blank at which no line is broken.
const GLUE: char = '\0';

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Help {
    /// `-h`: usage and flags.
    Short,
    /// `--help`: the settings, examples and notes too.
    Long,
}

/// The help that `args`, as argh reads them, ask for, wherever it stands among them.
pub(crate) fn asked(args: &[String], flags: &[FlagInfo<'_>]) -> Option<Help> {
    let takes_value = |word: &String| {
        let is_it =
            |flag: &&FlagInfo<'_>| flag.long == word || flag.short.is_some_and(|short| *word == format!("-{short}"));
        flags.iter().find(is_it).is_some_and(|flag| matches!(flag.kind, FlagInfoKind::Option { .. }))
    };
    let before_end = args.iter().take_while(|word| *word != "--");
    let mut is_value = false;
    for word in before_end {
        match word.as_str() {
            _ if is_value => is_value = false,
            "-h" => return Some(Help::Short),
            "--help" => return Some(Help::Long),
            _ => is_value = takes_value(word),
        }
    }
    None
}

/// The help of the tool whose arguments are `A`, called as `command`.
pub(crate) fn text<A: Arguments>(command: &str, help: Help) -> String {
    let Err(exit) = A::from_args(&[command], &["--help"]) else { return String::new() };
    let text = exit.output.replace(ARGHS, OURS);
    let (flags, rest) = text.split_once("\nExamples:\n").unwrap_or((&text, ""));
    let mut out = wrapped(flags);
    if help == Help::Short {
        return out + "\n";
    }
    out.push('\n');
    out.push_str(&settings(A::GROUPS));
    if let Some((examples, notes)) = rest.split_once("\nNotes:\n") {
        out.push_str(&format!("Examples:\n{examples}\nNotes:\n{}", wrapped(notes)));
    } else if !rest.is_empty() {
        out.push_str(&format!("Examples:\n{rest}"));
    }
    out.trim_end().to_owned() + "\n"
}

/// The groups of a tool with their settings; of a tool that reads all groups, the groups alone.
fn settings(own: Option<&[&str]>) -> String {
    let groups = config::reference(own);
    if groups.is_empty() {
        return String::new();
    }
    let mut out = match own {
        Some(_) => "Settings, key=value, with their defaults; group=option chooses other defaults:\n".to_owned(),
        None => "Groups of settings, with their defaults; TOOL --help has a tool's settings:\n".to_owned(),
    };
    for group in &groups {
        heading(group, &mut out);
        let shown = group.settings.iter().filter(|setting| own.is_some() && config::is_read(own, &setting.key));
        shown.for_each(|one| setting(one, &mut out));
    }
    out.push('\n');
    out
}

fn heading(group: &Group, out: &mut String) {
    let Group { name, default, options, .. } = group;
    let (option, about) = default.clone().unwrap_or_default();
    let word = if options.len() > 1 { format!("{name}={option}") } else { name.clone() };
    let choices = if options.len() > 1 { format!("{}: ", options.join("|")) } else { String::new() };
    row(2, &word, &format!("{choices}{about}"), out);
}

fn setting(one: &Setting, out: &mut String) {
    let word = if one.value.is_empty() { format!("{}:", one.key) } else { format!("{}={}", one.key, one.value) };
    row(4, &word, &one.comment, out);
}

/// `word`, and what it is in a column of its own.
fn row(indent: usize, word: &str, about: &str, out: &mut String) {
    let mut line = format!("{:indent$}{word}", "");
    let lines = wrap(about, COLUMNS - COMMENT);
    let mut lines = lines.iter();
    if line.chars().count() + 2 <= COMMENT
        && let Some(first) = lines.next()
    {
        line = format!("{line:COMMENT$}{first}");
    }
    out.push_str(line.trim_end());
    out.push('\n');
    lines.for_each(|line| out.push_str(&format!("{:COMMENT$}{line}\n", "")));
}

/// Each line of `text` in lines that fit, indented like it.
fn wrapped(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let indent = line.len() - line.trim_start().len();
        if line.chars().count() <= COLUMNS {
            out.push_str(line.trim_end());
            out.push('\n');
            continue;
        }
        // A flag of the usage stays with its value.
        let is_usage = line.starts_with("Usage: ");
        let hanging = if is_usage { indent + 2 } else { indent };
        let glued = line.replace(" <", &format!("{GLUE}<"));
        let lines = wrap(if is_usage { &glued } else { line }, COLUMNS - hanging);
        for (at, line) in lines.iter().enumerate() {
            let indent = if at == 0 { indent } else { hanging };
            out.push_str(&format!("{:indent$}{}\n", "", line.replace(GLUE, " ")));
        }
    }
    out
}

/// The words of `text` in lines of at most `width` characters. A longer word is broken behind a `|`, or has a line of its
/// own.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        if word.chars().count() > width && word.contains('|') {
            let mut line = String::new();
            for part in word.split_inclusive('|') {
                if line.chars().count() + part.chars().count() > width {
                    lines.push(std::mem::take(&mut line));
                }
                line.push_str(part);
            }
            lines.push(line);
            continue;
        }
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// What an unknown `flag` may be meant as: another flag, or a setting with the `next` argument as its value.
pub(crate) fn hint<A: Arguments>(flag: &str, next: Option<&str>) -> String {
    let flags = A::get_args_info().flags;
    let name = flag.trim_start_matches('-');
    let names = || flags.iter().filter(|flag| !flag.hidden).map(|flag| flag.long.trim_start_matches('-'));
    if let (Some(letter), None) = (name.chars().next(), name.chars().nth(1)) {
        let mut same = names().filter(|known| known.starts_with(letter));
        let only = same.next().filter(|_| same.next().is_none());
        return only.map_or_else(String::new, |one| format!("; did you mean --{one}?"));
    }
    let begins =
        |known: &str| known.len() > 2 && (name.starts_with(known) || (name.len() > 1 && known.starts_with(name)));
    if let Some(near) = config::nearest(name, names()).or_else(|| names().find(|known| begins(known))) {
        return format!("; did you mean --{near}?");
    }
    config::hint_at_setting(A::GROUPS, &name.replace('-', "_"), next.filter(|next| !next.starts_with('-')))
}

#[cfg(test)]
mod tests {
    use super::*;
    use argh::ArgsInfo as _;

    crate::arguments! {
        groups: ["optimizer", "trainer"],
        input: File,
        /// Tests with a description that is so long that it would not fit into a single line of a terminal of an usual width at all.
        #[argh(example = "{command_name} x.npy", note = "One note.")]
        #[allow(dead_code, reason = "only the names are asked for")]
        struct Args {
            /// where to write
            #[argh(option, short = 'o', arg_name = "file")]
            out: Option<String>,
            /// say nothing
            #[argh(switch)]
            quiet: bool,
        }
    }

    fn args(words: &[&str]) -> Option<Help> {
        asked(&words.iter().map(ToString::to_string).collect::<Vec<_>>(), Args::get_args_info().flags)
    }

    #[test]
    fn help_is_asked_for_anywhere_but_in_a_value() {
        assert_eq!(args(&["-h"]), Some(Help::Short));
        assert_eq!(args(&["x.npy", "--quiet", "--help", "a=1"]), Some(Help::Long));
        assert_eq!(args(&["-o", "-h"]), None);
        assert_eq!(args(&["--out", "--help"]), None);
        assert_eq!(args(&["--", "-h"]), None);
    }

    #[test]
    fn settings_are_listed_with_defaults_choices_and_comments() {
        let text = text::<Args>("tool", Help::Long);
        for line in [
            "  optimizer=adam                    adam|adamw|rmsprop|sgd|sgd_nesterov: Adam.",
            "    optimizer.learning_rate=1e-3    step size",
            "    trainer.max_epochs=10           passes over the training rows; null is no limit",
        ] {
            assert!(text.lines().any(|other| other == line), "{line}\n{text}");
        }
        assert!(text.lines().all(|line| line.chars().count() <= COLUMNS), "{text}");
        let [settings, examples, notes] = ["Settings, ", "Examples:\n", "Notes:\n"].map(|part| text.find(part));
        assert!(settings.is_some() && settings < examples && examples < notes, "{text}");
        let short = super::text::<Args>("tool", Help::Short);
        assert!(short.contains("Options:") && !short.contains("learning_rate") && !short.contains("Notes:"));
    }

    #[test]
    fn unknown_flags_are_slips_or_settings() {
        let hint = |flag: &str, next| hint::<Args>(flag, next);
        assert_eq!(hint("--qiet", None), "; did you mean --quiet?");
        assert_eq!(hint("-quiet", None), "; did you mean --quiet?");
        assert_eq!(hint("-q", None), "; did you mean --quiet?");
        assert_eq!(hint("-c", None), "");
        assert_eq!(hint("--output", Some("x")), "; did you mean --out?");
        assert_eq!(hint("--lr", Some("0.1")), "; did you mean optimizer.learning_rate=0.1?");
        assert_eq!(hint("--max-epochs", Some("3")), "; did you mean trainer.max_epochs=3?");
        assert_eq!(hint("--optimizer", Some("sgd")), "; did you mean optimizer=sgd?");
        assert_eq!(hint("--optimizer", Some("sgdd")), "");
        assert_eq!(hint("--trainer.finder", Some("3")), "");
        assert!(hint("--val-split", Some("0.2")).starts_with("; did you mean 'trainer.split=[0.8,0.2,0]'? "));
        assert_eq!(hint("--min-epochs", Some("3")), "");
        assert_eq!(hint("--trainer.seed", None), "; did you mean trainer.seed=VALUE?");
        assert_eq!(hint("--zzzz", None), "");
    }
}
