//! Values that no model can have, refused as Triton refuses them.

use super::{ConfigError, ModelConfig, ModelDynamicBatching, ModelWarmup};
use crate::grpc::proto::{DataType, model_version_policy::PolicyChoice, model_warmup::input::InputDataType};
use std::{
    collections::HashSet,
    path::{Component, Path},
};

/// A field and what is wrong with it.
type Problem = (String, String);

/// Whether the values of a configuration can be those of a model.
pub(super) fn check(config: &ModelConfig, file: &str) -> Result<(), ConfigError> {
    check_scalars(config)
        .and_then(|()| check_tensors(config))
        .and_then(|()| config.dynamic_batching().map_or(Ok(()), |batching| check_batching(batching, config)))
        .and_then(|()| {
            config.model_warmup.iter().enumerate().try_for_each(|(index, warmup)| check_warmup(index, warmup))
        })
        .map_err(|(field, problem)| ConfigError::Value { file: file.to_owned(), field, problem })
}

fn check_scalars(config: &ModelConfig) -> Result<(), Problem> {
    if config.max_batch_size < 0 {
        return Err(("max_batch_size".into(), format!("{}, expected 0 or more", config.max_batch_size)));
    }
    if let Some((index, group)) = config.instance_group.iter().enumerate().find(|(_, group)| group.count < 0) {
        return Err((format!("instance_group[{index}].count"), format!("{}, expected 0 or more", group.count)));
    }
    check_files(config)?;
    match config.version_policy.as_ref().and_then(|policy| policy.policy_choice.as_ref()) {
        Some(PolicyChoice::Latest(latest)) if latest.num_versions == 0 => {
            Err(("version_policy.latest.num_versions".into(), "0, expected 1 or more".into()))
        }
        Some(PolicyChoice::Specific(specific)) if specific.versions.iter().any(|version| *version < 0) => {
            Err(("version_policy.specific.versions".into(), "a negative number, expected 0 or more".into()))
        }
        Some(PolicyChoice::Specific(specific)) if specific.versions.is_empty() => {
            Err(("version_policy.specific.versions".into(), "no version, expected at least one".into()))
        }
        _ => Ok(()),
    }
}

/// Whether the names of files stay inside the folder that they are relative to.
fn check_files(config: &ModelConfig) -> Result<(), Problem> {
    let model = [("default_model_filename".to_owned(), &config.default_model_filename)];
    let labels = config.output.iter().enumerate();
    let labels = labels.map(|(index, output)| (format!("output[{index}].label_filename"), &output.label_filename));
    match model.into_iter().chain(labels).find(|(_, name)| outside(name)) {
        Some((field, name)) => Err((field, format!("{name:?}, expected a file in the model's folder"))),
        None => Ok(()),
    }
}

/// Whether a name leads out of the folder that it is relative to.
fn outside(name: &str) -> bool {
    Path::new(name).components().any(|component| !matches!(component, Component::Normal(_)))
}

fn check_tensors(config: &ModelConfig) -> Result<(), Problem> {
    let inputs = config.input.iter().map(|input| (&input.name, input.data_type, &input.dims));
    check_group("input", inputs)?;
    let outputs = config.output.iter().map(|output| (&output.name, output.data_type, &output.dims));
    check_group("output", outputs)
}

/// The inputs or the outputs: name, type and shape of each.
fn check_group<'a>(group: &str, tensors: impl Iterator<Item = (&'a String, i32, &'a Vec<i64>)>) -> Result<(), Problem> {
    let mut names = HashSet::new();
    for (index, (name, data_type, dims)) in tensors.enumerate() {
        let field = |field: &str| format!("{group}[{index}].{field}");
        if name.is_empty() || !names.insert(name) {
            return Err((field("name"), format!("{name:?}, expected a name that no other {group} has")));
        }
        check_data_type(data_type).map_err(|problem| (field("data_type"), problem))?;
        if let Some(dim) = dims.iter().find(|dim| **dim < -1 || **dim == 0) {
            return Err((field("dims"), format!("{dim}, expected 1 or more, or -1 for any")));
        }
    }
    Ok(())
}

fn check_data_type(number: i32) -> Result<(), String> {
    match DataType::try_from(number) {
        Ok(data_type) if data_type != DataType::TypeInvalid => Ok(()),
        _ => Err("no type, expected one such as TYPE_FP32".into()),
    }
}

fn check_batching(batching: &ModelDynamicBatching, config: &ModelConfig) -> Result<(), Problem> {
    // Without a max_batch_size, whoever serves the model chooses one.
    let limit = if config.max_batch_size == 0 { i32::MAX } else { config.max_batch_size };
    if let Some(size) = batching.preferred_batch_size.iter().find(|size| !(1..=limit).contains(*size)) {
        let problem = format!("{size}, expected 1 to {limit} (max_batch_size)");
        return Err(("dynamic_batching.preferred_batch_size".into(), problem));
    }
    let (levels, default) = (batching.priority_levels, batching.default_priority_level);
    if default > levels || (levels > 0 && default == 0) {
        let problem = format!("{default}, expected 1 to {levels} (priority_levels), or 0 for both");
        return Err(("dynamic_batching.default_priority_level".into(), problem));
    }
    match batching.priority_queue_policy.keys().find(|level| !(1..=levels).contains(*level)) {
        Some(level) => {
            let problem = format!("level {level}, expected 1 to {levels} (priority_levels)");
            Err(("dynamic_batching.priority_queue_policy".into(), problem))
        }
        None => Ok(()),
    }
}

fn check_warmup(index: usize, warmup: &ModelWarmup) -> Result<(), Problem> {
    if warmup.inputs.is_empty() {
        return Err((format!("model_warmup[{index}].inputs"), "no input, expected those of the model".into()));
    }
    for (name, input) in &warmup.inputs {
        let field = |field: &str| format!("model_warmup[{index}].inputs[{name:?}].{field}");
        check_data_type(input.data_type).map_err(|problem| (field("data_type"), problem))?;
        if let Some(dim) = input.dims.iter().find(|dim| **dim < 1) {
            return Err((field("dims"), format!("{dim}, expected 1 or more")));
        }
        match &input.input_data_type {
            None => {
                return Err((field("zero_data"), "no data, expected zero_data, random_data or input_data_file".into()));
            }
            Some(InputDataType::InputDataFile(file)) if outside(file) => {
                return Err((field("input_data_file"), format!("{file:?}, expected a file in the folder warmup")));
            }
            Some(_) => {}
        }
    }
    Ok(())
}
