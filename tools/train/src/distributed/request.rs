//! What a rank wants of a run: to stop.

use cli::Signal;

/// Why a run should stop, as one rank or all together see it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Request {
    /// A signal that came: any rank's ends the run.
    pub signal: Option<Signal>,
    /// Whether `trainer.max_time` is over: by the clock of rank 0.
    pub time_is_up: bool,
}

/// Words of a request in a message.
pub const WORDS: usize = 2;

impl Request {
    pub fn to_words(self) -> [u32; WORDS] {
        // 128 + n, as a shell reports it.
        let signal = self.signal.map_or(0, |signal| u32::from(signal.exit_status) - 128);
        [signal, u32::from(self.time_is_up)]
    }

    /// What all agree on, from what each wants, in the order of the ranks.
    pub fn merge(requests: impl Iterator<Item = [u32; WORDS]>) -> Self {
        let mut agreed = Self::default();
        for (rank, [signal, time_is_up]) in requests.enumerate() {
            agreed.signal = agreed.signal.or(Signal::of(signal as i32));
            agreed.time_is_up |= rank == 0 && time_is_up != 0;
        }
        agreed
    }
}
