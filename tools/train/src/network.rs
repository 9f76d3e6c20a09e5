//! The network that settings and data ask for.

use crate::{
    data::{Rows, Split, Table},
    settings::{EngineName, InputScaling, Settings},
};
use anyhow::ensure;
use nets::{Architecture, AutogradMlp, Engine, FusedMlp, Loss, Model, OutputActivation, Parameters, Scaling, Task};

/// A network without its numbers, and what it is for.
pub struct Network {
    pub architecture: Architecture,
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
        let architecture = Architecture {
            inputs: table.input_width(),
            hidden: settings.model.hidden.clone(),
            outputs,
            activation: settings.model.activation,
        };
        // Widths are bounded, so that no product of two overflows.
        let parameters = architecture.layers().try_fold(0usize, |sum, (i, o)| sum.checked_add(i * o + o));
        ensure!(
            parameters.is_some_and(|n| n <= 1 << 30),
            "model.hidden: {:?} makes a network of over a billion parameters",
            architecture.hidden
        );
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
            .then(|| Scaling::standard(&split.train.inputs, table.input_width()));
        Ok(Self { architecture, task, scaling })
    }

    /// What computes its gradients.
    pub fn engine(&self, settings: &Settings) -> Box<dyn Engine> {
        let loss = settings.trainer.loss();
        match settings.trainer.engine {
            EngineName::Fused => Box::new(FusedMlp::new(&self.architecture, loss)),
            EngineName::Autograd => Box::new(AutogradMlp::new(&self.architecture, loss)),
        }
    }

    /// Rows as the network sees them.
    pub fn scaled(&self, rows: &Rows) -> Vec<f32> {
        let mut inputs = rows.inputs.clone();
        self.scaling.iter().for_each(|scaling| scaling.apply(&mut inputs));
        inputs
    }

    pub fn model(&self, parameters: Parameters) -> Model {
        let Self { architecture, task, scaling } = self;
        Model { architecture: architecture.clone(), task: task.clone(), scaling: scaling.clone(), parameters }
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
