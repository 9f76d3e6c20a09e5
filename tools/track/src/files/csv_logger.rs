//! Lightning's `CSVLogger`: `metrics.csv`, a row for each measurement and its columns in alphabetical
//! order, and the settings in `hparams.yaml`.

use super::{Measured, Sink, number};
use anyhow::Context;
use csv::{ReaderBuilder, StringRecord, Writer, WriterBuilder};
use events::Start;
use records::{Output, write_file};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::PathBuf,
};

pub struct CsvLogger {
    folder: PathBuf,
    columns: Vec<String>,
    rows: Option<Writer<File>>,
}

impl CsvLogger {
    pub fn open(folder: PathBuf) -> anyhow::Result<Self> {
        fs::create_dir_all(&folder).with_context(|| format!("--csv {}", folder.display()))?;
        Ok(Self { folder, columns: Vec::new(), rows: None })
    }

    fn path(&self) -> PathBuf {
        self.folder.join("metrics.csv")
    }

    /// Writes the file anew with these columns and the rows up to `last_step`. There are only a few names, so this
    /// happens a few times.
    fn rewrite(&mut self, columns: Vec<String>, last_step: usize) -> anyhow::Result<()> {
        let mut wide = Writer::from_writer(Output::create(Some(&self.path()))?);
        wide.write_record(&columns)?;
        if self.rows.take().is_some() {
            let mut narrow = ReaderBuilder::new().from_path(self.path())?;
            let old = narrow.headers()?.clone();
            let from: Vec<_> = columns.iter().map(|name| old.iter().position(|column| column == name)).collect();
            let step = old.iter().position(|column| column == "step");
            let mut row = StringRecord::new();
            while narrow.read_record(&mut row)? {
                if step.and_then(|i| row.get(i)?.parse().ok()) > Some(last_step) {
                    continue;
                }
                wide.write_record(from.iter().map(|i| i.and_then(|i| row.get(i)).unwrap_or("")))?;
            }
        }
        wide.into_inner().map_err(|e| e.into_error())?.finish()?;
        let file = File::options().append(true).open(self.path())?;
        self.rows = Some(WriterBuilder::new().has_headers(false).from_writer(file));
        self.columns = columns;
        Ok(())
    }
}

impl Sink for CsvLogger {
    fn start(&mut self, start: &Start) -> anyhow::Result<()> {
        let text = serde_yaml::to_string(&start.config)?;
        write_file(&self.folder.join("hparams.yaml"), text.as_bytes())?;
        self.rewrite(["epoch", "step"].map(str::to_owned).into(), usize::MAX)
    }

    fn go_back(&mut self, step: usize) -> anyhow::Result<()> {
        self.rewrite(self.columns.clone(), step).with_context(|| self.path().display().to_string())
    }

    fn measure(&mut self, measured: &Measured) -> anyhow::Result<()> {
        let mut row: BTreeMap<&str, String> =
            measured.metrics.iter().map(|(name, value)| (name, number(value))).collect();
        row.insert("epoch", measured.epoch.to_string());
        row.insert("step", measured.step.to_string());
        let mut columns = self.columns.clone();
        columns.extend(
            row.keys().filter(|name| !self.columns.iter().any(|column| column == *name)).map(|name| (*name).to_owned()),
        );
        if columns.len() > self.columns.len() {
            columns.sort();
            self.rewrite(columns, usize::MAX).with_context(|| self.path().display().to_string())?;
        }
        let Some(rows) = &mut self.rows else { return Ok(()) };
        let cells = self.columns.iter().map(|column| row.get(column.as_str()).map_or("", String::as_str));
        rows.write_record(cells).map_err(anyhow::Error::from).and_then(|()| Ok(rows.flush()?)).context("--csv")
    }
}
