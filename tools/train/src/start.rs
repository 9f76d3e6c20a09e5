//! What a run is: the first event of its log.

use crate::{data::Data, git, settings::Settings, step::Learner};
use events::{Event, Resumed, RowCounts, Start};
use std::path::Path;

pub fn event(
    settings: &Settings,
    data: &Data,
    data_sha256: &str,
    learner: &Learner,
    resumed: Option<Resumed>,
) -> Event {
    let [train, val, test] = data.counts();
    Event::Start(Box::new(Start {
        name: run_name(&settings.trainer.run_dir),
        run_dir: settings.trainer.run_dir.clone(),
        config: settings.json.clone(),
        seed: settings.trainer.seed,
        device: "cpu".into(),
        threads: rayon::current_num_threads(),
        rows: RowCounts { train, val, test },
        data_sha256: data_sha256.to_owned(),
        parameters: learner.parameters.values.len(),
        git: git::state(),
        resumed,
        version: env!("CARGO_PKG_VERSION").into(),
        time: events::now(),
    }))
}

/// The last part of the run folder's path.
fn run_name(run_dir: &str) -> String {
    Path::new(run_dir).file_name().map_or_else(|| run_dir.to_owned(), |name| name.to_string_lossy().into_owned())
}
