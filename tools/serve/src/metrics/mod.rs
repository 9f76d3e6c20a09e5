//! `/metrics`: what Prometheus collects, under the names that Triton gives.

mod system;
mod text;

use crate::{
    connection::Registry,
    model::Model,
    repository::Repository,
    statistics::{Durations, Statistics},
};
use axum::{
    Router,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
    routing::get,
};
use std::sync::{Arc, Mutex, PoisonError, atomic::Ordering::Relaxed};
use system::Processor;
use text::{Family, Kind, Text};

const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What metrics are of.
pub struct Metrics {
    repository: Arc<Repository>,
    connections: Arc<Registry>,
    /// At the last collection.
    processor: Mutex<Processor>,
}

/// `GET /metrics`, and nothing else.
pub fn router(repository: Arc<Repository>, connections: Arc<Registry>) -> Router {
    let metrics = Metrics { repository, connections, processor: Mutex::new(Processor::now()) };
    Router::new().route("/metrics", get(collect)).with_state(Arc::new(metrics))
}

async fn collect(State(metrics): State<Arc<Metrics>>) -> Response {
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], metrics.text()).into_response()
}

impl Metrics {
    fn text(&self) -> String {
        let mut text = Text::default();
        let mut models = self.repository.all();
        models.sort_by(|one, other| (&one.name, &one.version).cmp(&(&other.name, &other.version)));
        write_models(&mut text, &models);
        let mut processor = self.processor.lock().unwrap_or_else(PoisonError::into_inner);
        system::write_machine(&mut text, &mut processor);
        system::write_process(&mut text);
        drop(processor);
        let connections = Family { name: "serve_connections", help: "Open connections of clients", kind: Kind::Gauge };
        text.family(connections).sample(&[], self.connections.count());
        text.into_string()
    }
}

/// A counter of a model.
type Counter = (&'static str, &'static str, fn(&Statistics) -> u64);

const COUNTERS: [Counter; 8] = [
    ("nv_inference_request_success", "Number of successful inference requests, all batch sizes", |it| {
        it.success.count()
    }),
    ("nv_inference_count", "Number of inferences performed (does not include cached requests)", |it| {
        it.inferences.load(Relaxed)
    }),
    ("nv_inference_exec_count", "Number of model executions performed (does not include cached requests)", |it| {
        it.executions.load(Relaxed)
    }),
    (
        "nv_inference_request_duration_us",
        "Cumulative inference request duration in microseconds (includes cached requests)",
        |it| microseconds(&it.success),
    ),
    (
        "nv_inference_queue_duration_us",
        "Cumulative inference queuing duration in microseconds (includes cached requests)",
        |it| microseconds(&it.queue),
    ),
    (
        "nv_inference_compute_input_duration_us",
        "Cumulative compute input duration in microseconds (does not include cached requests)",
        |it| microseconds(&it.input),
    ),
    (
        "nv_inference_compute_infer_duration_us",
        "Cumulative compute inference duration in microseconds (does not include cached requests)",
        |it| microseconds(&it.infer),
    ),
    (
        "nv_inference_compute_output_duration_us",
        "Cumulative inference compute output duration in microseconds (does not include cached requests)",
        |it| microseconds(&it.output),
    ),
];

/// A reason for failures, and their number.
type Failure = (&'static str, fn(&Statistics) -> u64);

/// Triton's reasons.
const FAILURES: [Failure; 4] = [
    ("BACKEND", |it| it.backend_failures.load(Relaxed)),
    ("CANCELED", |it| it.cancel.count()),
    ("OTHER", |it| it.fail.count().saturating_sub(it.backend_failures.load(Relaxed))),
    ("REJECTED", |it| it.reject.count()),
];

/// A histogram of a model.
type Histogram = (&'static str, &'static str, fn(&Statistics) -> &Durations);

const HISTOGRAMS: [Histogram; 5] = [
    ("nv_inference_request_duration_histogram_us", "Inference request duration in microseconds", |it| &it.success),
    ("nv_inference_queue_duration_histogram_us", "Inference queuing duration in microseconds", |it| &it.queue),
    ("nv_inference_compute_input_duration_histogram_us", "Compute input duration in microseconds", |it| &it.input),
    ("nv_inference_compute_infer_duration_histogram_us", "Compute inference duration in microseconds", |it| &it.infer),
    ("nv_inference_compute_output_duration_histogram_us", "Compute output duration in microseconds", |it| &it.output),
];

fn write_models(text: &mut Text, models: &[Arc<Model>]) {
    for (name, help, value) in COUNTERS {
        let mut family = text.family(Family { name, help, kind: Kind::Counter });
        for model in models {
            family.sample(&labels(model), value(&model.engine.statistics));
        }
    }
    let name = "nv_inference_request_failure";
    let help = "Number of failed inference requests, all batch sizes";
    let mut family = text.family(Family { name, help, kind: Kind::Counter });
    for model in models {
        for (reason, value) in FAILURES {
            let [model_name, version] = labels(model);
            family.sample(&[model_name, ("reason", reason), version], value(&model.engine.statistics));
        }
    }
    let name = "nv_inference_pending_request_count";
    let help = "Instantaneous number of pending requests awaiting execution per-model.";
    let mut family = text.family(Family { name, help, kind: Kind::Gauge });
    for model in models {
        family.sample(&labels(model), model.engine.waiting());
    }
    for (name, help, durations) in HISTOGRAMS {
        let mut family = text.family(Family { name, help, kind: Kind::Histogram });
        for model in models {
            let durations = durations(&model.engine.statistics);
            family.histogram(&labels(model), &durations.buckets(), microseconds(durations));
        }
    }
}

fn labels(model: &Model) -> [(&'static str, &str); 2] {
    [("model", &model.name), ("version", &model.version)]
}

fn microseconds(durations: &Durations) -> u64 {
    durations.nanoseconds() / 1000
}
