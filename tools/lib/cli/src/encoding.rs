//! `--to` of tools that write a table.

use anyhow::{bail, ensure};
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
    /// The encoding of an output by the extension of its name; [`Encoding::Table`] without one.
    ///
    /// # Errors
    /// When the extension is that of a format that is not written.
    pub fn of_output(path: Option<&Path>) -> anyhow::Result<Self> {
        let Some(path) = path else { return Ok(Self::Table) };
        ensure!(
            !files::promises_another(path, &["csv", "json", "md"]),
            "{}: a table is written as .txt, .md, .csv or .json, unless --to says how",
            path.display()
        );
        let extension = path.extension().and_then(|extension| extension.to_str());
        Ok(extension.and_then(|name| name.parse().ok()).unwrap_or(Self::Table))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_files_extension_chooses() {
        let of = |name: &str| Encoding::of_output(Some(Path::new(name))).expect("a format that is written");
        assert_eq!((of("a/t.md"), of("t.csv"), of("t.json")), (Encoding::Markdown, Encoding::Csv, Encoding::Json));
        assert_eq!(
            (of("t.txt"), of("t"), Encoding::of_output(None).expect("a table")),
            (Encoding::Table, Encoding::Table, Encoding::Table)
        );
        assert!("xml".parse::<Encoding>().is_err());
        assert!(Encoding::of_output(Some(Path::new("t.parquet"))).is_err());
    }
}
