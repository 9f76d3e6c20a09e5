//! `trt-build`: an ONNX model in, a TensorRT engine and a manifest out.

mod layer_info;
mod manifest;
mod model;
mod profile;
mod quantized;
mod settings;
mod shapes;

use anyhow::{Context, bail};
use cli::{Common, Outcome};
use files::Output;
use manifest::Manifest;
use model::Onnx;
use settings::Settings;
use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::ExitCode,
};
use trt_protocol::{Answer, BuildOptions, Built, Process, Request};

cli::arguments! {
    groups: ["trt"],
    input: File,
    /// Builds a TensorRT engine of an ONNX model, and a manifest that says what is in it.
    #[argh(
        example = "gen-data rows=2000 | entropy | train --quiet trainer.max_epochs=3 > events.ndjson\n  \
                   pipegrad export runs/entropy -o entropy.onnx\n  \
                   {command_name} entropy.onnx -o entropy.engine",
        note = "Settings: config group trt. No GPU is needed. TensorRT's library comes from \
                pip install tensorrt-rtx-cu13-libs==1.7.1.116. Precision is that of the graph (export.precision). An engine is \
                not the same byte for byte when it is built again; its manifest is: downstream, hash that. Exit status 2: \
                TensorRT refuses the model; the error names the node."
    )]
    struct Args {
        /// output file, or - (default: beside the model, with the extension .engine)
        #[argh(option, short = 'o', arg_name = "file")]
        out: Option<PathBuf>,
        /// output file of the manifest (default: name of the engine and .json; none for an engine on standard output)
        #[argh(option, arg_name = "file")]
        manifest: Option<PathBuf>,
        /// also write the layers to this JSON file, as trtexec's exportLayerInfo does
        #[argh(option, arg_name = "file")]
        export_layer_info: Option<PathBuf>,
        /// smallest shapes, x:1x3x32x32,y:1x2 (the setting trt.min_shapes)
        #[argh(option)]
        min_shapes: Option<String>,
        /// shapes to optimize for (the setting trt.opt_shapes)
        #[argh(option)]
        opt_shapes: Option<String>,
        /// largest shapes (the setting trt.max_shapes)
        #[argh(option)]
        max_shapes: Option<String>,
    }
}

fn main() -> ExitCode {
    cli::run("trt-build", work)
}

fn work(mut args: Args, common: Common) -> anyhow::Result<Outcome> {
    let document = common.settings([
        cli::set("trt.min_shapes", args.min_shapes.take()),
        cli::set("trt.opt_shapes", args.opt_shapes.take()),
        cli::set("trt.max_shapes", args.max_shapes.take()),
    ])?;
    let settings = Settings::read(&document)?;
    let to = Destination::new(args, common.input.as_deref())?;
    let onnx = Onnx::read(common.input.as_deref(), settings.model_limit())?;
    let options = settings.build_options(profile::of(&onnx.model, &settings)?);
    let (engine, built) = build(onnx.bytes, &settings, options.clone()).with_context(|| onnx.model.name.clone())?;
    if let Some(line) = quantized::in_float(&onnx.model.graph, &built.layers) {
        settings.verbosity.warn(&format!("{}: {line}", onnx.model.name));
    }
    let manifest = Manifest::new(onnx.digests, &options, &built).to_json()?;
    to.write(&engine, &manifest, &layer_info::json(&built)?)?;
    Ok(Outcome::Done)
}

/// The engine, built in a process of its own.
fn build(onnx: Vec<u8>, settings: &Settings, options: BuildOptions) -> anyhow::Result<(Vec<u8>, Built)> {
    let verbosity = settings.verbosity;
    let mut process = Process::start(&trt_protocol::locate(), move |line| verbosity.show(line))?;
    match process.call(Request::Build(options), onnx, settings.build_time)? {
        (Answer::Built(built), engine) => Ok((engine, *built)),
        _ => Err(process.garbage("another answer than an engine").into()),
    }
}

/// Where engine, manifest and layers go.
struct Destination {
    /// None is standard output.
    engine: Option<PathBuf>,
    manifest: Option<PathBuf>,
    layers: Option<PathBuf>,
}

impl Destination {
    fn new(args: Args, input: Option<&Path>) -> anyhow::Result<Self> {
        let beside = input.map(|path| path.with_extension("engine"));
        let engine = args.out.or(beside).context("a model on standard input: name the engine with -o")?;
        let engine = cli::not_dash(Some(engine));
        let beside = engine.as_deref().map(|path| with_suffix(path, ".json"));
        let to = Self { engine, manifest: args.manifest.or(beside), layers: args.export_layer_info };
        to.check(input)?;
        Ok(to)
    }

    /// Refuses paths where one file would replace another.
    fn check(&self, input: Option<&Path>) -> anyhow::Result<()> {
        let outputs = [("-o", &self.engine), ("--manifest", &self.manifest), ("--export-layer-info", &self.layers)];
        let mut taken: Vec<(&str, &Path)> = input.into_iter().map(|path| ("the model", path)).collect();
        for (flag, path) in outputs.into_iter().filter_map(|(flag, path)| Some((flag, path.as_deref()?))) {
            if let Some((other, _)) = taken.iter().find(|(_, other)| files::is_same_file(other, path)) {
                bail!("{flag} {}: {other} is that file; name another with {flag}", path.display());
            }
            taken.push((flag, path));
        }
        Ok(())
    }

    /// The manifest comes last: where it is, the engine is.
    fn write(&self, engine: &[u8], manifest: &[u8], layers: &[u8]) -> anyhow::Result<()> {
        if let Some(path) = &self.layers {
            files::write_file(path, layers)?;
        }
        match &self.engine {
            Some(path) => files::write_file(path, engine)?,
            None => Output::create(None)?.write_all(engine)?,
        }
        if let Some(path) = &self.manifest {
            files::write_file(path, manifest)?;
        }
        Ok(())
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_else(|| OsStr::new("engine")).to_owned();
    name.push(suffix);
    path.with_file_name(name)
}
