//! The names of rows, from their folders.

use crate::ranked::RankedRows;
use std::path::{Path, PathBuf};

/// A name for each row: the part of its folder's path that distinguishes it from the others. For a row of several runs, a
/// shell pattern of their folders, with a star where they differ.
pub fn of(ranked: &RankedRows) -> Vec<String> {
    let pattern = |folders: Vec<String>| PathBuf::from(star(&folders));
    let folders = ranked.rows.iter().map(|row| row.runs.iter().map(|run| run.folder.display().to_string()).collect());
    let patterns: Vec<PathBuf> = folders.map(pattern).collect();
    let patterns: Vec<&Path> = patterns.iter().map(PathBuf::as_path).collect();
    runs::folder_names(&patterns)
}

fn star(texts: &[String]) -> String {
    let Some((first, rest)) = texts.split_first().filter(|(_, rest)| !rest.is_empty()) else { return texts.concat() };
    let front = rest.iter().fold(first.as_str(), |front, text| &front[..common_prefix(front.chars(), text.chars())]);
    // Whole words: seeds 10 and 11 are no `1*`.
    let front = &front[..front.trim_end_matches(char::is_alphanumeric).len()];
    // What is matched in front is not matched again at the end.
    let end = rest.iter().fold(&first[front.len()..], |end, text| {
        let length = common_prefix(end.chars().rev(), text[front.len()..].chars().rev());
        &end[end.len() - length..]
    });
    format!("{front}*{}", end.trim_start_matches(char::is_alphanumeric))
}

/// The length of the common prefix in bytes.
fn common_prefix(a: impl Iterator<Item = char>, b: impl Iterator<Item = char>) -> usize {
    a.zip(b).take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_a_row_share_a_pattern() {
        for (texts, expected) in [
            (vec!["runs/a"], "runs/a"),
            (vec!["s/lr=1,seed=0", "s/lr=1,seed=1"], "s/lr=1,seed=*"),
            (vec!["s/seed=0,x", "s/seed=10,x"], "s/seed=*,x"),
            (vec!["s/0", "s/00", "s/000"], "s/*"),
            (vec!["s/x-1", "s/x-1-1"], "s/x-*"),
            (vec!["a", "b"], "*"),
            (vec!["é/1", "è/1"], "*/1"),
        ] {
            assert_eq!(star(&texts.iter().map(ToString::to_string).collect::<Vec<_>>()), expected);
        }
    }
}
