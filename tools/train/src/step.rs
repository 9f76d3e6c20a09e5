//! One optimizer step: batches, gradients, clipping, the optimizer, the average.

use crate::{
    feed::{Feed, Rows},
    network::Network,
    settings::Settings,
};
use nets::{Engine, Parameters};
use optim::{Optimizer, clip_grad_norm, clip_grad_value, grad_norm};

/// What learns: parameters, and all that moves them.
pub struct Learner {
    pub engine: Box<dyn Engine>,
    pub parameters: Parameters,
    pub optimizer: Optimizer,
    /// The moving average of the parameters, where one is kept.
    pub average: Option<Parameters>,
    isa: kernels::Isa,
    gradients: Vec<f32>,
    /// Of one batch among several.
    batch_gradients: Vec<f32>,
    rows: Rows,
}

/// What a step tells.
pub struct Stepped {
    /// The loss of the step's rows before it, summed over them.
    pub loss_sum: f64,
    pub rows: usize,
    /// Whether loss and gradients were finite; otherwise nothing was moved.
    pub finite: bool,
}

impl Stepped {
    /// The mean loss of the step's rows.
    pub fn loss(&self) -> f64 {
        self.loss_sum / self.rows as f64
    }
}

impl Learner {
    pub fn new(settings: &Settings, network: &Network, parameters: Parameters) -> anyhow::Result<Self> {
        let isa = kernels::isa().map_err(|e| anyhow::anyhow!("{}: {e}", kernels::ISA_VARIABLE))?;
        let optimizer = &settings.optimizer;
        Ok(Self {
            engine: network.engine(settings),
            optimizer: Optimizer::new(
                optimizer.algorithm,
                optimizer.groups.of(&parameters.layout),
                parameters.layout.len(),
                isa,
            ),
            average: settings.trainer.ema_decay.map(|_| parameters.clone()),
            isa,
            gradients: vec![0.0; parameters.values.len()],
            batch_gradients: Vec::new(),
            parameters,
            rows: Rows::default(),
        })
    }

    /// The parameters that the model is to have: the average, where one is kept.
    pub fn best_known(&self) -> &Parameters {
        self.average.as_ref().unwrap_or(&self.parameters)
    }

    /// One step over `batches`, the rows of each, as they are seen in `epoch`.
    pub fn step(
        &mut self,
        settings: &Settings,
        feed: &Feed<'_>,
        epoch: usize,
        batches: &[&[usize]],
        learning_rate: f64,
    ) -> anyhow::Result<Stepped> {
        let stepped = self.sum_gradients(feed, epoch, batches)?;
        if !stepped.finite {
            return Ok(stepped);
        }
        let trainer = &settings.trainer;
        if let Some(max_norm) = trainer.clip_norm {
            clip_grad_norm(&mut self.gradients, max_norm);
        }
        if let Some(max_value) = trainer.clip_value {
            clip_grad_value(&mut self.gradients, max_value);
        }
        self.optimizer.step(learning_rate, &mut self.parameters.values, &self.gradients);
        if let (Some(average), Some(decay)) = (&mut self.average, trainer.ema_decay) {
            let updated = ..self.parameters.layout.frozen_start();
            let values = &self.parameters.values[updated];
            kernels::update::average(self.isa, decay as f32, &mut average.values[updated], values);
        }
        Ok(stepped)
    }

    /// The norm of the last step's gradients, clipped where they were.
    pub fn gradient_norm(&self) -> f64 {
        grad_norm(&self.gradients)
    }

    /// Leaves the mean of the batches' gradients in `gradients`.
    fn sum_gradients(&mut self, feed: &Feed<'_>, epoch: usize, batches: &[&[usize]]) -> anyhow::Result<Stepped> {
        let mut stepped = Stepped { loss_sum: 0.0, rows: 0, finite: true };
        for (i, rows) in batches.iter().enumerate() {
            feed.read(rows, epoch, &mut self.rows);
            let batch = feed.batch(&self.rows);
            let loss = if i == 0 {
                self.engine.gradients(&mut self.parameters, batch, &mut self.gradients)?
            } else {
                self.batch_gradients.resize(self.gradients.len(), 0.0);
                let loss = self.engine.gradients(&mut self.parameters, batch, &mut self.batch_gradients)?;
                self.gradients.iter_mut().zip(&self.batch_gradients).for_each(|(sum, g)| *sum += g);
                loss
            };
            stepped.loss_sum += loss * rows.len() as f64;
            stepped.rows += rows.len();
        }
        if batches.len() > 1 {
            let share = 1.0 / batches.len() as f32;
            self.gradients.iter_mut().for_each(|g| *g *= share);
        }
        stepped.finite = stepped.loss_sum.is_finite() && all_finite(&self.gradients);
        Ok(stepped)
    }
}

/// Whether all values are finite, without a branch for each.
pub fn all_finite(values: &[f32]) -> bool {
    const EXPONENT: u32 = 0x7f80_0000;
    values.iter().fold(0u32, |any, value| any | u32::from(value.to_bits() & EXPONENT == EXPONENT)) == 0
}
