//! Numbers with SI prefixes.

const LARGE: [&str; 7] = ["", "k", "M", "G", "T", "P", "E"];
const SMALL: [&str; 4] = ["", "m", "µ", "n"];
/// Significant digits.
const DIGITS: usize = 4;
const MAX_DECIMALS: i32 = 12;

/// `1.814 G`, `512`.
pub fn count(value: u64) -> String {
    if value < 1000 { value.to_string() } else { prefixed(value as f64, "") }
}

/// `46.76 MB`, of 10⁶ bytes.
pub fn bytes(value: u64) -> String {
    if value < 1000 { format!("{value} B") } else { prefixed(value as f64, "B") }
}

/// `1.234 ms`.
pub fn seconds(value: f64) -> String {
    prefixed(value, "s")
}

/// Rounded to four significant digits, or more before the point.
pub fn number(value: f64) -> String {
    // The exponent after rounding: 0.99996 has that of 1.
    let rounded = format!("{value:.*e}", DIGITS - 1);
    let exponent: i32 = rounded.rsplit_once('e').and_then(|(_, exponent)| exponent.parse().ok()).unwrap_or(0);
    let decimals = if value == 0.0 { 0 } else { (DIGITS as i32 - 1 - exponent).clamp(0, MAX_DECIMALS) };
    format!("{value:.*}", usize::try_from(decimals).unwrap_or(0))
}

/// A share in percent.
pub fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

fn prefixed(value: f64, unit: &str) -> String {
    let (mut value, mut step) = (value, 0i32);
    // Rounding may lead to 1000.
    while value.abs() >= 999.95 && step < LARGE.len() as i32 - 1 {
        (value, step) = (value / 1000.0, step + 1);
    }
    while value != 0.0 && value.abs() < 0.99995 && step > 1 - SMALL.len() as i32 {
        (value, step) = (value * 1000.0, step - 1);
    }
    let prefix = if step < 0 { SMALL[step.unsigned_abs() as usize] } else { LARGE[step as usize] };
    format!("{} {prefix}{unit}", number(value)).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_four_digits_and_a_prefix() {
        assert_eq!([0, 7, 999, 1000, 1_814_073_344].map(count), ["0", "7", "999", "1.000 k", "1.814 G"]);
        assert_eq!([12, 46_758_400].map(bytes), ["12 B", "46.76 MB"]);
        assert_eq!(
            [0.0, 1.5e-3, 2.25e-7, 999.96e-6, 3.0].map(seconds),
            ["0 s", "1.500 ms", "225.0 ns", "1.000 ms", "3.000 s"]
        );
        assert_eq!(count(u64::MAX), "18.45 E");
        assert_eq!([0.0, 12.3456, 123456.7].map(number), ["0", "12.35", "123457"]);
    }
}
