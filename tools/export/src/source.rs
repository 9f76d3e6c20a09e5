//! What is exported: the network of a run, or an ONNX model from elsewhere.

use crate::{
    graph,
    settings::{OPSETS, Precision, Settings},
    trained::Trained,
};
use anyhow::{Context, bail, ensure};
use files::{Input, Limit};
use onnx::{Model, Problem};
use serde::Serialize;
use std::{
    io::Read,
    path::{Path, PathBuf},
};

/// A model before any pass.
pub struct Source {
    pub graph: Model,
    /// `graph` as the bytes of a file.
    pub bytes: Vec<u8>,
    /// The run that it is of; None for a model from elsewhere.
    pub run: Option<Trained>,
    /// The file that was read; None of standard input.
    file: Option<PathBuf>,
    pub record: Record,
}

/// The source as the manifest has it.
#[derive(Debug, Serialize)]
pub struct Record {
    /// Name of the file, without its folder; `stdin` of a pipe.
    file: String,
    /// Digest of the file.
    sha256: String,
    /// Digest of an ONNX model with all its weights, those in files beside it included, as this tool writes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    content_sha256: Option<String>,
}

impl Source {
    /// The model that the arguments name: a run folder or checkpoint, or the file of `--from` (None inside is standard
    /// input).
    ///
    /// # Errors
    /// When it is neither, or none or both are named.
    pub fn read(run: Option<&Path>, from: Option<Option<PathBuf>>, settings: &Settings) -> anyhow::Result<Self> {
        match (run, from) {
            (None, None) => bail!("name the run folder, for instance runs/entropy, or an ONNX model with --from"),
            (Some(run), Some(_)) => bail!("{}: not with --from, which names the model", run.display()),
            (Some(run), None) => Self::of_run(run, settings),
            (None, Some(Some(path))) => Self::of_file(&path, settings.limit()),
            (None, Some(None)) => Self::of_stdin(settings.limit()),
        }
    }

    /// Path of the output without `--out`: `x.int8.onnx` beside the file `x`, of a run's fp32 graph `x.onnx`. None is standard
    /// output, where the model comes from standard input.
    pub fn default_out(&self, precision: Precision) -> Option<PathBuf> {
        let file = self.file.as_deref()?;
        Some(match (&self.run, precision) {
            (Some(_), Precision::Fp32) => file.with_extension("onnx"),
            _ => file.with_extension(format!("{}.onnx", precision.name())),
        })
    }

    fn of_run(path: &Path, settings: &Settings) -> anyhow::Result<Self> {
        let run = Trained::find(path)?;
        let bytes = graph::build(&run.model, settings.opset)?;
        let weights = files::read_file(&run.file, Limit { bytes: u64::MAX, setting: None })?;
        Ok(Self {
            graph: Model::from_bytes("the exported model", &bytes)?,
            bytes,
            record: Record { file: name(&run.file), sha256: files::sha256(weights), content_sha256: None },
            file: Some(run.file.clone()),
            run: Some(run),
        })
    }

    fn of_file(path: &Path, limit: Limit<'_>) -> anyhow::Result<Self> {
        if let Some(explanation) = runtime::explain_not_onnx(path, "--from") {
            bail!("{explanation}");
        }
        let file = files::read_file(path, limit)?;
        let sha256 = files::sha256(&file);
        Self::of_graph(Model::of_file(path, file, limit), sha256, &name(path), Some(path.into()))
    }

    fn of_stdin(limit: Limit<'_>) -> anyhow::Result<Self> {
        let input = cli::open(None, "a model")?;
        let name = input.name().to_owned();
        let bytes = read_all(input, limit)?;
        Self::of_graph(Model::from_bytes(&name, &bytes), files::sha256(&bytes), &name, None)
    }

    /// `sha256` is that of the file.
    fn of_graph(graph: onnx::Result<Model>, sha256: String, name: &str, file: Option<PathBuf>) -> anyhow::Result<Self> {
        let graph = match graph {
            Err(onnx::Error::Model { model, problem: Problem::Opset(opset) }) => bail!("{}", of_opset(&model, opset)),
            graph => graph?,
        };
        let opset = graph.opset();
        ensure!(OPSETS.contains(&opset), "{}", of_opset(&graph.name, opset));
        let bytes = graph.to_bytes();
        let content_sha256 = Some(files::sha256(&bytes));
        let record = Record { file: name.into(), sha256, content_sha256 };
        Ok(Self { graph, bytes, run: None, file, record })
    }
}

/// All bytes of a stream, up to the limit.
fn read_all(input: Input, limit: Limit<'_>) -> anyhow::Result<Vec<u8>> {
    let name = input.name().to_owned();
    let mut bytes = Vec::new();
    input.take(limit.bytes.saturating_add(1)).read_to_end(&mut bytes).with_context(|| name.clone())?;
    let setting = limit.setting.unwrap_or_default();
    ensure!(bytes.len() as u64 <= limit.bytes, "{name}: more than {} bytes (the setting {setting})", limit.bytes);
    Ok(bytes)
}

/// Why a model of another operator set than [`OPSETS`] is refused, and how to convert it.
fn of_opset(model: &str, opset: i64) -> String {
    let (first, last) = OPSETS.into_inner();
    let remedy = match opset < first {
        true => format!(
            "convert it first, in Python: import onnx.version_converter; \
             onnx.save(onnx.version_converter.convert_version(onnx.load({model:?}), 17), \"converted.onnx\")"
        ),
        false => format!("export it for an older one, for instance with opset_version={last} of torch.onnx.export"),
    };
    format!("{model}: opset {opset}, expected {first} to {last}; {remedy}")
}

/// The last part of a path.
fn name(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}
