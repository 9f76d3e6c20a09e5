//! Comparisons of a metric with a bound, as `--fail-if` of `score` and `compare` has them.

/// `>=`, `<=`, `>` or `<`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `>=`
    AtLeast,
    /// `<=`
    AtMost,
    /// `>`
    Above,
    /// `<`
    Below,
}

// The operators of two characters come first: `>=` starts with `>`.
const SYMBOLS: [(&str, Comparison); 4] =
    [(">=", Comparison::AtLeast), ("<=", Comparison::AtMost), (">", Comparison::Above), ("<", Comparison::Below)];

impl Comparison {
    /// Splits a text at its first comparison: `mse >= 0.1` is `mse `, [`Comparison::AtLeast`] and ` 0.1`. `None` where it
    /// has none.
    pub fn split(text: &str) -> Option<(&str, Self, &str)> {
        let (before, rest) = text.split_at(text.find(['<', '>'])?);
        SYMBOLS.into_iter().find_map(|(symbol, comparison)| Some((before, comparison, rest.strip_prefix(symbol)?)))
    }

    /// Whether `value` compares so with `bound`; false where either is NaN.
    pub fn holds(self, value: f64, bound: f64) -> bool {
        match self {
            Self::AtLeast => value >= bound,
            Self::AtMost => value <= bound,
            Self::Above => value > bound,
            Self::Below => value < bound,
        }
    }

    /// The operator as it is written.
    pub fn symbol(self) -> &'static str {
        SYMBOLS.iter().find(|(_, comparison)| *comparison == self).map_or("", |(symbol, _)| symbol)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comparison_is_found_and_holds_as_it_is_written() {
        for (symbol, holds) in [(">=", [false, true, true]), ("<=", [true, true, false]), (">", [false, false, true])]
            .into_iter()
            .chain([("<", [true, false, false])])
        {
            let text = format!("a {symbol} b");
            let (before, comparison, after) = Comparison::split(&text).expect("one is there");
            assert_eq!((before, comparison.symbol(), after), ("a ", symbol, " b"));
            assert_eq!([0.0, 1.0, 2.0].map(|value| comparison.holds(value, 1.0)), holds, "{symbol}");
            assert!(!comparison.holds(f64::NAN, 1.0));
        }
        assert_eq!(Comparison::split("a = b"), None);
    }
}
