//! Inputs: what a path or standard input holds, by its first bytes.

use crate::{
    bounded::{self, LARGEST_DOCUMENT, LONGEST_LINE, Line},
    confusion::Confusion,
    finder::Finder,
    gallery::{Gallery, Names},
    labels::{self, Identity},
    log::Log,
    names,
    run::Run,
    settings::Settings,
    style, table,
    text::excerpt,
};
use anyhow::{Context, bail, ensure};
use events::Event;
use files::Error;
use indexmap::IndexMap;
use records::NPY_MAGIC;
use serde_json::Value;
use std::{
    collections::HashMap,
    fs::File,
    io::{BufRead, BufReader, Cursor, Read},
    path::{Component, Path},
};

/// What an input held.
pub enum Content {
    Run(Run),
    Runs(Vec<Run>),
    Finder(Finder),
    Confusion(Confusion),
    Gallery(Gallery),
}

/// Sees a log as it grows.
pub type Watch<'a> = &'a mut dyn FnMut(&Log) -> anyhow::Result<()>;

/// The files of a run folder that hold metrics, the better one first.
const RUN_FILES: [&str; 3] = ["events.ndjson", "history.csv", "finder.csv"];
/// Bytes of a metric's name, which stands in a picture and is the name of a file.
const LONGEST_NAME: usize = 200;

/// Everything that all inputs held.
pub struct Inputs<'a> {
    settings: &'a Settings,
    /// The names of the classes, of `--classes`.
    classes: Option<Vec<String>>,
    pub runs: Vec<Run>,
    pub finders: Vec<Finder>,
    pub confusions: Vec<Confusion>,
    pub galleries: Vec<Gallery>,
    /// What a person should know of them, a line each.
    pub notes: Vec<String>,
}

impl<'a> Inputs<'a> {
    pub fn new(settings: &'a Settings, classes: Option<Vec<String>>) -> Self {
        let (runs, finders, confusions, galleries, notes) = Default::default();
        Self { settings, classes, runs, finders, confusions, galleries, notes }
    }

    /// Reads an input; None is standard input.
    ///
    /// # Errors
    /// One line: where, what.
    pub fn read(&mut self, path: Option<&Path>, watch: Watch) -> anyhow::Result<()> {
        let Some(path) = path else {
            let input = cli::open(None, "run events or records")?;
            let content = self.content("stdin", BufReader::new(input), watch)?;
            self.add(None, content)?;
            return Ok(());
        };
        let file = if path.is_dir() { run_file(path)? } else { path.to_owned() };
        let name = file.display().to_string();
        let open = File::open(&file).map_err(|e| Error::io(&name, e))?;
        let content = self.content(&name, BufReader::new(open), watch)?;
        self.add(Some(&file), content)
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

    /// Leaves out runs in which nothing was measured, each with a note, if anything else can be drawn: one run that diverged
    /// at once, or that begins only now, does not stop the charts of the others.
    pub fn leave_out_what_was_not_measured(&mut self) {
        let others = self.finders.len() + self.confusions.len() + self.galleries.len();
        if others == 0 && !self.runs.iter().any(Run::is_measured) {
            return;
        }
        let labels = labels::of(self.runs.iter().map(|run| &run.identity));
        for (run, label) in self.runs.iter().zip(labels).filter(|(run, _)| !run.is_measured()) {
            let state = run.status.as_ref().map_or(String::new(), |status| format!(" ({})", status.name()));
            self.notes.push(format!("{label}{state}: nothing was measured at a step or epoch; drawn without it"));
        }
        self.runs.retain(Run::is_measured);
    }

    /// Notes that there are more runs than can be told apart.
    pub fn note_what_looks_alike(&mut self) {
        let (runs, looks) = (self.runs.len().max(self.finders.len()), style::looks(&self.settings.colors));
        if runs > looks {
            self.notes
                .push(format!("{runs} runs share {looks} looks; more plot.colors, or fewer runs, tell them apart"));
        }
    }

    fn add(&mut self, file: Option<&Path>, content: Content) -> anyhow::Result<()> {
        let path = file.map(distinctive).unwrap_or_default();
        let settings = file.map_or_else(|| Ok(None), settings_beside)?;
        match content {
            Content::Confusion(confusion) => self.confusions.push(Confusion { path, ..confusion }),
            Content::Gallery(gallery) => self.galleries.push(Gallery { path, ..gallery }),
            Content::Finder(finder) => {
                let identity = Identity { path, settings: settings.unwrap_or_default() };
                self.finders.push(Finder { identity, ..finder });
            }
            // DVCLive writes a file for each metric: the files of a folder are one run.
            Content::Run(run) if file.and_then(Path::extension).is_some_and(|kind| kind == "tsv") => {
                let folder = path.split_last().map(|(_, folder)| folder.to_vec()).unwrap_or_default();
                match self.runs.iter_mut().find(|other| other.identity.path == folder) {
                    Some(other) => other.metrics.extend(run.metrics),
                    None => self.runs.push(Run { identity: Identity { path: folder, ..run.identity }, ..run }),
                }
            }
            Content::Run(run) => {
                let identity = Identity { path, settings: settings.unwrap_or_default() };
                self.runs.push(Run { identity, ..run });
            }
            Content::Runs(mut runs) => {
                // A file with one run is known by its path; runs that share one, by their names in the log.
                if let [run] = runs.as_mut_slice() {
                    if !path.is_empty() {
                        run.identity.path = path;
                    }
                    run.identity.settings = settings.unwrap_or_else(|| std::mem::take(&mut run.identity.settings));
                }
                self.runs.append(&mut runs);
            }
        }
        Ok(())
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
        let known =
            "expected run events, a table with a column step or epoch, a confusion matrix, or records of images";
        let binary = bytes.fill_buf().map_err(|e| Error::io(name, e))?;
        // A device of zeros has no end to its line.
        ensure!(binary.starts_with(NPY_MAGIC) || !binary.contains(&0), "{name}: not text; {known}");
        while line.trim_ascii().is_empty() {
            number += 1;
            match bounded::read_line(&mut bytes, &mut line, LARGEST_DOCUMENT).map_err(|e| Error::io(name, e))? {
                Line::End => bail!("{name}: empty; {known}"),
                Line::Whole => {}
                Line::TooLong => {
                    bail!("{name}:{number}: the line is longer than {} MiB; {known}", LARGEST_DOCUMENT >> 20)
                }
            }
        }
        if line.starts_with(NPY_MAGIC) || self.is_record(&line) {
            // The lines that were passed over count in the place of an error.
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
            // An object without `event`, or one that goes on in the next line.
            Err(events::Error::NotAnEvent(_)) => {
                let mut text = first.to_owned();
                let rest = bytes.take(LARGEST_DOCUMENT as u64).read_to_string(&mut text);
                let read = rest.map_err(|e| Error::io(name, e))?;
                ensure!(read < LARGEST_DOCUMENT, "{name}: larger than {} MiB", LARGEST_DOCUMENT >> 20);
                Confusion::from_json(name, &text).map(Content::Confusion)
            }
            Err(error) => bail!("{name}:{number}: {error}"),
            Ok(event) => {
                let runs = log(name, event, number, bytes, watch, &mut self.notes)?;
                runs.iter().try_for_each(|run| check_names(name, run))?;
                Ok(Content::Runs(runs))
            }
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
        Gallery::read(files::Input::new(name, bytes), self.settings, names)
    }
}

fn run_file(folder: &Path) -> anyhow::Result<std::path::PathBuf> {
    bounded::regular_file(folder, &RUN_FILES)?.with_context(|| {
        let (name, lacking) = (folder.display(), RUN_FILES.join(" and no "));
        let remedy = match runs_below(folder) {
            Some(pattern) => format!("it holds run folders, which plot {pattern} draws together"),
            None => format!("train -o {name} makes one"),
        };
        format!("{name}: no run folder: there is no {lacking}; {remedy}")
    })
}

/// A pattern of the shell for the run folders below a folder, such as a sweep's; None where there are none.
///
/// It has the depth of the first one. Where something else would match as well, it is of the logs.
fn runs_below(folder: &Path) -> Option<String> {
    let found = runs::find(folder).ok()?;
    let depth = found.first()?.strip_prefix(folder).ok()?.components().count();
    let name = folder.to_str()?;
    let name = shlex::try_quote(name.trim_end_matches('/')).ok()?;
    let stars = "/*".repeat(depth);
    let matches_runs_alone = depth == 1 && only_runs(folder).unwrap_or(false);
    Some(if matches_runs_alone { format!("{name}{stars}") } else { format!("{name}{stars}/{}", RUN_FILES[0]) })
}

/// Whether all that a folder shows, hidden files aside, are run folders.
fn only_runs(folder: &Path) -> std::io::Result<bool> {
    for entry in folder.read_dir()? {
        let entry = entry?;
        let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        if !hidden && !bounded::regular_file(&entry.path(), &RUN_FILES).is_ok_and(|file| file.is_some()) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The settings of the run folder that a file is in; None where it is in none.
fn settings_beside(file: &Path) -> anyhow::Result<Option<IndexMap<String, Value>>> {
    let is_of_run = file.file_name().is_some_and(|name| RUN_FILES.iter().any(|known| name == *known));
    let Some(folder) = file.parent().filter(|_| is_of_run) else { return Ok(None) };
    Ok(runs::read_settings(folder)?.filter(|settings| !settings.is_empty()))
}

/// Names of metrics become names of files, and stand in pictures.
fn check_names(input: &str, run: &Run) -> anyhow::Result<()> {
    let long = run.metrics.keys().find(|name| name.len() > LONGEST_NAME);
    let problem = long.map_or(String::new(), |name| {
        let length = name.len();
        format!("{input}: metric {:?} has a name of {length} bytes; expected at most {LONGEST_NAME}", excerpt(name))
    });
    ensure!(long.is_none(), problem);
    Ok(())
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
        number += 1;
        let read = bounded::read_line(&mut bytes, &mut line, LONGEST_LINE).map_err(|e| Error::io(name, e))?;
        if read == Line::End {
            break;
        }
        if line.trim_ascii().is_empty() || damage.is_some() {
            // What comes after damage is read all the same: a pipe that nobody reads would end the run.
            continue;
        }
        if read == Line::TooLong {
            let longest = LONGEST_LINE >> 20;
            damage = Some(format!("{name}:{number}: the line is longer than {longest} MiB; drawn up to there"));
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
