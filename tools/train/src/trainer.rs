//! The training loop.

use crate::{
    data::{Rows, Split, Table, gather, stream},
    run::Log,
    settings::{EngineName, InputScaling, Keep, Settings},
};
use anyhow::ensure;
use events::{Epoch, Event, Metrics, RowCounts, Start, Test, Validation};
use kernels::{metrics::Regression, random::Random};
use nets::{Architecture, AutogradMlp, Engine, FusedMlp, Model, Parameters, Scaling, Task};
use std::{io::IsTerminal, time::Instant};

/// Rows that validation and test put through the network at a time.
const EVALUATION_ROWS: usize = 1024;

/// What training leaves behind.
pub struct Trained {
    pub model: Model,
    pub history: Vec<History>,
    /// None where no rows were held out.
    pub test: Option<Test>,
}

/// An epoch's losses.
pub struct History {
    pub epoch: usize,
    pub train_loss: f64,
    pub val_loss: Option<f64>,
}

/// The best, or latest, parameters so far.
struct Kept {
    epoch: usize,
    val_loss: f64,
    parameters: Parameters,
}

/// Trains for all epochs and measures what was kept.
pub fn train(settings: &Settings, table: &Table, split: &Split, log: &mut Log) -> anyhow::Result<Trained> {
    let began = Instant::now();
    let architecture = architecture(settings, table)?;
    let start = Parameters::random(&architecture, &mut Random::new(settings.trainer.seed, stream::PARAMETERS));
    log.add(&Event::Start(Box::new(Start {
        name: run_name(&settings.trainer.run_dir),
        run_dir: settings.trainer.run_dir.clone(),
        config: settings.json.clone(),
        seed: settings.trainer.seed,
        device: "cpu".into(),
        threads: 1,
        rows: RowCounts { train: split.counts[0], val: split.counts[1], test: split.counts[2] },
        data_sha256: table.sha256(),
        parameters: start.values.len(),
        git: crate::git::state(),
        resumed: None,
        version: env!("CARGO_PKG_VERSION").into(),
        time: events::now(),
    })))?;
    let scaling = (settings.model.input_scaling == InputScaling::Standard)
        .then(|| Scaling::standard(&split.train.inputs, table.input_width()));
    let scaled = |rows: &Rows| {
        let mut inputs = rows.inputs.clone();
        scaling.iter().for_each(|scaling| scaling.apply(&mut inputs));
        inputs
    };
    let (train_inputs, val_inputs) = (scaled(&split.train), scaled(&split.val));

    let mut engine = engine(settings, &architecture, start.clone())?;
    let mut kept = Kept { epoch: 0, val_loss: f64::INFINITY, parameters: start };
    let mut history = Vec::new();
    for epoch in 1..=settings.trainer.max_epochs {
        let train_loss = train_epoch(engine.as_mut(), settings, epoch, table, &train_inputs, &split.train.targets)?;
        let measured = evaluate(engine.as_mut(), table, &val_inputs, &split.val.targets)?;
        let val_loss = measured.map(|metrics| metrics.mse());
        let loss = val_loss.unwrap_or(train_loss);
        ensure!(
            train_loss.is_finite() && loss.is_finite(),
            "the loss is not finite in epoch {epoch}; a lower optimizer.learning_rate may help"
        );
        if settings.trainer.checkpoint == Keep::Last || loss < kept.val_loss {
            kept = Kept { epoch, val_loss: loss, parameters: engine.parameters()? };
        }
        let step = epoch * split.counts[0].div_ceil(settings.trainer.batch_size);
        let seconds = began.elapsed().as_secs_f64();
        if let Some(val_loss) = val_loss {
            let metrics = Metrics::from([("val_loss", val_loss)]);
            log.add(&Event::Validation(Validation { epoch, step, metrics, time: events::now() }))?;
        }
        let metrics = Metrics::from([("train_loss", train_loss)]);
        log.add(&Event::Epoch(Epoch { epoch, step, metrics, seconds, time: events::now() }))?;
        history.push(History { epoch, train_loss, val_loss });
        progress(history.last(), settings.trainer.max_epochs, seconds);
    }

    let mut best = self::engine(settings, &architecture, kept.parameters.clone())?;
    let test = evaluate(best.as_mut(), table, &scaled(&split.test), &split.test.targets)?;
    let test = test.map(|m| {
        let mut metrics = Metrics::from([("test_loss", m.mse()), ("test_mse", m.mse()), ("test_mae", m.mae())]);
        m.r2().into_iter().for_each(|r2| metrics.insert("test_r2", r2));
        Test { epoch: kept.epoch, step: 0, metrics, time: events::now() }
    });
    if let Some(test) = &test {
        log.add(&Event::Test(test.clone()))?;
    }
    let task = Task {
        input_field: settings.trainer.input_field.clone(),
        input_shape: table.input_shape.clone(),
        target_field: settings.trainer.target_field.clone(),
        target_shape: table.target_shape.clone(),
    };
    Ok(Trained { model: Model { architecture, task, scaling, parameters: kept.parameters }, history, test })
}

fn architecture(settings: &Settings, table: &Table) -> anyhow::Result<Architecture> {
    let architecture = Architecture {
        inputs: table.input_width(),
        hidden: settings.model.hidden.clone(),
        outputs: table.target_width(),
        activation: settings.model.activation,
    };
    // Widths are bounded, so that no product of two overflows.
    let parameters = architecture.layers().try_fold(0usize, |sum, (i, o)| sum.checked_add(i * o + o));
    ensure!(
        parameters.is_some_and(|n| n <= 1 << 30),
        "model.hidden: {:?} makes a network of over a billion parameters",
        architecture.hidden
    );
    Ok(architecture)
}

fn engine(settings: &Settings, architecture: &Architecture, start: Parameters) -> anyhow::Result<Box<dyn Engine>> {
    Ok(match settings.trainer.engine {
        EngineName::Fused => Box::new(FusedMlp::new(architecture, start, settings.optimizer)),
        EngineName::Autograd => Box::new(AutogradMlp::new(architecture, start, settings.optimizer)?),
    })
}

/// One pass over the training rows in an order of its own; returns the mean loss of a row.
fn train_epoch(
    engine: &mut dyn Engine,
    settings: &Settings,
    epoch: usize,
    table: &Table,
    inputs: &[f32],
    targets: &[f32],
) -> anyhow::Result<f64> {
    let (input_width, target_width) = (table.input_width(), table.target_width());
    let rows = inputs.len() / input_width;
    let order = Random::new(settings.trainer.seed, stream::ORDER + epoch as u64).permutation(rows);
    let (mut batch_inputs, mut batch_targets) = (Vec::new(), Vec::new());
    let mut loss = 0.0;
    for chosen in order.chunks(settings.trainer.batch_size) {
        gather(inputs, input_width, chosen, &mut batch_inputs); // [batch, input width]
        gather(targets, target_width, chosen, &mut batch_targets); // [batch, target width]
        loss += engine.step(&batch_inputs, &batch_targets)? * chosen.len() as f64;
    }
    Ok(loss / rows as f64)
}

/// The network's errors on scaled rows; none where there are no rows.
fn evaluate(
    engine: &mut dyn Engine,
    table: &Table,
    inputs: &[f32],
    targets: &[f32],
) -> anyhow::Result<Option<Regression>> {
    let mut metrics = Regression::default();
    let mut outputs = Vec::new();
    let inputs = inputs.chunks(EVALUATION_ROWS * table.input_width());
    let targets = targets.chunks(EVALUATION_ROWS * table.target_width());
    for (inputs, targets) in inputs.zip(targets) {
        engine.predict(inputs, &mut outputs)?;
        metrics.add_all(targets, &outputs);
    }
    Ok((metrics.count() > 0).then_some(metrics))
}

/// A line for a person who watches; a log file or a pipe gets the events instead.
fn progress(last: Option<&History>, epochs: usize, seconds: f64) {
    if let Some(History { epoch, train_loss, val_loss }) = last
        && std::io::stderr().is_terminal()
    {
        let val = val_loss.map_or(String::new(), |loss| format!(", validation {loss:.3e}"));
        eprintln!("epoch {epoch}/{epochs}: loss {train_loss:.3e}{val} ({seconds:.1} s)");
    }
}

/// The last part of the run folder's path.
fn run_name(run_dir: &str) -> String {
    let path = std::path::Path::new(run_dir);
    path.file_name().map_or_else(|| run_dir.to_owned(), |name| name.to_string_lossy().into_owned())
}
