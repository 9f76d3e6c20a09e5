//! Strings in YAML: plain, single- or double-quoted, folded at 80 columns, as PyYAML's emitter does.

use crate::{node::Value, scalar};

/// The column after which a space becomes a line break.
const WIDTH: usize = 80;
/// Line breaks to YAML 1.1 and plain characters to YAML 1.2: double quotes escape them for both.
/// This is the one departure from PyYAML's bytes.
const OLD_BREAKS: &str = "\u{85}\u{2028}\u{2029}";
const SPACES: &str = "\0 \t\r\n";

/// What a string is: a key stays on one line.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Role {
    Key,
    Value,
}

/// Appends `text` in the plainest style that reads back the same; further lines begin at `indent`.
pub(super) fn write(text: &str, indent: usize, role: Role, out: &mut String) {
    let chars: Vec<char> = text.chars().collect();
    let column = out.chars().rev().take_while(|c| *c != '\n').count();
    let mut writer = Writer { out, column, indent, split: role == Role::Value };
    let styles = allowed_styles(&chars);
    let is_key_on_lines = role == Role::Key && text.contains('\n');
    if styles.plain && is_plain_string(text) {
        writer.plain(&chars);
    } else if styles.single && !is_key_on_lines {
        writer.single_quoted(&chars);
    } else {
        writer.double_quoted(&chars);
    }
}

/// Whether readers of YAML 1.1 take the plain text for a string, and OmegaConf leaves it plain.
fn is_plain_string(text: &str) -> bool {
    let other_word = matches!(text, "" | "=" | "<<" | "y" | "Y" | "n" | "N");
    let is_string = matches!(scalar::resolve(text), Ok(Value::Str(_)));
    is_string && !other_word && !is_python_number(text) && !is_timestamp(text)
}

/// What Python's `int` or `float` reads: OmegaConf quotes it.
fn is_python_number(text: &str) -> bool {
    let text = text.trim();
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if ["inf", "infinity", "nan"].iter().any(|name| unsigned.eq_ignore_ascii_case(name)) {
        return true;
    }
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let parts_fit = [whole, fraction].iter().all(|part| part.is_empty() || are_digits(part));
    let exponent_fits = exponent.is_none_or(|digits| are_digits(digits.strip_prefix(['+', '-']).unwrap_or(digits)));
    parts_fit && exponent_fits && !(whole.is_empty() && fraction.is_empty())
}

/// Digits, with single underscores between them.
fn are_digits(text: &str) -> bool {
    text.split('_').all(|group| !group.is_empty() && group.chars().all(|c| c.is_ascii_digit()))
}

/// `2020-01-01`, or with a time after it: a timestamp to readers of YAML 1.1.
fn is_timestamp(text: &str) -> bool {
    let (date, time) = match text.find(['T', 't', ' ', '\t']) {
        Some(at) => (&text[..at], Some(text[at + 1..].trim_start_matches([' ', '\t']))),
        None => (text, None),
    };
    let parts: Vec<&str> = date.split('-').collect();
    let [year, month, day] = parts.as_slice() else { return false };
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let is_date =
        year.len() == 4 && month.len() <= 2 && day.len() <= 2 && [year, month, day].iter().all(|p| is_number(p));
    let full = month.len() == 2 && day.len() == 2;
    is_date && time.map_or(full, is_time)
}

/// `1:30:00.5 +02:00`
fn is_time(text: &str) -> bool {
    let clock_end = text.find(|c: char| !(c.is_ascii_digit() || c == ':' || c == '.')).unwrap_or(text.len());
    let (clock, zone) = text.split_at(clock_end);
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let parts: Vec<&str> = clock.split(':').collect();
    let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    let digits = parts.iter().all(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
    let zone = zone.trim_start_matches([' ', '\t']);
    let zone_fits = zone.is_empty()
        || zone == "Z"
        || zone.strip_prefix(['+', '-']).is_some_and(|zone| {
            let (hours, minutes) = zone.split_once(':').unwrap_or((zone, "00"));
            let digits = [hours, minutes].iter().all(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
            digits && matches!(hours.len(), 1 | 2) && minutes.len() == 2
        });
    matches!(lengths.as_slice(), [1 | 2, 2, 2]) && digits && !fraction.contains(['.', ':']) && zone_fits
}

/// The styles in which a string reads back the same, besides double quotes, in which all do.
struct Styles {
    plain: bool,
    single: bool,
}

fn allowed_styles(chars: &[char]) -> Styles {
    let is_break = |c: char| c == '\n';
    let outer = |c: Option<&char>| c.is_some_and(|c| *c == ' ' || is_break(*c));
    let pairs = || chars.windows(2).map(|pair| (pair[0], pair[1]));
    let break_space = pairs().any(|(a, b)| is_break(a) && b == ' ');
    let space_break = pairs().any(|(a, b)| a == ' ' && is_break(b));
    let special = chars.iter().any(|c| !is_printable(*c));
    let padded = outer(chars.first()) || outer(chars.last());
    let lines = chars.iter().any(|c| is_break(*c));
    Styles {
        plain: !(padded || break_space || space_break || special || lines || has_indicator(chars)),
        single: !(break_space || space_break || special),
    }
}

fn is_printable(c: char) -> bool {
    let unicode =
        matches!(c, '\u{a0}'..='\u{fffd}' | '\u{10000}'..='\u{10fffe}') && c != '\u{feff}' && !OLD_BREAKS.contains(c);
    c == '\n' || (' '..='~').contains(&c) || unicode
}

/// Whether the text, plain, would begin or hold something other than text.
fn has_indicator(chars: &[char]) -> bool {
    let spaced = |c: Option<&char>| c.is_none_or(|c| SPACES.contains(*c));
    let starts = |text: &str| chars.iter().take(text.len()).copied().eq(text.chars());
    let leads = match chars.first() {
        Some(c) if "#,[]{}&*!|>'\"%@`".contains(*c) => true,
        Some('?' | ':' | '-') => spaced(chars.get(1)),
        _ => false,
    };
    let within = |(at, c): (usize, &char)| match c {
        ':' => at > 0 && spaced(chars.get(at + 1)),
        '#' => at > 0 && spaced(chars.get(at - 1)),
        _ => false,
    };
    starts("---") || starts("...") || leads || chars.iter().enumerate().any(within)
}

struct Writer<'o> {
    out: &'o mut String,
    column: usize,
    indent: usize,
    /// Whether the text may be folded.
    split: bool,
}

impl Writer<'_> {
    fn push(&mut self, chars: &[char]) {
        self.out.extend(chars);
        self.column += chars.len();
    }

    fn push_str(&mut self, text: &str) {
        self.out.push_str(text);
        self.column += text.chars().count();
    }

    fn line(&mut self) {
        self.out.push('\n');
        self.column = 0;
    }

    fn fold(&mut self) {
        self.line();
        self.pad();
    }

    fn pad(&mut self) {
        self.out.extend(std::iter::repeat_n(' ', self.indent));
        self.column = self.indent;
    }

    /// Runs of characters of one kind, as the emitter goes through them.
    fn plain(&mut self, chars: &[char]) {
        for run in chars.chunk_by(|a, b| (*a == ' ') == (*b == ' ')) {
            if run == [' '] && self.column > WIDTH && self.split {
                self.fold();
            } else {
                self.push(run);
            }
        }
    }

    fn single_quoted(&mut self, chars: &[char]) {
        self.push(&['\'']);
        let kind = |c: char| match c {
            ' ' => 0,
            '\n' => 1,
            _ => 2,
        };
        let mut at = 0;
        for run in chars.chunk_by(|a, b| kind(*a) == kind(*b)) {
            let inside = at > 0 && at + run.len() < chars.len();
            match kind(run[0]) {
                0 if run.len() == 1 && self.column > WIDTH && self.split && inside => self.fold(),
                1 => {
                    // One break more than there are: a single one would read as a space.
                    (0..=run.len()).for_each(|_| self.line());
                    self.pad();
                }
                _ => {
                    for c in run {
                        self.push(if *c == '\'' { &['\'', '\''] } else { std::slice::from_ref(c) });
                    }
                }
            }
            at += run.len();
        }
        self.push(&['\'']);
    }

    fn double_quoted(&mut self, chars: &[char]) {
        self.push(&['"']);
        let mut start = 0;
        for at in 0..=chars.len() {
            let c = chars.get(at).copied();
            if c.is_none_or(needs_escape) {
                self.push(&chars[start.min(at)..at]);
                start = at;
                if let Some(c) = c {
                    self.push_str(&escape(c));
                    start = at + 1;
                }
            }
            let inside = at > 0 && at + 1 < chars.len();
            let held = at.saturating_sub(start);
            if inside && (c == Some(' ') || start >= at) && self.column + held > WIDTH && self.split {
                self.push(&chars[start.min(at)..at]);
                self.push(&['\\']);
                start = start.max(at);
                self.fold();
                if chars.get(start) == Some(&' ') {
                    self.push(&['\\']);
                }
            }
        }
        self.push(&['"']);
    }
}

fn needs_escape(c: char) -> bool {
    let shown = (' '..='~').contains(&c) || matches!(c, '\u{a0}'..='\u{fffd}');
    matches!(c, '"' | '\\' | '\u{2028}' | '\u{2029}' | '\u{feff}') || !shown
}

fn escape(c: char) -> String {
    let short = match c {
        '\0' => '0',
        '\u{7}' => 'a',
        '\u{8}' => 'b',
        '\t' => 't',
        '\n' => 'n',
        '\u{b}' => 'v',
        '\u{c}' => 'f',
        '\r' => 'r',
        '\u{1b}' => 'e',
        '"' => '"',
        '\\' => '\\',
        '\u{85}' => 'N',
        '\u{2028}' => 'L',
        '\u{2029}' => 'P',
        c => {
            let code = u32::from(c);
            return match code {
                0..=0xff => format!("\\x{code:02X}"),
                0x100..=0xffff => format!("\\u{code:04X}"),
                _ => format!("\\U{code:08X}"),
            };
        }
    };
    format!("\\{short}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// PyYAML's resolver of `tag:yaml.org,2002:timestamp`.
    #[test]
    fn timestamps_are_those_of_yaml_1_1() {
        for text in ["2020-01-01", "2020-1-1 1:00:00", "2020-01-01T10:00:00Z", "2020-01-01 1:30:00.5 +02:00"] {
            assert!(is_timestamp(text), "{text}");
        }
        for text in
            ["2020-1-1", "2020-ab-01", "20-01-01", "2020-001-01", "2020--1 1:00:00", "2020-01-01 1:00", "2020-01"]
        {
            assert!(!is_timestamp(text), "{text}");
        }
    }
}
