//! Config group `infer`.

use anyhow::ensure;
use dvc::DataSettings;
use indexmap::IndexMap;
use prediction::{OptionNames, OutputOptions};
use runtime::Backend;
use serde::Deserialize;
use std::path::PathBuf;

/// The settings of config group `infer`, and `data.pull`.
pub struct Settings {
    /// Rows of a call of the session.
    pub batch_size: usize,
    pub threads: usize,
    /// Name of the model's output; None for the only float32 one with a batch axis.
    pub output: Option<String>,
    pub outputs: OutputOptions,
    /// The field of each input, `{input: field}`; None, and an input that is not named, for the field of the input's name.
    pub input_fields: Option<IndexMap<String, String>>,
    /// The field of each output that becomes one, `{output: field}`; None for the prediction alone.
    pub output_fields: Option<IndexMap<String, String>>,
    /// Most bytes of an array in Fortran order on a pipe.
    pub fortran_bytes: u64,
    /// Most bytes of the model and its files of weights together.
    pub model_bytes: u64,
    /// What runs the model.
    pub runtime: Backend,
    /// Where it runs.
    pub device: runtime::Device,
    /// Most bytes of memory of a run in the native runtime.
    pub memory_bytes: u64,
    pub onnxruntime: Option<PathBuf>,
    /// Whether a missing input is fetched with `dvc pull`.
    pub pull: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    batch_size: usize,
    threads: usize,
    inputs: Option<IndexMap<String, String>>,
    outputs: Option<IndexMap<String, String>>,
    output: Option<String>,
    out_field: String,
    label_field: Option<String>,
    probabilities: bool,
    fortran_bytes: u64,
    model_bytes: u64,
    runtime: Backend,
    /// Files of settings from before it existed lack it.
    #[serde(default)]
    device: runtime::Device,
    memory_bytes: u64,
    onnxruntime: Option<PathBuf>,
}

impl Settings {
    /// Reads and checks the settings.
    pub fn read(document: &config::Document) -> anyhow::Result<Self> {
        let Group {
            batch_size,
            threads,
            inputs: input_fields,
            outputs: output_fields,
            output,
            out_field,
            label_field,
            probabilities,
            fortran_bytes,
            model_bytes,
            runtime,
            device,
            memory_bytes,
            onnxruntime,
        } = document.section("infer")?;
        let DataSettings { pull } = document.section("data")?;
        ensure!(batch_size > 0, "infer.batch_size: 0; at least 1 is needed");
        let outputs = OutputOptions { out_field, label_field, probabilities };
        ensure!(
            output_fields.is_none() || output.is_none(),
            "infer.output: the name of the prediction, and infer.outputs names all outputs; leave one out"
        );
        ensure!(
            output_fields.is_none() || !probabilities,
            "infer.probabilities: of the prediction, and with infer.outputs there is none; leave one out"
        );
        outputs.check(&Self::option_names())?;
        Ok(Self {
            batch_size,
            threads,
            output,
            outputs,
            input_fields,
            output_fields,
            fortran_bytes,
            model_bytes,
            runtime,
            device,
            memory_bytes,
            onnxruntime,
            pull,
        })
    }

    /// What errors call the options of the output fields.
    pub fn option_names() -> OptionNames {
        OptionNames { other_out_field: "--out-field".into(), ..OptionNames::settings_of("infer") }
    }
}
