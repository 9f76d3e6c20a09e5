//! The thread that passes lines on. It waits for nothing but its input and its reader.

use crate::{
    files::{self, Measured, Owner, Sink},
    lines::{Lines, MAX_LINE, Piece},
    spool::Recorder,
};
use ::files::{Input, Output};
use anyhow::{Context, bail};
use events::Event;

/// Where lines come from and where they go.
pub struct Pass {
    lines: Lines<Input>,
    onward: Onward,
    log: Log,
}

impl Pass {
    /// # Errors
    /// When standard output is closed.
    pub fn new(input: Input, spool: Option<Recorder>, sinks: Vec<Box<dyn Sink>>) -> anyhow::Result<Self> {
        let log = Log { name: input.name().to_owned(), sinks, run: None, strange: 0, trouble: None };
        let onward = Onward { spool, stdout: Some(Output::create(None)?) };
        Ok(Self { lines: Lines::new(input), onward, log })
    }

    /// Passes every line on, and logs those that are events, to the end of the input. What goes wrong with
    /// one place ends that place alone.
    ///
    /// # Errors
    /// The first thing that went wrong, or that there was no run.
    pub fn run(mut self) -> anyhow::Result<()> {
        loop {
            match self.lines.next() {
                Ok(Some(piece)) => {
                    if self.log.is_no_log(&piece) {
                        let mebibytes = MAX_LINE >> 20;
                        bail!("{}: no run log: no line ends within {mebibytes} MiB, and no run began", self.log.name);
                    }
                    let event = self.log.event(&piece);
                    for error in self.onward.write(piece.bytes, event.as_ref()) {
                        self.log.note(error);
                    }
                    if let Some(event) = event {
                        self.log.log(&event, piece.number);
                    }
                }
                Ok(None) => break,
                Err(error) => {
                    let error = anyhow::Error::from(error).context(self.log.name.clone());
                    self.log.note(error);
                    break;
                }
            }
        }
        self.log.finish()
    }
}

/// Where the bytes go.
struct Onward {
    /// None where nothing is sent, or the disk refused.
    spool: Option<Recorder>,
    /// None once the reader is gone.
    stdout: Option<Output>,
}

impl Onward {
    /// What goes wrong is told once: no more is written there. A reader that went away is no error.
    fn write(&mut self, bytes: &[u8], event: Option<&Event>) -> impl Iterator<Item = anyhow::Error> + use<> {
        // The spool first: what a reader has seen is not lost.
        let spooled = self.spool.as_mut().zip(event).map(|(spool, event)| spool.add(bytes, event).context("the spool"));
        let spooled = spooled.and_then(Result::err).inspect(|_| self.spool = None);
        let passed = self.stdout.as_mut().map(|stdout| stdout.write_all(bytes).map_err(anyhow::Error::from));
        let passed = passed.and_then(Result::err).inspect(|_| self.stdout = None);
        spooled.into_iter().chain(passed.filter(|error| !cli::is_broken_pipe(error)))
    }
}

/// What the lines are to the logs of this machine, and what was wrong with them.
struct Log {
    name: String,
    sinks: Vec<Box<dyn Sink>>,
    /// The run that goes on; None before the first.
    run: Option<Owner>,
    /// Lines that were not logged.
    strange: usize,
    trouble: Option<anyhow::Error>,
}

impl Log {
    /// Whether the input cannot be the log of a run, as `/dev/zero` is none: it would be passed on without an end.
    fn is_no_log(&self, piece: &Piece) -> bool {
        self.run.is_none() && !piece.whole
    }

    /// The event of a run that a line is. Others are told of.
    fn event(&mut self, piece: &Piece) -> Option<Event> {
        if piece.is_blank() {
            return None;
        }
        let event = match piece.text().map(Event::from_line) {
            // None for a kind from a later version.
            Some(Ok(event)) => event?,
            Some(Err(error)) => return self.pass_over(piece.number, &error.to_string()),
            None => return self.pass_over(piece.number, "no event: no text, or too long"),
        };
        if self.run.is_none() && !matches!(event, Event::Start(_)) {
            return self.pass_over(piece.number, "an event before the start of a run");
        }
        Some(event)
    }

    fn log(&mut self, event: &Event, number: u64) {
        if let Event::Start(start) = event {
            match &self.run {
                None => self.each_sink(|sink| files::begin(sink, start)),
                Some(run) if run.goes_on_in(start) => {
                    let step = start.resumed.as_ref().map_or(0, |resumed| resumed.step);
                    self.each_sink(|sink| sink.go_back(step));
                }
                Some(_) if self.sinks.is_empty() => {}
                Some(_) => {
                    self.each_sink(|sink| sink.finish());
                    self.sinks.clear();
                    self.note(anyhow::anyhow!("{}:{number}: a second run; the files hold the first", self.name));
                }
            }
            self.run = Some(Owner::of(start));
        } else if let Some(measured) = Measured::of(event) {
            self.each_sink(|sink| sink.measure(&measured));
        }
    }

    /// A log that cannot be written ends; the others go on.
    fn each_sink(&mut self, mut act: impl FnMut(&mut dyn Sink) -> anyhow::Result<()>) {
        let mut errors = Vec::new();
        self.sinks.retain_mut(|sink| act(sink.as_mut()).map_err(|error| errors.push(error)).is_ok());
        errors.into_iter().for_each(|error| self.note(error));
    }

    /// Says so of the first line only: a log of something else would say it of each.
    fn pass_over(&mut self, number: u64, why: &str) -> Option<Event> {
        self.strange += 1;
        if self.strange == 1 {
            cli::note(&format!("{}:{number}: {why}; passed on, not logged", self.name));
        }
        None
    }

    /// The first problem is what the tool ends with; more are told as they come.
    fn note(&mut self, error: anyhow::Error) {
        match &self.trouble {
            None => self.trouble = Some(error),
            Some(_) => cli::note(&format!("{error:#}")),
        }
    }

    fn finish(mut self) -> anyhow::Result<()> {
        if self.strange > 1 {
            let Self { name, strange, .. } = &self;
            cli::note(&format!("{name}: {strange} lines were passed on and not logged"));
        }
        self.each_sink(|sink| sink.finish());
        match self.trouble {
            Some(error) => Err(error),
            None if self.run.is_none() => bail!("{}: no start event: there is no run to log", self.name),
            None => Ok(()),
        }
    }
}
