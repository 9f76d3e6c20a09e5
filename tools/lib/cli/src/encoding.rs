//! `--to` of tools that write a table.

use anyhow::bail;
use std::{path::Path, str::FromStr};

/// How a table is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Columns of aligned text.
    Table,
    /// A table of GitHub-flavored Markdown.
    Markdown,
    /// Full precision, all columns.
    Csv,
    /// As CSV, with what has no place in a table.
    Json,
}

impl FromStr for Encoding {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> anyhow::Result<Self> {
        match name {
            "table" => Ok(Self::Table),
            "md" => Ok(Self::Markdown),
            "csv" => Ok(Self::Csv),
            "json" => Ok(Self::Json),
            _ => bail!("unknown encoding {name:?}; expected table, md, csv or json"),
        }
    }
}

impl Encoding {
    /// The encoding by the extension of a file's name; [`Encoding::Table`] without one.
    pub fn of_file(path: Option<&Path>) -> Self {
        let extension = path.and_then(|path| path.extension()?.to_str());
        extension.and_then(|name| name.parse().ok()).unwrap_or(Self::Table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_files_extension_chooses() {
        let of = |name: &str| Encoding::of_file(Some(Path::new(name)));
        assert_eq!((of("a/t.md"), of("t.csv"), of("t.json")), (Encoding::Markdown, Encoding::Csv, Encoding::Json));
        assert_eq!(
            (of("t.txt"), of("t"), Encoding::of_file(None)),
            (Encoding::Table, Encoding::Table, Encoding::Table)
        );
        assert!("xml".parse::<Encoding>().is_err());
    }
}
