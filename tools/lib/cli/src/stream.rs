//! The input and output of a filter: a tool that reads records and writes them with changed fields.

use crate::not_dash;
use files::{Input, Output};
use records::{Batch, DType, Encoding, ReadOptions, Reader, Writer};
use std::{path::PathBuf, str::FromStr};

/// Declares a filter's arguments: the config groups that it reads, its own flags, those of its two
/// streams, and those that every tool has. `args.streams(input)` then opens nothing yet, but knows where from and where to.
#[macro_export]
macro_rules! filter_arguments {
    (groups: $groups:tt, $(#[$meta:meta])* struct $name:ident { $($fields:tt)* }) => {
        $crate::arguments! {
            groups: $groups,
            input: File,
            $(#[$meta])*
            struct $name {
                $($fields)*
                /// output file, written whole or not at all (default: standard output)
                #[argh(option, short = 'o', arg_name = "file")]
                out: Option<std::path::PathBuf>,
                /// encoding of the output: npy, ndjson or csv (default: by the output file's name, otherwise the input's)
                #[argh(option, arg_name = "npy|ndjson|csv")]
                to: Option<records::Encoding>,
                /// element type that numbers in NDJSON and CSV are read as: f4 or f8 (default f8)
                #[argh(option, arg_name = "f4|f8")]
                dtype: Option<records::DType>,
                /// what separates the cells of CSV: one character, or tab (default: a comma; a tab for .tsv files)
                #[argh(option, arg_name = "character")]
                delimiter: Option<$crate::Delimiter>,
                /// fail unless exactly this many rows are read
                #[argh(option)]
                expect_rows: Option<u64>,
            }
        }

        impl $name {
            fn streams(&mut self, input: Option<std::path::PathBuf>) -> $crate::Streams {
                $crate::Streams {
                    input,
                    output: self.out.take(),
                    to: self.to,
                    float: self.dtype,
                    delimiter: self.delimiter,
                    expect_rows: self.expect_rows,
                    fortran_bytes: None,
                }
            }
        }
    };
}

/// The character between the cells of CSV: ASCII, no letter, digit or quote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delimiter(pub u8);

impl FromStr for Delimiter {
    type Err = InvalidDelimiter;

    fn from_str(text: &str) -> Result<Self, InvalidDelimiter> {
        match text.as_bytes() {
            b"tab" | b"\\t" => Ok(Self(b'\t')),
            [byte] if byte.is_ascii() && !byte.is_ascii_alphanumeric() && !matches!(byte, b'"' | b'\n' | b'\r') => {
                Ok(Self(*byte))
            }
            _ => Err(InvalidDelimiter(text.to_owned())),
        }
    }
}

/// A value that `--delimiter` does not take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?}: expected one character that is no letter, digit or quote, or tab")]
pub struct InvalidDelimiter(String);

/// Where a filter's rows come from and go to, and how they are written.
#[derive(Debug, Default)]
pub struct Streams {
    /// Input file; none is standard input.
    pub input: Option<PathBuf>,
    /// Output file; none, or `-`, is standard output.
    pub output: Option<PathBuf>,
    /// Encoding of the output; otherwise the output file's name says, otherwise it is the input's.
    pub to: Option<Encoding>,
    /// Element type of floating-point numbers in NDJSON and CSV.
    pub float: Option<DType>,
    /// What separates the cells of CSV, read or written.
    pub delimiter: Option<Delimiter>,
    /// Fail unless exactly this many rows are read.
    pub expect_rows: Option<u64>,
    /// Most bytes of an array in Fortran order that comes over a pipe; none is what [`ReadOptions`] has.
    pub fortran_bytes: Option<u64>,
}

impl Streams {
    /// Reads rows, lets `change` set columns of each batch, and writes them.
    ///
    /// `needs` are the required numeric fields, which the tool's `--field` names; `adds` are the new fields, which its
    /// `--out-field` names and which the input must not have.
    ///
    /// # Errors
    /// What reading, `change` or writing says; the output file is then not there.
    pub fn filter(
        self,
        needs: &[&str],
        adds: &[&str],
        change: impl FnMut(&mut Batch) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let input = crate::open(self.input.as_deref(), "records")?;
        self.filter_from(input, options(needs, adds), change)
    }

    /// As [`Streams::filter`], in two steps: while a batch is computed elsewhere, the next is read. Batches of NPY have
    /// about `batch_bytes`.
    ///
    /// Rows come out in their order, and the first error is that of the first row, as with [`Streams::filter`]. Small batches
    /// are finished before more is read: a slow pipe's rows are not held back.
    ///
    /// # Errors
    /// As [`Streams::filter`].
    pub fn filter_ahead(
        self,
        needs: &[&str],
        adds: &[&str],
        batch_bytes: usize,
        filter: &mut impl Ahead,
    ) -> anyhow::Result<()> {
        let input = crate::open(self.input.as_deref(), "records")?;
        let (mut reader, mut writer) = self.open(input, ReadOptions { batch_bytes, ..options(needs, adds) })?;
        let mut pending: Option<Batch> = None;
        let (mut batch, mut spare) = (Batch::new(), Batch::new());
        loop {
            // An error of a later row waits for the rows before it.
            let next = reader.read(&mut batch).map_err(anyhow::Error::from);
            let next = next.and_then(|more| if more { filter.start(&batch).map(|()| true) } else { Ok(false) });
            if let Some(mut computed) = pending.take() {
                filter.finish(&mut computed)?;
                writer.write(&computed)?;
                spare = computed;
            }
            if !next? {
                break;
            }
            if batch.packed().len() < AHEAD_BYTES {
                filter.finish(&mut batch)?;
                writer.write(&batch)?;
            } else {
                pending = Some(std::mem::replace(&mut batch, std::mem::take(&mut spare)));
            }
        }
        finish(writer)
    }

    /// As [`Streams::filter`], from an input that is open already and read as `options` say.
    ///
    /// # Errors
    /// As [`Streams::filter`].
    pub fn filter_from(
        self,
        input: Input,
        options: ReadOptions<'_>,
        mut change: impl FnMut(&mut Batch) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let (mut reader, mut writer) = self.open(input, options)?;
        let mut batch = Batch::new();
        while reader.read(&mut batch)? {
            change(&mut batch)?;
            writer.write(&batch)?;
        }
        finish(writer)
    }

    fn open(self, input: Input, mut options: ReadOptions<'_>) -> anyhow::Result<(Reader, Writer)> {
        let output = not_dash(self.output);
        let to = output_encoding(self.to, output.as_deref())?;
        options.float = self.float.unwrap_or(DType::F8);
        anyhow::ensure!(matches!(options.float, DType::F4 | DType::F8), "--dtype {}: expected f4 or f8", options.float);
        options.expect_rows = self.expect_rows;
        options.delimiter = self.delimiter.map(|Delimiter(delimiter)| delimiter);
        options.to = to;
        let is_tsv = output.as_ref().is_some_and(|path| path.extension().is_some_and(|kind| kind == "tsv"));
        options.fortran_bytes = self.fortran_bytes.unwrap_or(options.fortran_bytes);
        let reader = Reader::open(input, &options)?;
        let to = match (to.unwrap_or(reader.encoding()), self.delimiter) {
            // A .tsv file has tabs, whatever the input has.
            (Encoding::Csv { .. }, Some(Delimiter(delimiter))) if !is_tsv => Encoding::Csv { delimiter },
            (to, _) => to,
        };
        Ok((reader, Writer::new(Output::create(output.as_deref())?, to, None)))
    }
}

/// What a filter reads that needs some fields and adds others.
fn options<'a>(needs: &[&'a str], adds: &[&'a str]) -> ReadOptions<'a> {
    let adds = adds.iter().map(|name| (*name, "--out-field")).collect();
    let remedies = needs.iter().map(|name| (*name, records::chosen_by("--field NAME"))).collect();
    ReadOptions { adds, remedies, ..ReadOptions::floats(needs) }
}

fn finish(writer: Writer) -> anyhow::Result<()> {
    for field in writer.omitted_fields() {
        crate::note(&format!("field {field} is no scalar, and left out of CSV (--to ndjson has it)"));
    }
    Ok(writer.finish()?)
}

/// Bytes of a batch from which on it is computed while the next is read.
const AHEAD_BYTES: usize = 64 << 10;

/// A filter in two steps. At most two batches are started and not finished; they are finished in their order.
pub trait Ahead {
    /// Starts to compute a batch.
    ///
    /// # Errors
    /// If it cannot be started.
    fn start(&mut self, batch: &Batch) -> anyhow::Result<()>;
    /// Waits for the oldest batch that was started, which this is, and sets its columns.
    ///
    /// # Errors
    /// If it cannot be computed, or a row is refused.
    fn finish(&mut self, batch: &mut Batch) -> anyhow::Result<()>;
}

/// How the rows of an output are written, if its flag `--to` or the extension of its name says: as its input otherwise.
///
/// # Errors
/// When the extension is that of a format that is not written.
pub fn output_encoding(
    to: Option<Encoding>,
    path: Option<&std::path::Path>,
) -> Result<Option<Encoding>, records::Error> {
    match (to, path) {
        (None, Some(path)) => Encoding::of_output(path),
        _ => Ok(to),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::VecDeque, fs};

    /// Doubles `x`, and refuses -1.
    #[derive(Default)]
    struct Double {
        started: VecDeque<Vec<f64>>,
        most: usize,
    }

    impl Ahead for Double {
        fn start(&mut self, batch: &Batch) -> anyhow::Result<()> {
            let mut values = Vec::new();
            batch.column_f64("x", &mut values)?;
            self.started.push_back(values);
            self.most = self.most.max(self.started.len());
            Ok(())
        }

        fn finish(&mut self, batch: &mut Batch) -> anyhow::Result<()> {
            let values = self.started.pop_front().expect("a batch was started");
            assert_eq!(values.len(), batch.rows());
            if let Some(row) = values.iter().position(|&x| x == -1.0) {
                return Err(batch.location(row).error("minus one".to_owned()).into());
            }
            let doubled: Vec<f64> = values.iter().map(|x| 2.0 * x).collect();
            Ok(batch.set_column("y", &[], &doubled)?)
        }
    }

    /// Both ways: the bytes of the output, or the error; and the most batches at a time.
    fn both(input: &[u8]) -> [Result<Vec<u8>, String>; 2] {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, out) = (folder.path().join("in"), folder.path().join("out"));
        fs::write(&path, input).expect("written");
        let streams = || Streams { input: Some(path.clone()), output: Some(out.clone()), ..Streams::default() };
        let result = |done: anyhow::Result<()>| match done {
            Ok(()) => Ok(fs::read(&out).expect("an output")),
            Err(error) => Err(format!("{error:#}")),
        };
        let mut ahead = Double::default();
        let first = result(streams().filter_ahead(&["x"], &["y"], 256 << 10, &mut ahead));
        assert!(ahead.most <= 2, "{} batches at a time", ahead.most);
        let mut plain = Double::default();
        let second = result(streams().filter(&["x"], &["y"], |batch| {
            plain.start(batch)?;
            plain.finish(batch)
        }));
        [first, second]
    }

    /// `rows` rows of `x`, of which those in `bad` are -1.
    fn npy(rows: usize, bad: &[usize]) -> Vec<u8> {
        let header = format!("{{'descr': [('x', '<f8')], 'fortran_order': False, 'shape': ({rows},), }}");
        let header = format!("{header:<117}\n");
        let mut bytes = [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes()].concat();
        for row in 0..rows {
            bytes.extend((if bad.contains(&row) { -1.0 } else { row as f64 }).to_le_bytes());
        }
        bytes
    }

    #[test]
    fn rows_and_errors_are_those_of_a_filter_in_one_step() {
        for rows in [1, 100, 32_768, 32_769, 200_000] {
            let [ahead, plain] = both(&npy(rows, &[]));
            assert!(ahead.is_ok() && ahead == plain, "{rows}");
            // The earlier of two bad rows; and a bad row before an input that is cut off in a later batch.
            let [ahead, plain] = both(&npy(rows, &[rows - 1, rows / 2]));
            assert!(ahead.is_err() && ahead == plain, "{ahead:?} {plain:?}");
            let mut cut = npy(rows, &[0]);
            cut.truncate(cut.len() - 4);
            let [ahead, plain] = both(&cut);
            assert!(ahead.is_err() && (rows < 100_000 || ahead == plain), "{ahead:?} {plain:?}");
        }
        let lines: String = (0..100_000).map(|row| format!("{{\"x\":{row}.5}}\n")).collect();
        let [ahead, plain] = both(lines.as_bytes());
        assert!(ahead.is_ok() && ahead == plain);
    }
}
