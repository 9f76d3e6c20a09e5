//! Manual pages: `pipegrad man` and `pipegrad man TOOL`.

use crate::{command, doctor, init, near_tool, run, say, tools, tools::TOOLS};
use anyhow::bail;
use cli::Outcome;
use roff::{Roff, bold, roman};
use std::ffi::OsStr;

/// The name of the command that prints a page.
pub const COMMAND: &str = "man";
/// The argument by which a tool prints its page.
const QUESTION: &str = "--man";

/// Prints the page of `tool`, else that of the front command.
pub fn page(tool: Option<&OsStr>) -> anyhow::Result<Outcome> {
    let Some(name) = tool else { return say(&own()) };
    let question = || std::iter::once(QUESTION.into());
    match name.to_str() {
        Some(init::COMMAND) => init::run(question()),
        Some(doctor::COMMAND) => doctor::run(question()),
        word => match word.and_then(tools::find) {
            Some(tool) => run(command(tool), [QUESTION]),
            None => bail!("{COMMAND}: {}", near_tool(&name.display().to_string(), &[init::COMMAND, doctor::COMMAND])),
        },
    }
}

fn own() -> String {
    let mut page = Roff::new();
    page.control("TH", ["PIPEGRAD", "1", "", concat!("pipegrad ", env!("CARGO_PKG_VERSION")), "pipegrad"]);
    page.control("SH", ["NAME"]).text([roman("pipegrad - neural nets from small Unix tools")]);
    page.control("SH", ["SYNOPSIS"]).text([bold("pipegrad"), roman(" tool [argument...]")]);
    page.control("SH", ["TOOLS"]);
    for tool in TOOLS {
        page.control("TP", [])
            .text([bold(format!("pipegrad-{}", tool.name)), roman("(1)")])
            .text([roman(tool.summary)]);
    }
    page.control("SH", ["OWN COMMANDS"]);
    for (name, summary) in crate::COMMANDS {
        page.control("TP", []).text([bold(*name)]).text([roman(*summary)]);
    }
    page.to_roff()
}
