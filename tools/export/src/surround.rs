//! Pre- and post-processing in the graph, as the settings ask for it.

use crate::{
    settings::{Layout, Normalize, Settings},
    source::Source,
};
use anyhow::{bail, ensure};
use onnx::{
    Model, Value,
    surround::{self, Classes},
};

/// What was added.
#[derive(Debug, Default)]
pub struct Surrounded {
    pub normalized: bool,
    /// The outputs of classes and labels.
    pub classes: Option<Classes>,
}

impl Surrounded {
    /// Whether the graph was changed.
    pub fn is_any(&self, settings: &Settings) -> bool {
        self.normalized || settings.softmax || self.classes.is_some()
    }
}

/// Puts `export.normalize` in front of a graph; returns whether the settings ask for it.
///
/// # Errors
/// When the settings contradict each other or do not fit the input.
pub fn normalize(graph: &mut Model, settings: &Settings) -> anyhow::Result<bool> {
    let Some((mean, std)) = statistics(&settings.normalize)? else { return Ok(false) };
    ensure!(
        graph.metadata.get(prediction::FEATURES_KEY).is_none(),
        "export.normalize: the graph is of pipegrad and takes raw rows; what is scaled is a setting of train \
         (model.input_scaling)"
    );
    let Normalize { input, bytes, layout, .. } = &settings.normalize;
    let input = find(graph, &graph.graph.inputs, input.as_deref(), "input", "export.normalize.input")?;
    let layout = match layout {
        Layout::Nchw => surround::Layout::Nchw,
        Layout::Nhwc => surround::Layout::Nhwc,
    };
    let options = surround::Normalize { input: Some(&input), mean, std, bytes: *bytes, layout };
    let name = graph.name.clone();
    surround::normalize(graph, &options).map_err(|problem| problem.of(&name))?;
    Ok(true)
}

/// Puts softmax and argmax behind a graph; returns the outputs that argmax adds.
///
/// # Errors
/// When the graph already has what is asked for, or its output is no scores of the classes.
pub fn classify(graph: &mut Model, source: &Source, settings: &Settings) -> anyhow::Result<Option<Classes>> {
    if !settings.softmax && !settings.argmax && settings.output.is_none() {
        return Ok(None);
    }
    let name = graph.name.clone();
    let output = find(graph, &graph.graph.outputs, settings.output.as_deref(), "output", "export.output")?;
    if settings.softmax {
        surround::softmax(graph, Some(&output)).map_err(|problem| problem.of(&name))?;
    }
    if !settings.argmax {
        return Ok(None);
    }
    let labels = labels(source, settings)?;
    let classes = surround::argmax(graph, Some(&output), &labels).map_err(|problem| problem.of(&name))?;
    if classes.label.is_some() {
        graph.metadata.insert(prediction::LABELS_KEY.into(), labels.join("\n"));
    }
    Ok(Some(classes))
}

/// The name of the value that the setting names, or of the only one.
fn find(model: &Model, values: &[Value], name: Option<&str>, kind: &str, setting: &str) -> anyhow::Result<String> {
    let listed = || values.iter().map(|value| format!("{:?}", value.name)).collect::<Vec<_>>().join(", ");
    match (name, values) {
        (None, [only]) => Ok(only.name.clone()),
        (None, []) => bail!("{}: it has no {kind}s", model.name),
        (None, _) => bail!("{}: several {kind}s; choose one with {setting}=NAME, of {}", model.name, listed()),
        (Some(name), _) if values.iter().any(|value| value.name == name) => Ok(name.to_owned()),
        (Some(name), _) => bail!("{setting}: no {kind} is called {name:?}; there are {}", listed()),
    }
}

/// The labels of classes: those of the settings, or of the run; empty where there are none.
fn labels(source: &Source, settings: &Settings) -> anyhow::Result<Vec<String>> {
    let of_run = || source.run.as_ref().and_then(|run| run.model.features.target.classes.clone());
    Ok(settings.class_names()?.or_else(of_run).unwrap_or_default())
}

/// Means and standard deviations; None where no normalization is asked for.
fn statistics(settings: &Normalize) -> anyhow::Result<Option<(&[f32], &[f32])>> {
    match (&settings.mean, &settings.std) {
        (Some(mean), Some(std)) => Ok(Some((mean, std))),
        (None, None) => {
            ensure!(
                settings.input.is_none() && !settings.bytes && settings.layout == Layout::Nchw,
                "export.normalize: input, bytes and layout need a mean and std; [0] and [1] leave values as they are"
            );
            Ok(None)
        }
        (Some(_), None) => bail!("export.normalize.std: null, and mean is set; set both"),
        (None, Some(_)) => bail!("export.normalize.mean: null, and std is set; set both"),
    }
}
