//! A value as text that the grammar reads back: what Hydra hands to a job.

use super::{
    quote::{Quote, quoted},
    value::{self, Value},
};
use crate::number;

/// What a backslash makes plain, as in [`super::lexer`].
const ESCAPED: &str = "\\()[]{}:=, \t";

impl Value {
    /// The value as written behind the `=`. None for a sweep, which is several.
    pub(crate) fn to_text(&self) -> Option<String> {
        match self {
            // Behind the `=`, and only there, nothing is the empty text.
            Self::Str(text) if text.is_empty() => Some(String::new()),
            value => value.element(),
        }
    }

    fn element(&self) -> Option<String> {
        Some(match self {
            Self::Null => "null".into(),
            Self::Bool(true) => "True".into(),
            Self::Bool(false) => "False".into(),
            Self::Int(value) => value.to_string(),
            Self::Float(value) => number::repr(*value),
            Self::Str(text) => plain(text),
            Self::Quoted(text, quote) => quoted(text, *quote),
            Self::List(items) => {
                let items = items.iter().map(Self::element).collect::<Option<Vec<_>>>()?;
                format!("[{}]", items.join(","))
            }
            Self::Dict(pairs) => {
                let pair = |(key, value): &(String, Self)| Some(format!("{}:{}", escaped(key), value.element()?));
                format!("{{{}}}", pairs.iter().map(pair).collect::<Option<Vec<_>>>()?.join(","))
            }
            Self::Sweep(_) => return None,
        })
    }
}

/// Text without quotes, so that `choice('1')` is a number, as in Hydra; with quotes only where a job
/// could not read it otherwise, which Hydra leaves to the job.
fn plain(text: &str) -> String {
    let plain = escaped(text);
    if value::unquoted(&plain).is_ok() { plain } else { quoted(text, Quote::Single) }
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if ESCAPED.contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use crate::overrides::Override;

    fn text(value: &str) -> Option<String> {
        Override::parse(&format!("a={value}")).expect(value).value.expect("a value").to_text()
    }

    /// Checked against Hydra 1.3's `get_value_element_as_str`.
    #[test]
    fn values_are_written_as_hydra_hands_them_over() {
        let cases = [
            ("1e-3", "0.001"),
            ("1_000", "1000"),
            ("true", "True"),
            ("NULL", "null"),
            ("a b", r"a\ b"),
            ("${a.b}", r"$\{a.b\}"),
            ("'a b'", "'a b'"),
            (r#""it's""#, r#""it's""#),
            (r"'a\\'", r"'a\\'"),
            ("[ 1, a b, [] ]", r"[1,a\ b,[]]"),
            ("{a: 1, b c: 'x'}", r"{a:1,b\ c:'x'}"),
            ("", ""),
            ("str(1)", "1"),
        ];
        for (value, expected) in cases {
            assert_eq!(text(value).as_deref(), Some(expected), "{value}");
        }
    }

    #[test]
    fn text_that_would_not_be_read_back_keeps_quotes() {
        assert_eq!(text("str('a#b')").as_deref(), Some("'a#b'"));
        assert_eq!(text("str([''])").as_deref(), Some("['']"));
        assert_eq!(text(r#"str("it's")"#).as_deref(), Some(r"'it\'s'"));
    }

    #[test]
    fn a_sweep_has_no_text() {
        assert_eq!(text("[choice(1,2)]"), None);
    }

    proptest::proptest! {
        #[test]
        fn text_is_read_back_as_the_same_text(value in "[\\[\\]{}(),:='\"$a-c0-9_.+~@/\\\\ -]{0,20}") {
            let Ok(one) = Override::parse(&format!("a={value}")) else { return Ok(()) };
            if let Some(text) = one.value.and_then(|value| value.to_text()) {
                let again = Override::parse(&format!("a={text}")).expect(&text).value.and_then(|value| value.to_text());
                proptest::prop_assert_eq!(again, Some(text));
            }
        }
    }
}
