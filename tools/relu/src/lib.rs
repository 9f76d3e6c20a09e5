//! `relu`: records in, the same records with max(0, x) of a field out.

mod gpu;

use anyhow::Context;
use cli::{Common, Outcome};
use records::{Batch, DType, Element};
use serde::Deserialize;
use std::process::ExitCode;

cli::filter_arguments! {
    groups: ["relu"],
    /// Replaces a field by max(0, x), or by a leaky version of it.
    #[argh(
        example = "echo '{{\"values\":[-1.0,2.0]}}' | {command_name} --slope 0.1",
        note = "The settings are those of config group relu. A plain NPY array is taken as the field."
    )]
    struct Args {
        /// the field (the setting relu.field)
        #[argh(option)]
        field: Option<String>,
        /// write the result to a new field of this name and keep the old one (the setting relu.out_field)
        #[argh(option)]
        out_field: Option<String>,
        /// factor for negative values (the setting relu.slope)
        #[argh(option)]
        slope: Option<f64>,
        /// number of threads (default: all cores)
        #[argh(option)]
        threads: Option<usize>,
    }
}

/// Config group `relu`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    field: String,
    out_field: Option<String>,
    slope: f64,
    /// Files of settings from before it existed lack it.
    #[serde(default)]
    device: cuda::Device,
    fortran_bytes: u64,
}

/// The tool, from the command line to the exit status.
pub fn main() -> ExitCode {
    cli::run("relu", work)
}

fn work(mut args: Args, common: Common) -> anyhow::Result<Outcome> {
    cli::use_threads(args.threads)?;
    kernels::isa().with_context(|| kernels::ISA_VARIABLE)?;
    let document = common.settings([
        cli::set("field", args.field.take()),
        cli::set("out_field", args.out_field.take()),
        cli::set("slope", args.slope),
    ])?;
    let settings: Settings = document.section("relu")?;
    anyhow::ensure!(settings.slope.is_finite(), "relu.slope: {}; expected a finite number", settings.slope);
    let adds: Vec<&str> = settings.out_field.as_deref().filter(|name| *name != settings.field).into_iter().collect();
    let streams = cli::Streams { fortran_bytes: Some(settings.fortran_bytes), ..args.streams(common.input) };
    if let Some(gpu) = settings.device.open(None).with_context(|| format!("relu.device={}", settings.device))? {
        gpu::filter(&gpu, streams, &settings, &adds)?;
        return Ok(Outcome::Done);
    }
    streams.filter(&[&settings.field], &adds, |batch| {
        if batch.field(&settings.field)?.dtype == DType::F4 {
            let mut values: Vec<f32> = Vec::new();
            batch.column(&settings.field, &mut values)?;
            relu(batch, values, &settings)
        } else {
            // Other dtypes are computed in f8.
            let mut values = Vec::new();
            batch.column_f64(&settings.field, &mut values)?;
            relu(batch, values, &settings)
        }
    })?;
    Ok(Outcome::Done)
}

fn relu<T: Element + kernels::Real>(batch: &mut Batch, mut values: Vec<T>, settings: &Settings) -> anyhow::Result<()> {
    kernels::leaky_relu(&mut values, settings.slope);
    set(batch, &values, settings)
}

/// Writes the results to the field that gets them.
fn set<T: Element>(batch: &mut Batch, values: &[T], settings: &Settings) -> anyhow::Result<()> {
    let shape = batch.field(&settings.field)?.shape.clone();
    match settings.out_field.as_ref().filter(|name| **name != settings.field) {
        Some(name) => Ok(batch.set_column(name, &shape, values)?),
        None => Ok(batch.replace_column(&settings.field, &shape, values)?),
    }
}
