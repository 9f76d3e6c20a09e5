//! How fast a network learns here, by batch size.

use crate::{
    data::{Data, stream},
    feed::Feed,
    network::Network,
    settings::Settings,
    step::Learner,
    summary,
};
use random::Random;
use std::time::{Duration, Instant};

/// Batch sizes that are tried, as powers of two.
const EXPONENTS: std::ops::RangeInclusive<u32> = 4..=13;
/// What each is measured for, after a tenth of it to warm up.
const TIME: Duration = Duration::from_millis(200);

/// A table of steps and rows a second for several batch sizes.
pub fn table(settings: &Settings, data: &Data, network: &Network) -> anyhow::Result<String> {
    let seed = settings.trainer.seed;
    let start = network.start(seed, data);
    let feed = Feed::new(data.train(), network, network.augmentation(settings, data)?);
    let order = Random::new(seed, stream::ORDER).permutation(feed.count);
    let header = ["batch_size", "steps/s", "rows/s", "ms a step", "GFLOP/s"];
    let mut rows = vec![header.map(str::to_owned)];
    for batch_size in EXPONENTS.map(|exponent| 1usize << exponent).take_while(|&size| size <= order.len()) {
        let mut learner = Learner::new(settings, network, start.clone())?;
        let mut batches = order.chunks_exact(batch_size).cycle();
        let mut run = |time: Duration| -> anyhow::Result<f64> {
            let (began, mut steps) = (Instant::now(), 0);
            while began.elapsed() < time {
                let Some(batch) = batches.next() else { break };
                learner.step(settings, &feed, 1, &[batch], settings.optimizer.learning_rate)?;
                steps += 1;
            }
            Ok(f64::from(steps) / began.elapsed().as_secs_f64())
        };
        run(TIME / 10)?;
        let steps = run(TIME)?;
        let rows_a_second = steps * batch_size as f64;
        let flops = rows_a_second * summary::training_flops_a_row(network) as f64;
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
