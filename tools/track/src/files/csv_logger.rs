//! Lightning's `CSVLogger`: `metrics.csv`, a row for each measurement and its columns in alphabetical
//! order, and the settings in `hparams.yaml`.
//!
//! A new column means that the file is written anew. The rows are therefore kept a second time, in a file without a
//! name, with the cells alone that are not empty; and where writing anew begins to take long, new columns are gathered
//! until it has been paid for.

use super::{Measured, Sink, ensure_writable, if_there, is_final, number};
use anyhow::Context;
use csv::ReaderBuilder;
use events::Start;
use files::{Output, write_file};
use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    fs::{self, File},
    io::{self, BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// Time that writing the file anew may take in all: this, and a tenth of what has passed.
const ALLOWANCE: Duration = Duration::from_millis(250);
const SHARE: u32 = 10;

pub struct CsvLogger {
    folder: PathBuf,
    /// Cells that the file may have, the empty ones as well.
    max_cells: u64,
    columns: Columns,
    rows: Option<Rows>,
    /// The end of the file; None while it lacks columns that rows have.
    end: Option<BufWriter<File>>,
    /// When the log was opened, and how long the file was written anew since.
    opened: Instant,
    rewriting: Duration,
    /// Whether it was told that a metric is left out.
    told: bool,
}

impl CsvLogger {
    pub fn open(folder: PathBuf, max_cells: u64) -> anyhow::Result<Self> {
        fs::create_dir_all(&folder).with_context(|| format!("--csv {}", folder.display()))?;
        let (columns, opened, rewriting) = (Columns::default(), Instant::now(), Duration::ZERO);
        Ok(Self { folder, max_cells, columns, rows: None, end: None, opened, rewriting, told: false })
    }

    fn path(&self) -> PathBuf {
        self.folder.join("metrics.csv")
    }

    fn begin(&mut self, start: &Start) -> anyhow::Result<()> {
        let text = serde_yaml::to_string(&start.config)?;
        let settings = self.folder.join("hparams.yaml");
        ensure_writable(&settings)?;
        write_file(&settings, text.as_bytes())?;
        (self.columns, self.told) = (Columns::default(), false);
        self.columns.add("epoch");
        self.columns.add("step");
        self.rows = Some(Rows::new(&self.folder)?);
        Ok(())
    }

    /// Takes the rows of an existing file over, but those beyond `step`. What a killed writer left of a row goes.
    fn read(&mut self, step: usize) -> anyhow::Result<()> {
        let Some(file) = regular(&self.path())? else { return Ok(()) };
        let whole = ends_with_newline(&file)?;
        let mut reader = ReaderBuilder::new().flexible(true).from_reader(file);
        let ids: Vec<usize> = reader.headers()?.iter().map(|name| self.columns.add(name)).collect();
        let mut rows = reader.records().peekable();
        while let Some(row) = rows.next() {
            let row = row?;
            if row.len() != ids.len() || (rows.peek().is_none() && !whole) {
                continue;
            }
            let cells = ids.iter().copied().zip(row.iter().map(str::to_owned)).filter(|(_, text)| !text.is_empty());
            let cells: Cells = cells.collect();
            if self.columns.keeps(&cells, step) {
                self.add(&cells)?;
            }
        }
        Ok(())
    }

    fn add(&mut self, cells: &Cells) -> anyhow::Result<()> {
        self.rows.as_mut().map_or(Ok(()), |rows| rows.add(cells)).context("--csv")
    }

    /// The column of a metric, a new one if need be; None where there is no room for one.
    fn column(&mut self, name: &str) -> Option<usize> {
        if let Some(id) = self.columns.ids.get(name) {
            return Some(*id);
        }
        let rows = self.rows.as_ref().map_or(0, |rows| rows.count);
        if (rows + 1).saturating_mul(self.columns.names.len() as u64 + 1) > self.max_cells {
            if !self.told {
                let (path, limit) = (self.path(), self.max_cells);
                let what = "and metrics that are first measured later are left out: more than tracking.csv_cells";
                cli::note(&format!("{}: {name:?} {what}, {limit}", path.display()));
                self.told = true;
            }
            return None;
        }
        self.end = None;
        Some(self.columns.add(name))
    }

    /// Writes the file anew where it lacks columns, unless that was done for too long already.
    fn catch_up(&mut self) -> anyhow::Result<()> {
        if self.rewriting > ALLOWANCE + self.opened.elapsed() / SHARE { Ok(()) } else { self.rewrite() }
    }

    fn rewrite(&mut self) -> anyhow::Result<()> {
        let Some(rows) = &mut self.rows else { return Ok(()) };
        let (path, began) = (self.folder.join("metrics.csv"), Instant::now());
        let layout = self.columns.sort();
        let mut file = BufWriter::new(Output::create(Some(&path))?);
        layout.write_header(&mut file)?;
        rows.each(|cells| layout.write(&mut file, &cells))?;
        file.into_inner().map_err(io::IntoInnerError::into_error)?.finish_unsynced()?;
        self.end = Some(BufWriter::new(File::options().append(true).open(path)?));
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

    fn is_used(&self) -> bool {
        self.path().exists()
    }

    fn start(&mut self, start: &Start) -> anyhow::Result<()> {
        if_there(fs::remove_file(self.path())).with_context(|| self.path().display().to_string())?;
        self.begin(start)?;
        self.rewrite()
    }

    fn take_up(&mut self, start: &Start, step: usize) -> anyhow::Result<()> {
        self.begin(start)?;
        self.read(step).with_context(|| self.path().display().to_string())?;
        self.rewrite()
    }

    fn go_back(&mut self, step: usize) -> anyhow::Result<()> {
        let Some(mut old) = self.rows.replace(Rows::new(&self.folder)?) else { return Ok(()) };
        let (columns, Some(kept)) = (&self.columns, &mut self.rows) else { return Ok(()) };
        old.each(|cells| if columns.keeps(&cells, step) { kept.add(&cells) } else { Ok(()) })?;
        self.rewrite().with_context(|| self.path().display().to_string())
    }

    fn measure(&mut self, measured: &Measured) -> anyhow::Result<()> {
        let mut cells = Cells::new();
        for (name, value) in measured.metrics.iter() {
            if let Some(id) = self.column(name) {
                cells.insert(id, number(value));
            }
        }
        for (name, count) in [("epoch", measured.epoch), ("step", measured.step)] {
            cells.insert(self.columns.add(name), count.to_string());
        }
        self.add(&cells)?;
        match &mut self.end {
            Some(end) => self.columns.layout().write(end, &cells).and_then(|()| end.flush()).context("--csv"),
            None => self.catch_up().with_context(|| self.path().display().to_string()),
        }
    }

    fn finish(&mut self) -> anyhow::Result<()> {
        let lacks = self.rows.is_some() && self.end.is_none();
        if lacks { self.rewrite().with_context(|| self.path().display().to_string()) } else { Ok(()) }
    }
}

/// A row: text by column. What is not here is empty.
type Cells = BTreeMap<usize, String>;

/// Names by the order in which they came, and their order in the file.
#[derive(Default)]
struct Columns {
    names: Vec<String>,
    ids: HashMap<String, usize>,
    /// The columns from left to right.
    order: Vec<usize>,
    /// The position of each column.
    positions: Vec<usize>,
}

impl Columns {
    fn add(&mut self, name: &str) -> usize {
        if let Some(id) = self.ids.get(name) {
            return *id;
        }
        self.names.push(name.to_owned());
        self.ids.insert(name.to_owned(), self.names.len() - 1);
        self.names.len() - 1
    }

    /// Whether a row stays where the run goes on from `step`.
    fn keeps(&self, cells: &Cells, step: usize) -> bool {
        let name = |id: usize| self.names.get(id).map_or("", String::as_str);
        let mut metrics = cells.keys().map(|id| name(*id)).filter(|name| !matches!(*name, "epoch" | "step"));
        let at = self.ids.get("step").and_then(|id| cells.get(id)?.parse::<usize>().ok());
        let ended = !cells.is_empty() && metrics.clone().next().is_some() && metrics.all(is_final);
        at.is_some_and(|at| at <= step) && !ended
    }

    fn sort(&mut self) -> Layout<'_> {
        self.order = (0..self.names.len()).collect();
        self.order.sort_by(|a, b| self.names[*a].cmp(&self.names[*b]));
        self.positions = vec![0; self.names.len()];
        for (position, id) in self.order.iter().enumerate() {
            self.positions[*id] = position;
        }
        self.layout()
    }

    fn layout(&self) -> Layout<'_> {
        Layout { columns: self }
    }
}

/// Rows as text, with a separator for each column, whether it is empty or not.
struct Layout<'a> {
    columns: &'a Columns,
}

impl Layout<'_> {
    fn write_header(&self, to: &mut impl Write) -> io::Result<()> {
        for (position, id) in self.columns.order.iter().enumerate() {
            separators(to, usize::from(position > 0))?;
            to.write_all(quoted(&self.columns.names[*id]).as_bytes())?;
        }
        to.write_all(b"\n")
    }

    fn write(&self, to: &mut impl Write, cells: &Cells) -> io::Result<()> {
        let mut cells: Vec<_> = cells.iter().map(|(id, text)| (self.columns.positions[*id], text)).collect();
        cells.sort_unstable();
        let mut position = 0;
        for (at, text) in cells {
            separators(to, at - position)?;
            position = at;
            to.write_all(quoted(text).as_bytes())?;
        }
        separators(to, self.columns.order.len() - 1 - position)?;
        to.write_all(b"\n")
    }
}

fn separators(to: &mut impl Write, mut count: usize) -> io::Result<()> {
    const MANY: [u8; 1 << 14] = [b','; 1 << 14];
    while count > 0 {
        let some = count.min(MANY.len());
        to.write_all(&MANY[..some])?;
        count -= some;
    }
    Ok(())
}

fn quoted(text: &str) -> Cow<'_, str> {
    if text.contains([',', '"', '\n', '\r']) {
        Cow::Owned(format!("\"{}\"", text.replace('"', "\"\"")))
    } else {
        Cow::Borrowed(text)
    }
}

/// The rows so far, in a file that has no name and goes with the process.
struct Rows {
    file: BufWriter<File>,
    count: u64,
}

impl Rows {
    fn new(folder: &Path) -> anyhow::Result<Self> {
        let file = tempfile::tempfile_in(folder).with_context(|| format!("--csv {}", folder.display()))?;
        Ok(Self { file: BufWriter::new(file), count: 0 })
    }

    fn add(&mut self, cells: &Cells) -> io::Result<()> {
        let row: Vec<_> = cells.iter().collect();
        serde_json::to_writer(&mut self.file, &row)?;
        self.count += 1;
        self.file.write_all(b"\n")
    }

    fn each(&mut self, mut act: impl FnMut(Cells) -> io::Result<()>) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(0))?;
        for row in BufReader::new(self.file.get_ref()).lines() {
            let row: Vec<(usize, String)> = serde_json::from_str(&row?)?;
            act(row.into_iter().collect())?;
        }
        self.file.seek(SeekFrom::End(0)).map(drop)
    }
}

/// The file, if it is there; what is no file would be waited for, or never end.
fn regular(path: &Path) -> anyhow::Result<Option<File>> {
    match fs::metadata(path) {
        Ok(meta) if meta.is_file() => Ok(Some(File::open(path)?)),
        Ok(_) => anyhow::bail!("no regular file"),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn ends_with_newline(mut file: &File) -> io::Result<bool> {
    let mut last = [b'\n'];
    if file.seek(SeekFrom::End(0))? > 0 {
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        file.seek(SeekFrom::Start(0))?;
    }
    Ok(last == *b"\n")
}
