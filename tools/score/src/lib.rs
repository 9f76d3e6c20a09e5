//! `score`: records with target and prediction in, metrics out.

mod class_names;
mod classification;
mod gate;
mod json;
mod pairs;
mod per_class;
mod regression;
mod row_error;
mod rows;
mod scorer;
mod settings;

use anyhow::bail;
use cli::{Common, Outcome};
use gate::Gate;
use per_class::Table;
use scorer::ClassFlags;
use settings::Settings;
use std::{path::PathBuf, process::ExitCode};

cli::arguments! {
    groups: ["score"],
    input: File,
    /// Scores predictions: MSE, MAE and R2, or accuracy, cross-entropy, AUC and more, as one JSON object.
    #[argh(
        example = "echo '{{\"entropy\":1.0,\"prediction\":0.9}}' | {command_name} --fail-if 'mse>0.1'",
        note = "The settings are those of config group score; score=classification takes probabilities or \
                logits of classes, of labels or of class 1, or predicted classes. A metric that is not \
                defined (R2 where the target never varies) is null."
    )]
    struct Args {
        /// output file for the metrics (default: standard output)
        #[argh(option, short = 'o', arg_name = "file")]
        out: Option<PathBuf>,
        /// exit with status 1 if this holds, for instance mse>0.01; may be given several times
        #[argh(option)]
        fail_if: Vec<Gate>,
        /// also write the columns actual,predicted to this CSV file, for DVC's confusion plot
        #[argh(option, arg_name = "file")]
        confusion: Option<PathBuf>,
        /// also write class, precision, recall, f1, support, auc and average_precision of each class to this .tsv or
        /// .csv file, for DVC's plots, or .json file, for its metrics
        #[argh(option, arg_name = "file")]
        per_class: Option<Table>,
        /// take the names of the classes from this dataset.json of fetch-data, or features.json of a run
        #[argh(option, arg_name = "file")]
        classes: Option<PathBuf>,
        /// fail unless exactly this many rows are read
        #[argh(option)]
        expect_rows: Option<u64>,
        /// what separates the cells of CSV: one character, or tab (default: a comma; a tab for .tsv files)
        #[argh(option, arg_name = "character")]
        delimiter: Option<cli::Delimiter>,
    }
}

/// The tool, from the command line to the exit status.
pub fn main() -> ExitCode {
    cli::run("score", work)
}

fn work(args: Args, common: Common) -> anyhow::Result<Outcome> {
    let out = cli::not_dash(args.out);
    if let Some(path) = out.as_deref().filter(|path| files::promises_another(path, &["json"])) {
        bail!("{}: the metrics are JSON; name the file .json", path.display());
    }
    let document = common.settings([])?;
    let settings = Settings::new(&document)?;
    let fields = settings.fields().map(str::to_owned);
    let flags = ClassFlags { classes: args.classes, pairs: args.confusion, table: args.per_class };
    let scorer = scorer::of_task(settings, flags)?;
    let delimiter = args.delimiter.map(|cli::Delimiter(delimiter)| delimiter);
    let metrics = rows::score(scorer, &fields, common.input.as_deref(), args.expect_rows, delimiter)?;
    let failed = gate::failures(&args.fail_if, metrics.members())?;
    metrics.save(out.as_deref())?;
    Ok(if failed.is_empty() { Outcome::Done } else { Outcome::No(failed.join("; ")) })
}
