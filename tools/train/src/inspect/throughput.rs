//! `--throughput`: training steps and rows per second, by batch size.

use super::summary;
use crate::{
    data::{DataLoader, DataModule, stream},
    device::Device,
    distributed::Ranks,
    network::Network,
    settings::Settings,
    training_step::Learner,
};
use random::Random;
use std::time::{Duration, Instant};

/// Batch sizes, as powers of two.
const EXPONENTS: std::ops::RangeInclusive<u32> = 4..=13;
/// Duration of each measurement, after a tenth of it as warm-up.
const TIME: Duration = Duration::from_millis(200);

pub fn table(settings: &Settings, data: &DataModule, network: &Network, device: &Device) -> anyhow::Result<String> {
    let seed = settings.trainer.seed;
    let initial = network.initial_parameters(seed, data)?;
    let loader = DataLoader::new(data.train(), network, network.augmentation(settings, data)?);
    let order = Random::new(seed, stream::ORDER).permutation(loader.count);
    let header = ["batch_size", "steps/s", "rows/s", "ms a step", "GFLOP/s"];
    let mut rows = vec![header.map(str::to_owned)];
    for batch_size in EXPONENTS.map(|exponent| 1usize << exponent).take_while(|&size| size <= order.len()) {
        let mut learner = Learner::new(settings, network, device, Some(&loader), initial.clone())?;
        let mut batches = order.chunks_exact(batch_size).cycle();
        let mut run = |time: Duration| -> anyhow::Result<f64> {
            let (began, mut steps) = (Instant::now(), 0);
            while began.elapsed() < time {
                let Some(batch) = batches.next() else { break };
                learner.step(settings, &loader, 1, &[batch], settings.optimizer.learning_rate, &mut Ranks::alone())?;
                steps += 1;
            }
            Ok(f64::from(steps) / began.elapsed().as_secs_f64())
        };
        run(TIME / 10)?;
        let steps = run(TIME)?;
        let rows_per_second = steps * batch_size as f64;
        let flops = rows_per_second * summary::training_flops_per_row(network) as f64;
        rows.push([
            batch_size.to_string(),
            format!("{steps:.0}"),
            format!("{rows_per_second:.0}"),
            format!("{:.3}", 1e3 / steps),
            format!("{:.1}", flops / 1e9),
        ]);
    }
    anyhow::ensure!(rows.len() > 1, "--throughput: {} rows are too few; 16 are needed", order.len());
    Ok(summary::aligned(&rows))
}
