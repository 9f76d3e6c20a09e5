//! `profile`: ONNX models in, the cost of their layers out, and what a device needs for each at least.
//!
//! - `input` reads models; `report` makes rows of the costs that lib `onnx` counts, with the floors of a `device`.
//! - `table` and `data` write them; `plot` draws the JSON as a roofline.
//! - `measure` makes a device of this machine.

mod data;
mod device;
mod input;
mod measure;
mod report;
mod settings;
mod table;
mod units;

use anyhow::{Context, ensure};
use cli::{Common, Encoding, Outcome};
use device::Device;
use report::{Level, Report};
use settings::{DimFlag, Settings};
use std::{
    io::IsTerminal,
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
        /// measure this machine, write it as a device, and read no model
        #[argh(switch)]
        measure_device: bool,
    }
}

fn main() -> ExitCode {
    cli::run("profile", work)
}

fn work(args: Args, common: Common) -> anyhow::Result<Outcome> {
    let document = common.settings([])?;
    let settings = Settings::read(&document, args.dim)?;
    let out = cli::not_dash(args.out);
    let text = if args.measure_device {
        ensure!(common.inputs.iter().all(Option::is_none), "--measure-device reads no model");
        ensure!(
            args.to.is_none() && args.device.is_none() && !args.nodes,
            "--measure-device takes -o and no other flag"
        );
        measure::device(&settings)?
    } else {
        let device = Device::read(&document, args.device.as_deref())?;
        let level = if args.nodes { Level::Nodes } else { Level::Layers };
        let inputs = input::read(&common.inputs, &settings)?;
        let report = |input: &input::Input| Report::new(input, level, &device, &settings);
        let reports = inputs.iter().map(report).collect::<anyhow::Result<Vec<_>>>()?;
        reports.iter().flat_map(Report::notes).for_each(|note| cli::note(&note));
        let encoding = args.to.unwrap_or_else(|| Encoding::of_file(out.as_deref()));
        encoded(&reports, &device, &settings, encoding, out.as_deref())?
    };
    match out {
        Some(path) => files::write_file(&path, text.as_bytes()).context("--out")?,
        None => cli::print(&text)?,
    }
    Ok(Outcome::Done)
}

fn encoded(
    reports: &[Report],
    device: &Device,
    settings: &Settings,
    encoding: Encoding,
    out: Option<&Path>,
) -> anyhow::Result<String> {
    let is_terminal = out.is_none() && std::io::stdout().is_terminal();
    let width = console::Term::stdout().size_checked().filter(|_| is_terminal).map(|(_, columns)| columns.into());
    match encoding {
        Encoding::Table => Ok(table::tables(reports, device, settings.max_rows, table::Style::Text { width })),
        Encoding::Markdown => Ok(table::tables(reports, device, settings.max_rows, table::Style::Markdown)),
        Encoding::Csv => data::csv(reports),
        Encoding::Json => data::json(reports, device, settings),
    }
}
