//! A network that learns on a GPU: parameters, optimizer and moving average stay there, and so do the rows of a data set.

use crate::{
    Activations, Element, Error, Gpu, Network, Precision, Result,
    images::{Images, RowDraw, Rows},
    loss::LossKernel,
    optimizer::{BatchGradients, Failure, Optimizer, Options},
};
use cudarc::driver::CudaSlice;
use nets::{Batch, Graph, Loss};
use optim::{
    Algorithm, ParamGroup,
    pairwise::{PairwiseSum, mean_factor},
};
use std::{mem, sync::Arc};

/// Losses of batches that there is room for at first.
const LOSSES: usize = 16;

/// Parameters on a GPU, and what updates them.
///
/// A step is one call of [`Learner::add`] for each of its batches, then [`Learner::finish`]: that is [`Learner::update`], after
/// which the host may draw and load the next step's batches, and [`Learner::output`], which alone waits for the GPU.
pub struct Learner {
    gpu: Arc<Gpu>,
    network: Network,
    loss: LossKernel,
    optimizer: Optimizer,
    clipping: Options,
    /// In the order of the layout.
    parameters: CudaSlice<f32>,
    /// Moving average of all but the frozen parameters, and its decay rate.
    average: Option<(CudaSlice<f32>, f64)>,
    parameter_count: usize,
    /// Outputs of a row.
    width: usize,
    element: Element,
    /// Of the batch at hand, NHWC.
    inputs: Activations,
    /// `[rows, outputs]`
    grad_output: CudaSlice<f32>,
    /// Of the step's batches.
    losses: CudaSlice<f64>,
    batches: usize,
    /// Batches of a step whose output is not read yet.
    updated: Option<usize>,
    sum: PairwiseSum<BatchGradients>,
    /// The sum over the last step's batches.
    gradients: Option<BatchGradients>,
    failure: Failure,
    /// Rows that are loaded on the host.
    loaded: Images,
}

/// How a network learns. Definitions are those of `nets` and `optim`.
#[derive(Debug, Clone, PartialEq)]
pub struct Method {
    /// What is minimized.
    pub loss: Loss,
    /// The update.
    pub algorithm: Algorithm,
    /// Hyper-parameters of ranges of the parameters.
    pub groups: Vec<ParamGroup>,
    /// As [`optim::clip_grad_norm`].
    pub clip_norm: Option<f64>,
    /// As [`optim::clip_grad_value`].
    pub clip_value: Option<f64>,
    /// Decay rate of the moving average of the parameters; None for none.
    pub average_decay: Option<f64>,
}

/// The inputs of a batch.
pub enum Inputs<'a> {
    /// Rows that are in the GPU's memory.
    Drawn(&'a mut Images, &'a [RowDraw]),
    /// `[rows, input shape…]`, scaled; images are NCHW.
    Loaded(&'a [f32]),
}

/// What became of a step.
#[derive(Debug, Clone, PartialEq)]
pub struct StepOutput {
    /// Mean loss of each batch before the update.
    pub losses: Vec<f64>,
    /// Whether losses and gradients were finite; otherwise no parameter was updated but running statistics.
    pub finite: bool,
}

impl Learner {
    /// A learner before its first step, with these parameters, in the graph's layout; the moving average is a copy of them.
    ///
    /// # Errors
    /// If the network cannot be computed there, or the GPU's memory has no room.
    ///
    /// # Panics
    /// If there are more or fewer parameters.
    pub fn new(
        gpu: &Arc<Gpu>,
        graph: &Graph,
        precision: Precision,
        method: Method,
        parameters: &[f32],
    ) -> Result<Self> {
        let (count, statistics_end) = (graph.layout.len(), graph.layout.frozen_start());
        assert_eq!(parameters.len(), count, "the graph's parameters");
        let Method { loss, algorithm, groups, clip_norm, clip_value, average_decay } = method;
        let averaged = average_decay.map_or(0, |_| statistics_end);
        let element = precision.element();
        let average = average_decay.map(|decay| Ok::<_, Error>((gpu.upload("parameters", parameters)?, decay)));
        let (average, parameters) = (average.transpose()?, gpu.upload("parameters", parameters)?);
        // What was copied may be freed.
        gpu.stream().synchronize()?;
        Ok(Self {
            network: Network::new(gpu, graph, precision)?,
            loss: LossKernel::new(gpu, loss),
            optimizer: Optimizer::new(gpu, algorithm, groups, count, averaged)?,
            clipping: Options { clip_norm, clip_value, ..Options::default() },
            parameters,
            average,
            parameter_count: count,
            width: graph.architecture.outputs,
            element,
            inputs: Activations::new(gpu, element, 0)?,
            grad_output: gpu.zeros("gradients of outputs", 0)?,
            losses: gpu.zeros("losses", LOSSES)?,
            batches: 0,
            updated: None,
            sum: PairwiseSum::default(),
            gradients: None,
            failure: Failure::default(),
            loaded: Images::new(gpu, Rows::OfBatches, &graph.architecture.input_shape, None, None)?,
            gpu: gpu.clone(),
        })
    }

    /// Adds the gradients of a batch of `rows` rows to the step's, and updates running statistics. `batch` has targets and
    /// weights; its inputs are not read.
    ///
    /// # Errors
    /// If the GPU's memory has no room for the batch, or a library refuses.
    ///
    /// # Panics
    /// If the output of the step before is not read.
    pub fn add(&mut self, inputs: Inputs<'_>, batch: Batch<'_>, rows: usize) -> Result<()> {
        assert!(self.updated.is_none(), "the output of a step is read before the next step");
        self.load(inputs, rows)?;
        self.reserve(rows)?;
        let logits = self.network.forward(&mut self.parameters, &self.inputs, rows, true)?;
        let (grad_output, losses) = (&mut self.grad_output, (&mut self.losses, self.batches));
        self.loss.run(logits, batch, (rows, self.width), grad_output, losses)?;
        let mut gradients = match self.sum.free() {
            Some(free) => free,
            None => BatchGradients::new(&self.gpu, self.parameter_count, &self.failure)?,
        };
        self.network.backward(&self.parameters, &self.inputs, &self.grad_output, &mut gradients.values)?;
        self.sum.push(self.batches..self.batches + 1, gradients);
        self.batches += 1;
        Ok(())
    }

    /// Ends the step: updates the parameters by the mean of its batches' gradients, and the moving average.
    ///
    /// # Errors
    /// If the GPU or a library failed.
    ///
    /// # Panics
    /// If the step has no batch.
    pub fn update(&mut self, learning_rate: f64) -> Result<()> {
        let batches = mem::take(&mut self.batches);
        let sum = self.sum.finish().expect("a step has at least one batch");
        self.failure.borrow_mut().take().map_or(Ok(()), Err)?;
        let options = Options { mean: if batches > 1 { mean_factor(batches) } else { 1.0 }, ..self.clipping };
        let average = self.average.as_mut().map(|(average, decay)| (average, *decay));
        let losses = (&self.losses, batches);
        self.optimizer.step(learning_rate, options, losses, &mut self.parameters, &sum.values, average)?;
        let last = self.gradients.replace(sum);
        last.into_iter().for_each(|last| self.sum.recycle(last));
        self.updated = Some(batches);
        Ok(())
    }

    /// [`Learner::update`], then [`Learner::output`].
    ///
    /// # Errors
    /// As theirs.
    ///
    /// # Panics
    /// If the step has no batch.
    pub fn finish(&mut self, learning_rate: f64) -> Result<StepOutput> {
        self.update(learning_rate)?;
        self.output()
    }

    /// What became of the last step. Waits for the GPU.
    ///
    /// # Errors
    /// If the GPU or a library failed.
    ///
    /// # Panics
    /// If there was none, or its output has been read.
    pub fn output(&mut self) -> Result<StepOutput> {
        let batches = self.updated.take().expect("a step is over");
        let losses = self.gpu.download(&self.losses, batches)?;
        Ok(StepOutput { losses, finite: self.optimizer.outcome()?.finite })
    }

    /// L2 norm of the last step's gradients, after clipping; 0 before the first.
    ///
    /// # Errors
    /// If the GPU or the driver failed.
    pub fn gradient_norm(&mut self) -> Result<f64> {
        self.gradients.as_ref().map_or(Ok(0.0), |gradients| self.optimizer.clipped_norm(&gradients.values))
    }

    /// The network's outputs `[rows, outputs]` with the moving average, where one is kept, or else the parameters, and with
    /// running statistics.
    ///
    /// # Errors
    /// If the GPU's memory has no room for the batch, or a library refuses.
    pub fn predict(&mut self, inputs: Inputs<'_>, rows: usize) -> Result<Vec<f32>> {
        self.load(inputs, rows)?;
        let parameters = self.average.as_mut().map_or(&mut self.parameters, |(average, _)| average);
        let outputs = self.network.forward(parameters, &self.inputs, rows, false)?;
        self.gpu.download(outputs, rows * self.width)
    }

    /// The parameters, from the GPU.
    ///
    /// # Errors
    /// If the GPU or the driver failed.
    pub fn parameters(&self) -> Result<Vec<f32>> {
        self.gpu.download(&self.parameters, self.parameter_count)
    }

    /// The moving average of the parameters, from the GPU; None where none is kept.
    ///
    /// # Errors
    /// If the GPU or the driver failed.
    pub fn average(&self) -> Result<Option<Vec<f32>>> {
        let download = |(average, _): &(CudaSlice<f32>, f64)| self.gpu.download(average, self.parameter_count);
        self.average.as_ref().map(download).transpose()
    }

    /// The optimizer: its state, and its steps.
    pub fn optimizer(&self) -> &Optimizer {
        &self.optimizer
    }

    /// Replaces parameters, moving average and optimizer state by those of another learner of the same network and method after
    /// `steps` steps; `find` returns an array of optimizer state by its name. Training resumes bit for bit.
    ///
    /// # Errors
    /// When an array is missing or has another length, or the driver refuses.
    ///
    /// # Panics
    /// If there are more or fewer parameters.
    pub fn restore(
        &mut self,
        parameters: &[f32],
        average: Option<&[f32]>,
        steps: u64,
        find: impl FnMut(&str) -> Option<Vec<f32>>,
    ) -> Result<()> {
        let averages = average.into_iter().zip(self.average.as_mut().map(|(average, _)| average));
        for (from, to) in averages.chain([(parameters, &mut self.parameters)]) {
            assert_eq!(from.len(), self.parameter_count, "the graph's parameters");
            self.gpu.stream().memcpy_htod(from, to)?;
        }
        self.optimizer.restore(steps, find)
    }

    /// Leaves a batch in `self.inputs`.
    fn load(&mut self, inputs: Inputs<'_>, rows: usize) -> Result<()> {
        let count = rows * self.loaded.row_size();
        if self.inputs.capacity() < count {
            self.inputs = Activations::new(&self.gpu, self.element, count)?;
        }
        match inputs {
            Inputs::Drawn(images, draws) => {
                assert_eq!((draws.len(), images.row_size()), (rows, self.loaded.row_size()), "rows of the batch");
                images.load(draws, &mut self.inputs)
            }
            Inputs::Loaded(values) => {
                let draws = self.loaded.replace(values)?;
                assert_eq!(draws.len(), rows, "rows of the batch");
                self.loaded.load(&draws, &mut self.inputs)
            }
        }
    }

    /// Room for the loss of another batch, of `rows` rows.
    fn reserve(&mut self, rows: usize) -> Result<()> {
        if self.grad_output.len() < rows * self.width {
            self.grad_output = self.gpu.zeros("gradients of outputs", rows * self.width)?;
        }
        if self.batches == self.losses.len() {
            let mut losses = self.gpu.zeros("losses", 2 * self.batches)?;
            self.gpu.stream().memcpy_dtod(&self.losses, &mut losses)?;
            self.losses = losses;
        }
        Ok(())
    }
}
