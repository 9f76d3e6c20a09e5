//! Config groups `model`, `optimizer` and `trainer`.

use anyhow::ensure;
use nets::{Activation, AdamOptions};
use serde::Deserialize;

/// Everything `train` is told.
pub struct Settings {
    pub model: ModelSettings,
    pub optimizer: AdamOptions,
    pub trainer: TrainerSettings,
    /// Whether a missing input is fetched with `dvc pull`.
    pub pull: bool,
    /// The groups as they were composed, for the run folder.
    pub yaml: String,
    pub json: serde_json::Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelSettings {
    #[serde(rename = "name")]
    _name: ModelName,
    /// Widths of the hidden layers.
    pub hidden: Vec<usize>,
    pub activation: Activation,
    pub input_scaling: InputScaling,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum ModelName {
    Mlp,
}

#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum InputScaling {
    /// Mean 0 and standard deviation 1 over the training rows.
    Standard,
    None,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OptimizerSettings {
    #[serde(rename = "name")]
    _name: OptimizerName,
    learning_rate: f64,
    betas: [f64; 2],
    eps: f64,
    weight_decay: f64,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum OptimizerName {
    Adam,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainerSettings {
    pub input_field: String,
    pub target_field: String,
    #[serde(rename = "loss")]
    _loss: Loss,
    pub max_epochs: usize,
    pub batch_size: usize,
    pub seed: u64,
    /// Shares of the rows for training, validation and test.
    pub split: [f64; 3],
    pub engine: EngineName,
    pub checkpoint: Keep,
    pub run_dir: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Loss {
    Mse,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "snake_case")]
pub enum EngineName {
    /// The fast step.
    Fused,
    /// candle's autograd.
    Autograd,
}

/// Which parameters the run ends with.
#[derive(Deserialize, Clone, Copy, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Keep {
    /// Those of the epoch with the lowest validation loss.
    Best,
    Last,
}

/// `data` is read for this one key: the other tools' settings of the group are theirs.
#[derive(Deserialize)]
struct DataSettings {
    #[serde(default)]
    pull: bool,
}

/// Wider layers than this are a slip of the keyboard, and their product must not overflow.
const MAX_WIDTH: usize = 1 << 20;

impl Settings {
    /// Reads and checks the settings.
    pub fn read(document: &config::Document) -> anyhow::Result<Self> {
        let OptimizerSettings { learning_rate, betas, eps, weight_decay, .. } = document.section("optimizer")?;
        let DataSettings { pull } = document.section("data")?;
        // How the rows were made is not for this tool to say.
        let own = document.without("data");
        let settings = Self {
            model: document.section("model")?,
            optimizer: AdamOptions { learning_rate, betas, eps, weight_decay },
            trainer: document.section("trainer")?,
            pull,
            yaml: own.to_yaml(),
            json: serde_json::from_str(&own.to_json()?)?,
        };
        settings.check()?;
        Ok(settings)
    }

    fn check(&self) -> anyhow::Result<()> {
        let AdamOptions { learning_rate, betas, eps, weight_decay } = self.optimizer;
        let positive = |x: f64| x > 0.0 && x.is_finite();
        ensure!(positive(learning_rate), "optimizer.learning_rate: {learning_rate}; expected a positive number");
        let decays = betas.iter().all(|beta| (0.0..1.0).contains(beta));
        ensure!(decays, "optimizer.betas: {betas:?}; expected two numbers of at least 0 and below 1");
        ensure!(positive(eps), "optimizer.eps: {eps}; expected a positive number");
        let decay = weight_decay >= 0.0 && weight_decay.is_finite();
        ensure!(decay, "optimizer.weight_decay: {weight_decay}; expected a number of at least 0");
        let widths = self.model.hidden.iter().all(|width| (1..=MAX_WIDTH).contains(width));
        ensure!(widths, "model.hidden: {:?}; expected widths from 1 to {MAX_WIDTH}", self.model.hidden);
        let trainer = &self.trainer;
        ensure!(trainer.max_epochs > 0, "trainer.max_epochs: 0; at least 1 is needed");
        ensure!(trainer.batch_size > 0, "trainer.batch_size: 0; at least 1 is needed");
        let shares = &trainer.split;
        let whole = shares.iter().all(|share| *share >= 0.0) && (shares.iter().sum::<f64>() - 1.0).abs() < 1e-9;
        ensure!(whole, "trainer.split: {shares:?}; expected three shares that sum to 1");
        let same = trainer.input_field == trainer.target_field;
        ensure!(!same, "trainer.target_field: {:?} is also the input field", trainer.target_field);
        Ok(())
    }
}
