//! The rows so far, in a temporary file.

use anyhow::Context;
use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, Seek, SeekFrom, Write},
    path::Path,
};

/// The cells of a row that are not empty: text, quoted where CSV requires it, by column id.
pub type Cells = BTreeMap<usize, String>;

/// A cell's text as CSV: quoted if it has a comma, a quote or a line break.
pub fn encoded(text: &str) -> anyhow::Result<String> {
    let mut record = csv::WriterBuilder::new().buffer_capacity(text.len() + 2).from_writer(Vec::new());
    record.write_record([text])?;
    let mut cell = String::from_utf8(record.into_inner()?)?;
    cell.pop(); // the line break
    Ok(cell)
}

/// Rows in a file without a name, which disappears with the process.
pub struct Rows {
    file: BufWriter<File>,
    count: u64,
}

impl Rows {
    /// # Errors
    /// If no file can be created in `folder`.
    pub fn new(folder: &Path) -> anyhow::Result<Self> {
        let file = tempfile::tempfile_in(folder).with_context(|| format!("--csv {}", folder.display()))?;
        Ok(Self { file: BufWriter::new(file), count: 0 })
    }

    /// The number of rows.
    pub fn count(&self) -> u64 {
        self.count
    }

    pub fn add(&mut self, cells: &Cells) -> io::Result<()> {
        let row: Vec<_> = cells.iter().collect();
        serde_json::to_writer(&mut self.file, &row)?;
        self.count += 1;
        self.file.write_all(b"\n")
    }

    /// Calls `act` with each row, in order.
    pub fn each(&mut self, mut act: impl FnMut(Cells) -> io::Result<()>) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(0))?;
        for row in BufReader::new(self.file.get_ref()).lines() {
            let row: Vec<(usize, String)> = serde_json::from_str(&row?)?;
            act(row.into_iter().collect())?;
        }
        self.file.seek(SeekFrom::End(0)).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::encoded;

    #[test]
    fn cells_are_quoted_where_csv_requires_it() {
        for (text, expected) in [("0.5", "0.5"), ("a,b", "\"a,b\""), ("a\"b", "\"a\"\"b\""), ("a\nb", "\"a\nb\"")] {
            assert_eq!(encoded(text).expect("memory"), expected);
        }
    }
}
