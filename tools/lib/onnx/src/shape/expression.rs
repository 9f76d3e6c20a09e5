//! Sizes as expressions over symbols, with the bounds that `rten-shape-inference` does not check.
//!
//! The crate computes in `i32` without looking for overflow and recurses over expressions. So every expression passes
//! [`Symbols::settle`], which simplifies it only if no number that may arise on the way can leave `i32`, and replaces what
//! got too deep by a fresh symbol: less is known then, and nothing is wrong.

use crate::Dim;
use rten_shape_inference::{SymExpr, SymTensor, SymbolGen};
use std::{cell::RefCell, collections::BTreeMap};

/// The largest rank whose dimensions are followed; NumPy stops there too.
pub(super) const MAX_RANK: usize = 64;

/// The longest vector whose elements are followed: shapes and axes are shorter.
pub(super) const MAX_VALUES: usize = 1024;

/// The deepest expression that is kept.
const MAX_DEPTH: u32 = 8;

/// Starts the names of symbols that stand for an unknown size. A symbol of the file that starts with it is unknown too.
const UNKNOWN: char = '?';

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

    /// A dimension of the file, with bindings applied. One beyond `i32` is unknown.
    pub fn dim(&self, dim: &Dim) -> SymExpr {
        let known = |size: usize| i32::try_from(size).map_or_else(|_| self.unknown(), SymExpr::Value);
        match dim {
            Dim::Known(size) => known(*size),
            Dim::Symbol(name) if name.starts_with(UNKNOWN) => self.unknown(),
            Dim::Symbol(name) => self.bindings.get(name).map_or_else(|| SymExpr::pos_var(name), |&size| known(size)),
            Dim::Unknown => self.unknown(),
        }
    }

    /// An element of a constant; one that does not fit the crate's arithmetic is unknown.
    pub fn value(&self, value: i64) -> SymExpr {
        match i32::try_from(value) {
            Ok(value) if value != i32::MIN => SymExpr::Value(value),
            _ => self.unknown_value(),
        }
    }

    /// The expression in its simplest form; a fresh symbol if it may leave `i32` or is too deep.
    pub fn settle(&self, expression: &SymExpr) -> SymExpr {
        if magnitude(expression) > f64::from(i32::MAX) {
            return self.unknown_value();
        }
        let simple = expression.simplify();
        if simple.exceeds_depth(MAX_DEPTH) { self.unknown_value() } else { simple }
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
                SymTensor::from_shape(vec![length(values.len())])
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

/// The number of elements of a vector in memory, as a size.
fn length(len: usize) -> SymExpr {
    SymExpr::Value(i32::try_from(len).unwrap_or(i32::MAX))
}

/// No integer that arises when the expression is simplified has a larger absolute value: constants of sums are added, those
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

/// The dimension that an expression stands for; None for a negative one.
pub(super) fn to_dim(expression: &SymExpr) -> Option<Dim> {
    if let SymExpr::Value(value) = expression {
        return usize::try_from(*value).ok().map(Dim::Known);
    }
    let unknown = expression.iter().any(|part| matches!(part, SymExpr::Var(symbol) if symbol.synthetic));
    Some(if unknown { Dim::Unknown } else { Dim::Symbol(render(expression)) })
}

/// The expression as text, with parentheses wherever another reading was possible: the text is the dimension's identity.
fn render(expression: &SymExpr) -> String {
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
    fn no_arithmetic_leaves_i32() {
        let big = SymExpr::Value(1 << 16);
        let batch = SymExpr::pos_var("batch");
        assert!(is_unknown(&settle(&(big.clone() * big.clone()))));
        assert!(is_unknown(&settle(&(big.clone() * batch.clone() * big.clone()))));
        assert!(is_unknown(&settle(&(SymExpr::Value(0) * big.clone() * big.clone()))));
        assert!(is_unknown(&settle(&(batch.clone() / big.clone() / big))));
        let most = SymExpr::Value(i32::MAX);
        assert!(is_unknown(&settle(&(most.clone() + SymExpr::Value(1)))));
        assert!(is_unknown(&settle(&(-most.clone() - SymExpr::Value(2)))));
        assert_eq!(settle(&most), most);
        assert_eq!(settle(&(batch.clone() * SymExpr::Value(6) / SymExpr::Value(6))), batch);
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
