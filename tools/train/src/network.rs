//! The network that settings and data ask for.

use crate::{
    augment::{self, Augmentation},
    data::{Data, Inputs, Part, stream},
    feed::Feed,
    settings::{EngineName, InputScaling, Settings},
};
use anyhow::ensure;
use kernels::random::Random;
use nets::{Autograd, Engine, FusedMlp, Graph, Loss, Model, OutputActivation, Parameters, Planned, Scaling, Task};

/// More is a slip of the keyboard.
const MAX_PARAMETERS: usize = 1 << 30;

/// A network without its numbers, and what it is for.
pub struct Network {
    pub graph: Graph,
    pub task: Task,
    pub scaling: Option<Scaling>,
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
            "trainer.loss: cross_entropy wants two classes or more; give trainer.classes, or use bce"
        );
        let architecture = settings.model.architecture(&table.input.shape, outputs)?;
        let graph = Graph::new(architecture).map_err(|problem| anyhow::anyhow!("model.{problem}"))?;
        ensure!(graph.layout.len() <= MAX_PARAMETERS, "model: a network of over a billion parameters");
        let task = Task {
            input_field: trainer.input_field.clone(),
            input_shape: table.input.shape.clone(),
            input_dtype: table.input_dtype(),
            target_field: trainer.target_field.clone(),
            target_shape,
            output_activation: match trainer.loss() {
                Loss::CrossEntropy { .. } => OutputActivation::Softmax,
                Loss::BinaryCrossEntropy => OutputActivation::Sigmoid,
                Loss::Mse | Loss::Mae | Loss::Huber { .. } => OutputActivation::Identity,
            },
        };
        let scaling = (settings.model.input_scaling == InputScaling::Standard).then(|| standard(part));
        Ok(Self { graph, task, scaling })
    }

    /// The numbers that training starts from.
    pub fn start(&self, seed: u64, data: &Data) -> Parameters {
        let mut start = Parameters::random(&self.graph, &mut Random::new(seed, stream::PARAMETERS));
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
        let (mut inputs, mut targets) = (Vec::new(), Vec::new());
        Feed::plain(Part { table, rows: &chosen }, self).batch(&places, 0, &mut inputs, &mut targets);
        inputs
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
        let mean = || self.scaling.clone().unwrap_or_else(|| standard(data.train())).mean;
        Augmentation::new(&settings.augmentation, settings.trainer.seed, &self.task.input_shape, mean)
    }

    pub fn model(&self, parameters: Parameters) -> Model {
        let Self { graph, task, scaling } = self;
        Model { graph: graph.clone(), task: task.clone(), scaling: scaling.clone(), parameters }
    }
}

/// The scaling that gives the rows of a part mean 0 and standard deviation 1.
pub fn standard(part: Part<'_>) -> Scaling {
    let Part { table, rows } = part;
    let (width, shape) = (table.input_width(), table.input.shape.as_slice());
    let places = rows.iter().map(|row| row * width..(row + 1) * width);
    match &table.inputs {
        Inputs::Bytes(bytes) => Scaling::standard_bytes(places.map(|place| &bytes[place]), shape),
        Inputs::Real(values) => Scaling::standard(places.map(|place| &values[place]), shape),
    }
}

/// The number of classes: as it was given, or one more than the greatest label.
fn classes(settings: &Settings, data: &Data) -> anyhow::Result<usize> {
    let labels = data.tables().flat_map(|table| &table.targets);
    let greatest = labels.fold(0f32, |greatest, &label| greatest.max(label)) as usize;
    let classes = settings.trainer.classes.unwrap_or(greatest + 1);
    ensure!(
        greatest < classes,
        "trainer.classes: {classes}, but field {:?} has {greatest}",
        settings.trainer.target_field
    );
    Ok(classes)
}
