//! `profile`: ONNX models in, the cost of their layers out, and what a device needs for each at least.
//!
//! - `input` reads models; `report` makes rows of the costs that lib `onnx` counts, with the floors of a `device`.
//! - `output` writes them, as `table` or as `data`; `plot` draws the JSON as a roofline.
//! - `run` measures how long models take.
//! - `measure` makes a device of this machine.

mod data;
mod device;
mod input;
mod measure;
mod output;
mod report;
mod run;
mod settings;
mod table;
mod units;

use anyhow::{Context, bail, ensure};
use cli::{Common, Encoding, Outcome};
use device::Device;
use output::Written;
use report::{Level, Report};
use run::Backend;
use settings::{DimFlag, Settings};
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

cli::arguments! {
    groups: ["profile", "devices"],
    input: Many,
    /// Tells what an ONNX model costs, layer by layer: parameters, MACs, FLOPs, bytes, and the least time on a device.
    #[argh(
        example = "gen-data rows=2000 | entropy | train --quiet trainer.max_epochs=3 > events.ndjson\n  \
                   pipegrad export runs/entropy -o entropy.onnx\n  {command_name} entropy.onnx devices=t4",
        note = "The settings are those of config groups profile and devices: devices=t4, l4, a100, h100, h200. Several models \
                are compared, a row each; --to json has the layers of all, and plot draws that as a roofline. \
                A MAC is two FLOPs; bias and elementwise work are FLOPs alone."
    )]
    struct Args {
        /// output file (default: standard output)
        #[argh(option, short = 'o', arg_name = "file")]
        out: Option<PathBuf>,
        /// table, md, csv or json (default: by the output file's name, otherwise table)
        #[argh(option, arg_name = "table|md|csv|json")]
        to: Option<Encoding>,
        /// a row for each node instead of each fused layer
        #[argh(switch)]
        nodes: bool,
        /// size of a symbolic dimension, height=224; may be given several times
        #[argh(option, arg_name = "name=size")]
        dim: Vec<DimFlag>,
        /// take the device from this file, as --measure-device writes it, instead of config group devices
        #[argh(option, arg_name = "file")]
        device: Option<PathBuf>,
        /// measure how long the models take on this machine, by backend and batch size, and in which layers
        #[argh(switch)]
        run: bool,
        /// make one measurement of --run, which is told on standard input
        #[argh(switch, hidden_help)]
        worker: bool,
        /// measure this machine, write it as a device, and read no model
        #[argh(switch)]
        measure_device: bool,
    }
}

/// The tool, from the command line to the exit status.
pub fn main() -> ExitCode {
    cli::run("profile", work)
}

fn work(args: Args, common: Common) -> anyhow::Result<Outcome> {
    if args.worker {
        run::work()?;
        return Ok(Outcome::Done);
    }
    let out = cli::not_dash(args.out.clone());
    let text = if args.measure_device {
        ensure!(common.inputs.iter().all(Option::is_none), "--measure-device reads no model");
        let others = args.to.is_some() || args.device.is_some() || args.nodes || args.run || !args.dim.is_empty();
        ensure!(!others, "--measure-device takes -o and no other flag");
        measure::device(&Settings::read(&common.settings([])?, Vec::new())?)?
    } else {
        models(args, common, out.as_deref())?
    };
    match out {
        Some(path) => files::write_file(&path, text.as_bytes()).context("--out")?,
        None => cli::print(&text)?,
    }
    Ok(Outcome::Done)
}

/// What is told of the models.
fn models(args: Args, common: Common, out: Option<&Path>) -> anyhow::Result<String> {
    let document = common.settings([])?;
    let settings = Settings::read(&document, args.dim)?;
    let chosen = common.overrides.iter().find(|one| one.trim_start_matches(['+', '~']).starts_with("devices"));
    if let (Some(_), Some(chosen)) = (&args.device, chosen) {
        bail!("{chosen} has no effect beside --device, which names another device; leave one of them out");
    }
    let device = Device::read(&document, args.device.as_deref())?;
    let level = if args.nodes { Level::Nodes } else { Level::Layers };
    output::check(out, &common.inputs)?;
    let encoding = args.to.map_or_else(|| Encoding::of_output(out), Ok)?;
    let (onnx, runnable) = inputs(common.inputs, args.run)?;
    let has_engines = runnable.iter().any(|path| Backend::of(path, settings.run.runtime) == Backend::Tensorrt);
    let inputs = input::read(&onnx, has_engines, &settings)?;
    let report = |input: &input::Input| Report::new(input, level, &device, &settings);
    let reports = inputs.iter().map(report).collect::<anyhow::Result<Vec<_>>>()?;
    reports.iter().flat_map(Report::notes).for_each(|note| cli::note(&note));
    let runs = args.run.then(|| run::measure(&runnable, &reports, &device, &settings)).transpose()?;
    Written { reports, runs, device, max_rows: settings.max_rows }.encoded(encoding, out.is_none())
}

/// The ONNX models, whose cost is told, and with `--run` the paths of all models that are run.
fn inputs(paths: Vec<Option<PathBuf>>, run: bool) -> anyhow::Result<(Vec<Option<PathBuf>>, Vec<PathBuf>)> {
    if !run {
        return Ok((paths, Vec::new()));
    }
    let named: Option<Vec<PathBuf>> = paths.iter().cloned().collect();
    let named = named.context("--run takes models by name: each measurement opens the file again")?;
    let is_onnx = |path: &Option<PathBuf>| {
        path.as_ref().is_some_and(|path| Backend::of(path, runtime::Backend::Auto) == Backend::Native)
    };
    Ok((paths.into_iter().filter(is_onnx).collect(), named))
}
