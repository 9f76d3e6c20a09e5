//! What an input holds, detected by its first bytes.

use crate::{
    confusion::LabelledMatrix,
    finder::Finder,
    gallery::{Gallery, Names},
    limited_read::{Line, MAX_DOCUMENT, read_line},
    log_reader::{self, Watch},
    roofline::Roofline,
    run::Run,
    settings::Settings,
    table,
    text::excerpt,
};
use anyhow::{Context, bail, ensure};
use events::Event;
use files::Error;
use records::NPY_MAGIC;
use std::{
    collections::HashMap,
    io::{BufRead, Cursor, Read},
};

/// Limit on a metric's name in bytes.
const MAX_METRIC_NAME: usize = 200;

/// The content of an input.
pub enum Content {
    /// A table of metrics.
    Run(Run),
    /// A run log.
    Runs(Vec<Run>),
    Finder(Finder),
    Confusion(LabelledMatrix),
    /// Records of images with predictions.
    Gallery(Gallery),
    /// What `profile` says of models.
    Roofline(Roofline),
}

/// Reads inputs of any kind.
pub struct ContentReader<'a> {
    pub settings: &'a Settings,
    /// The names of the classes, of `--classes`.
    pub classes: Option<&'a [String]>,
    /// Notes for standard error, one line each.
    pub notes: &'a mut Vec<String>,
}

impl ContentReader<'_> {
    /// Detects the kind of an input by its first line, and reads it.
    pub fn read(
        &mut self,
        name: &str,
        mut bytes: impl BufRead + Send + 'static,
        watch: Watch,
    ) -> anyhow::Result<Content> {
        let mut line = Vec::new();
        let mut number = 0;
        let known =
            "expected run events, a table with a column step or epoch, a confusion matrix, or records of images";
        let binary = bytes.fill_buf().map_err(|e| Error::io(name, e))?;
        // A device of zeros has no end to its line.
        ensure!(binary.starts_with(NPY_MAGIC) || !binary.contains(&0), "{name}: not text; {known}");
        while line.trim_ascii().is_empty() {
            number += 1;
            match read_line(&mut bytes, &mut line, MAX_DOCUMENT).map_err(|e| Error::io(name, e))? {
                Line::End => bail!("{name}: empty; {known}"),
                Line::Whole => {}
                Line::TooLong => {
                    bail!("{name}:{number}: the line is longer than {} MiB; {known}", MAX_DOCUMENT >> 20)
                }
            }
        }
        if line.starts_with(NPY_MAGIC) || self.is_record(&line) {
            // Blank lines before it count in the line numbers of errors.
            let head = [vec![b'\n'; number as usize - 1], line].concat();
            return self.gallery(name, Cursor::new(head).chain(bytes)).map(Content::Gallery);
        }
        let first = std::str::from_utf8(&line).with_context(|| format!("{name}:{number}: not text"))?;
        if !first.trim_start().starts_with('{') {
            let content = table::read(name, first, line.as_slice().chain(bytes))?;
            if let Content::Run(run) = &content {
                check_names(name, run)?;
            }
            return Ok(content);
        }
        match Event::from_line(first) {
            // An object without `event`, or one of several lines.
            Err(events::Error::NotAnEvent(_)) => {
                let mut text = first.to_owned();
                let rest = bytes.take(MAX_DOCUMENT as u64).read_to_string(&mut text);
                let read = rest.map_err(|e| Error::io(name, e))?;
                ensure!(read < MAX_DOCUMENT, "{name}: larger than {} MiB", MAX_DOCUMENT >> 20);
                if Roofline::is_one(&text) {
                    return Roofline::from_json(name, &text).map(Content::Roofline);
                }
                LabelledMatrix::from_json(name, &text).map(Content::Confusion)
            }
            Err(error) => bail!("{name}:{number}: {error}"),
            Ok(event) => {
                let runs = log_reader::read(name, event, number, bytes, watch, self.notes)?;
                runs.iter().try_for_each(|run| check_names(name, run))?;
                Ok(Content::Runs(runs))
            }
        }
    }

    /// Whether a line is a record with images or predictions.
    fn is_record(&self, line: &[u8]) -> bool {
        let fields = [&self.settings.image_field, &self.settings.prediction_field];
        let object = serde_json::from_slice::<HashMap<String, serde::de::IgnoredAny>>(line);
        object.is_ok_and(|object| fields.iter().any(|field| object.contains_key(*field)))
    }

    fn gallery(&mut self, name: &str, bytes: impl Read + Send + 'static) -> anyhow::Result<Gallery> {
        let names = match (&self.settings.labels, self.classes) {
            (Some(names), _) => Some(Names { names, from: "plot.labels" }),
            (None, Some(names)) => Some(Names { names, from: "--classes" }),
            (None, None) => None,
        };
        Gallery::read(files::Input::new(name, bytes), self.settings, names)
    }
}

/// Limits the names of metrics, which become names of files.
fn check_names(input: &str, run: &Run) -> anyhow::Result<()> {
    let long = run.metrics.keys().find(|name| name.len() > MAX_METRIC_NAME);
    let problem = long.map_or(String::new(), |name| {
        let length = name.len();
        format!("{input}: metric {:?} has a name of {length} bytes; expected at most {MAX_METRIC_NAME}", excerpt(name))
    });
    ensure!(long.is_none(), problem);
    Ok(())
}
