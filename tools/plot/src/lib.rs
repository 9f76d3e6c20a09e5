//! `plot`: run events, tables of metrics, confusion matrices and classified images in, charts out.
//!
//! - Reading: `inputs` reads each input by `content`, which detects its kind and calls `log_reader`, `table`, `confusion`
//!   or `gallery`.
//! - Charts: `charts` groups the metrics of `run`s by `series` into `chart`s with `axis`, `points` and `style`; `finder`
//!   makes that of a learning-rate finder.
//! - Pictures: `line_picture`, `matrix_picture`, `gallery_picture` and `roofline_picture` lay a chart out as a `scene` of shapes, which `svg`
//!   and `png` (tiny-skia, with an embedded font) write. `terminal` draws text instead.
//!
//! Why the layout is ours: plotters draws its legend over the curves and needs a system font for pixels; charming renders
//! with ECharts, in a JavaScript engine; SVG crates would need resvg and its text shaping for PNG.

mod axis;
mod chart;
mod charts;
mod confusion;
mod content;
mod finder;
mod font;
mod frame;
mod gallery;
mod gallery_picture;
mod inputs;
mod labels;
mod legend;
mod limited_read;
mod line_picture;
mod log;
mod log_reader;
mod matrix_picture;
mod names;
mod pictures;
mod png;
mod points;
mod roofline;
mod roofline_picture;
mod run;
mod run_folder;
mod scene;
mod series;
mod settings;
mod style;
mod svg;
mod table;
mod terminal;
mod text;

use anyhow::{Context, ensure};
use cli::{Common, Outcome};
use settings::Settings;
use std::{path::PathBuf, process::ExitCode};

cli::arguments! {
    groups: ["plot"],
    input: Many,
    /// Draws charts of runs (loss, metrics, learning rate), confusion matrices, rooflines, and what a classifier gets wrong.
    #[argh(
        example = "gen-data rows=2000 | entropy | train --quiet trainer.max_epochs=3 | {command_name} -o plots",
        note = "The settings are those of config group plot. Inputs are run events, run folders, CSV or TSV files with a \
                column step or epoch, what score says of a classification, what profile says of a model as JSON, and records of images with predictions; \
                several are drawn together, to compare, each called by what differs between their settings. The paths of the pictures go to standard output."
    )]
    struct Args {
        /// folder for the pictures (the setting plot.out); - writes one chart to standard output
        #[argh(option, short = 'o', arg_name = "folder")]
        out: Option<PathBuf>,
        /// svg, png or both (the setting plot.format)
        #[argh(option, arg_name = "svg|png|both")]
        format: Option<String>,
        /// take the names of the classes from this dataset.json of fetch-data
        #[argh(option, arg_name = "file")]
        classes: Option<PathBuf>,
        /// draw in the terminal instead: the loss, or the charts that plot.charts names
        #[argh(switch)]
        terminal: bool,
    }
}

/// The tool, from the command line to the exit status.
pub fn main() -> ExitCode {
    cli::run("plot", work)
}

fn work(args: Args, common: Common) -> anyhow::Result<Outcome> {
    ensure!(
        !args.terminal || (args.out.is_none() && args.format.is_none()),
        "--terminal writes no files: no -o, no --format"
    );
    let out = args.out.map(|path| cli::not_dash(Some(path)).map_or("-".to_owned(), |path| path.display().to_string()));
    let document = common.settings([cli::set("out", out), cli::set("format", args.format)])?;
    let settings = Settings::read(&document)?;
    ensure!(!settings.out.as_os_str().is_empty(), "plot.out: an empty path; name a folder");
    let classes = args.classes.map(|path| dataset::classes::names(&path, &settings.target_field)).transpose();
    let mut inputs = inputs::Inputs::new(&settings, classes.context("--classes")?);
    let mut screen = terminal::Screen::new(&settings);
    let live = args.terminal && common.inputs.len() == 1;
    for path in &common.inputs {
        inputs.read(path.as_deref(), &mut |log| if live { screen.watch(log) } else { Ok(()) })?;
    }
    inputs.drop_unmeasured_runs();
    inputs.note_repeated_styles();
    let drawn = if args.terminal { screen.show(&inputs) } else { pictures::write(&inputs, &settings) };
    // After the chart, which is redrawn in place.
    inputs.notes.iter().for_each(|note| cli::note(note));
    drawn.map(|()| Outcome::Done)
}
