//! The encodings of a job: a line for xargs, NUL-terminated words, JSON.

use crate::jobs::Job;
use anyhow::ensure;
use std::borrow::Cow;

/// An encoding of a job.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Form {
    /// Its overrides as words, ended by a newline.
    Line,
    /// Its overrides as words, ended by a NUL character.
    Null,
    /// A JSON object, ended by a newline.
    Json,
}

impl Form {
    /// Appends a job to `out`.
    ///
    /// # Errors
    /// When a value contains the character that ends a job.
    pub fn write(self, job: &Job, out: &mut String) -> anyhow::Result<()> {
        if self == Self::Json {
            out.push_str(&serde_json::to_string(job)?);
            out.push('\n');
            return Ok(());
        }
        let ends: &[char] = if self == Self::Null { &['\0'] } else { &['\n', '\0'] };
        for (at, word) in job.overrides.iter().enumerate() {
            let fits = !word.contains(ends);
            ensure!(fits, "{word:?} does not fit on a line; --json takes any value, --null one with a newline");
            if at > 0 {
                out.push(' ');
            }
            out.push_str(&quote(word));
        }
        out.push(if self == Self::Null { '\0' } else { '\n' });
        Ok(())
    }
}

/// Characters besides letters and digits that mean themselves to a shell and to xargs.
const PLAIN: &str = "_@%+=:,./-";
/// Characters that keep a meaning within double quotes, for a shell (`!`: for one that keeps a history) or for xargs.
const ACTIVE: &str = "\"$`\\!";

/// `word` as a shell and xargs both read it. To xargs a backslash within quotes is plain, so that quotes are all there is.
fn quote(word: &str) -> Cow<'_, str> {
    if !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || PLAIN.contains(c)) {
        word.into()
    } else if !word.contains('\'') {
        format!("'{word}'").into()
    } else if !word.contains(|c| ACTIVE.contains(c)) {
        format!("\"{word}\"").into()
    } else {
        format!("'{}'", word.replace('\'', r#"'"'"'"#)).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_needs_quotes_has_them() {
        assert_eq!(quote("optimizer.learning_rate=1e-3"), "optimizer.learning_rate=1e-3");
        assert_eq!(quote("model.hidden=[64,64]"), "'model.hidden=[64,64]'");
        assert_eq!(quote("a='b c'"), "\"a='b c'\"");
        assert_eq!(quote(r"a='b$'"), r#"'a='"'"'b$'"'"''"#);
        assert_eq!(quote("~a"), "'~a'");
        assert_eq!(quote(""), "''");
    }

    #[test]
    fn words_come_back_from_a_shell_as_they_were() {
        let pieces = ["'", "\"", "\\", "$", "`", "!", " ", "a", "=", "~", "*", "#", "\t", "é", "{x,y}"];
        for a in pieces {
            for b in pieces {
                for c in pieces {
                    let word = [a, b, c].concat();
                    assert_eq!(shlex::split(&quote(&word)), Some(vec![word.clone()]), "{word}");
                }
            }
        }
    }
}
