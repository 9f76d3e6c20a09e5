//! How a document comes about, as Hydra's `--info` tells it.

use crate::{defaults::Branch, search::SearchPath};

/// The defaults list, its tree and the search path, ready to print.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// A table of the configs in the order of merging: path, package, whether `_self_` stands for
    /// it, and the config whose list brought it in.
    pub defaults: String,
    /// The defaults lists, each below the entry that brought it in.
    pub defaults_tree: String,
    /// A table of the folders that are searched, first to last.
    pub searchpath: String,
}

impl Explanation {
    pub(crate) fn new(defaults: &Branch, search: &SearchPath) -> Self {
        let rows = defaults.rows().into_iter().map(|row| {
            let is_self = if row.is_self { "True" } else { "False" };
            [&row.chosen.config_path, &row.chosen.package, is_self, row.parent].map(str::to_owned)
        });
        let parts = search.parts().into_iter().map(|(provider, place)| [provider.to_owned(), place]);
        Self {
            defaults: table(["Config path", "Package", "_self_", "Parent"], rows.collect()),
            defaults_tree: defaults.to_string(),
            searchpath: table(["Provider", "Search path"], parts.collect()),
        }
    }
}

/// A table in Hydra's own layout (`| --- |` with spaces around the rule), which no preset of comfy-table has.
fn table<const N: usize>(header: [&str; N], rows: Vec<[String; N]>) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([header[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let line = |cells: [&str; N]| {
        let cells = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "))
    };
    let rule = widths.map(|width| "-".repeat(width));
    let mut text = line(header) + &line(rule.each_ref().map(String::as_str));
    rows.iter().for_each(|row| text.push_str(&line(row.each_ref().map(String::as_str))));
    text
}
