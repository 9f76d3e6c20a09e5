//! What a complete configuration says about running requests.

use crate::{engine::Policy, settings::Settings};
use open_inference::model_config::{ModelConfig, ModelQueuePolicy, TimeoutAction};
use std::time::Duration;

/// The policy of the engine.
pub fn policy(config: &ModelConfig, settings: &Settings) -> Policy {
    let alone = Policy {
        max_rows: 0,
        preferred: Vec::new(),
        delay: Duration::ZERO,
        max_queue: settings.max_queue,
        timeout: settings.timeout(),
        allows_timeouts: true,
        delays_expired: false,
        inline: settings.inline(),
        histogram: settings.histogram_us.clone().into(),
    };
    let Some(batching) = config.dynamic_batching() else { return alone };
    let queued = match batching.queue_policy(batching.default_priority_level) {
        Some(queue) => with_queue(alone, queue),
        None => alone,
    };
    Policy {
        max_rows: config.batch_limit(),
        preferred: batching.preferred_sizes(),
        delay: Duration::from_micros(batching.max_queue_delay_microseconds),
        ..queued
    }
}

/// A queue's size and timeouts; 0 is no limit, and then those of the settings stay.
fn with_queue(policy: Policy, queue: &ModelQueuePolicy) -> Policy {
    let timeout = Some(Duration::from_micros(queue.default_timeout_microseconds)).filter(|it| !it.is_zero());
    let max_queue = Some(queue.max_queue_size as usize).filter(|size| *size > 0);
    Policy {
        max_queue: max_queue.unwrap_or(policy.max_queue),
        timeout: timeout.or(policy.timeout),
        allows_timeouts: queue.allow_timeout_override,
        delays_expired: queue.timeout_action() == TimeoutAction::Delay && timeout.is_some(),
        ..policy
    }
}
