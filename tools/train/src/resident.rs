//! Steps on a GPU whose memory holds parameters, optimizer state and, where they fit, the rows: only draws and targets go
//! there, and losses come back.

use crate::{
    data::{BatchBuffer, DataLoader, RowsInMemory},
    evaluate::RowBatch,
    network::Network,
    settings::Settings,
    training_step::StepOutput,
};
use cuda_nets::{
    Error, Gpu, Precision,
    images::Images,
    learner::{self, Inputs, Learner, Method},
};
use nets::Parameters;
use optim::Optimizer;
use std::sync::Arc;

/// A learner in a GPU's memory, and what loads its batches.
pub struct Resident {
    learner: Learner,
    /// None where batches are loaded on the CPU: their rows stay in a file, or the GPU's memory has no room for them.
    images: Option<Images>,
    /// The rows of the validation, once there was one; None as with `images`.
    validation: Option<Option<Images>>,
    gpu: Arc<Gpu>,
    batch: BatchBuffer,
    /// Whether a step was made since the last [`Resident::download`].
    is_ahead: bool,
}

impl Resident {
    /// A learner before its first step, of rows of `loader`.
    ///
    /// # Errors
    /// If the GPU cannot compute the network, or its memory has no room for it.
    pub fn new(
        settings: &Settings,
        network: &Network,
        (gpu, precision): (&Arc<Gpu>, Precision),
        loader: &DataLoader<'_>,
        parameters: &Parameters,
    ) -> anyhow::Result<Self> {
        let (trainer, optimizer) = (&settings.trainer, &settings.optimizer);
        let method = Method {
            loss: trainer.loss(),
            algorithm: optimizer.algorithm,
            groups: optimizer.groups.of(&parameters.layout),
            clip_norm: trainer.clip_norm,
            clip_value: trainer.clip_value,
            average_decay: trainer.ema_decay,
        };
        let learner = Learner::new(gpu, &network.graph, precision, method, &parameters.values)?;
        let images = loader.rows_in_memory().map_or(Ok(None), |rows| upload(gpu, rows))?;
        Ok(Self { learner, images, validation: None, gpu: gpu.clone(), batch: BatchBuffer::default(), is_ahead: false })
    }

    /// Why a step may be slow: the GPU's memory has no room for the rows.
    pub fn note(&self, loader: &DataLoader<'_>) -> Option<&'static str> {
        let has_no_room = self.images.is_none() && loader.rows_in_memory().is_some();
        has_no_room.then_some("the GPU's memory has no room for the rows: they are loaded on the CPU, batch by batch")
    }

    /// One step over `batches`: indices into the loader's rows, augmented as in `epoch` (from 1).
    pub fn step(
        &mut self,
        loader: &DataLoader<'_>,
        epoch: usize,
        batches: &[&[usize]],
        learning_rate: f64,
    ) -> anyhow::Result<StepOutput> {
        let Self { learner, images, batch, .. } = self;
        for indices in batches {
            match images {
                Some(images) => {
                    loader.load_targets(indices, batch);
                    let (rows, epoch) = loader.rows_of_batch(indices, epoch);
                    let draws = images.draws(&rows, epoch);
                    learner.add(Inputs::Drawn(images, &draws), loader.batch(batch), indices.len())?;
                }
                None => {
                    loader.load(indices, epoch, batch)?;
                    learner.add(Inputs::Loaded(&batch.inputs), loader.batch(batch), indices.len())?;
                }
            }
        }
        self.is_ahead = true;
        learner.update(learning_rate)?;
        let learner::StepOutput { losses, finite } = learner.output()?;
        Ok(StepOutput::of(&losses, batches, finite))
    }

    /// L2 norm of the last step's gradients, after clipping.
    pub fn gradient_norm(&mut self) -> anyhow::Result<f64> {
        Ok(self.learner.gradient_norm()?)
    }

    /// Outputs `[rows, outputs]` for rows of the validation, with the moving average where one is kept.
    pub fn predict(&mut self, rows: &mut RowBatch<'_>) -> anyhow::Result<Vec<f32>> {
        if self.validation.is_none() {
            let gpu = &self.gpu;
            self.validation = Some(rows.loader.rows_in_memory().map_or(Ok(None), |rows| upload(gpu, rows))?);
        }
        let count = rows.indices.len();
        let Some(Some(images)) = &mut self.validation else {
            return Ok(self.learner.predict(Inputs::Loaded(rows.inputs()?), count)?);
        };
        let (indices, epoch) = rows.loader.rows_of_batch(rows.indices, 1);
        let draws = images.draws(&indices, epoch).into_iter();
        let draws: Vec<_> = draws.map(|draw| if rows.mirrored { draw.flipped() } else { draw }).collect();
        Ok(self.learner.predict(Inputs::Drawn(images, &draws), count)?)
    }

    /// Copies parameters, moving average and optimizer state into the CPU's memory, unless they are there already.
    pub fn download(
        &mut self,
        parameters: &mut Parameters,
        average: &mut Option<Parameters>,
        optimizer: &mut Optimizer,
    ) -> anyhow::Result<()> {
        if !self.is_ahead {
            return Ok(());
        }
        parameters.values = self.learner.parameters()?;
        if let Some(average) = average {
            average.values = self.learner.average()?.unwrap_or_default();
        }
        let mut state = self.learner.optimizer().state()?;
        let find = |wanted: &str| {
            let found = state.iter_mut().find(|(name, _)| *name == wanted)?;
            Some(std::mem::take(&mut found.1))
        };
        optimizer.restore(self.learner.optimizer().steps(), find)?;
        self.is_ahead = false;
        Ok(())
    }

    /// Copies them to the GPU.
    pub fn upload(
        &mut self,
        parameters: &Parameters,
        average: Option<&Parameters>,
        optimizer: &Optimizer,
    ) -> anyhow::Result<()> {
        let find = |wanted: &str| {
            let mut state = optimizer.state();
            state.find_map(|(name, values)| (name == wanted).then(|| values.to_vec()))
        };
        let average = average.map(|average| average.values.as_slice());
        self.learner.restore(&parameters.values, average, optimizer.steps(), find)?;
        self.is_ahead = false;
        Ok(())
    }
}

/// The rows in the GPU's memory; None where it has no room for them.
fn upload(gpu: &Arc<Gpu>, rows: RowsInMemory<'_>) -> anyhow::Result<Option<Images>> {
    let RowsInMemory { values, shape, scaling, augmentation } = rows;
    match Images::new(gpu, values, shape, scaling, augmentation.cloned()) {
        Ok(images) => Ok(Some(images)),
        Err(Error::DatasetMemory { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
