//! Files as Lightning's `CSVLogger` writes them: `metrics.csv`, with one row for each event and the columns in
//! alphabetical order, and `hparams.yaml`, with the settings.
//!
//! A new column means that the whole file is rewritten. Rows are therefore also kept in a temporary file, without their
//! empty cells. Rewriting is limited to a share of the run time: until more time has passed, rows with new columns are
//! only in the temporary file.

mod columns;
mod rows;

use super::{Measurement, Sink, ensure_writable, ignore_missing, number};
use anyhow::Context;
use columns::Columns;
use csv::ReaderBuilder;
use events::Start;
use files::{Output, write_file};
use rows::{Cells, Rows, encoded};
use std::{
    fs::{self, File},
    io::{self, BufWriter, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// Total time for rewriting the file: [`ALLOWANCE`], and 1/[`SHARE`] of the time since the log was opened.
const ALLOWANCE: Duration = Duration::from_millis(250);
const SHARE: u32 = 10;

pub struct CsvLogger {
    folder: PathBuf,
    /// Most cells of the file, rows times columns, including empty cells.
    max_cells: u64,
    columns: Columns,
    rows: Option<Rows>,
    /// The file, open for appending; None while it lacks columns.
    file: Option<BufWriter<File>>,
    opened: Instant,
    /// Total time that rewriting the file took.
    rewriting: Duration,
    /// Whether a warning about the limit was printed.
    warned: bool,
}

impl CsvLogger {
    pub fn open(folder: PathBuf, max_cells: u64) -> anyhow::Result<Self> {
        fs::create_dir_all(&folder).with_context(|| format!("--csv {}", folder.display()))?;
        let (columns, opened, rewriting) = (Columns::default(), Instant::now(), Duration::ZERO);
        Ok(Self { folder, max_cells, columns, rows: None, file: None, opened, rewriting, warned: false })
    }

    fn path(&self) -> PathBuf {
        self.folder.join("metrics.csv")
    }

    /// Writes the settings, and removes all rows and columns.
    fn begin(&mut self, start: &Start) -> anyhow::Result<()> {
        let text = serde_yaml::to_string(&start.config)?;
        let settings = self.folder.join("hparams.yaml");
        ensure_writable(&settings)?;
        write_file(&settings, text.as_bytes())?;
        (self.columns, self.warned) = (Columns::default(), false);
        self.columns.add("epoch");
        self.columns.add("step");
        self.rows = Some(Rows::new(&self.folder)?);
        Ok(())
    }

    /// Adds the rows of the existing file up to `step`, but not a truncated row, which a killed writer leaves.
    fn read(&mut self, step: usize) -> anyhow::Result<()> {
        let Some(file) = open_regular(&self.path())? else { return Ok(()) };
        let whole = ends_with_newline(&file)?;
        let mut reader = ReaderBuilder::new().flexible(true).from_reader(file);
        let ids: Vec<usize> = reader.headers()?.iter().map(|name| self.columns.add(name)).collect();
        let mut rows = reader.records().peekable();
        while let Some(row) = rows.next() {
            let row = row?;
            if row.len() != ids.len() || (rows.peek().is_none() && !whole) {
                continue;
            }
            let cells = ids.iter().copied().zip(row.iter()).filter(|(_, text)| !text.is_empty());
            let cells = cells.map(|(id, text)| Ok((id, encoded(text)?))).collect::<anyhow::Result<Cells>>()?;
            if self.columns.keeps(&cells, step) {
                self.add(&cells)?;
            }
        }
        Ok(())
    }

    fn add(&mut self, cells: &Cells) -> anyhow::Result<()> {
        self.rows.as_mut().map_or(Ok(()), |rows| rows.add(cells)).context("--csv")
    }

    /// The column of a metric, which is added if it is new; None if the limit on cells leaves no room for it.
    fn column(&mut self, name: &str) -> Option<usize> {
        if let Some(id) = self.columns.get(name) {
            return Some(id);
        }
        let rows = self.rows.as_ref().map_or(0, Rows::count);
        if (rows + 1).saturating_mul(self.columns.len() as u64 + 1) > self.max_cells {
            if !self.warned {
                let (path, limit) = (self.path(), self.max_cells);
                let reason = "and later new metrics are omitted: more than tracking.csv_cells";
                cli::note(&format!("{}: {name:?} {reason}, {limit}", path.display()));
                self.warned = true;
            }
            return None;
        }
        self.file = None;
        Some(self.columns.add(name))
    }

    /// Rewrites the file, which lacks columns, unless rewriting has used up its share of the time.
    fn catch_up(&mut self) -> anyhow::Result<()> {
        if self.rewriting > ALLOWANCE + self.opened.elapsed() / SHARE { Ok(()) } else { self.rewrite() }
    }

    fn rewrite(&mut self) -> anyhow::Result<()> {
        let Some(rows) = &mut self.rows else { return Ok(()) };
        let (path, began) = (self.folder.join("metrics.csv"), Instant::now());
        self.columns.sort();
        let mut file = BufWriter::new(Output::create(Some(&path))?);
        self.columns.write_header(&mut file)?;
        rows.each(|cells| self.columns.write_row(&mut file, &cells))?;
        file.into_inner().map_err(io::IntoInnerError::into_error)?.finish_unsynced()?;
        self.file = Some(BufWriter::new(File::options().append(true).open(path)?));
        self.rewriting += began.elapsed();
        Ok(())
    }
}

impl Sink for CsvLogger {
    fn flag(&self) -> &'static str {
        "--csv"
    }

    fn folder(&self) -> &Path {
        &self.folder
    }

    fn has_files(&self) -> bool {
        self.path().exists()
    }

    fn start(&mut self, start: &Start) -> anyhow::Result<()> {
        ignore_missing(fs::remove_file(self.path())).with_context(|| self.path().display().to_string())?;
        self.begin(start)?;
        self.rewrite()
    }

    fn resume(&mut self, start: &Start, step: usize) -> anyhow::Result<()> {
        self.begin(start)?;
        self.read(step).with_context(|| self.path().display().to_string())?;
        self.rewrite()
    }

    fn rewind(&mut self, step: usize) -> anyhow::Result<()> {
        let Some(mut old) = self.rows.replace(Rows::new(&self.folder)?) else { return Ok(()) };
        let (columns, Some(kept)) = (&self.columns, &mut self.rows) else { return Ok(()) };
        old.each(|cells| if columns.keeps(&cells, step) { kept.add(&cells) } else { Ok(()) })?;
        self.rewrite().with_context(|| self.path().display().to_string())
    }

    fn log(&mut self, measurement: &Measurement) -> anyhow::Result<()> {
        let mut cells = Cells::new();
        for (name, value) in measurement.metrics.iter() {
            if let Some(id) = self.column(name) {
                cells.insert(id, number(value));
            }
        }
        for (name, count) in [("epoch", measurement.epoch), ("step", measurement.step)] {
            cells.insert(self.columns.add(name), count.to_string());
        }
        self.add(&cells)?;
        match &mut self.file {
            Some(file) => self.columns.write_row(file, &cells).and_then(|()| file.flush()).context("--csv"),
            None => self.catch_up().with_context(|| self.path().display().to_string()),
        }
    }

    fn finish(&mut self) -> anyhow::Result<()> {
        let lacks_columns = self.rows.is_some() && self.file.is_none();
        if lacks_columns { self.rewrite().with_context(|| self.path().display().to_string()) } else { Ok(()) }
    }
}

/// Opens a regular file; None if there is no file. Opening a named pipe would block, and a device may have no end.
fn open_regular(path: &Path) -> anyhow::Result<Option<File>> {
    match fs::metadata(path) {
        Ok(meta) if meta.is_file() => Ok(Some(File::open(path)?)),
        Ok(_) => anyhow::bail!("not a regular file"),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Also true of an empty file. Leaves the position at the beginning.
fn ends_with_newline(mut file: &File) -> io::Result<bool> {
    let mut last = [b'\n'];
    if file.seek(SeekFrom::End(0))? > 0 {
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        file.seek(SeekFrom::Start(0))?;
    }
    Ok(last == *b"\n")
}
