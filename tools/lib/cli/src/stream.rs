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
        let adds = adds.iter().map(|name| (*name, "--out-field")).collect();
        let remedies = needs.iter().map(|name| (*name, records::chosen_by("--field NAME"))).collect();
        let options = ReadOptions { adds, remedies, ..ReadOptions::floats(needs) };
        self.filter_from(input, options, change)
    }

    /// As [`Streams::filter`], from an input that is open already and read as `options` say.
    ///
    /// # Errors
    /// As [`Streams::filter`].
    pub fn filter_from(
        self,
        input: Input,
        mut options: ReadOptions<'_>,
        mut change: impl FnMut(&mut Batch) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let output = not_dash(self.output);
        let to = output_encoding(self.to, output.as_deref())?;
        options.float = self.float.unwrap_or(DType::F8);
        anyhow::ensure!(matches!(options.float, DType::F4 | DType::F8), "--dtype {}: expected f4 or f8", options.float);
        options.expect_rows = self.expect_rows;
        options.delimiter = self.delimiter.map(|Delimiter(delimiter)| delimiter);
        options.to = to;
        let is_tsv = output.as_ref().is_some_and(|path| path.extension().is_some_and(|kind| kind == "tsv"));
        options.fortran_bytes = self.fortran_bytes.unwrap_or(options.fortran_bytes);
        let mut reader = Reader::open(input, &options)?;
        let to = match (to.unwrap_or(reader.encoding()), self.delimiter) {
            // A .tsv file has tabs, whatever the input has.
            (Encoding::Csv { .. }, Some(Delimiter(delimiter))) if !is_tsv => Encoding::Csv { delimiter },
            (to, _) => to,
        };
        let mut writer = Writer::new(Output::create(output.as_deref())?, to, None);
        let mut batch = Batch::new();
        while reader.read(&mut batch)? {
            change(&mut batch)?;
            writer.write(&batch)?;
        }
        for field in writer.omitted_fields() {
            crate::note(&format!("field {field} is no scalar, and left out of CSV (--to ndjson has it)"));
        }
        Ok(writer.finish()?)
    }
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
