//! `score`: records with target and prediction in, metrics out.

mod classification;
mod gate;
mod per_class;
mod regression;

use anyhow::{Context, ensure};
use classification::Extras;
use cli::{Common, Outcome};
use gate::Gate;
use per_class::Table;
use records::{Batch, Input, ReadOptions, Reader, classes};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

cli::arguments! {
    groups: ["score"],
    input: File,
    /// Scores predictions: MSE, MAE and R2, or accuracy, cross-entropy and more, as one JSON object.
    #[argh(
        example = "echo '{{\"entropy\":1.0,\"prediction\":0.9}}' | {command_name} --fail-if 'mse>0.1'",
        note = "The settings are those of config group score; score=classification expects a class \
                index as target and class probabilities or logits as prediction. A metric that is not \
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
        /// also write class, precision, recall, f1 and support of each class to this .tsv or .csv file, for DVC's plots,
        /// or .json file, for its metrics
        #[argh(option, arg_name = "file")]
        per_class: Option<Table>,
        /// take the names of the classes from this dataset.json of fetch-data
        #[argh(option, arg_name = "file")]
        classes: Option<PathBuf>,
        /// the number of rows that must come
        #[argh(option)]
        expect_rows: Option<u64>,
    }
}

/// Config group `score`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    task: Task,
    target_field: String,
    prediction_field: String,
    /// For classification only.
    prediction: Option<classification::Prediction>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "snake_case")]
enum Task {
    Regression,
    Classification,
}

/// What a task measures.
trait Metrics {
    /// Takes a batch into account: targets `[rows × target width]`, predictions `[rows × prediction width]`.
    fn add(&mut self, batch: &Batch, targets: &[f64], predictions: &[f64]) -> anyhow::Result<()>;
    /// The metrics by name.
    fn finish(self: Box<Self>) -> anyhow::Result<Map<String, Value>>;
}

fn main() -> ExitCode {
    cli::run("score", work)
}

fn work(args: Args, common: Common) -> anyhow::Result<Outcome> {
    let Some(document) = common.settings(&[])? else { return Ok(Outcome::Done) };
    let settings: Settings = document.section("score")?;
    let mut metrics = metrics(&settings, args.classes.as_deref(), args.confusion, args.per_class)?;
    let fields = [settings.target_field.as_str(), settings.prediction_field.as_str()];
    let options = ReadOptions { expect_rows: args.expect_rows, ..ReadOptions::floats(&fields) };
    let mut reader = Reader::open(Input::open(common.input.as_deref())?, &options)?;
    let (mut batch, mut targets, mut predictions) = (Batch::new(), Vec::new(), Vec::new());
    while reader.read(&mut batch)? {
        batch.column_f64(&settings.target_field, &mut targets)?;
        batch.column_f64(&settings.prediction_field, &mut predictions)?;
        metrics.add(&batch, &targets, &predictions)?;
    }
    let metrics = metrics.finish()?;
    let failed = args.fail_if.iter().filter_map(|gate| gate.failure(&metrics).transpose());
    let failed = failed.collect::<anyhow::Result<Vec<_>>>()?;
    let text = serde_json::to_string_pretty(&metrics)? + "\n";
    match cli::not_dash(args.out) {
        Some(path) => records::write_file(&path, text.as_bytes()).context("the metrics")?,
        None => cli::print(&text)?,
    }
    Ok(if failed.is_empty() { Outcome::Done } else { Outcome::No(failed.join("; ")) })
}

/// What measures the task.
fn metrics(
    settings: &Settings,
    classes: Option<&Path>,
    pairs: Option<PathBuf>,
    table: Option<Table>,
) -> anyhow::Result<Box<dyn Metrics>> {
    Ok(match settings.task {
        Task::Regression => {
            ensure!(pairs.is_none(), "--confusion: only classification has a confusion matrix");
            ensure!(table.is_none(), "--per-class: only classification has classes");
            ensure!(classes.is_none(), "--classes: only classification has classes");
            Box::new(regression::Errors::new(settings))
        }
        Task::Classification => {
            let names = classes.map(|path| classes::names(path, &settings.target_field)).transpose();
            let names = names.context("--classes")?;
            Box::new(classification::Hits::new(settings, Extras { names, pairs, table })?)
        }
    })
}
