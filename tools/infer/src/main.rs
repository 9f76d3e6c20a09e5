//! `infer`: records in, the same records with a prediction out.

use anyhow::{Context, ensure};
use cli::{Common, Outcome};
use records::{Batch, ReadOptions};
use runtime::{DType, Inputs, Options, Session};
use serde::Deserialize;
use std::{path::PathBuf, process::ExitCode};

cli::filter_arguments! {
    groups: ["infer", "data"],
    /// Runs an ONNX model on records and adds its output as a field.
    #[argh(
        example = "gen-data rows=3 seed=1 | {command_name} --model models/entropy.onnx",
        note = "The settings are those of config group infer. The model reads the field that its input \
                is named after."
    )]
    struct Args {
        /// the model, an .onnx file
        #[argh(option, short = 'm', arg_name = "file")]
        model: Option<PathBuf>,
        /// name of the field to add (the setting infer.out_field)
        #[argh(option)]
        out_field: Option<String>,
        /// threads that the model runs on; 0 is one a core (the setting infer.threads)
        #[argh(option)]
        threads: Option<usize>,
    }
}

/// Config group `infer`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    batch_size: usize,
    threads: usize,
    out_field: String,
    #[allow(dead_code)]
    probabilities: bool,
    #[allow(dead_code)]
    fortran_bytes: u64,
    onnxruntime: Option<PathBuf>,
}

/// `data` is read for this one key: the other tools' settings of the group are theirs.
#[derive(Deserialize)]
struct DataSettings {
    #[serde(default)]
    pull: bool,
}

fn main() -> ExitCode {
    cli::run("infer", work)
}

fn work(mut args: Args, common: Common) -> anyhow::Result<Outcome> {
    let flags = [cli::text_flag("infer.out_field", &args.out_field), cli::flag("infer.threads", &args.threads)];
    let flags: Vec<String> = flags.into_iter().flatten().collect();
    let Some(document) = common.settings(&flags)? else { return Ok(Outcome::Done) };
    let settings: Settings = document.section("infer")?;
    ensure!(settings.batch_size > 0, "infer.batch_size: 0; at least 1 is needed");
    let DataSettings { pull } = document.section("data")?;

    let options = Options { library: settings.onnxruntime.as_deref(), threads: settings.threads };
    let model = args.model.take().context("name the model with --model, for instance models/entropy.onnx")?;
    let mut session = Session::open(&model, &options)?;
    let input = cli::open_or_pull(common.input.as_deref(), pull)?;
    let field = session.input().name.clone();
    let mut buffers = Buffers::default();
    let options = ReadOptions { adds: vec![&settings.out_field], ..ReadOptions::floats(&[&field]) };
    args.streams(None)
        .filter_from("infer", input, options, |batch| predict(batch, &field, &settings, &mut session, &mut buffers))?;
    Ok(Outcome::Done)
}

/// Kept from batch to batch, so that memory is taken once.
#[derive(Default)]
struct Buffers {
    reals: Vec<f32>,
    bytes: Vec<u8>,
    outputs: Vec<f32>,
    predictions: Vec<f32>,
}

fn predict(
    batch: &mut Batch,
    field: &str,
    settings: &Settings,
    session: &mut Session,
    buffers: &mut Buffers,
) -> anyhow::Result<()> {
    let shape = batch.field(field)?.shape.clone();
    if !session.input().accepts(&shape) {
        let expected = session.input().row_shape.iter().map(|dim| dim.map_or("any".into(), |dim| dim.to_string()));
        let expected = format!("[{}] by the model", expected.collect::<Vec<_>>().join(","));
        return Err(batch.wrong_shape(batch.field(field)?, &expected).into());
    }
    let dtype = session.input().dtype;
    match dtype {
        DType::F32 => batch.column_f32(field, &mut buffers.reals)?,
        DType::U8 => batch.column_u8(field, &mut buffers.bytes)?,
    }
    buffers.predictions.clear();
    let width: usize = shape.iter().product();
    let mut row_shape = Vec::new();
    for begin in (0..batch.rows()).step_by(settings.batch_size) {
        let rows = settings.batch_size.min(batch.rows() - begin);
        let place = begin * width..(begin + rows) * width;
        let inputs = match dtype {
            DType::F32 => Inputs::F32(&buffers.reals[place]),
            DType::U8 => Inputs::U8(&buffers.bytes[place]),
        };
        row_shape = session.run(rows, &shape, inputs, &mut buffers.outputs)?;
        buffers.predictions.extend_from_slice(&buffers.outputs);
    }
    Ok(batch.set_column(&settings.out_field, &row_shape, &buffers.predictions)?)
}
