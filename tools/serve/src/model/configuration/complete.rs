//! What a configuration leaves open, as Triton completes it.

use super::Configuration;
use crate::{
    model::{Spec, TensorSpec},
    repository::MODEL,
    settings::Settings,
};
use open_inference::{
    grpc::proto::{
        ModelInstanceGroup, ModelVersionPolicy,
        model_config::SchedulingChoice,
        model_instance_group::Kind,
        model_version_policy::{Latest, PolicyChoice},
    },
    model_config::{ConfigDataType, ModelConfig, ModelDynamicBatching, ModelInput, ModelOutput},
};

/// What the platform of every model is called.
pub const PLATFORM: &str = "onnxruntime_onnx";
const BACKEND: &str = "onnxruntime";

impl Configuration {
    /// The whole configuration of model `name`, as clients see it and the engine follows it.
    pub fn complete(&self, name: &str, spec: &Spec, settings: &Settings) -> ModelConfig {
        let mut config = self.message.clone();
        config.name = name.into();
        config.platform = PLATFORM.into();
        config.backend = BACKEND.into();
        config.max_batch_size = i32::try_from(spec.max_batch_size).unwrap_or(i32::MAX);
        if config.default_model_filename.is_empty() {
            config.default_model_filename = MODEL.into();
        }
        if config.input.is_empty() {
            config.input = spec.inputs.iter().map(input).collect();
        }
        if config.output.is_empty() {
            config.output = spec.outputs.iter().map(output).collect();
        }
        config.version_policy.get_or_insert_with(newest);
        if config.instance_group.is_empty() {
            config.instance_group.push(ModelInstanceGroup { kind: Kind::Cpu.into(), count: 0, ..Default::default() });
        }
        complete_groups(name, &mut config.instance_group, settings);
        if !self.is_complete() && config.scheduling_choice.is_none() && spec.max_batch_size > 1 {
            let delay = u64::try_from(settings.queue_delay().as_micros()).unwrap_or(u64::MAX);
            let batching = ModelDynamicBatching { max_queue_delay_microseconds: delay, ..Default::default() };
            config.scheduling_choice = Some(SchedulingChoice::DynamicBatching(batching));
        }
        config
    }
}

/// The policy of a model that has none.
fn newest() -> ModelVersionPolicy {
    ModelVersionPolicy { policy_choice: Some(PolicyChoice::Latest(Latest { num_versions: 1 })) }
}

/// Names, kinds and counts. The setting is for a model with one group and no count.
fn complete_groups(name: &str, groups: &mut [ModelInstanceGroup], settings: &Settings) {
    let default = if groups.len() == 1 { i32::try_from(settings.instances).unwrap_or(i32::MAX) } else { 1 };
    for (index, group) in groups.iter_mut().enumerate() {
        group.set_kind(Kind::Cpu);
        if group.count == 0 {
            group.count = default;
        }
        if group.name.is_empty() {
            group.name = format!("{name}_{index}");
        }
    }
}

fn input(spec: &TensorSpec) -> ModelInput {
    let (name, dims) = (spec.name.clone(), dims(spec));
    ModelInput { name, data_type: ConfigDataType::from(spec.data_type).into(), dims, ..Default::default() }
}

fn output(spec: &TensorSpec) -> ModelOutput {
    let (name, dims) = (spec.name.clone(), dims(spec));
    ModelOutput { name, data_type: ConfigDataType::from(spec.data_type).into(), dims, ..Default::default() }
}

fn dims(spec: &TensorSpec) -> Vec<i64> {
    spec.dims.iter().map(|dim| dim.map_or(-1, |dim| i64::try_from(dim).unwrap_or(i64::MAX))).collect()
}
