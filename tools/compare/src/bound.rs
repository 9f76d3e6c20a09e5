//! The bound of a gate: `1.01*baseline + 0.1`, a linear function of the baseline.

use thiserror::Error;

/// `factor * baseline + constant`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bound {
    pub factor: f64,
    pub constant: f64,
}

/// Why a text is no bound.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum BoundError {
    /// `rest` is the text from where the parser stopped.
    #[error("expected {what} at {}", if rest.is_empty() { "the end".to_owned() } else { format!("{rest:?}") })]
    Expected { what: &'static str, rest: String },
    #[error("{0}: the bound must be linear in baseline, for instance 1.01*baseline + 0.1")]
    NotLinear(&'static str),
    #[error("division by 0")]
    DivisionByZero,
    #[error("more than {MAX_DEPTH} nested parentheses and signs")]
    TooDeep,
    #[error("the bound is not finite")]
    NotFinite,
}

/// The mean of the baseline.
const BASELINE: &str = "baseline";
/// Limit on nested parentheses and signs.
const MAX_DEPTH: usize = 32;

impl Bound {
    /// Parses numbers and `baseline`, with `+ - * /` and parentheses, by recursive descent.
    pub fn parse(text: &str) -> Result<Self, BoundError> {
        let mut parser = Parser { rest: text.trim_start() };
        let bound = parser.sum(0)?;
        match parser.rest {
            rest if !rest.is_empty() => Err(parser.expected("an operator + - * /")),
            _ if bound.factor.is_finite() && bound.constant.is_finite() => Ok(bound),
            _ => Err(BoundError::NotFinite),
        }
    }

    fn scaled(self, by: f64) -> Self {
        Self { factor: self.factor * by, constant: self.constant * by }
    }

    fn plus(self, other: Self) -> Self {
        Self { factor: self.factor + other.factor, constant: self.constant + other.constant }
    }

    fn times(self, other: Self) -> Result<Self, BoundError> {
        match (self.factor == 0.0, other.factor == 0.0) {
            (_, true) => Ok(self.scaled(other.constant)),
            (true, _) => Ok(other.scaled(self.constant)),
            _ => Err(BoundError::NotLinear("baseline times baseline")),
        }
    }

    fn over(self, other: Self) -> Result<Self, BoundError> {
        match (other.factor == 0.0, other.constant == 0.0) {
            (false, _) => Err(BoundError::NotLinear("division by baseline")),
            (true, true) => Err(BoundError::DivisionByZero),
            (true, false) => {
                Ok(Self { factor: self.factor / other.constant, constant: self.constant / other.constant })
            }
        }
    }
}

/// A recursive-descent parser.
struct Parser<'a> {
    /// The text that is not parsed yet, without leading spaces.
    rest: &'a str,
}

impl<'a> Parser<'a> {
    /// `term + term - …`
    fn sum(&mut self, depth: usize) -> Result<Bound, BoundError> {
        let mut bound = self.product(depth)?;
        while let Some(sign) = self.take(&['+', '-']) {
            let term = self.product(depth)?;
            bound = bound.plus(if sign == '+' { term } else { term.scaled(-1.0) });
        }
        Ok(bound)
    }

    /// `factor * factor / …`
    fn product(&mut self, depth: usize) -> Result<Bound, BoundError> {
        let mut bound = self.factor(depth)?;
        while let Some(operator) = self.take(&['*', '/']) {
            let factor = self.factor(depth)?;
            bound = if operator == '*' { bound.times(factor)? } else { bound.over(factor)? };
        }
        Ok(bound)
    }

    /// A number, `baseline`, a sum in parentheses, or a factor with a sign.
    fn factor(&mut self, depth: usize) -> Result<Bound, BoundError> {
        if depth > MAX_DEPTH {
            return Err(BoundError::TooDeep);
        }
        match self.take(&['-', '+', '(']) {
            Some('-') => Ok(self.factor(depth + 1)?.scaled(-1.0)),
            Some('+') => self.factor(depth + 1),
            Some(_) => {
                let bound = self.sum(depth + 1)?;
                self.take(&[')']).map(|_| bound).ok_or_else(|| self.expected("a closing parenthesis"))
            }
            None => self.operand(),
        }
    }

    fn operand(&mut self) -> Result<Bound, BoundError> {
        let word = &self.rest[..operand_len(self.rest)];
        let bound = match word.parse::<f64>() {
            _ if word == BASELINE => Bound { factor: 1.0, constant: 0.0 },
            Ok(number) if number.is_finite() => Bound { factor: 0.0, constant: number },
            _ => return Err(self.expected("a number or baseline")),
        };
        self.skip(word.len());
        Ok(bound)
    }

    fn take(&mut self, wanted: &[char]) -> Option<char> {
        let symbol = self.rest.chars().next().filter(|symbol| wanted.contains(symbol))?;
        self.skip(symbol.len_utf8());
        Some(symbol)
    }

    fn skip(&mut self, bytes: usize) {
        self.rest = self.rest[bytes..].trim_start();
    }

    fn expected(&self, what: &'static str) -> BoundError {
        BoundError::Expected { what, rest: self.rest.to_owned() }
    }
}

/// The length in bytes of the number or word at the beginning of a text; the exponent of `1e-3` has a sign.
fn operand_len(text: &str) -> usize {
    let is_number = text.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    let mut before = ' ';
    let end = text.char_indices().find(|(_, c)| {
        let exponent_sign = is_number && (*c == '+' || *c == '-') && before.eq_ignore_ascii_case(&'e');
        before = *c;
        !(c.is_alphanumeric() || *c == '.' || *c == '_' || exponent_sign)
    });
    end.map_or(text.len(), |(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_lines_in_the_baseline() {
        for (text, factor, constant) in [
            ("0.5", 0.0, 0.5),
            ("baseline", 1.0, 0.0),
            ("1.5*baseline", 1.5, 0.0),
            (" baseline * 2 + 1e-3 ", 2.0, 1e-3),
            ("1E+2-baseline", -1.0, 100.0),
            ("(baseline+1)*4/2", 2.0, 2.0),
            ("-(baseline - 0.25)", -1.0, 0.25),
            ("2+3*4", 0.0, 14.0),
            ("8/2/2", 0.0, 2.0),
            ("8-2-2", 0.0, 4.0),
            ("baseline-baseline+1", 0.0, 1.0),
            ("--1", 0.0, 1.0),
            (".5", 0.0, 0.5),
        ] {
            assert_eq!(Bound::parse(text), Ok(Bound { factor, constant }), "{text}");
        }
    }

    #[test]
    fn what_is_no_bound_is_told_and_where() {
        for (text, problem) in [
            ("", "expected a number or baseline at the end"),
            ("1+", "expected a number or baseline at the end"),
            ("1 2", "expected an operator + - * / at \"2\""),
            ("base", "expected a number or baseline at \"base\""),
            ("1.2.3", "expected a number or baseline at \"1.2.3\""),
            ("nan", "expected a number or baseline at \"nan\""),
            ("inf", "expected a number or baseline at \"inf\""),
            ("(1", "expected a closing parenthesis at the end"),
            ("1)", "expected an operator + - * / at \")\""),
            ("é", "expected a number or baseline at \"é\""),
            ("1/0", "division by 0"),
            ("1e308*10", "the bound is not finite"),
        ] {
            assert_eq!(Bound::parse(text).expect_err(text).to_string(), problem);
        }
        assert_eq!(Bound::parse("baseline*baseline"), Err(BoundError::NotLinear("baseline times baseline")));
        assert_eq!(Bound::parse("1/baseline"), Err(BoundError::NotLinear("division by baseline")));
        for symbol in ["(", "-"] {
            assert_eq!(Bound::parse(&symbol.repeat(1_000_000)), Err(BoundError::TooDeep));
        }
    }
}
