//! Inputs: what a path or standard input holds, by its first bytes.

use crate::{
    confusion::Confusion,
    gallery::{Gallery, Names},
    log::Log,
    names,
    run::Run,
    settings::Settings,
    table,
};
use anyhow::{Context, bail, ensure};
use events::Event;
use records::{Error, NPY_MAGIC};
use std::{
    collections::HashMap,
    fs::File,
    io::{self, BufRead, BufReader, Cursor, Read},
    path::{Component, Path},
};

/// What an input held.
pub enum Content {
    Run(Run),
    Runs(Vec<Run>),
    Confusion(Confusion),
    Gallery(Gallery),
}

/// Sees a log as it grows.
pub type Watch<'a> = &'a mut dyn FnMut(&Log) -> anyhow::Result<()>;

/// The files of a run folder that hold metrics, the better one first.
const RUN_FILES: [&str; 2] = ["events.ndjson", "history.csv"];

/// Everything that all inputs held.
pub struct Inputs<'a> {
    settings: &'a Settings,
    /// The names of the classes, of `--classes`.
    classes: Option<Vec<String>>,
    pub runs: Vec<Run>,
    pub confusions: Vec<Confusion>,
    pub galleries: Vec<Gallery>,
    /// What a person should know of them, a line each.
    pub notes: Vec<String>,
}

impl<'a> Inputs<'a> {
    pub fn new(settings: &'a Settings, classes: Option<Vec<String>>) -> Self {
        let (runs, confusions, galleries, notes) = Default::default();
        Self { settings, classes, runs, confusions, galleries, notes }
    }

    /// Reads an input; None is standard input.
    ///
    /// # Errors
    /// One line: where, what.
    pub fn read(&mut self, path: Option<&Path>, watch: Watch) -> anyhow::Result<()> {
        let Some(path) = path else {
            cli::say_if_terminal("run events or records");
            let content = self.content("stdin", BufReader::new(io::stdin()), watch)?;
            self.add(None, content);
            return Ok(());
        };
        let file = if path.is_dir() { run_file(path)? } else { path.to_owned() };
        let name = file.display().to_string();
        let open = File::open(&file).map_err(|e| Error::io(&name, e))?;
        let content = self.content(&name, BufReader::new(open), watch)?;
        self.add(Some(&file), content);
        Ok(())
    }

    /// The confusion matrices with their names, and with the labels of the settings or of `--classes`.
    ///
    /// # Errors
    /// When the labels do not fit the classes.
    pub fn named_confusions(&self) -> anyhow::Result<Vec<(String, Confusion)>> {
        let paths: Vec<&[String]> = self.confusions.iter().map(|confusion| confusion.path.as_slice()).collect();
        let named = names::distinguishing(&paths).into_iter().zip(self.confusions.iter().cloned());
        let labelled = |(name, confusion): (String, Confusion)| match (&self.settings.labels, &self.classes) {
            (Some(labels), _) => Ok((name, confusion.with_labels(labels)?)),
            (None, Some(classes)) => Ok((name, confusion.with_names(classes)?)),
            (None, None) => Ok((name, confusion)),
        };
        named.map(labelled).collect()
    }

    /// The galleries with their names.
    pub fn named_galleries(&self) -> impl Iterator<Item = (String, &Gallery)> {
        let paths: Vec<&[String]> = self.galleries.iter().map(|gallery| gallery.path.as_slice()).collect();
        names::distinguishing(&paths).into_iter().zip(&self.galleries)
    }

    fn add(&mut self, file: Option<&Path>, content: Content) {
        let path = file.map(distinctive);
        match content {
            Content::Confusion(confusion) => {
                self.confusions.push(Confusion { path: path.unwrap_or_default(), ..confusion });
            }
            Content::Gallery(gallery) => self.galleries.push(Gallery { path: path.unwrap_or_default(), ..gallery }),
            // DVCLive writes a file for each metric: the files of a folder are one run.
            Content::Run(run) if file.and_then(Path::extension).is_some_and(|kind| kind == "tsv") => {
                let folder = path.and_then(|path| Some(path.split_last()?.1.to_vec())).unwrap_or_default();
                match self.runs.iter_mut().find(|other| other.path == folder) {
                    Some(other) => other.metrics.extend(run.metrics),
                    None => self.runs.push(Run { path: folder, ..run }),
                }
            }
            Content::Run(run) => self.runs.push(Run { path: path.unwrap_or_default(), ..run }),
            Content::Runs(mut runs) => {
                // A file with one run is known by its path; runs that share one, by their names in the log.
                if let (Some(path), [run]) = (path.filter(|path| !path.is_empty()), runs.as_mut_slice()) {
                    run.path = path;
                }
                self.runs.append(&mut runs);
            }
        }
    }

    /// Tells by its first line what an input is, and reads it.
    fn content(
        &mut self,
        name: &str,
        mut bytes: impl BufRead + Send + 'static,
        watch: Watch,
    ) -> anyhow::Result<Content> {
        let mut line = Vec::new();
        let mut number = 0;
        while line.trim_ascii().is_empty() {
            line.clear();
            number += 1;
            let read = bytes.read_until(b'\n', &mut line).map_err(|e| Error::io(name, e))?;
            ensure!(
                read > 0,
                "{name}: empty; expected run events, a table with a column step or epoch, a confusion matrix, or \
                 records of images"
            );
        }
        if line.starts_with(NPY_MAGIC) || self.is_record(&line) {
            // The lines that were passed over count in the place of an error.
            let head = [vec![b'\n'; number as usize - 1], line].concat();
            return self.gallery(name, Cursor::new(head).chain(bytes)).map(Content::Gallery);
        }
        let first = std::str::from_utf8(&line).with_context(|| format!("{name}:{number}: not text"))?;
        if !first.trim_start().starts_with('{') {
            return table::read(name, first, line.as_slice().chain(bytes));
        }
        match Event::from_line(first) {
            // An object without `event`, or one that goes on in the next line.
            Err(events::Error::NotAnEvent(_)) => {
                let mut text = first.to_owned();
                bytes.read_to_string(&mut text).map_err(|e| Error::io(name, e))?;
                Confusion::from_json(name, &text).map(Content::Confusion)
            }
            Err(error) => bail!("{name}:{number}: {error}"),
            Ok(event) => log(name, event, number, bytes, watch, &mut self.notes).map(Content::Runs),
        }
    }

    /// Whether a line is a record of what a classifier saw or said.
    fn is_record(&self, line: &[u8]) -> bool {
        let fields = [&self.settings.image_field, &self.settings.prediction_field];
        let object = serde_json::from_slice::<HashMap<String, serde::de::IgnoredAny>>(line);
        object.is_ok_and(|object| fields.iter().any(|field| object.contains_key(*field)))
    }

    fn gallery(&mut self, name: &str, bytes: impl Read + Send + 'static) -> anyhow::Result<Gallery> {
        let names = match (&self.settings.labels, &self.classes) {
            (Some(names), _) => Some(Names { names, from: "plot.labels" }),
            (None, Some(names)) => Some(Names { names, from: "--classes" }),
            (None, None) => None,
        };
        Gallery::read(records::Input::new(name, bytes), self.settings, names)
    }
}

fn run_file(folder: &Path) -> anyhow::Result<std::path::PathBuf> {
    let found = RUN_FILES.iter().map(|name| folder.join(name)).find(|file| file.is_file());
    found.with_context(|| format!("{}: no run folder: there is no {}", folder.display(), RUN_FILES.join(" and no ")))
}

/// The parts of a file's path that name a run: not the name that the file has in every run folder.
fn distinctive(file: &Path) -> Vec<String> {
    let mut parts: Vec<String> = file
        .components()
        .filter(|part| !matches!(part, Component::CurDir | Component::RootDir))
        .map(|part| part.as_os_str().to_string_lossy().into_owned())
        .collect();
    if parts.last().is_some_and(|last| RUN_FILES.contains(&last.as_str())) {
        parts.pop();
    }
    parts
}

/// Reads a log to its end, or to its first damaged line.
fn log(
    name: &str,
    first: Option<Event>,
    mut number: u64,
    mut bytes: impl BufRead,
    watch: Watch,
    notes: &mut Vec<String>,
) -> anyhow::Result<Vec<Run>> {
    let mut log = Log::default();
    first.iter().for_each(|event| log.add(event));
    let mut line = Vec::new();
    let mut damage = None;
    loop {
        line.clear();
        number += 1;
        if bytes.read_until(b'\n', &mut line).map_err(|e| Error::io(name, e))? == 0 {
            break;
        }
        if line.trim_ascii().is_empty() || damage.is_some() {
            // What comes after damage is read all the same: a pipe that nobody reads would end the run.
            continue;
        }
        let text = String::from_utf8_lossy(&line);
        match Event::from_line(&text) {
            Ok(Some(event)) => {
                log.add(&event);
                watch(&log)?;
            }
            Ok(None) => {}
            Err(error) => damage = Some(format!("{name}:{number}: {error}; drawn up to there")),
        }
    }
    if damage.is_none() && !log.ended() {
        damage = Some(format!("{name}: no end event: the run was cut off, or goes on; drawn as far as it is there"));
    }
    notes.extend(damage);
    Ok(log.runs())
}
