//! `ModelStatistics`, in Triton's terms.

use crate::{
    error::Result,
    model::Model,
    repository::Repository,
    statistics::{Durations, Statistics},
};
use open_inference::grpc::proto::{
    InferBatchStatistics, InferStatistics, ModelStatistics, ModelStatisticsResponse, StatisticDuration,
};
use std::sync::atomic::Ordering::Relaxed;

/// The statistics of a version of a model, of all its versions without one, or of all models without a name.
pub fn of_models(repository: &Repository, name: &str, version: &str) -> Result<ModelStatisticsResponse> {
    let models = repository.select(name, Some(version))?;
    Ok(ModelStatisticsResponse { model_stats: models.iter().map(|model| of_model(model)).collect() })
}

fn of_model(model: &Model) -> ModelStatistics {
    let statistics = &model.engine.statistics;
    let mut batches = Vec::new();
    statistics.for_batches(|rows, batch| {
        batches.push(InferBatchStatistics {
            batch_size: rows as u64,
            compute_input: duration(&batch.input),
            compute_infer: duration(&batch.infer),
            compute_output: duration(&batch.output),
        });
    });
    ModelStatistics {
        name: model.name.clone(),
        version: model.version.clone(),
        last_inference: statistics.last_milliseconds(),
        inference_count: statistics.inferences.load(Relaxed),
        execution_count: statistics.executions.load(Relaxed),
        inference_stats: Some(InferStatistics {
            success: duration(&statistics.success),
            fail: Some(failures(statistics)),
            queue: duration(&statistics.queue),
            compute_input: duration(&statistics.input),
            compute_infer: duration(&statistics.infer),
            compute_output: duration(&statistics.output),
            // There is no cache.
            cache_hit: Some(StatisticDuration::default()),
            cache_miss: Some(StatisticDuration::default()),
        }),
        batch_stats: batches,
        ..Default::default()
    }
}

/// Requests that were refused, timed out or left have failed, as in Triton.
fn failures(statistics: &Statistics) -> StatisticDuration {
    let failed = [&statistics.fail, &statistics.reject, &statistics.cancel];
    let count = failed.iter().map(|durations| durations.count()).sum();
    StatisticDuration { count, ns: failed.iter().map(|durations| durations.nanoseconds()).sum() }
}

fn duration(durations: &Durations) -> Option<StatisticDuration> {
    Some(StatisticDuration { count: durations.count(), ns: durations.nanoseconds() })
}
