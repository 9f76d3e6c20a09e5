//! A message as a person can read it: one line of bounded length that a terminal shows and does not obey.
//!
//! What a file, a model or a server says goes into messages, and any of them may say a megabyte. Here is the last place
//! that a message comes through.

/// Characters of a token that came with the input: a number, a name, a quoted text. What is longer is no longer read.
const TOKEN: usize = 64;
/// Characters of the name of a file or folder, as systems allow them.
const NAME: usize = 255;
/// Characters of a text without blanks: a path, a list, a URL.
const RUN: usize = 1024;
/// Characters of a message.
const MESSAGE: usize = 2048;
/// Stands for what was cut.
const CUT: char = '\u{2026}';
/// What ends a token within a text without blanks.
const BETWEEN: &[char] =
    &['/', '\\', ',', ';', ':', '=', '&', '?', '|', '(', ')', '[', ']', '{', '}', '<', '>', '"', '\'', '`'];

/// `text` in one line, control characters escaped, tokens and the whole cut.
pub fn line(text: &str) -> String {
    let joined = text.lines().map(str::trim).collect::<Vec<_>>().join(" ");
    let mut out = String::new();
    let mut rest = joined.as_str();
    // Once no quote ends one that began, none is looked for again: a text of quotes would take time in n².
    let mut closes = true;
    while let Some(next) = rest.chars().next() {
        let length = match next {
            '"' if closes => quoted(rest).unwrap_or_else(|| {
                closes = false;
                1
            }),
            '"' => 1,
            blank if blank.is_whitespace() => blank.len_utf8(),
            _ => rest.find(|c: char| c.is_whitespace() || c == '"').unwrap_or(rest.len()),
        };
        let (part, after) = rest.split_at(length);
        out.push_str(&shortened(part));
        rest = after;
    }
    escaped(&cut(&out, MESSAGE), |c| c == '\t')
}

/// The bytes of the text in double quotes that `text` begins with.
fn quoted(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().skip(1).find_map(|(index, character)| {
        let ends = character == '"' && !escaped;
        escaped = character == '\\' && !escaped;
        ends.then_some(index + 1)
    })
}

fn shortened(part: &str) -> String {
    let inner = part.strip_prefix('"').and_then(|part| part.strip_suffix('"'));
    match inner {
        // A quoted path is a path.
        Some(inner) if !inner.contains('/') || inner.contains(char::is_whitespace) => {
            format!("\"{}\"", cut(inner, TOKEN))
        }
        Some(inner) => format!("\"{}\"", run(inner)),
        None => run(part),
    }
}

/// A text without blanks, each token of it cut.
fn run(text: &str) -> String {
    let longest = if text.contains('/') { NAME } else { TOKEN };
    let tokens = text.split_inclusive(BETWEEN).map(|token| match token.chars().next_back() {
        Some(end) if BETWEEN.contains(&end) => cut(&token[..token.len() - end.len_utf8()], longest) + &end.to_string(),
        _ => cut(token, longest),
    });
    cut(&tokens.collect::<String>(), RUN)
}

fn cut(text: &str, length: usize) -> String {
    match text.char_indices().nth(length) {
        None => text.to_owned(),
        Some(_) => text.chars().take(length - 1).chain([CUT]).collect(),
    }
}

/// `text` with control characters, invisible characters and characters that change the direction of writing as escapes
/// (`\u{1b}`).
///
/// ```
/// assert_eq!(cli::printable("a\u{1b}[31m\u{202e}b"), r"a\u{1b}[31m\u{202e}b");
/// ```
pub fn printable(text: &str) -> String {
    escaped(text, |_| false)
}

fn escaped(text: &str, is_kept: impl Fn(char) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_kept(c) || is_printable(c) { out.push(c) } else { out.extend(c.escape_unicode()) }
    }
    out
}

fn is_printable(c: char) -> bool {
    let invisible = matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}');
    !c.is_control() && !invisible
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_is_short_stays_as_it_is() {
        for text in [
            "stdin:3: field \"probs\" sums to 1.3, expected 1 ± 1e-4 (use --normalize)",
            "expected \"a \\\"b\\\" c\" or \"d",
            "a\tb",
            "",
        ] {
            assert_eq!(line(text), text);
        }
        let path = format!("/tmp/{}/{}/x.npy: no such file", "folder".repeat(40), "d".repeat(255));
        assert_eq!(line(&path), path);
        assert_eq!(line("one\n  two\r\nthree"), "one two three");
    }

    #[test]
    fn a_token_is_cut_wherever_it_stands() {
        let token = "9".repeat(900_000);
        let short = format!("{}\u{2026}", "9".repeat(63));
        assert_eq!(line(&format!("stdin: shape ({token},2) is")), format!("stdin: shape ({short},2) is"));
        assert_eq!(line(&format!("key={token}")), format!("key={short}"));
        let words = "word ".repeat(100);
        assert_eq!(line(&format!("class \"{words}\" is none")), format!("class \"{}\u{2026}\" is none", &words[..63]));
        for long in [token.clone(), format!("\"{token}"), "a,".repeat(90_000), "x ".repeat(90_000), "/a".repeat(90_000)]
        {
            assert!(line(&long).chars().count() <= MESSAGE, "{}", &long[..9]);
        }
        let bytes = line(&"é".repeat(900_000));
        assert_eq!(bytes.chars().count(), 64);
    }

    #[test]
    fn nothing_that_a_terminal_obeys_comes_through() {
        assert_eq!(
            line("a\u{1b}]0;x\u{7}b\u{9b}2J\u{202e}c\0\u{7f}"),
            concat!(r"a\u{1b}]0;x\u{7}b\u{9b}2J\u{202e}c\u{0}", r"\u{7f}")
        );
        assert_ne!(printable("a\u{1}"), printable("a\u{2}"));
        assert_eq!(printable("äé 日本"), "äé 日本");
        let quotes = "\\\"".repeat(1 << 20);
        assert!(line(&quotes).chars().count() <= MESSAGE);
        let controls = line(&"\u{1b}".repeat(9000));
        assert!(controls.len() < 1000, "{}", controls.len());
    }
}
