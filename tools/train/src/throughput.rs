//! How fast a network learns here, by batch size.

use crate::{
    data::{Split, Table, stream},
    network::Network,
    settings::Settings,
    step::{Learner, Source},
    summary,
};
use kernels::random::Random;
use std::time::{Duration, Instant};

/// Batch sizes that are tried, as powers of two.
const EXPONENTS: std::ops::RangeInclusive<u32> = 4..=13;
/// What each is measured for, after a tenth of it to warm up.
const TIME: Duration = Duration::from_millis(200);

/// A table of steps and rows a second for several batch sizes.
pub fn table(settings: &Settings, table: &Table, split: &Split) -> anyhow::Result<String> {
    let network = Network::new(settings, table, split)?;
    let seed = settings.trainer.seed;
    let start = network.start(seed, split);
    let inputs = network.scaled(&split.train);
    let source = Source {
        inputs: &inputs,
        targets: &split.train.targets,
        input_width: table.input_width(),
        target_width: table.target_width(),
    };
    let order = Random::new(seed, stream::ORDER).permutation(split.counts[0]);
    let header = ["batch_size", "steps/s", "rows/s", "ms a step", "GFLOP/s"];
    let mut rows = vec![header.map(str::to_owned)];
    for batch_size in EXPONENTS.map(|exponent| 1usize << exponent).take_while(|&size| size <= order.len()) {
        let mut learner = Learner::new(settings, &network, start.clone())?;
        let mut batches = order.chunks_exact(batch_size).cycle();
        let mut run = |time: Duration| -> anyhow::Result<f64> {
            let (began, mut steps) = (Instant::now(), 0);
            while began.elapsed() < time {
                let Some(batch) = batches.next() else { break };
                learner.step(settings, source, &[batch], settings.optimizer.learning_rate)?;
                steps += 1;
            }
            Ok(f64::from(steps) / began.elapsed().as_secs_f64())
        };
        run(TIME / 10)?;
        let steps = run(TIME)?;
        let rows_a_second = steps * batch_size as f64;
        let flops = rows_a_second * summary::training_flops_a_row(&network) as f64;
        rows.push([
            batch_size.to_string(),
            format!("{steps:.0}"),
            format!("{rows_a_second:.0}"),
            format!("{:.3}", 1e3 / steps),
            format!("{:.1}", flops / 1e9),
        ]);
    }
    anyhow::ensure!(rows.len() > 1, "--throughput: {} rows are too few; 16 are needed", order.len());
    Ok(summary::aligned(&rows))
}
