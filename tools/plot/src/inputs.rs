//! All inputs of the command line, and what is drawn of each.

use crate::{
    confusion::LabelledMatrix,
    content::{Content, ContentReader},
    finder::Finder,
    gallery::Gallery,
    labels::{self, Identity},
    log_reader::Watch,
    names,
    roofline::Roofline,
    run::Run,
    run_folder,
    settings::Settings,
    style,
};
use files::Error;
use std::{fs::File, io::BufReader, path::Path};

/// The contents of all inputs.
pub struct Inputs<'a> {
    settings: &'a Settings,
    /// The names of the classes, of `--classes`.
    classes: Option<Vec<String>>,
    pub runs: Vec<Run>,
    pub finders: Vec<Finder>,
    pub confusions: Vec<LabelledMatrix>,
    pub galleries: Vec<Gallery>,
    pub rooflines: Vec<Roofline>,
    /// Notes for standard error, one line each.
    pub notes: Vec<String>,
}

impl<'a> Inputs<'a> {
    pub fn new(settings: &'a Settings, classes: Option<Vec<String>>) -> Self {
        let (runs, finders, confusions, galleries, rooflines, notes) = Default::default();
        Self { settings, classes, runs, finders, confusions, galleries, rooflines, notes }
    }

    /// Reads an input; None is standard input.
    ///
    /// # Errors
    /// One line: where, what.
    pub fn read(&mut self, path: Option<&Path>, watch: Watch) -> anyhow::Result<()> {
        let Some(path) = path else {
            let input = cli::open(None, "run events or records")?;
            let content = self.reader().read("stdin", BufReader::new(input), watch)?;
            return self.add(None, content);
        };
        let file = if path.is_dir() { run_folder::metrics_file(path)? } else { path.to_owned() };
        let name = file.display().to_string();
        let open = File::open(&file).map_err(|e| Error::io(&name, e))?;
        let content = self.reader().read(&name, BufReader::new(open), watch)?;
        self.add(Some(&file), content)
    }

    /// The confusion matrices with their names, and with the labels of the settings or of `--classes`.
    ///
    /// # Errors
    /// When the labels do not fit the classes.
    pub fn named_confusions(&self) -> anyhow::Result<Vec<(String, LabelledMatrix)>> {
        let paths: Vec<&[String]> = self.confusions.iter().map(|confusion| confusion.path.as_slice()).collect();
        let named = names::distinguishing(&paths).into_iter().zip(self.confusions.iter().cloned());
        let labelled = |(name, confusion): (String, LabelledMatrix)| match (&self.settings.labels, &self.classes) {
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

    /// The rooflines with their names.
    pub fn named_rooflines(&self) -> impl Iterator<Item = (String, &Roofline)> {
        let paths: Vec<&[String]> = self.rooflines.iter().map(|roofline| roofline.path.as_slice()).collect();
        names::distinguishing(&paths).into_iter().zip(&self.rooflines)
    }

    /// Drops runs in which nothing was measured, each with a note, if anything else can be drawn: a run that diverged in its
    /// first epoch, or that has just begun, does not stop the charts of the others.
    pub fn drop_unmeasured_runs(&mut self) {
        let others = self.finders.len() + self.confusions.len() + self.galleries.len() + self.rooflines.len();
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

    /// Notes that there are more runs than styles.
    pub fn note_repeated_styles(&mut self) {
        let (runs, styles) = (self.runs.len().max(self.finders.len()), style::count(&self.settings.colors));
        if runs > styles {
            self.notes.push(format!("{runs} runs share {styles} styles; add plot.colors, or draw fewer runs"));
        }
    }

    fn reader(&mut self) -> ContentReader<'_> {
        ContentReader { settings: self.settings, classes: self.classes.as_deref(), notes: &mut self.notes }
    }

    fn add(&mut self, file: Option<&Path>, content: Content) -> anyhow::Result<()> {
        let path = file.map(run_folder::path_components).unwrap_or_default();
        let settings = file.map_or_else(|| Ok(None), run_folder::settings_beside)?;
        match content {
            Content::Confusion(confusion) => self.confusions.push(LabelledMatrix { path, ..confusion }),
            Content::Roofline(roofline) => self.rooflines.push(Roofline { path, ..roofline }),
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
}
