//! Numbers as Python writes them, so that documents read the same as Hydra's.

/// Digits before the point up to which Python's `repr` writes a float without an exponent.
const PLAIN_DIGITS: i32 = 16;
/// Least power of ten that Python's `repr` writes without an exponent.
const PLAIN_LEAST: i32 = -4;

/// A float as Python's `repr` writes it: the shortest digits that read back the same.
pub(crate) fn repr(value: f64) -> String {
    if value.is_nan() {
        return "nan".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf" } else { "-inf" }.into();
    }
    let shortest = format!("{value:e}");
    let (digits, exponent) = shortest.split_once('e').unwrap_or((&shortest, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (PLAIN_LEAST..PLAIN_DIGITS).contains(&exponent) {
        // `{:?}` keeps the `.0` of a whole number, but has its own idea of when an exponent is due.
        let plain = format!("{value}");
        return if plain.contains('.') { plain } else { plain + ".0" };
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

/// A float as PyYAML writes it: with a point always, as YAML 1.1 reads nothing else as a float.
pub(crate) fn format(value: f64) -> String {
    if value.is_nan() {
        return ".nan".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { ".inf" } else { "-.inf" }.into();
    }
    let text = repr(value);
    match text.split_once('e') {
        Some((digits, exponent)) if !digits.contains('.') => format!("{digits}.0e{exponent}"),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What CPython 3.11 and PyYAML 6.0 print.
    #[test]
    fn floats_look_as_in_python() {
        let cases = [
            (1e-3, "0.001", "0.001"),
            (1e-5, "1e-05", "1.0e-05"),
            (1.5e-7, "1.5e-07", "1.5e-07"),
            (0.0001, "0.0001", "0.0001"),
            (1e15, "1000000000000000.0", "1000000000000000.0"),
            (1e16, "1e+16", "1.0e+16"),
            (123456789012345680.0, "1.2345678901234568e+17", "1.2345678901234568e+17"),
            (-0.0, "-0.0", "-0.0"),
            (5e-324, "5e-324", "5.0e-324"),
            (0.1, "0.1", "0.1"),
            (100.0, "100.0", "100.0"),
            (f64::INFINITY, "inf", ".inf"),
            (f64::NEG_INFINITY, "-inf", "-.inf"),
            (f64::NAN, "nan", ".nan"),
        ];
        for (value, python, yaml) in cases {
            assert_eq!(repr(value), python);
            assert_eq!(format(value), yaml);
        }
    }
}
