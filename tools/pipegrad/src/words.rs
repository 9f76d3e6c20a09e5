//! The words of a command line that is being typed.

/// Splits `line`, which ends at the cursor, as bash, zsh and fish agree on: blanks separate; quotes and backslashes
/// are removed, and a quote may still be open. The last word is the one at the cursor, empty after a blank. In the
/// others, which are finished, a leading `~/` is `home`.
pub fn split(line: &str, home: Option<&str>) -> Vec<String> {
    let mut words = vec![Word::default()];
    let mut chars = line.chars();
    let mut quote = None;
    while let Some(c) = chars.next() {
        let word = words.last_mut().expect("there is a word from the start");
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => (quote, word.has_begun) = (Some(c), true),
            (None | Some('"'), '\\') => word.escaped(chars.next(), quote.is_some()),
            (None, ' ' | '\t' | '\n') if word.has_begun => words.push(Word::default()),
            (None, ' ' | '\t' | '\n') => {}
            (None, '~') if !word.has_begun => (word.is_at_home, word.has_begun) = (true, true),
            (_, c) => word.push(c),
        }
    }
    let last = words.len() - 1;
    words.into_iter().enumerate().map(|(at, word)| word.finish(home.filter(|_| at < last))).collect()
}

#[derive(Default)]
struct Word {
    text: String,
    /// An empty word in quotes is a word.
    has_begun: bool,
    /// Begins with a `~` outside quotes.
    is_at_home: bool,
}

impl Word {
    fn push(&mut self, c: char) {
        self.text.push(c);
        self.has_begun = true;
    }

    /// Takes what follows a backslash. Between double quotes most of them are plain.
    fn escaped(&mut self, next: Option<char>, quoted: bool) {
        match next {
            Some('\n') | None => {}
            Some(c) => {
                if quoted && !"\\\"$`".contains(c) {
                    self.push('\\');
                }
                self.push(c);
            }
        }
    }

    fn finish(self, home: Option<&str>) -> String {
        match home.filter(|_| self.text.starts_with('/')) {
            _ if !self.is_at_home => self.text,
            Some(home) => format!("{home}{}", self.text),
            None => format!("~{}", self.text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_that_a_shell_passes_on() {
        let cases: &[(&str, &[&str])] = &[
            ("train mod", &["train", "mod"]),
            ("train  model=mlp\t", &["train", "model=mlp", ""]),
            ("a 'b c' \"d \\\" e\" f\\ g", &["a", "b c", "d \" e", "f g"]),
            ("a \"b\\n$c\" '\\'", &["a", "b\\n$c", "\\"]),
            ("a '' x=''", &["a", "", "x="]),
            ("a 'open b", &["a", "open b"]),
            ("a \"open b", &["a", "open b"]),
            ("a \\\n  b\\", &["a", "b"]),
            ("a ~/x '~/y' b~/z ~model ~/z", &["a", "/home/me/x", "~/y", "b~/z", "~model", "~/z"]),
            ("", &[""]),
        ];
        for (line, expected) in cases {
            assert_eq!(split(line, Some("/home/me")), *expected, "{line}");
        }
        assert_eq!(split("a ~/x ", None), ["a", "~/x", ""]);
    }
}
