//! Waiting until a point in time, to a tenth of a millisecond: tokio's timers have the resolution of a millisecond, which is
//! ten times a usual queue delay.

use std::{
    thread,
    time::{Duration, Instant},
};
use tokio::task::JoinHandle;

/// How far before its end tokio's timer hands over to a thread that sleeps.
const FINE: Duration = Duration::from_millis(2);

/// One wait at a time. A wait that is given up goes on where the same point in time is waited for again.
#[derive(Default)]
pub struct Alarm(Option<(Instant, JoinHandle<()>)>);

impl Alarm {
    /// Waits until `end`.
    pub async fn at(&mut self, end: Instant) {
        if self.0.as_ref().is_none_or(|(other, _)| *other != end) {
            self.0 = Some((end, tokio::spawn(wait(end))));
        }
        if let Some((_, waiting)) = &mut self.0 {
            // Where the runtime ends, so does the wait.
            let _ = waiting.await;
        }
        self.0 = None;
    }
}

async fn wait(end: Instant) {
    if let Some(coarse) = end.checked_sub(FINE) {
        tokio::time::sleep_until(coarse.into()).await;
    }
    let sleep = move || thread::sleep(end.saturating_duration_since(Instant::now()));
    // Where the runtime ends, so does the wait.
    let _ = tokio::task::spawn_blocking(sleep).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_end_is_reached_and_not_before() {
        for wait in [Duration::ZERO, Duration::from_micros(300), Duration::from_millis(5)] {
            let end = Instant::now() + wait;
            let mut alarm = Alarm::default();
            // Given up, and gone on with.
            let _ = tokio::time::timeout(Duration::ZERO, alarm.at(end)).await;
            alarm.at(end).await;
            assert!(Instant::now() >= end);
        }
    }
}
