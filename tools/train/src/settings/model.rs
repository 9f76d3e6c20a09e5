//! Config group `model`.

use anyhow::{Context, ensure};
use nets::{Activation, Architecture, Perceptron, layer::Layer};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelSettings {
    name: ModelName,
    /// Widths of a perceptron's hidden layers.
    hidden: Option<Vec<usize>>,
    /// What follows each of them.
    activation: Option<Activation>,
    /// All layers, first to last.
    layers: Option<Vec<Layer>>,
    pub input_scaling: ScalingMode,
    /// A job from before there was such a scaling has none.
    #[serde(default = "no_scaling")]
    pub target_scaling: ScalingMode,
}

fn no_scaling() -> ScalingMode {
    ScalingMode::None
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum ModelName {
    Mlp,
    Layers,
}

#[derive(Deserialize, Clone, Copy, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum ScalingMode {
    /// [`ScalingMode::Standard`] where the training rows are far from unit scale, by the rule of
    /// [`nets::Statistics::is_far_from_unit_scale`]; otherwise [`ScalingMode::None`].
    Auto,
    /// Mean 0 and standard deviation 1 over the training rows, for each feature, or each channel of an image; for each
    /// element of a target.
    Standard,
    None,
}

/// Wider layers than this are a slip of the keyboard, and their product must not overflow.
const MAX_WIDTH: usize = 1 << 20;

impl ModelSettings {
    pub fn check(&self) -> anyhow::Result<()> {
        let hidden = self.hidden.as_deref().unwrap_or_default();
        let widths = hidden.iter().all(|width| (1..=MAX_WIDTH).contains(width));
        ensure!(widths, "model.hidden: {hidden:?}; expected widths from 1 to {MAX_WIDTH}");
        match self.name {
            ModelName::Mlp => {
                ensure!(self.layers.is_none(), "model.layers: an mlp has hidden; layers go with name: layers")
            }
            ModelName::Layers => ensure!(
                self.hidden.is_none() && self.activation.is_none(),
                "model.hidden and model.activation are an mlp's; with name: layers, list them in model.layers"
            ),
        }
        Ok(())
    }

    /// The architecture for rows of this shape.
    pub fn architecture(&self, input_shape: &[usize], outputs: usize) -> anyhow::Result<Architecture> {
        let input_shape = if input_shape.is_empty() { vec![1] } else { input_shape.to_vec() };
        match self.name {
            ModelName::Mlp => {
                let hidden = self.hidden.clone().context("model.hidden: missing; for instance [64, 64]")?;
                let activation = self.activation.context("model.activation: missing; relu, tanh or sigmoid")?;
                let inputs = input_shape.iter().product();
                let perceptron = Perceptron { inputs, hidden, outputs, activation };
                Ok(Architecture { input_shape, ..(&perceptron).into() })
            }
            ModelName::Layers => {
                let layers = self.layers.clone().context("model.layers: missing; a list, for instance [linear: {}]")?;
                Ok(Architecture { input_shape, layers, outputs })
            }
        }
    }
}
