//! Copies the input to standard output, as `tee` does, and logs the events in it. Nothing here waits for a server.

use crate::{
    lines::{Line, Lines, MAX_LINE},
    sinks::{self, Measurement, Owner, Sink},
    spool::SpoolWriter,
};
use anyhow::{Context, bail};
use events::Event;
use files::{Input, Output};

/// The input and everything that it is written to.
pub struct Tee {
    lines: Lines<Input>,
    outputs: Outputs,
    log: Log,
}

impl Tee {
    /// # Errors
    /// If standard output is closed.
    pub fn new(input: Input, spool: Option<SpoolWriter>, sinks: Vec<Box<dyn Sink>>) -> anyhow::Result<Self> {
        let log = Log { name: input.name().to_owned(), sinks, run: None, skipped: 0, error: None };
        let outputs = Outputs { spool, stdout: Some(Output::create(None)?) };
        Ok(Self { lines: Lines::new(input), outputs, log })
    }

    /// Copies all lines and logs the events, to the end of the input. An output that fails is closed; the others
    /// continue.
    ///
    /// # Errors
    /// The first error of an output, or that the input has no run.
    pub fn run(mut self) -> anyhow::Result<()> {
        loop {
            match self.lines.next() {
                Ok(Some(line)) => {
                    if self.log.is_not_a_log(&line) {
                        let mebibytes = MAX_LINE >> 20;
                        bail!("{}: not a run log: a line of more than {mebibytes} MiB before any run", self.log.name);
                    }
                    let event = self.log.event(&line);
                    for error in self.outputs.write(line.bytes, event.as_ref()) {
                        self.log.add_error(error);
                    }
                    if let Some(event) = event {
                        self.log.add(&event, line.number);
                    }
                }
                Ok(None) => break,
                Err(error) => {
                    let error = anyhow::Error::from(error).context(self.log.name.clone());
                    self.log.add_error(error);
                    break;
                }
            }
        }
        self.log.finish()
    }
}

/// The outputs that get bytes.
struct Outputs {
    /// None if nothing is sent to a server, or after an error.
    spool: Option<SpoolWriter>,
    /// None once the reader closed its end of the pipe, or after an error.
    stdout: Option<Output>,
}

impl Outputs {
    /// Writes a line, and returns the errors. An output that failed is closed. A broken pipe is not an error.
    fn write(&mut self, bytes: &[u8], event: Option<&Event>) -> impl Iterator<Item = anyhow::Error> + use<> {
        // The spool first: an event that a reader has seen is then on disk.
        let spooled = self.spool.as_mut().zip(event).map(|(spool, event)| spool.add(bytes, event).context("the spool"));
        let spooled = spooled.and_then(Result::err).inspect(|_| self.spool = None);
        let written = self.stdout.as_mut().map(|stdout| stdout.write_all(bytes).map_err(anyhow::Error::from));
        let written = written.and_then(Result::err).inspect(|_| self.stdout = None);
        spooled.into_iter().chain(written.filter(|error| !cli::is_broken_pipe(error)))
    }
}

/// The log files of this machine, and what was wrong with the input or with them.
struct Log {
    /// Name of the input, for messages.
    name: String,
    sinks: Vec<Box<dyn Sink>>,
    /// The current run; None before the first.
    run: Option<Owner>,
    /// Number of lines that were not logged.
    skipped: usize,
    /// The first error.
    error: Option<anyhow::Error>,
}

impl Log {
    /// Whether the input cannot be a run log; `/dev/zero`, for example, would be copied without end.
    fn is_not_a_log(&self, line: &Line) -> bool {
        self.run.is_none() && !line.whole
    }

    /// The event in a line, if it belongs to a run. Other lines that are not blank are counted as skipped, but for
    /// events of an unknown kind.
    fn event(&mut self, line: &Line) -> Option<Event> {
        if line.is_blank() {
            return None;
        }
        let event = match line.text().map(Event::from_line) {
            // None for a kind of a later version.
            Some(Ok(event)) => event?,
            Some(Err(error)) => return self.skip(line.number, &error.to_string()),
            None => return self.skip(line.number, "not an event: not text, or too long"),
        };
        if self.run.is_none() && !matches!(event, Event::Start(_)) {
            return self.skip(line.number, "an event before the start of a run");
        }
        Some(event)
    }

    fn add(&mut self, event: &Event, number: u64) {
        if let Event::Start(start) = event {
            match &self.run {
                None => self.each_sink(|sink| sinks::begin(sink, start)),
                Some(run) if run.is_resumed_by(start) => {
                    let step = start.resumed.as_ref().map_or(0, |resumed| resumed.step);
                    self.each_sink(|sink| sink.rewind(step));
                }
                Some(_) if self.sinks.is_empty() => {}
                Some(_) => {
                    self.each_sink(|sink| sink.finish());
                    self.sinks.clear();
                    self.add_error(anyhow::anyhow!("{}:{number}: a second run; the files hold the first", self.name));
                }
            }
            self.run = Some(Owner::of(start));
        } else if let Some(measurement) = Measurement::of(event) {
            self.each_sink(|sink| sink.log(&measurement));
        }
    }

    /// Calls `act` on each sink, and drops those that fail.
    fn each_sink(&mut self, mut act: impl FnMut(&mut dyn Sink) -> anyhow::Result<()>) {
        let mut errors = Vec::new();
        self.sinks.retain_mut(|sink| act(sink.as_mut()).map_err(|error| errors.push(error)).is_ok());
        errors.into_iter().for_each(|error| self.add_error(error));
    }

    /// Counts a line that is not logged. Only the first is reported: the input may be something else altogether.
    fn skip(&mut self, number: u64, reason: &str) -> Option<Event> {
        self.skipped += 1;
        if self.skipped == 1 {
            cli::note(&format!("{}:{number}: {reason}; passed on, not logged", self.name));
        }
        None
    }

    /// Keeps the first error for the end, and prints later ones.
    fn add_error(&mut self, error: anyhow::Error) {
        match &self.error {
            None => self.error = Some(error),
            Some(_) => cli::note(&cli::describe(&error)),
        }
    }

    fn finish(mut self) -> anyhow::Result<()> {
        if self.skipped > 1 {
            let Self { name, skipped, .. } = &self;
            cli::note(&format!("{name}: {skipped} lines were passed on and not logged"));
        }
        self.each_sink(|sink| sink.finish());
        match self.error {
            Some(error) => Err(error),
            None if self.run.is_none() => bail!("{}: no start event: there is no run to log", self.name),
            None => Ok(()),
        }
    }
}
