//! Inputs and outputs: those of the configuration against those of the graph.

use super::Configuration;
use crate::{
    model::{Spec, TensorSpec},
    settings::Settings,
};
use anyhow::{anyhow, bail, ensure};
use open_inference::{DataType, model_config::ConfigDataType};
use runtime::Port;

/// An input or output of the configuration.
struct Configured<'c> {
    name: &'c str,
    data_type: Option<DataType>,
    dims: &'c [i64],
}

impl Configuration {
    /// The inputs and outputs of a graph, as far as the configuration narrows them.
    ///
    /// # Errors
    /// When the configuration and the graph do not agree; shows both.
    pub fn spec(&self, inputs: &[Port], outputs: &[Port], settings: &Settings) -> anyhow::Result<Spec> {
        self.checked_spec(inputs, outputs, settings).map_err(|problem| self.refuse(problem))
    }

    fn checked_spec(&self, inputs: &[Port], outputs: &[Port], settings: &Settings) -> anyhow::Result<Spec> {
        let rows = self.max_batch_size(inputs, outputs, settings)?;
        let mut spec = Spec::of_graph(inputs, outputs, rows);
        let is_batched = spec.max_batch_size > 0;
        let (inputs, outputs) = (&self.message.input, &self.message.output);
        let inputs: Vec<_> = inputs.iter().map(|it| configured(&it.name, it.data_type(), &it.dims)).collect();
        let outputs: Vec<_> = outputs.iter().map(|it| configured(&it.name, it.data_type(), &it.dims)).collect();
        narrow("input", &mut spec.inputs, &inputs, is_batched)?;
        narrow("output", &mut spec.outputs, &outputs, is_batched)?;
        let is_missing = |spec: &&TensorSpec| !inputs.is_empty() && inputs.iter().all(|it| it.name != spec.name);
        if let Some(missing) = spec.inputs.iter().find(is_missing) {
            bail!("input: {:?} of the model is missing", missing.name);
        }
        for size in self.message.dynamic_batching().map(|it| it.preferred_sizes()).unwrap_or_default() {
            let most = spec.max_batch_size;
            ensure!(
                size <= most,
                "dynamic_batching.preferred_batch_size: {size}, but the model takes at most {most} rows"
            );
        }
        Ok(spec)
    }

    /// Outputs of the model that the configuration does not have; they are served too.
    pub fn unlisted<'s>(&self, spec: &'s Spec) -> impl Iterator<Item = &'s str> {
        let outputs = &self.message.output;
        let is_unlisted =
            move |it: &&'s TensorSpec| !outputs.is_empty() && outputs.iter().all(|output| output.name != it.name);
        spec.outputs.iter().filter(is_unlisted).map(|it| it.name.as_str())
    }

    /// Rows of a run at most; 0 for a model without a batch axis, or one that says so.
    fn max_batch_size(&self, inputs: &[Port], outputs: &[Port], settings: &Settings) -> anyhow::Result<usize> {
        let fixed = inputs.iter().chain(outputs).find(|port| !has_batch_axis(port));
        match (self.message.batch_limit(), fixed) {
            (0, _) if self.is_complete() => Ok(0),
            (0, _) => Ok(settings.max_batch_size),
            (rows, None) => Ok(rows),
            (rows, Some(port)) => {
                let (name, shape) = (&port.name, show(&port.shape));
                Err(anyhow!(
                    "max_batch_size: {rows}, but {name:?} of the model has no batch axis: its shape is {shape}"
                ))
            }
        }
    }

    /// Whether it is taken as it stands: in Triton's terms, there is nothing to complete where inputs and outputs are given.
    pub(super) fn is_complete(&self) -> bool {
        !self.message.input.is_empty() && !self.message.output.is_empty()
    }
}

fn has_batch_axis(port: &Port) -> bool {
    port.shape.first().is_some_and(Option::is_none)
}

fn configured<'c>(name: &'c str, data_type: ConfigDataType, dims: &'c [i64]) -> Configured<'c> {
    Configured { name, data_type: data_type.element_type(), dims }
}

/// Takes over the dims of the configuration, where they fit those of the graph.
fn narrow(kind: &str, specs: &mut [TensorSpec], configured: &[Configured<'_>], is_batched: bool) -> anyhow::Result<()> {
    for it in configured {
        let names: Vec<_> = specs.iter().map(|spec| format!("{:?}", spec.name)).collect();
        let unknown = || anyhow!("{kind}: {:?}, but the model has {}", it.name, names.join(", "));
        let spec = specs.iter_mut().find(|spec| spec.name == it.name).ok_or_else(unknown)?;
        if it.data_type != Some(spec.data_type) {
            let (name, graph) = (&spec.name, ConfigDataType::from(spec.data_type));
            let found = it.data_type.map_or(ConfigDataType::TypeInvalid, ConfigDataType::from);
            bail!("{kind} {name:?}: data_type {}, but the model has {}", found.as_str_name(), graph.as_str_name());
        }
        let found: Vec<Option<usize>> = it.dims.iter().map(|dim| usize::try_from(*dim).ok()).collect();
        let fits = |(graph, found): (&Option<usize>, &Option<usize>)| graph.is_none() || graph == found;
        if found.len() != spec.dims.len() || !spec.dims.iter().zip(&found).all(fits) {
            let batch = if is_batched { " behind the batch axis that max_batch_size stands for" } else { "" };
            bail!("{kind} {:?}: dims {}, but the model has {}{batch}", spec.name, show(&found), show(&spec.dims));
        }
        spec.dims = found;
    }
    Ok(())
}

/// A shape as a configuration has it: `[-1, 8]`.
fn show(dims: &[Option<usize>]) -> String {
    let dims: Vec<_> = dims.iter().map(|dim| dim.map_or("-1".into(), |dim| dim.to_string())).collect();
    format!("[{}]", dims.join(", "))
}
