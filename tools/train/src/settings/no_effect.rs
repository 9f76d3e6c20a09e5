//! Warnings of settings without effect.

use super::{EngineName, Settings};
use cuda::Device;
use nets::Loss;

/// A line for each setting that has no effect beside the others.
pub fn warnings(settings: &Settings) -> Vec<String> {
    let (trainer, checkpoint) = (&settings.trainer, &settings.callbacks.checkpoint);
    let stopping = &settings.callbacks.early_stopping;
    let classifies = trainer.loss().is_categorical();
    let has_classes = classifies || matches!(trainer.loss(), Loss::BinaryCrossEntropy);
    let cases = [
        (
            stopping.monitor.is_some() && stopping.patience.is_none(),
            "callbacks.early_stopping.monitor: of no effect without callbacks.early_stopping.patience".to_owned(),
        ),
        (
            checkpoint.every_n_steps.is_some() && !checkpoint.save_last,
            "callbacks.checkpoint.every_n_steps: of no effect with callbacks.checkpoint.save_last=false".to_owned(),
        ),
        (
            trainer.val_input.is_some() && trainer.overfit_batches > 0,
            "trainer.val_input: of no effect with trainer.overfit_batches".to_owned(),
        ),
        (
            trainer.classes.is_some() && !classifies,
            "trainer.classes: of no effect without trainer.loss=cross_entropy".to_owned(),
        ),
        (
            trainer.label_smoothing > 0.0 && !classifies,
            "trainer.label_smoothing: of no effect without trainer.loss=cross_entropy".to_owned(),
        ),
        (
            trainer.class_weights.is_some() && !has_classes,
            "trainer.class_weights: of no effect without trainer.loss=cross_entropy or bce".to_owned(),
        ),
        (
            trainer.engine == EngineName::Autograd && matches!(trainer.device, Device::Cuda(_)),
            format!("trainer.engine: of no effect with trainer.device={}", trainer.device),
        ),
    ];
    let warnings = cases.into_iter().filter(|(has_no_effect, _)| *has_no_effect).map(|(_, warning)| warning);
    warnings.chain(never_stops(settings)).collect()
}

/// A warning where the run is too short for early stopping: the first measurement is always an improvement.
fn never_stops(settings: &Settings) -> Option<String> {
    let trainer = &settings.trainer;
    let stopping = &settings.callbacks.early_stopping;
    let patience = stopping.patience?;
    let of_validation = stopping.monitor.as_ref().map_or(trainer.validates(), |name| name.starts_with("val_"));
    let every = match (of_validation, trainer.val_every_steps) {
        (false, _) => 1,
        (true, None) => trainer.val_every_epochs,
        // Depends on the number of rows.
        (true, Some(_)) => return None,
    };
    let measurements = trainer.max_epochs? / every;
    (measurements <= patience).then(|| {
        format!("callbacks.early_stopping.patience: {patience}; a run of {measurements} measurements never stops early")
    })
}
