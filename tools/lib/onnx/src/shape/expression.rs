//! Sizes as expressions over symbols, with the bounds that `rten-shape-inference` does not check.
//!
//! The crate computes in `i32` without looking for overflow and recurses over expressions. So every expression passes
//! [`Symbols::settle`], which computes what is over numbers alone, exactly; simplifies the rest only if no number that may
//! arise on the way can leave `i32`; and replaces what got too deep by a fresh symbol: less is known then, and nothing is wrong.
//!
//! A [`number`] beyond `i32` is a symbol to the crate, named after it. [`known`] reads both forms.

use crate::Dim;
use rten_shape_inference::{SymExpr, SymTensor, SymbolGen};
use std::{cell::RefCell, collections::BTreeMap};

/// The largest rank whose dimensions are followed; NumPy stops there too.
pub(super) const MAX_RANK: usize = 64;

/// The longest vector whose elements are followed: shapes and axes are shorter.
pub(super) const MAX_VALUES: usize = 1024;

/// The deepest expression that is kept.
const MAX_DEPTH: u32 = 8;

/// Starts the names of symbols that stand for an unknown size.
const UNKNOWN: char = '?';

/// Starts the names of symbols that stand for a number.
const NUMBER: char = '=';

/// A number as an expression.
pub(super) fn number(value: i128) -> SymExpr {
    match i32::try_from(value) {
        // The crate negates without looking: the least i32 has no opposite.
        Ok(value) if value != i32::MIN => SymExpr::Value(value),
        _ if value >= 0 => SymExpr::pos_var(&format!("{NUMBER}{value}")),
        _ => SymExpr::var(&format!("{NUMBER}{value}")),
    }
}

/// The number that a settled expression is; None if it depends on a symbol.
pub(super) fn known(expression: &SymExpr) -> Option<i128> {
    match expression {
        SymExpr::Value(value) => Some((*value).into()),
        SymExpr::Var(symbol) => symbol.name.strip_prefix(NUMBER)?.parse().ok(),
        _ => None,
    }
}

/// Symbols of a model: those with a size, and a source of fresh ones.
pub(super) struct Symbols<'a> {
    bindings: &'a BTreeMap<String, usize>,
    fresh: RefCell<SymbolGen>,
}

impl<'a> Symbols<'a> {
    pub fn new(bindings: &'a BTreeMap<String, usize>) -> Self {
        Self { bindings, fresh: RefCell::new(SymbolGen::with_prefix(UNKNOWN.to_string().into())) }
    }

    /// A size of which nothing is known.
    pub fn unknown(&self) -> SymExpr {
        self.fresh.borrow_mut().gen_positive()
    }

    /// An element of which nothing is known, not even its sign.
    pub fn unknown_value(&self) -> SymExpr {
        self.fresh.borrow_mut().generate()
    }

    /// Lends the source of fresh symbols to a rule of the crate.
    pub fn with<T>(&self, rule: impl FnOnce(&mut SymbolGen) -> T) -> T {
        rule(&mut self.fresh.borrow_mut())
    }

    /// A dimension of the file, with bindings applied. A name that starts like those made here is unknown.
    pub fn dim(&self, dim: &Dim) -> SymExpr {
        match dim {
            Dim::Known(size) => number(*size as i128),
            Dim::Symbol(name) if name.starts_with([UNKNOWN, NUMBER]) => self.unknown(),
            Dim::Symbol(name) => {
                self.bindings.get(name).map_or_else(|| SymExpr::pos_var(name), |&size| number(size as i128))
            }
            Dim::Unknown => self.unknown(),
        }
    }

    /// The expression in its simplest form: a number, if it is over numbers alone; a fresh symbol if its simplification may
    /// leave `i32`, or it is too deep.
    pub fn settle(&self, expression: &SymExpr) -> SymExpr {
        let expression = self.compute(expression);
        if magnitude(&expression) > f64::from(i32::MAX) {
            return self.unknown_value();
        }
        let simple = expression.simplify();
        if simple.exceeds_depth(MAX_DEPTH) { self.unknown_value() } else { simple }
    }

    /// The expression with what is over numbers alone computed; what leaves 128 bits is a fresh symbol.
    fn compute(&self, expression: &SymExpr) -> SymExpr {
        use SymExpr::{Add, Broadcast, Div, DivCeil, Max, Min, Mul, Neg, Sub};
        let of = |a: &SymExpr,
                  b: &SymExpr,
                  exact: fn(i128, i128) -> Option<i128>,
                  build: fn(SymExpr, SymExpr) -> SymExpr| {
            let (a, b) = (self.compute(a), self.compute(b));
            match (known(&a), known(&b)) {
                (Some(a), Some(b)) => exact(a, b).map_or_else(|| self.unknown_value(), number),
                _ => build(a, b),
            }
        };
        match expression {
            SymExpr::Value(_) | SymExpr::Var(_) => expression.clone(),
            Neg(inner) => of(&SymExpr::Value(0), inner, i128::checked_sub, |_, inner| -inner),
            Add(a, b) => of(a, b, i128::checked_add, |a, b| a + b),
            Sub(a, b) => of(a, b, i128::checked_sub, |a, b| a - b),
            Mul(a, b) => of(a, b, i128::checked_mul, |a, b| a * b),
            Div(a, b) => of(a, b, i128::checked_div, |a, b| a / b),
            DivCeil(a, b) => of(a, b, div_ceil, |a, b| a.div_ceil(&b)),
            Max(a, b) => of(a, b, |a, b| Some(a.max(b)), |a, b| a.max(&b)),
            Min(a, b) => of(a, b, |a, b| Some(a.min(b)), |a, b| a.min(&b)),
            Broadcast(a, b) => of(a, b, |a, b| Some(if a == 1 { b } else { a }), broadcast),
        }
    }

    /// As [`Symbols::settle`], of a size: what replaces it counts as not negative.
    pub fn settle_size(&self, expression: &SymExpr) -> SymExpr {
        match self.settle(expression) {
            SymExpr::Var(symbol) if symbol.synthetic && !symbol.positive => self.unknown(),
            settled => settled,
        }
    }

    /// A tensor with all its expressions settled, within the limits on rank and length.
    pub fn settle_tensor(&self, tensor: &SymTensor) -> SymTensor {
        if let Some(value) = tensor.as_scalar() {
            return SymTensor::from_scalar(self.settle(value));
        }
        if let Some(values) = tensor.as_vector() {
            return if values.len() > MAX_VALUES {
                SymTensor::from_shape(vec![number(values.len() as i128)])
            } else {
                SymTensor::from_vec(values.iter().map(|value| self.settle(value)).collect())
            };
        }
        match tensor.shape() {
            Some(dims) if dims.len() <= MAX_RANK => {
                SymTensor::from_shape(dims.map(|dim| self.settle_size(&dim)).collect())
            }
            _ => SymTensor::unknown(""),
        }
    }
}

/// The quotient rounded up, by a positive divisor.
fn div_ceil(a: i128, b: i128) -> Option<i128> {
    if b > 0 { Some(a.div_euclid(b) + i128::from(a.rem_euclid(b) != 0)) } else { None }
}

/// The common size of two that broadcast to each other, one of them not a number: a number other than 1 is it.
fn broadcast(a: SymExpr, b: SymExpr) -> SymExpr {
    match (known(&a), known(&b)) {
        (Some(1), _) => b,
        (_, Some(1)) | (Some(_), _) => a,
        (_, Some(_)) => b,
        (None, None) => a.broadcast(&b),
    }
}

/// No `i32` that arises when the expression is simplified has a larger absolute value: constants of sums are added, those
/// of products and chained quotients multiplied.
fn magnitude(expression: &SymExpr) -> f64 {
    match expression {
        SymExpr::Value(value) => f64::from(value.unsigned_abs()).max(1.0),
        SymExpr::Var(_) => 1.0,
        SymExpr::Neg(inner) => magnitude(inner),
        SymExpr::Add(a, b) | SymExpr::Sub(a, b) => magnitude(a) + magnitude(b),
        SymExpr::Mul(a, b) | SymExpr::Div(a, b) | SymExpr::DivCeil(a, b) => magnitude(a) * magnitude(b),
        SymExpr::Max(a, b) | SymExpr::Min(a, b) | SymExpr::Broadcast(a, b) => magnitude(a).max(magnitude(b)),
    }
}

/// The dimension that an expression stands for; None for one that is negative or beyond ONNX's int64.
pub(super) fn to_dim(expression: &SymExpr) -> Option<Dim> {
    if let Some(size) = known(expression) {
        return i64::try_from(size).ok().and_then(|size| usize::try_from(size).ok()).map(Dim::Known);
    }
    let unknown = expression.iter().any(|part| matches!(part, SymExpr::Var(symbol) if symbol.synthetic));
    Some(if unknown { Dim::Unknown } else { Dim::Symbol(render(expression)) })
}

/// The expression as text, with parentheses wherever another reading was possible: the text is the dimension's identity.
pub(super) fn render(expression: &SymExpr) -> String {
    if let Some(value) = known(expression) {
        return value.to_string();
    }
    let operand = |part: &SymExpr| match part {
        SymExpr::Value(_) | SymExpr::Var(_) => render(part),
        _ => format!("({})", render(part)),
    };
    let binary = |a: &SymExpr, sign: &str, b: &SymExpr| format!("{} {sign} {}", operand(a), operand(b));
    let call = |name: &str, a: &SymExpr, b: &SymExpr| format!("{name}({}, {})", render(a), render(b));
    match expression {
        SymExpr::Value(value) => value.to_string(),
        SymExpr::Var(symbol) => symbol.name.clone(),
        SymExpr::Neg(inner) => format!("-{}", operand(inner)),
        SymExpr::Add(a, b) => binary(a, "+", b),
        SymExpr::Sub(a, b) => binary(a, "-", b),
        SymExpr::Mul(a, b) => binary(a, "*", b),
        SymExpr::Div(a, b) => binary(a, "/", b),
        SymExpr::DivCeil(a, b) => call("ceil_div", a, b),
        SymExpr::Max(a, b) => call("max", a, b),
        SymExpr::Min(a, b) => call("min", a, b),
        SymExpr::Broadcast(a, b) => call("broadcast", a, b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settle(expression: &SymExpr) -> SymExpr {
        Symbols::new(&BTreeMap::new()).settle(expression)
    }

    fn is_unknown(expression: &SymExpr) -> bool {
        to_dim(expression) == Some(Dim::Unknown)
    }

    #[test]
    fn arithmetic_on_numbers_is_exact() {
        let settled = |expression: SymExpr| known(&settle(&expression));
        let (big, most) = (SymExpr::Value(1 << 16), SymExpr::Value(i32::MAX));
        assert_eq!(settled(big.clone() * big.clone()), Some(1 << 32));
        assert_eq!(settled(SymExpr::Value(0) * big.clone() * big.clone()), Some(0));
        assert_eq!(settled(big.clone() * big.clone() / SymExpr::Value(-3)), Some(-1_431_655_765));
        assert_eq!(settled((big.clone() * big.clone()).div_ceil(&SymExpr::Value(3))), Some(1_431_655_766));
        assert_eq!(settled(most.clone() + SymExpr::Value(1)), Some(1 << 31));
        assert_eq!(settled(-most.clone() - SymExpr::Value(2)), Some(-(1 << 31) - 1));
        assert_eq!(settle(&most), most);
        let least = number(i64::MIN.into());
        assert_eq!((settled(-least.clone()), settled(least.min(&big))), (Some(1 << 63), Some(-(1 << 63))));
        assert!(is_unknown(&settle(&(number(i128::MAX) * most))));
        assert!(is_unknown(&settle(&(big / SymExpr::Value(0)))));
    }

    #[test]
    fn sizes_beyond_int64_are_none() {
        let dim = |size: i128| to_dim(&number(size));
        assert_eq!(dim(3_000_000_000), Some(Dim::Known(3_000_000_000)));
        assert_eq!(dim(i64::MAX.into()), Some(Dim::Known(i64::MAX as usize)));
        assert_eq!((dim(1 << 63), dim(-1), dim(i64::MIN.into())), (None, None, None));
        assert_eq!(render(&number(1 << 63)), "9223372036854775808");
    }

    #[test]
    fn no_simplification_leaves_i32() {
        let big = SymExpr::Value(1 << 16);
        let batch = SymExpr::pos_var("batch");
        assert!(is_unknown(&settle(&(big.clone() * batch.clone() * big.clone()))));
        assert!(is_unknown(&settle(&(batch.clone() / big.clone() / big))));
        assert_eq!(settle(&(batch.clone() * SymExpr::Value(6) / SymExpr::Value(6))), batch);
        let product = settle(&(batch.clone() * number(3_000_000_000)));
        assert_eq!(to_dim(&product), Some(Dim::Symbol("3000000000 * batch".into())));
        assert_eq!(settle(&batch.broadcast(&number(3_000_000_000))), number(3_000_000_000));
    }

    #[test]
    fn deep_expressions_become_unknown() {
        let mut sum = SymExpr::pos_var("a");
        for i in 0..20 {
            sum += SymExpr::pos_var(&format!("s{i}"));
        }
        assert!(is_unknown(&settle(&sum)));
    }

    #[test]
    fn text_tells_expressions_apart() {
        let [a, b, c] = ["a", "b", "c"].map(SymExpr::pos_var);
        let texts = [
            a.clone() - (b.clone() + c.clone()),
            a.clone() - b.clone() + c.clone(),
            -(a.clone() + b.clone()),
            -a.clone() + b.clone(),
            a.clone() / (b.clone() / c.clone()),
            a.clone() / b.clone() / c.clone(),
            (a.clone() * b.clone()) / c.clone(),
            a * (b / c),
        ]
        .map(|it| render(&it));
        for (i, text) in texts.iter().enumerate() {
            assert!(!texts[..i].contains(text), "{text}");
        }
    }
}
