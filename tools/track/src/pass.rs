//! The thread that passes lines on. It waits for nothing but its input and its reader.

use crate::{
    files::{Measured, Sink},
    lines::{Lines, Piece},
};
use anyhow::{Context, bail};
use events::Event;
use records::{Input, Output};
use std::{fs::File, io::Write};

/// Where lines come from and where they go.
pub struct Pass {
    lines: Lines<Input>,
    onward: Onward,
    log: Log,
}

impl Pass {
    /// # Errors
    /// When standard output is closed.
    pub fn new(input: Input, spool: Option<File>, sinks: Vec<Box<dyn Sink>>) -> anyhow::Result<Self> {
        let log = Log { name: input.name().to_owned(), sinks, runs: 0, strange: 0, trouble: None };
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
                    for error in self.onward.write(piece.bytes) {
                        self.log.note(error);
                    }
                    self.log.take(&piece);
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
    spool: Option<File>,
    /// None once the reader is gone.
    stdout: Option<Output>,
}

impl Onward {
    /// What goes wrong is told once: no more is written there. A reader that went away is no error.
    fn write(&mut self, bytes: &[u8]) -> impl Iterator<Item = anyhow::Error> + use<> {
        // The spool first: what a reader has seen is not lost.
        let spooled = self.spool.as_mut().map(|spool| spool.write_all(bytes).context("the spool"));
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
    runs: usize,
    /// Lines that were not logged.
    strange: usize,
    trouble: Option<anyhow::Error>,
}

impl Log {
    fn take(&mut self, piece: &Piece) {
        if piece.is_blank() {
            return;
        }
        match piece.text().map(Event::from_line) {
            Some(Ok(Some(event))) => self.log(&event, piece.number),
            // A kind from a later version.
            Some(Ok(None)) => {}
            Some(Err(error)) => self.pass_over(piece.number, &error.to_string()),
            None => self.pass_over(piece.number, "no event: no text, or too long"),
        }
    }

    fn log(&mut self, event: &Event, number: u64) {
        let resumed = match event {
            Event::Start(start) if self.runs > 0 => start.resumed.as_ref(),
            _ => None,
        };
        if let Some(resumed) = resumed {
            return self.each_sink(|sink| sink.go_back(resumed.step));
        }
        self.runs += usize::from(matches!(event, Event::Start(_)));
        if self.runs == 0 {
            return self.pass_over(number, "an event before the start of a run");
        }
        if self.runs > 1 && !self.sinks.is_empty() {
            self.sinks.clear();
            self.note(anyhow::anyhow!("{}:{number}: a second run; the files hold the first", self.name));
        }
        let measured = Measured::of(event);
        self.each_sink(|sink| match (event, &measured) {
            (Event::Start(start), _) => sink.start(start),
            (_, Some(measured)) => sink.measure(measured),
            _ => Ok(()),
        });
    }

    /// A log that cannot be written ends; the others go on.
    fn each_sink(&mut self, mut act: impl FnMut(&mut dyn Sink) -> anyhow::Result<()>) {
        let mut errors = Vec::new();
        self.sinks.retain_mut(|sink| act(sink.as_mut()).map_err(|error| errors.push(error)).is_ok());
        errors.into_iter().for_each(|error| self.note(error));
    }

    /// Says so of the first line only: a log of something else would say it of each.
    fn pass_over(&mut self, number: u64, why: &str) {
        self.strange += 1;
        if self.strange == 1 {
            cli::complain("track", &format!("{}:{number}: {why}; passed on, not logged", self.name));
        }
    }

    /// The first problem is what the tool ends with; more are told as they come.
    fn note(&mut self, error: anyhow::Error) {
        match &self.trouble {
            None => self.trouble = Some(error),
            Some(_) => cli::complain("track", &format!("{error:#}")),
        }
    }

    fn finish(mut self) -> anyhow::Result<()> {
        if self.strange > 1 {
            let Self { name, strange, .. } = &self;
            cli::complain("track", &format!("{name}: {strange} lines were passed on and not logged"));
        }
        self.each_sink(|sink| sink.finish());
        match self.trouble {
            Some(error) => Err(error),
            None if self.runs == 0 => bail!("{}: no start event: there is no run to log", self.name),
            None => Ok(()),
        }
    }
}
