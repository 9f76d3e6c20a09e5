//! One optimizer step: forward and backward over the accumulated batches, clipping, optimizer, moving average.

use crate::{
    data::{BatchBuffer, DataLoader},
    device::Device,
    distributed::{Contribution, Ranks, Reduction, mean_factor},
    evaluate::RowBatch,
    network::Network,
    resident::Resident,
    settings::{Settings, TrainerSettings},
};
use anyhow::Context;
use nets::{AVERAGE, Engine, Graph, NO_STATISTIC, Parameters};
use optim::{Optimizer, clip_grad_norm, clip_grad_value, grad_norm};
use parallel::with_active_workers;

/// Parameters, and what updates them: engine, optimizer, moving average.
pub struct Learner {
    engine: Box<dyn Engine>,
    /// Steps in a GPU's memory. Parameters, optimizer and average here are copies of those there, as of the last
    /// [`Learner::synchronize`].
    resident: Option<Resident>,
    parameters: Parameters,
    optimizer: Optimizer,
    /// Exponential moving average of the parameters; None without `trainer.ema_decay`.
    average: Option<Parameters>,
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
    /// Whether loss, gradients and running statistics were finite; otherwise no parameter was updated.
    pub finite: bool,
}

impl StepOutput {
    /// Of the mean loss of each batch.
    pub fn of(losses: &[f64], batches: &[&[usize]], finite: bool) -> Self {
        let loss_sum: f64 = losses.iter().zip(batches).map(|(loss, rows)| loss * rows.len() as f64).sum();
        let rows = batches.iter().map(|rows| rows.len()).sum();
        Self { loss_sum, rows, finite: finite && loss_sum.is_finite() }
    }

    /// Mean loss over the step's rows.
    pub fn loss(&self) -> f64 {
        self.loss_sum / self.rows as f64
    }
}

impl Learner {
    /// A learner before its first step. On a GPU it learns in its memory from the rows of `loader`; without a loader,
    /// gradients come to the CPU, which updates the parameters.
    ///
    /// # Errors
    /// If the GPU cannot compute the network.
    pub fn new(
        settings: &Settings,
        network: &Network,
        device: &Device,
        loader: Option<&DataLoader<'_>>,
        parameters: Parameters,
    ) -> anyhow::Result<Self> {
        let resident = match (device, loader) {
            (Device::Gpu { gpu, precision, .. }, Some(loader)) => {
                Some(Resident::new(settings, network, (gpu, *precision), loader, &parameters)?)
            }
            _ => None,
        };
        let isa = kernels::isa().map_err(|e| anyhow::anyhow!("{}: {e}", kernels::ISA_VARIABLE))?;
        let optimizer = &settings.optimizer;
        Ok(Self {
            engine: network.engine(settings, device)?,
            resident,
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

    /// What there is to say of rows that a GPU's memory has no room for.
    pub fn note(&self, loader: &DataLoader<'_>) -> Option<&'static str> {
        self.resident.as_ref()?.note(loader)
    }

    /// Copies what a GPU has computed into the CPU's memory.
    fn synchronize(&mut self) -> anyhow::Result<()> {
        let Self { resident, parameters, average, optimizer, .. } = self;
        resident.as_mut().map_or(Ok(()), |resident| resident.download(parameters, average, optimizer))
    }

    pub fn parameters(&mut self) -> anyhow::Result<&Parameters> {
        self.synchronize()?;
        Ok(&self.parameters)
    }

    /// The moving average, where one is kept; otherwise the parameters.
    pub fn model_parameters(&mut self) -> anyhow::Result<&Parameters> {
        self.synchronize()?;
        Ok(self.average.as_ref().unwrap_or(&self.parameters))
    }

    /// Optimizer state and moving average by name, each of the parameters' length.
    pub fn buffers(&mut self) -> anyhow::Result<Vec<(String, Vec<f32>)>> {
        self.synchronize()?;
        let optimizer = self.optimizer.state().map(|(name, values)| (name.to_owned(), values.to_vec()));
        let average = self.average.iter().map(|average| (AVERAGE.to_owned(), average.values.clone()));
        Ok(optimizer.chain(average).collect())
    }

    /// Takes over the state of a checkpoint after `steps` steps; `find` returns one of [`Self::buffers`] by its name.
    ///
    /// # Errors
    /// When a buffer is missing or has another length.
    pub fn restore(
        &mut self,
        parameters: Parameters,
        steps: u64,
        find: impl Fn(&str) -> Option<Vec<f32>>,
    ) -> anyhow::Result<()> {
        self.optimizer.restore(steps, &find)?;
        if let Some(average) = &mut self.average {
            average.values = find(AVERAGE).context("the average is missing")?;
        }
        self.parameters = parameters;
        let Self { resident, parameters, average, optimizer, .. } = self;
        resident.as_mut().map_or(Ok(()), |resident| resident.upload(parameters, average.as_ref(), optimizer))
    }

    /// Overwrites `outputs` with those of the model for rows of the validation, `[rows, outputs]`.
    pub fn predict(&mut self, rows: &mut RowBatch<'_>, outputs: &mut Vec<f32>) -> anyhow::Result<()> {
        let Self { engine, resident, average, parameters, .. } = self;
        match resident {
            Some(resident) => *outputs = resident.predict(rows)?,
            None => engine.predict(average.as_ref().unwrap_or(parameters), rows.inputs()?, outputs)?,
        }
        Ok(())
    }

    /// Overwrites `outputs` with those of other parameters for scaled `inputs`, `[rows, outputs]`.
    pub fn predict_with(
        &mut self,
        parameters: &Parameters,
        inputs: &[f32],
        outputs: &mut Vec<f32>,
    ) -> anyhow::Result<()> {
        Ok(self.engine.predict(parameters, inputs, outputs)?)
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
        if let Some(resident) = &mut self.resident {
            return resident.step(loader, epoch, batches, learning_rate);
        }
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
    pub fn gradient_norm(&mut self) -> anyhow::Result<f64> {
        match &mut self.resident {
            Some(resident) => resident.gradient_norm(),
            None => Ok(grad_norm(&self.gradients)),
        }
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
        // Normalized by a variance that overflows, activations are 0 and gradients finite.
        let layout = &self.parameters.layout;
        let statistics = &self.parameters.values[layout.trainable()..layout.frozen_start()];
        let finite = all_finite(&self.gradients) && all_finite(statistics);
        Ok(StepOutput::of(&losses, batches, finite))
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
