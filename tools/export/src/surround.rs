//! Pre- and post-processing in the graph, as the settings ask for it.

use crate::{
    settings::{Layout, Normalize, Settings},
    source::Source,
};
use anyhow::{bail, ensure};
use onnx::{
    Model,
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

/// Adds normalisation, softmax and argmax to a graph.
///
/// # Errors
/// When the settings contradict each other, or the graph already has what is asked for.
pub fn surround(graph: &mut Model, source: &Source, settings: &Settings) -> anyhow::Result<Surrounded> {
    let name = graph.name.clone();
    let mut done = Surrounded::default();
    if let Some(options) = normalization(&settings.normalize)? {
        ensure!(
            graph.metadata.get(prediction::FEATURES_KEY).is_none(),
            "export.normalize: the graph is of pipegrad and takes raw rows; what is scaled is a setting of train \
             (model.input_scaling)"
        );
        surround::normalize(graph, &options).map_err(|problem| problem.of(&name))?;
        done.normalized = true;
    }
    let output = settings.output.as_deref();
    if settings.softmax {
        surround::softmax(graph, output).map_err(|problem| problem.of(&name))?;
    }
    if settings.argmax {
        let labels = labels(source, settings)?;
        done.classes = Some(surround::argmax(graph, output, &labels).map_err(|problem| problem.of(&name))?);
    }
    Ok(done)
}

/// The labels of classes: those of the settings, or of the run; empty where there are none.
fn labels(source: &Source, settings: &Settings) -> anyhow::Result<Vec<String>> {
    let of_run = || source.run.as_ref().and_then(|run| run.model.features.target.classes.clone());
    Ok(settings.class_names()?.or_else(of_run).unwrap_or_default())
}

fn normalization(settings: &Normalize) -> anyhow::Result<Option<surround::Normalize<'_>>> {
    let (mean, std) = match (&settings.mean, &settings.std) {
        (Some(mean), Some(std)) => (mean, std),
        (None, None) => {
            ensure!(
                !settings.bytes && settings.layout == Layout::Nchw,
                "export.normalize: bytes and layout need a mean and std; [0] and [1] leave values as they are"
            );
            return Ok(None);
        }
        (Some(_), None) => bail!("export.normalize.std: null, and mean is set; set both"),
        (None, Some(_)) => bail!("export.normalize.mean: null, and std is set; set both"),
    };
    let layout = match settings.layout {
        Layout::Nchw => surround::Layout::Nchw,
        Layout::Nhwc => surround::Layout::Nhwc,
    };
    Ok(Some(surround::Normalize { input: settings.input.as_deref(), mean, std, bytes: settings.bytes, layout }))
}
