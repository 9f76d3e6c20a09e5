//! The two ends of a filter.

use crate::not_dash;
use records::{Batch, DType, Encoding, Input, Output, ReadOptions, Reader, Writer};
use std::path::PathBuf;

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
                /// encoding of the output: npy or ndjson (default: by the output file's name, otherwise the input's)
                #[argh(option, arg_name = "npy|ndjson")]
                to: Option<records::Encoding>,
                /// element type that NDJSON's numbers are read as: f4 or f8 (default f8)
                #[argh(option, arg_name = "f4|f8")]
                dtype: Option<records::DType>,
                /// the number of rows that must come
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
                    expect_rows: self.expect_rows,
                }
            }
        }
    };
}

/// Where a filter's rows come from and go to, and how they are written.
#[derive(Debug, Default)]
pub struct Streams {
    /// Input file; none is standard input.
    pub input: Option<PathBuf>,
    /// Output file; none, or `-`, is standard output.
    pub output: Option<PathBuf>,
    /// Encoding of the output; otherwise the output file's name says, otherwise it is the input's.
    pub to: Option<Encoding>,
    /// Element type of NDJSON's floating-point numbers.
    pub float: Option<DType>,
    /// The number of rows that must come.
    pub expect_rows: Option<u64>,
}

impl Streams {
    /// Reads rows, lets `change` set columns of each batch, and writes them.
    ///
    /// `needs` are the fields that must be there; `adds` is the one that must not be there yet.
    ///
    /// # Errors
    /// What reading, `change` or writing says; the output file is then not there.
    pub fn filter(
        self,
        needs: &[&str],
        adds: Option<&str>,
        change: impl FnMut(&mut Batch) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let input = Input::open(self.input.as_deref())?;
        self.filter_from(input, needs, adds, change)
    }

    /// As [`Streams::filter`], from an input that is open already.
    ///
    /// # Errors
    /// As [`Streams::filter`].
    pub fn filter_from(
        self,
        input: Input,
        needs: &[&str],
        adds: Option<&str>,
        mut change: impl FnMut(&mut Batch) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let output = not_dash(self.output);
        let to = self.to.or_else(|| output.as_deref().and_then(Encoding::of_path));
        let mut options = ReadOptions::floats(needs);
        options.all_fields = to == Some(Encoding::Npy);
        options.float = self.float.unwrap_or(DType::F8);
        anyhow::ensure!(options.float.is_float(), "--dtype {}: expected f4 or f8", options.float);
        options.adds = adds;
        options.expect_rows = self.expect_rows;
        let mut reader = Reader::open(input, &options)?;
        let to = to.unwrap_or(reader.encoding());
        let mut writer = Writer::new(Output::create(output.as_deref())?, to, None);
        let mut batch = Batch::new();
        while reader.read(&mut batch)? {
            change(&mut batch)?;
            writer.write(&batch)?;
        }
        Ok(writer.finish()?)
    }
}
