//! Time of a training step of a perceptron with two hidden layers of 64 units, Adam included, in seconds.
//!
//!     cargo bench -p nets --bench mlp_step -- [BATCH INPUTS THREADS SECONDS]
//!
//! `scripts/bench/mlp_step/run.py` pairs it with PyTorch.

use nets::{Activation, Batch, Engine, FusedMlp, Graph, Loss, ParamGroups, Parameters, Perceptron};
use optim::{Algorithm, Optimizer};
use random::Random;
use std::{
    io::Write,
    time::{Duration, Instant},
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // cargo appends `--bench`.
    let arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let arguments: Vec<f64> = arguments.map(|text| text.parse()).collect::<Result<_, _>>()?;
    let [batch, inputs, threads, seconds] = match arguments[..] {
        [] => [128.0, 8.0, 1.0, 0.5],
        [batch, inputs, threads, seconds] => [batch, inputs, threads, seconds],
        _ => return Err("usage: mlp_step [BATCH INPUTS THREADS SECONDS]".into()),
    };
    let (batch, inputs) = (batch as usize, inputs as usize);
    rayon::ThreadPoolBuilder::new().num_threads(threads as usize).build_global()?;
    let perceptron = Perceptron { inputs, hidden: vec![64, 64], outputs: 1, activation: Activation::Relu };
    let graph = Graph::new((&perceptron).into())?;
    let mut random = Random::new(0, 0);
    let mut parameters = Parameters::random(&graph, &mut random);
    let algorithm = Algorithm::Adam { betas: [0.9, 0.999], eps: 1e-8 };
    let groups = ParamGroups::default().of(&parameters.layout);
    let mut optimizer = Optimizer::new(algorithm, groups, parameters.layout.len(), kernels::isa()?);
    let mut engine = FusedMlp::new(&graph, Loss::Mse).ok_or("no perceptron")?;
    let mut gradients = vec![0.0; parameters.values.len()];
    let rows: Vec<f32> = (0..batch * inputs).map(|_| random.normal() as f32).collect();
    let targets: Vec<f32> = (0..batch).map(|_| random.normal() as f32).collect();
    let mut run = |time: Duration| -> nets::Result<f64> {
        let (began, mut steps) = (Instant::now(), 0u32);
        while began.elapsed() < time {
            for _ in 0..10 {
                engine.gradients(&mut parameters, Batch::new(&rows, &targets), &mut gradients)?;
                optimizer.step(1e-3, &mut parameters.values, &gradients);
            }
            steps += 10;
        }
        Ok(began.elapsed().as_secs_f64() / f64::from(steps))
    };
    run(Duration::from_secs_f64(seconds / 5.0))?;
    let each = run(Duration::from_secs_f64(seconds))?;
    writeln!(std::io::stdout(), "{each:e}")?;
    Ok(())
}
