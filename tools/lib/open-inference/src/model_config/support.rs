//! What of a configuration `serve` does not do.

use super::ModelConfig;
use crate::grpc::proto::{
    ModelInstanceGroup, ModelOptimizationPolicy, model_config::SchedulingChoice, model_instance_group::Kind,
};

/// The backend of ONNX models, and the older name of it.
const BACKEND: &str = "onnxruntime";
const PLATFORM: &str = "onnxruntime_onnx";

/// Fields of a configuration that a server of ONNX models on CPUs does not honour, each with a reason.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unsupported {
    /// Without them the answers, or what a request must look like, would differ: the model cannot be served.
    pub refused: Vec<String>,
    /// They have no effect; the answers are the same.
    pub ignored: Vec<String>,
}

/// The fields that are set and not supported.
pub fn unsupported(config: &ModelConfig) -> Unsupported {
    Unsupported { refused: refused(config), ignored: ignored(config) }
}

/// The texts whose condition holds.
fn named<const N: usize>(conditions: [(bool, &str); N]) -> impl Iterator<Item = String> {
    conditions.into_iter().filter(|(holds, _)| *holds).map(|(_, text)| text.to_owned())
}

fn refused(config: &ModelConfig) -> Vec<String> {
    let mut refused = Vec::new();
    if !["", BACKEND].contains(&config.backend.as_str()) {
        refused.push(format!("backend {:?}: only {BACKEND:?} is served", config.backend));
    }
    if !["", PLATFORM].contains(&config.platform.as_str()) {
        refused.push(format!("platform {:?}: only {PLATFORM:?} is served", config.platform));
    }
    let decoupled = config.model_transaction_policy.is_some_and(|policy| policy.decoupled);
    let scheduling = config.scheduling_choice.as_ref();
    refused.extend(named([
        (
            matches!(scheduling, Some(SchedulingChoice::SequenceBatching(_))),
            "sequence_batching: state between requests is not kept",
        ),
        (
            matches!(scheduling, Some(SchedulingChoice::EnsembleScheduling(_))),
            "ensemble_scheduling: models are served one by one",
        ),
        (decoupled, "model_transaction_policy: a request has one response"),
        (!config.batch_input.is_empty(), "batch_input: no input is made from a batch's shape"),
        (!config.batch_output.is_empty(), "batch_output: outputs are scattered by rows alone"),
        (config.model_operations.is_some(), "model_operations: libraries of custom operators are not loaded"),
        (config.model_repository_agents.is_some(), "model_repository_agents: models are loaded as they are"),
    ]));
    for (index, input) in config.input.iter().enumerate() {
        let fields = named([
            (input.reshape.is_some(), "reshape: tensors have the model's own shape"),
            (input.is_shape_tensor, "is_shape_tensor: TensorRT's alone"),
            (input.allow_ragged_batch, "allow_ragged_batch: the rows of a batch have one shape"),
            (input.optional, "optional: every input is required"),
        ]);
        refused.extend(fields.map(|field| format!("input[{index}].{field}")));
    }
    for (index, output) in config.output.iter().enumerate() {
        let fields = named([
            (output.reshape.is_some(), "reshape: tensors have the model's own shape"),
            (output.is_shape_tensor, "is_shape_tensor: TensorRT's alone"),
        ]);
        refused.extend(fields.map(|field| format!("output[{index}].{field}")));
    }
    refused
}

fn ignored(config: &ModelConfig) -> Vec<String> {
    let non_linear = config.input.iter().any(|input| input.is_non_linear_format_io)
        || config.output.iter().any(|output| output.is_non_linear_format_io);
    let fields = named([
        (!config.runtime.is_empty(), "runtime: ONNX Runtime is the one that serve loads"),
        (config.input.iter().any(|input| input.format != 0), "input.format: tensors are not converted"),
        (non_linear, "is_non_linear_format_io: TensorRT's alone"),
        (!config.cc_model_filenames.is_empty(), "cc_model_filenames: there is no GPU"),
        (!config.metric_tags.is_empty(), "metric_tags: metrics have the labels model and version"),
        (config.response_cache.is_some_and(|cache| cache.enable), "response_cache: every request is computed"),
        (config.model_metrics.is_some(), "model_metrics: histograms have the server's buckets"),
    ]);
    let optimization = config.optimization.as_ref().map(ignored_optimization).unwrap_or_default();
    let groups = config.instance_group.iter().enumerate();
    let groups = groups.flat_map(|(index, group)| ignored_group(index, group));
    fields.chain(optimization).chain(groups).collect()
}

fn ignored_optimization(policy: &ModelOptimizationPolicy) -> Vec<String> {
    let accelerators = policy.execution_accelerators.as_ref();
    let pinned = policy.input_pinned_memory.is_some() || policy.output_pinned_memory.is_some();
    named([
        (policy.graph.is_some(), "optimization.graph: ONNX Runtime's full optimization is used"),
        (policy.priority != 0, "optimization.priority: the models of a server are equal"),
        (policy.cuda.is_some(), "optimization.cuda: there is no GPU"),
        (accelerators.is_some(), "optimization.execution_accelerators: ONNX Runtime's CPU provider alone is used"),
        (pinned, "optimization.input_pinned_memory, output_pinned_memory: there is no GPU"),
        (policy.gather_kernel_buffer_threshold != 0, "optimization.gather_kernel_buffer_threshold: there is no GPU"),
        (policy.eager_batching, "optimization.eager_batching: inputs are gathered when a batch runs"),
    ])
    .collect()
}

fn ignored_group(index: usize, group: &ModelInstanceGroup) -> impl Iterator<Item = String> {
    let fields = named([
        (group.kind() == Kind::Gpu, "kind: KIND_GPU runs on the CPU"),
        (!group.gpus.is_empty(), "gpus: there is no GPU"),
        (!group.secondary_devices.is_empty(), "secondary_devices: the CPU alone is used"),
        (!group.profile.is_empty(), "profile: TensorRT's alone"),
        (group.rate_limiter.is_some(), "rate_limiter: instances run as soon as they are free"),
        (group.passive, "passive: every instance serves"),
        (!group.host_policy.is_empty(), "host_policy: the operating system places threads"),
    ]);
    fields.map(move |field| format!("instance_group[{index}].{field}"))
}
