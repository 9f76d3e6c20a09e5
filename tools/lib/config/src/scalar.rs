//! The type of a plain YAML scalar, as OmegaConf's loader decides it: YAML 1.1 as PyYAML has it,
//! without timestamps, and with floats that need no point (`1e-3`). Overrides have a grammar of their own
//! (`overrides::lexer`).

use crate::{node::Value, yaml::YamlError};

/// The typed value of a plain scalar: `1e-3` is a float, `1_000` an integer, `on` a boolean. An error where PyYAML would try a conversion and fail.
pub(crate) fn resolve(text: &str) -> Result<Value, YamlError> {
    if let Some(value) = keyword(text) {
        return Ok(value);
    }
    if is_yaml_float(text) {
        return Ok(Value::Float(float(text)));
    }
    if let Some(radix) = int_form(text) {
        return int(text, radix).map(Value::Int);
    }
    if is_short_float(text) {
        return Ok(Value::Float(float(text)));
    }
    Ok(Value::Str(text.to_owned()))
}

fn keyword(text: &str) -> Option<Value> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Some(Value::Null),
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Some(Value::Bool(true)),
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Some(Value::Bool(false)),
        _ => None,
    }
}

/// PyYAML's float: digits, a point, and an exponent that must have a sign.
fn is_yaml_float(text: &str) -> bool {
    let unsigned = unsign(text);
    match unsigned {
        ".inf" | ".Inf" | ".INF" => return true,
        ".nan" | ".NaN" | ".NAN" => return unsigned.len() == text.len(),
        _ => {}
    }
    if let Some(rest) = text.strip_prefix('.') {
        let rest = rest.trim_start_matches(is_digit_or_underscore);
        return text[1..].starts_with(is_digit) && (rest.is_empty() || is_exponent(rest, Sign::Needed));
    }
    if !unsigned.starts_with(is_digit) {
        return false;
    }
    let rest = unsigned.trim_start_matches(is_digit_or_underscore);
    if let Some(rest) = rest.strip_prefix('.') {
        let rest = rest.trim_start_matches(is_digit_or_underscore);
        return rest.is_empty() || is_exponent(rest, Sign::Needed);
    }
    // Base 60: 1:30.5
    let Some((whole, fraction)) = rest.split_once('.') else { return false };
    is_sexagesimal_tail(whole) && fraction.chars().all(is_digit_or_underscore)
}

/// OmegaConf's own float: an exponent with or without a sign, with or without a point before it.
fn is_short_float(text: &str) -> bool {
    let unsigned = unsign(text);
    let Some(rest) = grouped_digits(unsigned) else { return false };
    let rest = match rest.strip_prefix('.') {
        Some(rest) => rest.trim_start_matches(is_digit_or_underscore),
        None => rest,
    };
    is_exponent(rest, Sign::Optional)
}

enum Sign {
    Needed,
    Optional,
}

fn is_exponent(text: &str, sign: Sign) -> bool {
    let Some(rest) = text.strip_prefix(['e', 'E']) else { return false };
    let digits = match (rest.strip_prefix(['+', '-']), sign) {
        (Some(digits), _) => digits,
        (None, Sign::Optional) => rest,
        (None, Sign::Needed) => return false,
    };
    !digits.is_empty() && digits.chars().all(is_digit)
}

/// What follows `[0-9]+(_[0-9]+)*`.
fn grouped_digits(text: &str) -> Option<&str> {
    let rest = text.trim_start_matches(is_digit_or_underscore);
    let digits = &text[..text.len() - rest.len()];
    let valid = !digits.is_empty() && digits.split('_').all(|group| !group.is_empty());
    valid.then_some(rest)
}

#[derive(Clone, Copy, PartialEq)]
enum Form {
    Radix(u32),
    Sexagesimal,
}

fn int_form(text: &str) -> Option<Form> {
    let unsigned = unsign(text);
    let all =
        |digits: &str, allowed: fn(char) -> bool| !digits.is_empty() && digits.chars().all(|c| c == '_' || allowed(c));
    if let Some(digits) = unsigned.strip_prefix("0b") {
        return all(digits, |c| matches!(c, '0' | '1')).then_some(Form::Radix(2));
    }
    if let Some(digits) = unsigned.strip_prefix("0x") {
        return all(digits, |c| c.is_ascii_hexdigit()).then_some(Form::Radix(16));
    }
    if let Some(digits) = unsigned.strip_prefix('0') {
        return (digits.is_empty() || all(digits, |c| matches!(c, '0'..='7'))).then_some(Form::Radix(8));
    }
    if !unsigned.starts_with(is_digit) {
        return None;
    }
    match unsigned.trim_start_matches(is_digit_or_underscore) {
        "" => Some(Form::Radix(10)),
        rest => is_sexagesimal_tail(rest).then_some(Form::Sexagesimal),
    }
}

/// `(:[0-5]?[0-9])+`
fn is_sexagesimal_tail(text: &str) -> bool {
    let Some(rest) = text.strip_prefix(':') else { return false };
    rest.split(':').all(|part| match part.as_bytes() {
        [ones] => ones.is_ascii_digit(),
        [tens, ones] => (b'0'..=b'5').contains(tens) && ones.is_ascii_digit(),
        _ => false,
    })
}

fn int(text: &str, form: Form) -> Result<i128, YamlError> {
    let digits = unsign(text).replace('_', "");
    let magnitude = match form {
        Form::Sexagesimal => {
            digits.split(':').try_fold(0i128, |sum, part| sum.checked_mul(60)?.checked_add(part.parse().ok()?))
        }
        Form::Radix(radix) => {
            let digits = digits.trim_start_matches("0b").trim_start_matches("0x");
            i128::from_str_radix(digits, radix).ok()
        }
    };
    let magnitude = magnitude.ok_or_else(|| YamlError::Integer(text.to_owned()))?;
    Ok(if text.starts_with('-') { -magnitude } else { magnitude })
}

fn float(text: &str) -> f64 {
    let digits = unsign(text).replace('_', "").to_ascii_lowercase();
    let magnitude = match digits.as_str() {
        ".inf" => f64::INFINITY,
        ".nan" => f64::NAN,
        // Every part was matched as digits; `parse` reads them all.
        _ => digits.split(':').fold(0.0, |sum, part| sum * 60.0 + part.parse::<f64>().unwrap_or(f64::NAN)),
    };
    if text.starts_with('-') { -magnitude } else { magnitude }
}

fn unsign(text: &str) -> &str {
    text.strip_prefix(['+', '-']).unwrap_or(text)
}

fn is_digit(c: char) -> bool {
    c.is_ascii_digit()
}

fn is_digit_or_underscore(c: char) -> bool {
    c.is_ascii_digit() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `OmegaConf.create("a: TEXT")` gives (omegaconf 2.3).
    #[test]
    fn scalars_are_typed_as_omegaconf_types_them() {
        let float = |text: &str, value: f64| assert_eq!(resolve(text), Ok(Value::Float(value)), "{text}");
        for (text, value) in
            [("1e-3", 1e-3), ("1.", 1.0), (".5", 0.5), ("1_0.5", 10.5), ("1E5", 1e5), ("-1.5e+3", -1500.0)]
        {
            float(text, value);
        }
        float("1:30.5", 90.5);
        float("-.inf", f64::NEG_INFINITY);
        let int = |text: &str, value: i128| assert_eq!(resolve(text), Ok(Value::Int(value)), "{text}");
        for (text, value) in
            [("0", 0), ("-7", -7), ("1_000", 1000), ("0x1F", 31), ("0b101", 5), ("017", 15), ("1:30", 90)]
        {
            int(text, value);
        }
        for text in
            ["08", "1e", "e5", "0o17", "1_e5", "-", ".", "+.nan", "2020-01-01", "y", "n", "1.2.3", "-.5", ".5e3"]
        {
            assert_eq!(resolve(text), Ok(Value::Str(text.into())), "{text}");
        }
        assert_eq!(resolve("yes"), Ok(Value::Bool(true)));
        assert_eq!(resolve("Off"), Ok(Value::Bool(false)));
        assert_eq!(resolve("~"), Ok(Value::Null));
    }

    #[test]
    fn numbers_that_do_not_fit_are_refused() {
        assert!(resolve(&"9".repeat(60)).is_err());
        assert!(resolve("0x_").is_err());
    }
}
