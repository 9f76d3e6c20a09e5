//! One optimizer step: forward and backward over the accumulated batches, clipping, optimizer, moving average.

use crate::{
    data::{BatchBuffer, DataLoader},
    distributed::{Contribution, Ranks, Reduction, mean_factor},
    network::Network,
    settings::{Settings, TrainerSettings},
};
use nets::{Engine, Graph, NO_STATISTIC, Parameters};
use optim::{Optimizer, clip_grad_norm, clip_grad_value, grad_norm};
use parallel::with_active_workers;

/// Parameters, and what updates them: engine, optimizer, moving average.
pub struct Learner {
    pub engine: Box<dyn Engine>,
    pub parameters: Parameters,
    pub optimizer: Optimizer,
    /// Exponential moving average of the parameters; None without `trainer.ema_decay`.
    pub average: Option<Parameters>,
    isa: kernels::Isa,
    /// Of the last step, after clipping.
    gradients: Vec<f32>,
    /// What this rank adds to a step.
    own: Contribution,
    reduction: Reduction,
    graph: Graph,
    batch: BatchBuffer,
}

pub struct StepOutput {
    /// Loss before the update, summed over the step's rows.
    pub loss_sum: f64,
    pub rows: usize,
    /// Whether loss and gradients were finite; otherwise no parameter was updated.
    pub finite: bool,
}

impl StepOutput {
    /// Mean loss over the step's rows.
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
            own: Contribution::default(),
            reduction: Reduction::default(),
            graph: network.graph.clone(),
            parameters,
            batch: BatchBuffer::default(),
        })
    }

    /// The moving average, where one is kept; otherwise the parameters.
    pub fn model_parameters(&self) -> &Parameters {
        self.average.as_ref().unwrap_or(&self.parameters)
    }

    /// One step over `batches`, which the ranks divide: indices into the loader's rows, augmented as in `epoch` (from 1).
    pub fn step(
        &mut self,
        settings: &Settings,
        loader: &DataLoader<'_>,
        epoch: usize,
        batches: &[&[usize]],
        learning_rate: f64,
        ranks: &mut Ranks,
    ) -> anyhow::Result<StepOutput> {
        // Loading, gradients and update are many short loops; between them the threads stay awake.
        with_active_workers(|| {
            let output = self.accumulate(loader, epoch, batches, ranks)?;
            if output.finite {
                self.update(&settings.trainer, learning_rate);
            }
            Ok(output)
        })
    }

    /// Updates the parameters by the gradients of `accumulate`, and their moving average.
    fn update(&mut self, trainer: &TrainerSettings, learning_rate: f64) {
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
    }

    /// L2 norm of the last step's gradients, after clipping.
    pub fn gradient_norm(&self) -> f64 {
        grad_norm(&self.gradients)
    }

    /// Leaves the mean of the batches' gradients, over all ranks, in `self.gradients`.
    fn accumulate(
        &mut self,
        loader: &DataLoader<'_>,
        epoch: usize,
        batches: &[&[usize]],
        ranks: &mut Ranks,
    ) -> anyhow::Result<StepOutput> {
        let losses = match ranks.is_alone() {
            true => self.accumulate_alone(loader, epoch, batches)?,
            false => self.accumulate_share(loader, epoch, batches, ranks)?,
        };
        let mut output = StepOutput { loss_sum: 0.0, rows: 0, finite: true };
        for (loss, rows) in losses.iter().zip(batches) {
            output.loss_sum += loss * rows.len() as f64;
            output.rows += rows.len();
        }
        output.finite = output.loss_sum.is_finite() && all_finite(&self.gradients);
        Ok(output)
    }

    /// All batches, in this process; returns their losses.
    fn accumulate_alone(
        &mut self,
        loader: &DataLoader<'_>,
        epoch: usize,
        batches: &[&[usize]],
    ) -> anyhow::Result<Vec<f64>> {
        let mut losses = Vec::with_capacity(batches.len());
        for (i, rows) in batches.iter().enumerate() {
            losses.push(self.batch_gradients(loader, epoch, i, rows)?);
        }
        if let Some(mut sum) = self.own.gradients.finish() {
            if batches.len() > 1 {
                let scale = mean_factor(batches.len());
                sum.iter_mut().for_each(|g| *g *= scale);
            }
            self.own.gradients.recycle(std::mem::replace(&mut self.gradients, sum));
        }
        Ok(losses)
    }

    /// This rank's share of the batches, then the exchange with the others; returns the losses of all batches.
    fn accumulate_share(
        &mut self,
        loader: &DataLoader<'_>,
        epoch: usize,
        batches: &[&[usize]],
        ranks: &mut Ranks,
    ) -> anyhow::Result<Vec<f64>> {
        let statistics = self.parameters.layout.trainable()..self.parameters.layout.frozen_start();
        let running = self.parameters.values[statistics.clone()].to_vec();
        self.own.clear();
        for i in ranks.share(batches.len()) {
            self.parameters.values[statistics.clone()].fill(NO_STATISTIC);
            let loss = self.batch_gradients(loader, epoch, i, batches[i])?;
            self.own.losses.push(loss);
            self.own.statistics.extend(&self.parameters.values[statistics.clone()]);
        }
        // If the exchange fails, the state is that before the step.
        self.parameters.values[statistics.clone()].copy_from_slice(&running);
        self.gradients[statistics.start..].fill(0.0);
        let Self { own, reduction, parameters, gradients, .. } = self;
        let (losses, shares) = reduction.reduce(ranks, batches.len(), own, &parameters.layout, gradients)?;
        if !statistics.is_empty() {
            for shares in shares.chunks_exact(statistics.len()) {
                self.graph.add_statistics(&mut parameters.values, shares);
            }
        }
        Ok(losses)
    }

    /// Adds the gradients of batch `i` of the step to this rank's; returns its loss.
    fn batch_gradients(
        &mut self,
        loader: &DataLoader<'_>,
        epoch: usize,
        i: usize,
        rows: &[usize],
    ) -> anyhow::Result<f64> {
        loader.load(rows, epoch, &mut self.batch)?;
        let mut gradients = self.own.gradients.buffer(self.gradients.len());
        let loss = self.engine.gradients(&mut self.parameters, loader.batch(&self.batch), &mut gradients)?;
        self.own.gradients.push(i..i + 1, gradients);
        Ok(loss)
    }
}

/// Whether no value is NaN or infinite; branch-free, so that it vectorizes.
pub fn all_finite(values: &[f32]) -> bool {
    const EXPONENT: u32 = 0x7f80_0000;
    values.iter().fold(0u32, |any, value| any | u32::from(value.to_bits() & EXPONENT == EXPONENT)) == 0
}
