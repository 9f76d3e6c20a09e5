//! Python's `fnmatch`, which Hydra's `glob()` uses: `*`, `?`, `[a-z]` and `[!a-z]` over a whole name.
//!
//! The crate `globset` does not match the same names: to it `{a,b}` is an alternative, `[^a]` a negation, and an
//! unclosed `[` or an empty range `[b-a]` an error; to `fnmatch` they are plain text, a set with `^`, plain text, and
//! a set that holds nothing. The tests below have one of each.

/// Whether `name` matches `pattern`.
pub(crate) fn matches(name: &str, pattern: &str) -> bool {
    let (name, pattern): (Vec<char>, Vec<char>) = (name.chars().collect(), pattern.chars().collect());
    let (mut n, mut p) = (0, 0);
    // Behind the last star, and how much of the name it holds: it takes one character more after each failure.
    let mut star: Option<(usize, usize)> = None;
    loop {
        if pattern.get(p) == Some(&'*') {
            p += 1;
            star = Some((p, n));
            continue;
        }
        let step = match name.get(n) {
            Some(c) => one(*c, &pattern[p..]),
            None if p == pattern.len() => return true,
            None => return false,
        };
        match (step, star) {
            (Some(len), _) => (n, p) = (n + 1, p + len),
            (None, Some((behind, held))) => {
                star = Some((behind, held + 1));
                (n, p) = (held + 1, behind);
            }
            (None, None) => return false,
        }
    }
}

/// The length of the pattern's first part, if `c` matches it.
fn one(c: char, pattern: &[char]) -> Option<usize> {
    match pattern.first()? {
        '?' => Some(1),
        '[' => match set(&pattern[1..]) {
            Some(set) => holds(set, c).then_some(set.len() + 2),
            // A bracket that nothing closes is plain.
            None => (c == '[').then_some(1),
        },
        plain => (c == *plain).then_some(1),
    }
}

/// What stands in a bracket: a `]` that comes first, or after a `!`, is part of it.
fn set(pattern: &[char]) -> Option<&[char]> {
    let first = if pattern.first() == Some(&'!') { 2 } else { 1 };
    let end = first + pattern.get(first..)?.iter().position(|c| *c == ']')?;
    Some(&pattern[..end])
}

fn holds(set: &[char], c: char) -> bool {
    let (negated, mut rest) = match set {
        ['!', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let mut found = false;
    while let Some((first, after)) = rest.split_first() {
        let last = match after {
            ['-', last, more @ ..] => {
                rest = more;
                last
            }
            _ => {
                rest = after;
                first
            }
        };
        found |= (*first..=*last).contains(&c);
    }
    found != negated
}

#[cfg(test)]
mod tests {
    use super::matches;

    /// Checked against CPython 3.11's `fnmatch.fnmatchcase`.
    #[test]
    fn patterns_are_pythons() {
        let yes = [
            ("mlp", "*"),
            ("", "*"),
            ("mlp", "m*"),
            ("mlp", "*p"),
            ("mlp", "m?p"),
            ("mlp", "[lm]lp"),
            ("mlp", "[!x]lp"),
            ("mlp", "[a-m]lp"),
            ("a]c", "a[]]c"),
            ("a[c", "a[c"),
            ("a-c", "a[x-]c"),
            ("a-c", "a[-x]c"),
            ("a^c", "a[^b]c"),
            ("abc", "a[^b]c"),
            ("abcbc", "a*bc"),
            ("a.b", "a.b"),
            ("a*b", "a[*]b"),
            ("axc", "a[!]]c"),
            ("aaa", "*a*a*"),
            ("resnet20", "res*[0-9]"),
            ("a\nb", "a*b"),
            ("x", "[!b-a]"),
            ("é", "?"),
        ];
        let no = [
            ("mlp", ""),
            ("mlp", "ml"),
            ("mlp", "lp"),
            ("mlp", "[!m]lp"),
            ("MLP", "mlp"),
            ("a]c", "a[!]]c"),
            ("ab", "a?b"),
            ("axb", "a.b"),
            ("x", "[b-a]"),
            ("aa", "*a*a*a*"),
            ("", "?"),
            ("[", "[[]]"),
            ("mlp", "{mlp,x}"),
        ];
        yes.iter().for_each(|(name, pattern)| assert!(matches(name, pattern), "{name} {pattern}"));
        no.iter().for_each(|(name, pattern)| assert!(!matches(name, pattern), "{name} {pattern}"));
    }

    #[test]
    fn many_stars_take_no_time() {
        assert!(!matches(&"a".repeat(2000), &("*a".repeat(50) + "b")));
    }
}
