//! The network that settings and data ask for.

mod class_weights;
mod diagnostics;
mod scaling;

use crate::{
    data::{
        BatchBuffer, DataLoader, DataModule, Split,
        augmentation::{self, Augmentation},
        stream,
    },
    device::Device,
    settings::{EngineName, Settings},
};
use anyhow::ensure;
use cuda_nets::GpuEngine;
use dataset::{Features, Scaled};
use nets::{
    Autograd, Engine, Fused, Graph, Loss, Model, OutputActivation, Parameters, Scaling, TargetScaling, Task, graph::Op,
};
use random::Random;
use scaling::SplitStatistics;

/// A typing error is likelier than a larger network.
const MAX_PARAMETERS: usize = 1 << 30;

/// Factor on the last layer's initial weights with a scaled target, whose mean is 0: initial outputs are near the mean,
/// which saves the first epochs.
const OUTPUT_SCALE: f32 = 0.1;

/// A network without its parameters: graph, task, scaling, features.
pub struct Network {
    pub graph: Graph,
    pub task: Task,
    pub scaling: Option<Scaling>,
    pub target_scaling: Option<TargetScaling>,
    /// How fields are encoded, and what outputs mean: `features.json`.
    pub features: Features,
    /// `[classes]`; empty where all weigh the same.
    pub class_weights: Vec<f32>,
    /// Notes on rows, scaling and class weights, a line each, for standard error.
    pub notes: Vec<String>,
}

impl Network {
    pub fn new(settings: &Settings, data: &DataModule) -> anyhow::Result<Self> {
        let trainer = &settings.trainer;
        let split = data.train();
        let dataset = split.dataset;
        let target_shape = match trainer.loss() {
            // Targets are class indices; outputs are a logit per class.
            Loss::CrossEntropy { .. } if dataset.target_width() == 1 => vec![classes(settings, data)?],
            _ => dataset.target.shape.clone(),
        };
        if trainer.test_flip {
            augmentation::image_shape("trainer.test_flip", &dataset.input.shape)?;
        }
        let outputs: usize = target_shape.iter().product();
        ensure!(
            outputs > 1 || !trainer.loss().is_categorical(),
            "trainer.loss: cross_entropy requires at least two classes; give trainer.classes=2 or more, or trainer.loss=bce"
        );
        let architecture = settings.model.architecture(&dataset.input.shape, outputs)?;
        let graph = Graph::new(architecture).map_err(|problem| anyhow::anyhow!("model.{problem}"))?;
        ensure!(graph.layout.len() <= MAX_PARAMETERS, "model: a network of over a billion parameters");
        let task = Task {
            input_field: data.features.input_name().to_owned(),
            input_shape: data.features.raw_shape(),
            input_dtype: dataset.input_dtype(),
            target_field: trainer.target_field.clone(),
            target_shape: target_shape.clone(),
            output_activation: match trainer.loss() {
                Loss::CrossEntropy { .. } => OutputActivation::Softmax,
                Loss::BinaryCrossEntropy => OutputActivation::Sigmoid,
                Loss::Mse | Loss::Mae | Loss::Huber { .. } => OutputActivation::Identity,
            },
        };
        let statistics = SplitStatistics::of(split, &data.features)?;
        let mut notes = data.notes.clone();
        notes.extend(diagnostics::of_split(split, &statistics, trainer.loss(), outputs, &data.features)?);
        let (scaling, target_scaling) =
            scaling::choose(&settings.model, trainer.loss(), split, &statistics, &data.features, &mut notes)?;
        let class_weights = class_weights::choose(trainer, split, outputs, &mut notes)?;
        let mut features = data.features.clone();
        features.target.shape = target_shape;
        let scaled = |mean: &[f32], scale: &[f32]| Scaled { mean: mean.to_vec(), scale: scale.to_vec() };
        features.input_scaling = scaling.as_ref().map(|scaling| scaled(&scaling.mean, &scaling.scale));
        features.target_scaling = target_scaling.as_ref().map(|scaling| scaled(&scaling.mean, &scaling.scale));
        Ok(Self { graph, task, scaling, target_scaling, features, class_weights, notes })
    }

    /// Checks an epoch of `batches` batches over `rows` rows.
    ///
    /// # Errors
    /// When a batch norm would see a single value per channel, whose variance is 0; PyTorch refuses it too.
    pub fn check_batches(&self, rows: usize, batch_size: usize, batches: usize) -> anyhow::Result<()> {
        let is_whole = batches >= rows.div_ceil(batch_size);
        let single = match batch_size.min(rows) {
            1 => "a batch has 1 row",
            _ if is_whole && rows % batch_size == 1 => "the last batch of an epoch has 1 row",
            _ => return Ok(()),
        };
        let mut norms = self.graph.nodes.iter().filter(|node| matches!(node.op, Op::Norm { .. }));
        match norms.find(|node| node.shape[1..].iter().product::<usize>() == 1) {
            None => Ok(()),
            Some(norm) => anyhow::bail!(
                "model.{}: norm expects more than 1 value a channel in training, and {single}, of {rows} in all with \
                 trainer.batch_size={batch_size}; choose another trainer.batch_size",
                norm.name
            ),
        }
    }

    /// Random initial parameters, drawn from the seed; whitening weights are computed from the training split.
    ///
    /// # Errors
    /// When rows are in a file, and cannot be read.
    pub fn initial_parameters(&self, seed: u64, data: &DataModule) -> anyhow::Result<Parameters> {
        let mut parameters = Parameters::random(&self.graph, &mut Random::new(seed, stream::PARAMETERS));
        if self.target_scaling.is_some() {
            parameters.scale_last_linear(&self.graph, OUTPUT_SCALE);
        }
        if let Some((whiten, _)) = self.graph.whitening() {
            parameters.whiten(&self.graph, &self.sample(data.train(), whiten.images)?);
        }
        Ok(parameters)
    }

    /// Scaled inputs of at most `max` rows, evenly spaced, as the rows may be sorted by class.
    fn sample(&self, Split { dataset, rows }: Split<'_>, max: usize) -> anyhow::Result<Vec<f32>> {
        let taken = max.min(rows.len());
        let chosen: Vec<usize> = (0..taken).map(|i| rows[i * rows.len() / taken]).collect();
        let indices: Vec<usize> = (0..taken).collect();
        let mut sample = BatchBuffer::default();
        DataLoader::plain(Split { dataset, rows: &chosen }, self).load(&indices, 0, &mut sample)?;
        Ok(sample.inputs)
    }

    /// The engine that computes gradients and predictions: the GPU's, or on the CPU that of `trainer.engine`: the fastest that
    /// supports the graph, or the reference.
    ///
    /// # Errors
    /// If the GPU cannot compute the network.
    pub fn engine(&self, settings: &Settings, device: &Device) -> anyhow::Result<Box<dyn Engine>> {
        let trainer = &settings.trainer;
        let loss = trainer.loss();
        if let Device::Gpu { gpu, precision, .. } = device {
            return Ok(Box::new(GpuEngine::new(gpu, &self.graph, loss, *precision)?));
        }
        let autograd = || Box::new(Autograd::new(&self.graph, loss)) as Box<dyn Engine>;
        Ok(match trainer.engine {
            EngineName::Autograd => autograd(),
            EngineName::Fused => Fused::new(&self.graph, loss).map_or_else(|_| autograd(), |fused| Box::new(fused)),
        })
    }

    /// Augmentation of the training images; None where the settings change nothing.
    pub fn augmentation(&self, settings: &Settings, data: &DataModule) -> anyhow::Result<Option<Augmentation>> {
        let mean = || match &self.scaling {
            Some(scaling) => Ok(scaling.mean.clone()),
            None => Ok(scaling::standard(data.train())?.mean),
        };
        Augmentation::new(&settings.augmentation, settings.trainer.seed, &data.train().dataset.input.shape, mean)
    }

    pub fn model(&self, parameters: Parameters) -> Model {
        Model {
            graph: self.graph.clone(),
            task: self.task.clone(),
            scaling: self.scaling.clone(),
            target_scaling: self.target_scaling.clone(),
            features: self.features.clone(),
            parameters,
        }
    }
}

/// Number of classes: `trainer.classes`, or one more than the maximum label.
fn classes(settings: &Settings, data: &DataModule) -> anyhow::Result<usize> {
    let labels = data.datasets().flat_map(|dataset| &dataset.targets);
    let max_label = labels.fold(0f32, |max, &label| max.max(label)) as usize;
    if let Some(names) = &data.features.target.classes {
        let (given, count, field) = (settings.trainer.classes, names.len(), &settings.trainer.target_field);
        ensure!(
            given.is_none_or(|given| given == count),
            "trainer.classes: field {field:?} has {count} different texts; give trainer.classes=null, which counts them"
        );
        return Ok(count);
    }
    let classes = settings.trainer.classes.unwrap_or(max_label + 1);
    ensure!(
        max_label < classes,
        "trainer.classes: {classes}, but field {:?} has {max_label}",
        settings.trainer.target_field
    );
    Ok(classes)
}
