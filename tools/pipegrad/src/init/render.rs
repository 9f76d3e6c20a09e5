//! Filling in a template's file.
//!
//! `$name$` stands for a value. Lines from `#if name` to `#end` stay where the flag `name` is set. Both are valid in YAML
//! and Markdown, so that templates are formatted and checked as what they are.

use super::template;
use std::collections::BTreeMap;

/// The place in `README.md` of the part that all templates share.
const COMMANDS: &str = "commands";
/// What a value's name stands between.
const MARK: char = '$';

/// The values and flags of a project.
#[derive(Debug, Default)]
pub struct Text {
    values: BTreeMap<&'static str, String>,
    flags: Vec<&'static str>,
}

impl Text {
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a value.
    pub fn set(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.values.insert(name, value.into());
        self
    }

    /// Sets a flag.
    pub fn with(mut self, flag: &'static str) -> Self {
        self.flags.push(flag);
        self
    }

    /// The file, filled in.
    pub fn render(&self, template: &str) -> String {
        let mut text = String::with_capacity(template.len());
        let mut is_kept = true;
        for line in template.lines() {
            if let Some(flag) = line.trim_start().strip_prefix("#if ") {
                is_kept = self.flags.contains(&flag);
            } else if line.trim_start() == "#end" {
                is_kept = true;
            } else if is_kept {
                self.fill(line, &mut text);
                text.push('\n');
            }
        }
        text
    }

    /// Appends a line with its values; a value is not filled in again.
    fn fill(&self, line: &str, text: &mut String) {
        let mut rest = line;
        while let Some((before, after)) = rest.split_once(MARK) {
            text.push_str(before);
            match after.split_once(MARK).and_then(|(name, after)| Some((self.value(name)?, after))) {
                Some((value, after)) => {
                    text.push_str(&value);
                    rest = after;
                }
                None => {
                    text.push(MARK);
                    rest = after;
                }
            }
        }
        text.push_str(rest);
    }

    fn value(&self, name: &str) -> Option<String> {
        match name {
            COMMANDS => Some(self.render(template::COMMANDS_TEXT).trim_end().to_owned()),
            name => self.values.get(name).cloned(),
        }
    }
}

/// `text` as a YAML scalar that is text: plain where that is what it reads as, otherwise in double quotes.
pub fn yaml(text: &str) -> String {
    const WORDS: [&str; 8] = ["true", "false", "null", "yes", "no", "on", "off", "n"];
    let is_word = |c: char| c.is_ascii_alphanumeric() || "_-/.".contains(c);
    let is_plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(is_word)
        && !WORDS.iter().any(|word| text.eq_ignore_ascii_case(word))
        && !text.eq_ignore_ascii_case("y");
    if is_plain {
        return text.to_owned();
    }
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() || ('\u{2028}'..='\u{2029}').contains(&c) || c == '\u{feff}' => {
                out.push_str(&format!("\\U{:08x}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_filled_in_once_and_flagged_lines_stay() {
        let text = Text::new().set("a", "$b$").set("b", "2").with("on");
        let template = "x $a$ $b$y $c$ ${b}$ $$1\n  #if on\n1\n#end\n#if off\n2\n#end\n3\n";
        assert_eq!(text.render(template), "x $b$ 2y $c$ ${b}$ $$1\n1\n3\n");
    }

    #[test]
    fn text_is_text_in_yaml() {
        for (text, expected) in [
            ("price", "price"),
            ("data/houses.csv", "data/houses.csv"),
            ("../photos", "\"../photos\""),
            ("median price", "\"median price\""),
            ("Yes", "\"Yes\""),
            ("1e3", "\"1e3\""),
            ("a\"b\\c\n", "\"a\\\"b\\\\c\\U0000000a\""),
            ("", "\"\""),
        ] {
            assert_eq!(yaml(text), expected);
            let read: String = serde_yaml::from_str(expected).expect("valid");
            assert_eq!(read, text);
        }
    }
}
