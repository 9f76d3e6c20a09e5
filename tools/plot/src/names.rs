//! Names of inputs from their paths.

/// A name for each path, given as its components: those that all have in common, at the beginning and at the end, are left
/// out.
pub fn distinguishing(paths: &[&[String]]) -> Vec<String> {
    let Some(first) = paths.first() else { return Vec::new() };
    let shortest = paths.iter().map(|path| path.len()).min().unwrap_or(0);
    // At least the last part stays; where there is one path, that is its name.
    let front = (0..shortest.saturating_sub(1)).take_while(|&i| paths.iter().all(|p| p[i] == first[i])).count();
    let end = |path: &[String], i: usize| path[path.len() - 1 - i].clone();
    let back = (0..shortest.saturating_sub(front + 1))
        .take_while(|&i| paths.iter().all(|path| end(path, i) == end(first, i)))
        .count();
    let back = if paths.len() == 1 { 0 } else { back };
    let names: Vec<String> = paths.iter().map(|path| path[front..path.len() - back].join("/")).collect();
    let stems: Vec<String> = names.iter().map(|name| stem(name).to_owned()).collect();
    numbered(if all_differ(&stems) { stems } else { names })
}

/// A file's name without the extension of a kind that is read here.
fn stem(name: &str) -> &str {
    let known = [".csv", ".tsv", ".ndjson", ".jsonl", ".json", ".npy"];
    known.iter().find_map(|kind| name.strip_suffix(kind)).filter(|stem| !stem.is_empty()).unwrap_or(name)
}

fn all_differ(names: &[String]) -> bool {
    let mut sorted: Vec<_> = names.iter().collect();
    sorted.sort();
    sorted.windows(2).all(|pair| pair[0] != pair[1])
}

/// Makes names unique: the second of a name becomes `name (2)`, and so on.
pub fn numbered(names: Vec<String>) -> Vec<String> {
    let mut seen = std::collections::HashMap::new();
    let number = |name: String| {
        let count = seen.entry(name.clone()).and_modify(|count| *count += 1).or_insert(1);
        if *count == 1 { name } else { format!("{name} ({count})") }
    };
    names.into_iter().map(number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_paths_share_is_left_out() {
        for (paths, expected) in [
            (vec!["runs/a", "runs/b"], vec!["a", "b"]),
            (vec!["x/a/fold", "x/b/fold"], vec!["a", "b"]),
            (vec!["runs/a"], vec!["a"]),
            (vec!["runs/a.csv", "runs/b.csv"], vec!["a", "b"]),
            (vec!["a.csv", "a.tsv"], vec!["a.csv", "a.tsv"]),
            (vec!["runs/a", "runs/a/b"], vec!["a", "a/b"]),
            (vec!["a", "a"], vec!["a", "a (2)"]),
            (vec!["", "b"], vec!["", "b"]),
            (vec![], vec![]),
        ] {
            let parts: Vec<Vec<String>> = paths.iter().map(|p| p.split('/').map(str::to_owned).collect()).collect();
            let parts: Vec<&[String]> = parts.iter().map(Vec::as_slice).collect();
            assert_eq!(distinguishing(&parts), expected, "{paths:?}");
        }
        assert_eq!(distinguishing(&[&[], &["a".to_owned()]]), ["", "a"]);
    }
}
