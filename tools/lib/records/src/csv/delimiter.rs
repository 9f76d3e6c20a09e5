//! Delimiters that a table has and that its reader does not split at.

/// Delimiters that tables have.
const KNOWN: [u8; 4] = *b",;\t|";

/// The delimiter that the table probably has whose only column is called `name`, where it is split at `delimiter`.
pub fn other_delimiter(name: &str, delimiter: u8) -> Option<u8> {
    KNOWN.into_iter().find(|other| *other != delimiter && name.as_bytes().contains(other))
}

/// The flag of a tool for a delimiter, as a shell takes it: `--delimiter ';'`.
pub fn delimiter_flag(delimiter: u8) -> String {
    match delimiter {
        b'\t' => "--delimiter tab".to_owned(),
        other => format!("--delimiter '{}'", char::from(other)),
    }
}
