//! Rounded numbers for tables and messages.

/// Significant digits of a metric.
const DIGITS: usize = 5;
/// Significant digits of half an interval's width.
const INTERVAL_DIGITS: usize = 2;
/// Decimals beyond which numbers are written with an exponent.
const MAX_DECIMALS: i32 = 9;

/// Rounded to five significant digits.
pub fn number(value: f64) -> String {
    rounded(value, DIGITS as i32 - 1 - magnitude(value))
}

/// `0.1234 ± 0.0056`: the half width has two significant digits, the mean as many decimals.
pub fn estimate(mean: f64, half_width: f64) -> String {
    if half_width == 0.0 || !half_width.is_finite() {
        return format!("{} ± {}", number(mean), number(half_width));
    }
    let decimals = INTERVAL_DIGITS as i32 - 1 - magnitude(half_width);
    format!("{} ± {}", rounded(mean, decimals), rounded(half_width, decimals))
}

/// The power of ten of the first digit.
fn magnitude(value: f64) -> i32 {
    let text = format!("{value:.*e}", DIGITS - 1);
    text.rsplit_once('e').and_then(|(_, exponent)| exponent.parse().ok()).unwrap_or(0)
}

fn rounded(value: f64, decimals: i32) -> String {
    if value.is_nan() {
        return "NaN".into();
    }
    if decimals <= MAX_DECIMALS && magnitude(value) < MAX_DECIMALS {
        let decimals = usize::try_from(decimals).unwrap_or(0);
        return format!("{value:.decimals$}");
    }
    let digits = usize::try_from(decimals + magnitude(value)).unwrap_or(0).min(DIGITS - 1);
    format!("{value:.digits$e}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_five_digits() {
        for (value, text) in [
            (0.0123456789, "0.012346"),
            (1.0, "1.0000"),
            (99999.6, "100000"),
            (123456.7, "123457"),
            (1.5e-7, "1.5000e-7"),
            (-2.5e12, "-2.5000e12"),
            (0.0, "0.0000"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn a_mean_has_the_decimals_of_its_interval() {
        for (mean, half, text) in [
            (0.123456, 0.00123, "0.1235 ± 0.0012"),
            (0.5, 12.3, "0 ± 12"),
            (1234.5, 345.6, "1234 ± 346"),
            (1.234e-10, 2e-12, "1.234e-10 ± 2.0e-12"),
            (0.25, 0.0, "0.25000 ± 0.0000"),
            (f64::NAN, f64::NAN, "NaN ± NaN"),
        ] {
            assert_eq!(estimate(mean, half), text);
        }
    }
}
