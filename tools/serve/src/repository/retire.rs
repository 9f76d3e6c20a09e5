//! Memory of models that are no longer served.

use crate::model::Model;
use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

/// How often it is looked whether the last request has ended.
const PERIOD: Duration = Duration::from_millis(10);
/// For how long: a model that takes longer gives its memory back when the next is retired.
const LIMIT: Duration = Duration::from_secs(600);

/// Drops models; when their last requests have ended, gives the memory that they leave back to the system.
pub fn retire(models: Vec<Arc<Model>>) {
    if models.is_empty() {
        return;
    }
    // The engine may outlive the model: batches that were put together hold it.
    let gone: Vec<_> = models.iter().map(|it| (Arc::downgrade(it), Arc::downgrade(&it.engine))).collect();
    drop(models);
    let wait = move || {
        let begin = Instant::now();
        let in_use = || gone.iter().any(|(model, engine)| model.strong_count() + engine.strong_count() > 0);
        while in_use() && begin.elapsed() < LIMIT {
            thread::sleep(PERIOD);
        }
        runtime::trim_memory();
    };
    // Without a thread, the memory is free and stays with the process.
    let _ = thread::Builder::new().name("retire".into()).spawn(wait);
}
