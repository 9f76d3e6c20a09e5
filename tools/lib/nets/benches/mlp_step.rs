//! Time of a training step of a perceptron, Adam included: seconds, the mean over the steps of a round.
//!
//!     cargo bench -p nets --bench mlp_step -- [LAYERS BATCH THREADS SECONDS [ROUNDS]]
//!
//! LAYERS is `784-512-512-10`: inputs, hidden units, outputs; SECONDS is the time of a round. One output is trained with the
//! mean squared error, more with cross-entropy. Without ROUNDS, each line read from stdin runs a round, so that
//! `scripts/bench/mlp_step/run.py` can take turns with a peer. Without arguments: a round of `8-64-64-1`, batch 128, one thread.

use nets::{Activation, Batch, Engine, Fused, Graph, Loss, ParamGroups, Parameters, Perceptron};
use optim::{Algorithm, Optimizer};
use random::Random;
use std::{
    io::{self, Write},
    time::{Duration, Instant},
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // cargo appends `--bench`.
    let mut arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if arguments.is_empty() {
        arguments = ["8-64-64-1", "128", "1", "0.5", "1"].map(String::from).to_vec();
    }
    let [layers, batch, threads, seconds, rounds @ ..] = arguments.as_slice() else {
        return Err("usage: mlp_step [LAYERS BATCH THREADS SECONDS [ROUNDS]]".into());
    };
    let layers: Vec<usize> = layers.split('-').map(str::parse).collect::<Result<_, _>>()?;
    rayon::ThreadPoolBuilder::new().num_threads(threads.parse()?).build_global()?;
    let mut training = Training::new(&layers, batch.parse()?)?;
    let time = Duration::from_secs_f64(seconds.parse()?);
    training.round(time / 5)?;
    let mut out = io::stdout().lock();
    match rounds {
        [rounds, ..] => {
            for _ in 0..rounds.parse::<usize>()? {
                writeln!(out, "{:e}", training.round(time)?)?;
            }
        }
        [] => {
            for _ in io::stdin().lines() {
                writeln!(out, "{:e}", training.round(time)?)?;
                out.flush()?;
            }
        }
    }
    Ok(())
}

struct Training {
    parameters: Parameters,
    optimizer: Optimizer,
    engine: Fused,
    gradients: Vec<f32>,
    inputs: Vec<f32>,
    targets: Vec<f32>,
}

impl Training {
    fn new(layers: &[usize], batch: usize) -> Result<Self, Box<dyn std::error::Error>> {
        let [inputs, hidden @ .., outputs] = layers else {
            return Err("LAYERS: expected inputs-hidden-…-outputs".into());
        };
        let (inputs, outputs) = (*inputs, *outputs);
        let perceptron = Perceptron { inputs, hidden: hidden.to_vec(), outputs, activation: Activation::Relu };
        let graph = Graph::new((&perceptron).into())?;
        let mut random = Random::new(0, 0);
        let parameters = Parameters::random(&graph, &mut random);
        let algorithm = Algorithm::Adam { betas: [0.9, 0.999], eps: 1e-8 };
        let groups = ParamGroups::default().of(&parameters.layout);
        let loss = if outputs == 1 { Loss::Mse } else { Loss::CrossEntropy { label_smoothing: 0.0 } };
        let inputs = (0..batch * inputs).map(|_| random.normal() as f32).collect();
        let mut target = || if outputs == 1 { random.normal() as f32 } else { random.index(outputs) as f32 };
        Ok(Self {
            optimizer: Optimizer::new(algorithm, groups, parameters.layout.len(), kernels::isa()?),
            engine: Fused::new(&graph, loss)?,
            gradients: vec![0.0; parameters.values.len()],
            inputs,
            targets: (0..batch).map(|_| target()).collect(),
            parameters,
        })
    }

    /// Seconds a step, over as many steps as fit into `time`.
    fn round(&mut self, time: Duration) -> nets::Result<f64> {
        let (began, mut steps) = (Instant::now(), 0u32);
        while began.elapsed() < time {
            self.step()?;
            steps += 1;
        }
        Ok(began.elapsed().as_secs_f64() / f64::from(steps))
    }

    fn step(&mut self) -> nets::Result<()> {
        let batch = Batch::new(&self.inputs, &self.targets);
        parallel::with_active_workers(|| {
            self.engine.gradients(&mut self.parameters, batch, &mut self.gradients)?;
            self.optimizer.step(1e-3, &mut self.parameters.values, &self.gradients);
            Ok(())
        })
    }
}
