//! Names out of files in messages and pictures: shortened, and broken into lines.

/// The beginning of a long text, for a message.
pub fn excerpt(text: &str) -> String {
    /// Characters of a cell or a name in a message.
    const MOST: usize = 60;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The text in lines that `fits` allows, nothing left out: broken after a comma and a space, a slash or a space where
/// there is one in time, or else between characters.
pub fn wrapped(text: &str, fits: impl Fn(&str) -> bool) -> Vec<String> {
    let mut lines = Vec::new();
    let mut rest = text;
    while !fits(rest.trim_end()) {
        let ends: Vec<usize> = rest.char_indices().map(|(i, c)| i + c.len_utf8()).collect();
        // As many characters as fit, at least one.
        let room = ends.partition_point(|&end| fits(rest[..end].trim_end())).max(1);
        let within = &rest[..ends[room - 1]];
        let end = break_after(within, &rest[within.len()..]).unwrap_or(within.len());
        lines.push(rest[..end].trim_end().to_owned());
        rest = rest[end..].trim_start();
        if rest.is_empty() {
            return lines;
        }
    }
    lines.push(rest.trim_end().to_owned());
    lines
}

/// Where a line may end in `within`, which `next` follows; the later half, so that no line is nearly empty.
fn break_after(within: &str, next: &str) -> Option<usize> {
    if next.starts_with(' ') {
        return Some(within.len());
    }
    let last = |pattern: &str| within.rfind(pattern).map(|at| at + pattern.len()).filter(|end| *end * 2 > within.len());
    last(", ").or_else(|| last(" ")).or_else(|| last(",")).or_else(|| last("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrapping_loses_nothing() {
        let wrap = |text: &str, width: usize| wrapped(text, |line| line.chars().count() <= width);
        assert_eq!(wrap("optimizer=adam, seed=0", 40), ["optimizer=adam, seed=0"]);
        assert_eq!(wrap("optimizer=adam, seed=0", 16), ["optimizer=adam,", "seed=0"]);
        assert_eq!(wrap("runs/a/b", 5), ["runs/", "a/b"]);
        assert_eq!(wrap("abcdefgh", 3), ["abc", "def", "gh"]);
        assert_eq!(wrap("日本語", 1), ["日", "本", "語"]);
        assert_eq!(wrap("", 3), [""]);
        assert_eq!(wrap("abc", 0), ["a", "b", "c"]);
        assert_eq!(wrap("aaa bb", 3), ["aaa", "bb"]);
        let long = "learning_rate=0.001, batch_size=128, augmentation.pad_mode=reflect";
        for width in 1..70 {
            let lines = wrap(long, width);
            assert!(lines.iter().all(|line| line.chars().count() <= width));
            assert_eq!(lines.concat().replace(' ', ""), long.replace(' ', ""));
        }
    }
}
