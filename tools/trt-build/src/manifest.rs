//! The manifest: what an engine was built from, and what is in it. The same inputs give the same bytes, which is not so of
//! engines; nothing of the engine's own bytes is in it.

use crate::model::Digests;
use serde::Serialize;
use std::collections::BTreeMap;
use trt_protocol::{BuildOptions, Built, InputProfile, Layer, TensorInfo};

/// Version of the manifest's form.
const FORM: u32 = 1;

/// What is written beside an engine, as JSON.
#[derive(Serialize)]
pub struct Manifest<'a> {
    manifest: u32,
    onnx: Digests,
    library: Library<'a>,
    settings: Settings,
    /// GPUs that the engine runs on: 10 × major + minor.
    compute_capabilities: &'a [u32],
    inputs: Vec<Port<'a>>,
    outputs: Vec<Port<'a>>,
    /// Tensors between and around the layers, by element type.
    precision: BTreeMap<&'a str, usize>,
    layers: &'a [Layer],
}

#[derive(Serialize)]
struct Library<'a> {
    name: &'a str,
    version: &'a str,
}

#[derive(Serialize)]
struct Settings {
    builder_optimization_level: u32,
    workspace_bytes: Option<u64>,
    tf32: bool,
}

#[derive(Serialize)]
struct Port<'a> {
    #[serde(flatten)]
    tensor: &'a TensorInfo,
    /// None for an output, and an input of a fixed shape.
    #[serde(skip_serializing_if = "Option::is_none")]
    profile: Option<Shapes<'a>>,
}

#[derive(Serialize)]
struct Shapes<'a> {
    min: &'a [i64],
    opt: &'a [i64],
    max: &'a [i64],
}

impl<'a> Manifest<'a> {
    pub fn new(onnx: Digests, options: &'a BuildOptions, built: &'a Built) -> Self {
        let input = |tensor: &'a TensorInfo| {
            let profile = options.profiles.iter().find(|profile| profile.input == tensor.name);
            let profile = profile.map(|InputProfile { min, opt, max, .. }| Shapes {
                min: &min[..],
                opt: &opt[..],
                max: &max[..],
            });
            Port { tensor, profile }
        };
        Self {
            manifest: FORM,
            onnx,
            library: Library { name: &built.library, version: &built.version },
            settings: Settings {
                builder_optimization_level: options.optimization_level,
                workspace_bytes: options.workspace_bytes,
                tf32: options.tf32,
            },
            compute_capabilities: &options.compute_capabilities,
            inputs: built.inputs.iter().map(input).collect(),
            outputs: built.outputs.iter().map(|tensor| Port { tensor, profile: None }).collect(),
            precision: precision(&built.layers),
            layers: &built.layers,
        }
    }

    pub fn to_json(&self) -> anyhow::Result<Vec<u8>> {
        let mut text = serde_json::to_vec_pretty(self)?;
        text.push(b'\n');
        Ok(text)
    }
}

/// How many tensors have each element type.
fn precision(layers: &[Layer]) -> BTreeMap<&str, usize> {
    let tensors = layers.iter().flat_map(|layer| layer.inputs.iter().chain(&layer.outputs));
    let types: BTreeMap<&str, &str> = tensors.map(|tensor| (tensor.name.as_str(), tensor.dtype.as_str())).collect();
    types.values().fold(BTreeMap::new(), |mut counts, dtype| {
        *counts.entry(*dtype).or_default() += 1;
        counts
    })
}
