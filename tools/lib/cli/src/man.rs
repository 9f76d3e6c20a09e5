//! The manual page of a tool, in roff, from what `--help` is made from.

use crate::{Arguments, exit::EXIT_STATUS};
use argh::{FlagInfo, FlagInfoKind};
use config::{Group, Setting};
use roff::{Inline, Roff, bold, italic, line_break, roman};

/// The first argument that asks for the page.
pub(crate) const FLAG: &str = "--man";

/// The page of the tool whose arguments are `A`, called as `command`.
pub(crate) fn page<A: Arguments>(tool: &str, command: &str) -> String {
    let info = A::get_args_info();
    let name = format!("pipegrad-{}", tool.trim_start_matches("pipegrad "));
    let version = concat!("pipegrad ", env!("CARGO_PKG_VERSION"));
    let fill = |text: &str| text.replace("{command_name}", command).replace("{{", "{").replace("}}", "}");
    let mut page = Roff::new();
    page.control("TH", [name.to_uppercase().as_str(), "1", "", version, "pipegrad"]);
    page.control("SH", ["NAME"]);
    page.text([roman(format!("{name} - {}", info.description.trim_end_matches('.')))]);
    page.control("SH", ["SYNOPSIS"]);
    let shown = || info.positionals.iter().filter(|positional| !positional.hidden);
    let input = shown().next().map_or("input", |positional| positional.name);
    page.text([bold(command), roman(" ["), italic("option"), roman("...] ["), italic(input), roman("...]")]);
    page.control("SH", ["DESCRIPTION"]);
    page.text([roman(info.description)]);
    info.notes.iter().for_each(|note| {
        page.control("PP", []).text([roman(fill(note))]);
    });
    page.control("SH", ["OPTIONS"]);
    shown().for_each(|positional| {
        page.control("TP", []).text([italic(positional.name)]).text([roman(positional.description)]);
    });
    info.flags.iter().filter(|flag| !flag.hidden).for_each(|flag| option(flag, &mut page));
    settings(A::GROUPS, &mut page);
    page.control("SH", ["EXAMPLES"]);
    info.examples.iter().for_each(|example| {
        page.control("PP", []).control("nf", []).text([roman(fill(example))]).control("fi", []);
    });
    page.control("SH", ["EXIT STATUS"]);
    for (status, meaning) in EXIT_STATUS {
        page.control("TP", []).text([bold(status)]).text([roman(meaning)]);
    }
    page.control("SH", ["SEE ALSO"]).text([bold("pipegrad"), roman("(1)")]);
    page.to_roff()
}

/// A flag, its value, and what it does.
fn option(flag: &FlagInfo<'_>, page: &mut Roff) {
    let mut words: Vec<Inline> = Vec::new();
    if let Some(short) = flag.short {
        words.extend([bold(format!("-{short}")), roman(", ")]);
    }
    words.push(bold(flag.long));
    if let FlagInfoKind::Option { arg_name } = flag.kind {
        words.extend([roman(" "), italic(arg_name)]);
    }
    page.control("TP", []).text(words).text([roman(flag.description)]);
}

/// The groups of a tool with their settings; of a tool that reads all groups, the groups alone.
fn settings(own: Option<&[&str]>, page: &mut Roff) {
    let groups = config::reference(own);
    if groups.is_empty() {
        return;
    }
    page.control("SH", ["SETTINGS"]);
    page.text([
        italic("key=value"),
        roman(", with their defaults; "),
        italic("group=option"),
        roman(" chooses other defaults."),
    ]);
    for Group { name, default, options, settings } in &groups {
        let (option, about) = default.clone().unwrap_or_default();
        page.control("SS", [name.as_str()]);
        page.text([roman(about)]);
        if options.len() > 1 {
            page.text([line_break(), bold(format!("{name}={option}")), roman(format!(", of {}", options.join(", ")))]);
        }
        let shown = settings.iter().filter(|setting| own.is_some() && config::is_read(own, &setting.key));
        for Setting { key, value, comment, .. } in shown {
            let word = if value.is_empty() { format!("{key}:") } else { format!("{key}={value}") };
            page.control("TP", []).text([bold(word)]).text([roman(comment)]);
        }
    }
}
