//! Config group `model`.

use anyhow::{Context, ensure};
use nets::{Activation, Architecture, Perceptron, layer::Layer};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelSettings {
    name: ModelName,
    /// Units of the hidden layers of an mlp.
    hidden: Option<Vec<usize>>,
    /// Activation after each hidden layer.
    activation: Option<Activation>,
    /// All layers, first to last.
    layers: Option<Vec<Layer>>,
    pub input_scaling: ScalingMode,
    /// `config.yaml` files from before the key existed lack it.
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
    /// [`dataset::Statistics::is_far_from_unit_scale`]; otherwise [`ScalingMode::None`].
    Auto,
    /// Mean 0 and standard deviation 1 over the training rows, for each feature, or each channel of an image; for each
    /// element of a target.
    Standard,
    None,
}

/// Maximum units of a hidden layer: the product of two widths must not overflow.
const MAX_WIDTH: usize = 1 << 20;

/// Example in error messages, quoted for a shell.
const LAYERS_EXAMPLE: &str = "'+model.layers=[{linear: {}}]'";

impl ModelSettings {
    pub fn check(&self) -> anyhow::Result<()> {
        let hidden = self.hidden.as_deref().unwrap_or_default();
        let widths = hidden.iter().all(|width| (1..=MAX_WIDTH).contains(width));
        ensure!(widths, "model.hidden: {hidden:?}; expected widths from 1 to {MAX_WIDTH}");
        match self.name {
            ModelName::Mlp => {
                ensure!(self.layers.is_none(), "model.layers: an mlp has hidden; layers go with model.name=layers")
            }
            ModelName::Layers => {
                let of_mlp = [("model.hidden", self.hidden.is_some()), ("model.activation", self.activation.is_some())];
                let of_mlp: Vec<&str> =
                    of_mlp.into_iter().filter(|(_, is_there)| *is_there).map(|(key, _)| key).collect();
                let without: Vec<_> = of_mlp.iter().map(|key| format!("'~{key}'")).collect();
                ensure!(
                    of_mlp.is_empty(),
                    "{}: of an mlp; model.name=layers goes with {} {LAYERS_EXAMPLE}",
                    of_mlp.join(" and "),
                    without.join(" ")
                );
            }
        }
        Ok(())
    }

    /// The architecture for rows of this shape.
    pub fn architecture(&self, input_shape: &[usize], outputs: usize) -> anyhow::Result<Architecture> {
        let input_shape = if input_shape.is_empty() { vec![1] } else { input_shape.to_vec() };
        match self.name {
            ModelName::Mlp => {
                let hidden = self.hidden.clone().context("model.hidden: missing; for instance [64, 64]")?;
                let activation = self.activation.context("model.activation: missing; relu, tanh, sigmoid or gelu")?;
                let inputs = input_shape.iter().product();
                let perceptron = Perceptron { inputs, hidden, outputs, activation };
                Ok(Architecture { input_shape, ..(&perceptron).into() })
            }
            ModelName::Layers => {
                let layers = self
                    .layers
                    .clone()
                    .with_context(|| format!("model.layers: missing; for instance {LAYERS_EXAMPLE}"))?;
                Ok(Architecture { input_shape, layers, outputs })
            }
        }
    }
}
