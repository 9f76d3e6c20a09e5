//! The workers of a leader, from its first loop until it ends.

use crate::{serve, workers::Workers};
use std::{cell::OnceCell, sync::Arc};

/// The workers of one [`crate::with_active_workers`]. Dropping it stops them, also by a panic of the leader.
#[derive(Default)]
pub(crate) struct Team(OnceCell<Arc<Workers>>);

impl Team {
    /// The workers, which the first call wakes. With the leader they are as many threads as rayon's current pool has: a
    /// leader that is none of them takes the place of the first.
    pub fn workers(&self) -> &Workers {
        self.0.get_or_init(|| {
            let leader = rayon::current_thread_index().unwrap_or_default();
            let workers = Arc::new(Workers::new(rayon::current_num_threads()));
            let served = workers.clone();
            // Not spawned in a scope: its end would wait also for workers that never started.
            rayon::spawn_broadcast(move |thread| {
                if thread.index() != leader {
                    serve(&served, thread.index());
                }
            });
            workers
        })
    }

    /// Whether the workers were woken.
    #[cfg(all(test, not(loom)))]
    pub fn has_started(&self) -> bool {
        self.0.get().is_some()
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        if let Some(workers) = self.0.get() {
            workers.stop();
        }
    }
}
