//! `entropy`: records in, the same records with the Shannon entropy of a field out.

mod gpu;
mod settings;

use anyhow::Context;
use cli::{Common, Outcome};
use kernels::{EntropyOptions, RowError, RowErrorKind};
use records::{Batch, DType, Element};
use settings::Settings;
use std::process::ExitCode;

cli::filter_arguments! {
    groups: ["entropy"],
    /// Adds the Shannon entropy of a field of probabilities, -sum p log p, to every row.
    #[argh(
        example = "echo '{{\"probs\":[0.5,0.25,0.25]}}' | {command_name} --base 2",
        note = "The settings are those of config group entropy. A row whose probabilities are negative, \
                not finite or do not sum to 1 within entropy.tolerance is an error that names the row. \
                A plain NPY array is taken as the field."
    )]
    struct Args {
        /// the field of probabilities (the setting entropy.field)
        #[argh(option)]
        field: Option<String>,
        /// name of the field to add (the setting entropy.out_field)
        #[argh(option)]
        out_field: Option<String>,
        /// base of the logarithm: e, 2 or 10 (the setting entropy.base)
        #[argh(option, arg_name = "e|2|10")]
        base: Option<String>,
        /// divide each row by its sum first (the setting entropy.normalize)
        #[argh(switch)]
        normalize: bool,
        /// number of threads (default: all cores)
        #[argh(option)]
        threads: Option<usize>,
    }
}

/// The tool, from the command line to the exit status.
pub fn main() -> ExitCode {
    cli::run("entropy", work)
}

fn work(mut args: Args, common: Common) -> anyhow::Result<Outcome> {
    cli::use_threads(args.threads)?;
    kernels::isa().with_context(|| kernels::ISA_VARIABLE)?;
    let document = common.settings([
        cli::set("field", args.field.take()),
        cli::set("out_field", args.out_field.take()),
        cli::set("base", args.base.take()),
        cli::set("normalize", args.normalize.then_some(true)),
    ])?;
    let settings = Settings::read(&document)?;
    let options = settings.options()?;
    let streams = cli::Streams { fortran_bytes: Some(settings.fortran_bytes), ..args.streams(common.input) };
    if let Some(gpu) = settings.open_device()? {
        gpu::filter(&gpu, streams, &settings, &options)?;
        return Ok(Outcome::Done);
    }
    streams.filter(&[&settings.field], &[&settings.out_field], |batch| {
        let (width, name) = (settings.width(batch)?, &settings.field);
        if batch.field(name)?.dtype == DType::F4 {
            let mut probs: Vec<f32> = Vec::new(); // [rows, width]
            batch.column(name, &mut probs)?;
            add_entropy(batch, &probs, width, &settings, &options)
        } else {
            // Integers too: NDJSON writes one-hot rows so.
            let mut probs = Vec::new(); // [rows, width]
            batch.column_f64(name, &mut probs)?;
            add_entropy(batch, &probs, width, &settings, &options)
        }
    })?;
    Ok(Outcome::Done)
}

/// Adds the entropies of `probs` `[rows, width]`.
fn add_entropy<T: Element + kernels::Real>(
    batch: &mut Batch,
    probs: &[T],
    width: usize,
    settings: &Settings,
    options: &EntropyOptions,
) -> anyhow::Result<()> {
    let mut entropy = vec![T::zeroed(); batch.rows()]; // [rows]
    kernels::entropy_rows(probs, width, options, &mut entropy)
        .map_err(|e| refusal(batch, probs, width, settings, options, &e))?;
    Ok(batch.set_column(&settings.out_field, &[], &entropy)?)
}

/// The error of a row of `probs` `[rows, width]` that is refused.
fn refusal<T: Element + kernels::Real>(
    batch: &Batch,
    probs: &[T],
    width: usize,
    settings: &Settings,
    options: &EntropyOptions,
    error: &RowError,
) -> anyhow::Error {
    let row = &probs[error.row * width..][..width];
    let hint = if normalizing_helps(row, &error.kind, options) { " (use --normalize)" } else { "" };
    batch.location(error.row).error(format!("field {:?} {error}{hint}", settings.field)).into()
}

/// Whether a row is refused for its sum alone, and accepted once it is divided by that: not of a sum of 0.
fn normalizing_helps<T: Element + kernels::Real>(row: &[T], kind: &RowErrorKind, options: &EntropyOptions) -> bool {
    let normalize = EntropyOptions { normalize: true, ..*options };
    matches!(kind, RowErrorKind::NotNormalized { .. })
        && kernels::entropy_rows(row, row.len(), &normalize, &mut [T::zeroed()]).is_ok()
}
