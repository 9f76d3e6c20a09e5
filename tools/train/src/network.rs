//! The network that settings and data ask for.

use crate::{
    augment::{self, Augmentation},
    class_weights,
    data::{Data, Part, stream},
    feed::{Feed, Rows},
    remarks,
    scaling::{self, RowStatistics},
    settings::{EngineName, Settings},
};
use anyhow::ensure;
use dataset::{Features, Scaled};
use nets::{
    Autograd, Engine, FusedMlp, Graph, Loss, Model, OutputActivation, Parameters, Planned, Scaling, TargetScaling,
    Task, graph::Op,
};
use random::Random;

/// More is a slip of the keyboard.
const MAX_PARAMETERS: usize = 1 << 30;

/// A standardised target has mean 0: outputs that begin near it, rather than as far from it as its own deviation, save
/// the first epochs, which a small table may not have to spare.
const OUTPUT_SCALE: f32 = 0.1;

/// A network without its numbers, and what it is for.
pub struct Network {
    pub graph: Graph,
    pub task: Task,
    pub scaling: Option<Scaling>,
    pub target_scaling: Option<TargetScaling>,
    /// What becomes of a row's fields, and what its outputs mean.
    pub features: Features,
    /// `[classes]`; empty where all count the same.
    pub class_weights: Vec<f32>,
    /// A line for each thing about rows, scaling and weights that a person should know.
    pub remarks: Vec<String>,
}

impl Network {
    pub fn new(settings: &Settings, data: &Data) -> anyhow::Result<Self> {
        let trainer = &settings.trainer;
        let part = data.train();
        let table = part.table;
        let target_shape = match trainer.loss() {
            // Labels go in, a number for each class comes out.
            Loss::CrossEntropy { .. } if table.target_width() == 1 => vec![classes(settings, data)?],
            _ => table.target.shape.clone(),
        };
        if trainer.test_flip {
            augment::image_shape("trainer.test_flip", &table.input.shape)?;
        }
        let outputs: usize = target_shape.iter().product();
        ensure!(
            outputs > 1 || !trainer.loss().is_categorical(),
            "trainer.loss: cross_entropy wants two classes or more; give trainer.classes=2 or more, or trainer.loss=bce"
        );
        let architecture = settings.model.architecture(&table.input.shape, outputs)?;
        let graph = Graph::new(architecture).map_err(|problem| anyhow::anyhow!("model.{problem}"))?;
        ensure!(graph.layout.len() <= MAX_PARAMETERS, "model: a network of over a billion parameters");
        let task = Task {
            input_field: data.features.input_name().to_owned(),
            input_shape: data.features.raw_shape(),
            input_dtype: table.input_dtype(),
            target_field: trainer.target_field.clone(),
            target_shape: target_shape.clone(),
            output_activation: match trainer.loss() {
                Loss::CrossEntropy { .. } => OutputActivation::Softmax,
                Loss::BinaryCrossEntropy => OutputActivation::Sigmoid,
                Loss::Mse | Loss::Mae | Loss::Huber { .. } => OutputActivation::Identity,
            },
        };
        let statistics = RowStatistics::of(part, &data.features);
        let mut remarks = data.remarks.clone();
        remarks.extend(remarks::of_rows(part, &statistics, trainer.loss(), outputs, &data.features));
        let (scaling, target_scaling) =
            scaling::choose(&settings.model, trainer.loss(), part, &statistics, &data.features, &mut remarks)?;
        let class_weights = class_weights::choose(trainer, part, outputs, &mut remarks)?;
        let mut features = data.features.clone();
        features.target.shape = target_shape;
        let scaled = |mean: &[f32], scale: &[f32]| Scaled { mean: mean.to_vec(), scale: scale.to_vec() };
        features.input_scaling = scaling.as_ref().map(|scaling| scaled(&scaling.mean, &scaling.scale));
        features.target_scaling = target_scaling.as_ref().map(|scaling| scaled(&scaling.mean, &scaling.scale));
        Ok(Self { graph, task, scaling, target_scaling, features, class_weights, remarks })
    }

    /// Checks an epoch of `batches` batches over `rows` rows.
    ///
    /// # Errors
    /// When a batch norm would see a single value a channel, whose variance is 0, as PyTorch refuses it.
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

    /// The numbers that training starts from.
    pub fn start(&self, seed: u64, data: &Data) -> Parameters {
        let mut start = Parameters::random(&self.graph, &mut Random::new(seed, stream::PARAMETERS));
        if self.target_scaling.is_some() {
            start.scale_last_linear(&self.graph, OUTPUT_SCALE);
        }
        if let Some((whiten, _)) = self.graph.whitening() {
            start.whiten(&self.graph, &self.sample(data.train(), whiten.images));
        }
        start
    }

    /// Scaled inputs of at most `most` rows, evenly spread: rows may stand in the order of their classes.
    fn sample(&self, Part { table, rows }: Part<'_>, most: usize) -> Vec<f32> {
        let taken = most.min(rows.len());
        let chosen: Vec<usize> = (0..taken).map(|i| rows[i * rows.len() / taken]).collect();
        let places: Vec<usize> = (0..taken).collect();
        let mut sample = Rows::default();
        Feed::plain(Part { table, rows: &chosen }, self).read(&places, 0, &mut sample);
        sample.inputs
    }

    /// What computes its gradients.
    pub fn engine(&self, settings: &Settings) -> Box<dyn Engine> {
        let loss = settings.trainer.loss();
        let autograd = || Box::new(Autograd::new(&self.graph, loss)) as Box<dyn Engine>;
        match settings.trainer.engine {
            EngineName::Autograd => autograd(),
            EngineName::Fused => match FusedMlp::new(&self.graph, loss) {
                Some(fused) => Box::new(fused),
                None => Planned::new(&self.graph, loss).map_or_else(autograd, |planned| Box::new(planned)),
            },
        }
    }

    /// How its training images are changed, if they are.
    pub fn augmentation(&self, settings: &Settings, data: &Data) -> anyhow::Result<Option<Augmentation>> {
        let mean = || self.scaling.clone().unwrap_or_else(|| scaling::standard(data.train())).mean;
        Augmentation::new(&settings.augmentation, settings.trainer.seed, &data.train().table.input.shape, mean)
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

/// The number of classes: as it was given, or one more than the greatest label.
fn classes(settings: &Settings, data: &Data) -> anyhow::Result<usize> {
    let labels = data.tables().flat_map(|table| &table.targets);
    let greatest = labels.fold(0f32, |greatest, &label| greatest.max(label)) as usize;
    if let Some(names) = &data.features.target.classes {
        let (given, count, field) = (settings.trainer.classes, names.len(), &settings.trainer.target_field);
        ensure!(
            given.is_none_or(|given| given == count),
            "trainer.classes: field {field:?} has {count} different texts; give trainer.classes=null, which counts them"
        );
        return Ok(count);
    }
    let classes = settings.trainer.classes.unwrap_or(greatest + 1);
    ensure!(
        greatest < classes,
        "trainer.classes: {classes}, but field {:?} has {greatest}",
        settings.trainer.target_field
    );
    Ok(classes)
}
