//! Times of training steps of networks on 32 × 32 images, SGD with momentum included, in seconds.
//!
//!     cargo bench -p nets --bench image_step -- [NETWORK IMAGES THREADS [STEPS]]
//!
//! NETWORK is `lenet5`, `vgg8`, `resnet20` or `resnet18`. Without STEPS, each line read from stdin runs one step, so that
//! `scripts/bench/image_step/run.py` can take turns with a peer. Without arguments: five steps of ResNet-20 on 128 images, on one
//! thread.

use nets::{Architecture, Batch, Engine, Fused, Graph, Loss, ParamGroups, Parameters};
use optim::{Algorithm, Optimizer};
use random::Random;
use std::{
    io::{self, Write},
    time::Instant,
};

/// LeCun et al., 1998, with ReLU and max pooling, as `model=small_cnn`.
const LENET5: &str = r#"{"conv": {"channels": 6, "kernel": 5, "padding": 0, "bias": true}}, {"activation": "relu"},
    {"max_pool": {"size": 2}}, {"conv": {"channels": 16, "kernel": 5, "padding": 0, "bias": true}}, {"activation": "relu"},
    {"max_pool": {"size": 2}}, {"linear": {"outputs": 120}}, {"activation": "relu"}, {"linear": {"outputs": 84}},
    {"activation": "relu"}, {"linear": {}}"#;
/// Channels of the stages of a network after VGG (Simonyan and Zisserman, 2014) with norms: two 3 × 3 convolutions each, then
/// max pooling; the average of each channel and one linear layer at the end.
const VGG8: [usize; 4] = [64, 128, 256, 512];
/// Stages of blocks: channels, stride of the first, number.
const RESNET20: [[usize; 3]; 3] = [[16, 1, 3], [32, 2, 3], [64, 2, 3]];
const RESNET18: [[usize; 3]; 4] = [[64, 1, 2], [128, 2, 2], [256, 2, 2], [512, 2, 2]];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // cargo appends `--bench`.
    let mut arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if arguments.is_empty() {
        arguments = ["resnet20", "128", "1", "5"].map(String::from).to_vec();
    }
    let [name, images, threads, steps @ ..] = arguments.as_slice() else {
        return Err("usage: image_step [NETWORK IMAGES THREADS [STEPS]]".into());
    };
    rayon::ThreadPoolBuilder::new().num_threads(threads.parse()?).build_global()?;
    let mut step = Step::new(name, images.parse()?)?;
    step.run()?;
    let mut out = io::stdout().lock();
    match steps {
        [steps, ..] => {
            for _ in 0..steps.parse::<usize>()? {
                writeln!(out, "{:.6}", step.run()?)?;
            }
        }
        [] => {
            for _ in io::stdin().lines() {
                writeln!(out, "{:.6}", step.run()?)?;
                out.flush()?;
            }
        }
    }
    Ok(())
}

/// The layers of a network, as a configuration has them.
fn layers(name: &str) -> Result<String, String> {
    let layers = match name {
        "lenet5" => LENET5.to_owned(),
        "vgg8" => {
            let conv = |channels| {
                format!(r#"{{"conv": {{"channels": {channels}}}}}, {{"norm": {{}}}}, {{"activation": "relu"}},"#)
            };
            let stages = VGG8.map(|channels| [&conv(channels).repeat(2), r#"{"max_pool": {"size": 2}},"#].concat());
            format!(r#"{} {{"average_pool": {{}}}}, {{"linear": {{}}}}"#, stages.concat())
        }
        "resnet20" => residual(&RESNET20),
        "resnet18" => residual(&RESNET18),
        _ => return Err("expected lenet5, vgg8, resnet20 or resnet18".into()),
    };
    Ok(format!("[{layers}]"))
}

fn residual(stages: &[[usize; 3]]) -> String {
    let stem = stages[0][0];
    let blocks = stages.iter().map(|[channels, stride, repeat]| {
        format!(r#"{{"residual": {{"channels": {channels}, "stride": {stride}, "repeat": {repeat}}}}},"#)
    });
    format!(
        r#"{{"conv": {{"channels": {stem}}}}}, {{"norm": {{}}}}, {{"activation": "relu"}}, {}
           {{"average_pool": {{}}}}, {{"linear": {{}}}}"#,
        blocks.collect::<String>()
    )
}

struct Step {
    parameters: Parameters,
    optimizer: Optimizer,
    engine: Fused,
    gradients: Vec<f32>,
    inputs: Vec<f32>,
    targets: Vec<f32>,
}

impl Step {
    fn new(name: &str, images: usize) -> Result<Self, Box<dyn std::error::Error>> {
        let layers = serde_json::from_str(&layers(name)?)?;
        let graph = Graph::new(Architecture { input_shape: vec![3, 32, 32], layers, outputs: 10 })?;
        let mut random = Random::new(0, 0);
        let parameters = Parameters::random(&graph, &mut random);
        let algorithm = Algorithm::Sgd { momentum: 0.9, nesterov: true };
        let groups = ParamGroups { weight_decay: 5e-4, ..ParamGroups::default() }.of(&parameters.layout);
        Ok(Self {
            optimizer: Optimizer::new(algorithm, groups, parameters.layout.len(), kernels::isa()?),
            engine: Fused::new(&graph, Loss::CrossEntropy { label_smoothing: 0.0 })?,
            gradients: vec![0.0; parameters.values.len()],
            inputs: (0..images * 3 * 32 * 32).map(|_| random.normal() as f32).collect(),
            targets: (0..images).map(|_| random.index(10) as f32).collect(),
            parameters,
        })
    }

    /// Seconds of a step.
    fn run(&mut self) -> nets::Result<f64> {
        let began = Instant::now();
        let batch = Batch::new(&self.inputs, &self.targets);
        parallel::with_active_workers(|| {
            self.engine.gradients(&mut self.parameters, batch, &mut self.gradients)?;
            self.optimizer.step(0.01, &mut self.parameters.values, &self.gradients);
            Ok(began.elapsed().as_secs_f64())
        })
    }
}
