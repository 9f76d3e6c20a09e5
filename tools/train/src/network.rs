//! The network that settings and data ask for.

use crate::{
    data::{Rows, Split, Table, gather, stream},
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
    pub fn new(settings: &Settings, table: &Table, split: &Split) -> anyhow::Result<Self> {
        let trainer = &settings.trainer;
        let target_shape = match trainer.loss() {
            // Labels go in, a number for each class comes out.
            Loss::CrossEntropy { .. } if table.target_width() == 1 => vec![classes(settings, table)?],
            _ => table.target_shape.clone(),
        };
        let outputs: usize = target_shape.iter().product();
        ensure!(
            outputs > 1 || !trainer.loss().is_categorical(),
            "trainer.loss: cross_entropy wants two classes or more; give trainer.classes, or use bce"
        );
        let architecture = settings.model.architecture(&table.input_shape, outputs)?;
        let graph = Graph::new(architecture).map_err(|problem| anyhow::anyhow!("model.{problem}"))?;
        ensure!(graph.layout.len() <= MAX_PARAMETERS, "model: a network of over a billion parameters");
        let task = Task {
            input_field: trainer.input_field.clone(),
            input_shape: table.input_shape.clone(),
            target_field: trainer.target_field.clone(),
            target_shape,
            output_activation: match trainer.loss() {
                Loss::CrossEntropy { .. } => OutputActivation::Softmax,
                Loss::BinaryCrossEntropy => OutputActivation::Sigmoid,
                Loss::Mse | Loss::Mae | Loss::Huber { .. } => OutputActivation::Identity,
            },
        };
        let scaling = (settings.model.input_scaling == InputScaling::Standard)
            .then(|| Scaling::standard(&split.train.inputs, &table.input_shape));
        Ok(Self { graph, task, scaling })
    }

    /// The numbers that training starts from.
    pub fn start(&self, seed: u64, split: &Split) -> Parameters {
        let mut start = Parameters::random(&self.graph, &mut Random::new(seed, stream::PARAMETERS));
        if let Some((whiten, _)) = self.graph.whitening() {
            start.whiten(&self.graph, &self.scaled(&self.sample(&split.train, split.counts[0], whiten.images)));
        }
        start
    }

    /// Inputs of at most `most` of `count` rows, evenly spread: rows may stand in the order of their classes.
    fn sample(&self, rows: &Rows, count: usize, most: usize) -> Rows {
        let taken = most.min(count);
        let chosen: Vec<usize> = (0..taken).map(|i| i * count / taken).collect();
        let mut sample = Rows::default();
        gather(&rows.inputs, self.graph.architecture.inputs(), &chosen, &mut sample.inputs);
        sample
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

    /// Rows as the network sees them.
    pub fn scaled(&self, rows: &Rows) -> Vec<f32> {
        let mut inputs = rows.inputs.clone();
        self.scaling.iter().for_each(|scaling| scaling.apply(&mut inputs, &self.task.input_shape));
        inputs
    }

    pub fn model(&self, parameters: Parameters) -> Model {
        let Self { graph, task, scaling } = self;
        Model { graph: graph.clone(), task: task.clone(), scaling: scaling.clone(), parameters }
    }
}

/// The number of classes: as it was given, or one more than the greatest label.
fn classes(settings: &Settings, table: &Table) -> anyhow::Result<usize> {
    let greatest = table.rows.targets.iter().fold(0f32, |greatest, &label| greatest.max(label)) as usize;
    let classes = settings.trainer.classes.unwrap_or(greatest + 1);
    ensure!(
        greatest < classes,
        "trainer.classes: {classes}, but field {:?} has {greatest}",
        settings.trainer.target_field
    );
    Ok(classes)
}
