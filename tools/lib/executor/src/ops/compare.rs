//! Comparisons, logic and the choice between elements.

use super::{Call, Operator, Outcome, arithmetic::zip};
use crate::{Tensor, element::Element, tensor::each};
use ndarray::ArrayD;
use onnx::{Node, Problem};

/// The module's operators.
pub(super) fn find(node: &Node) -> Option<Operator> {
    Some(match node.op_type.as_str() {
        "Equal" => |call| compare(call, Comparison { less: false, equal: true, greater: false }),
        "Less" => |call| compare(call, Comparison { less: true, equal: false, greater: false }),
        "LessOrEqual" => |call| compare(call, Comparison { less: true, equal: true, greater: false }),
        "Greater" => |call| compare(call, Comparison { less: false, equal: false, greater: true }),
        "GreaterOrEqual" => |call| compare(call, Comparison { less: false, equal: true, greater: true }),
        "And" => |call| logic(call, |a, b| a & b),
        "Or" => |call| logic(call, |a, b| a | b),
        "Xor" => |call| logic(call, |a, b| a ^ b),
        "Not" => |call| Ok(vec![call.typed::<bool>(0)?.mapv(|x| !x).into()]),
        "IsNaN" => |call| classify(call, f64::is_nan),
        "IsInf" => infinite,
        "Where" => |call| each!(call.input(1)?, x => choose(call, x)),
        _ => return None,
    })
}

/// The first input; all inputs have its element type.
pub(super) fn same_type<'a>(call: &Call<'a>) -> Result<&'a Tensor, Problem> {
    let (first, all) = (call.input(0)?, call.all()?);
    match all.iter().find(|other| other.dtype() != first.dtype()) {
        Some(_) => Err(call.problem("inputs of different element types")),
        None => Ok(first),
    }
}

/// Which orders of two elements are true; none is for NaN.
#[derive(Clone, Copy)]
struct Comparison {
    less: bool,
    equal: bool,
    greater: bool,
}

impl Comparison {
    fn holds<T: PartialOrd>(self, a: T, b: T) -> bool {
        match a.partial_cmp(&b) {
            Some(std::cmp::Ordering::Less) => self.less,
            Some(std::cmp::Ordering::Equal) => self.equal,
            Some(std::cmp::Ordering::Greater) => self.greater,
            None => false,
        }
    }
}

fn compare(call: &Call<'_>, comparison: Comparison) -> Outcome {
    fn with<T: Element>(call: &Call<'_>, a: &ArrayD<T>, comparison: Comparison) -> Outcome {
        let b = call.typed::<T>(1)?;
        Ok(vec![zip(call, &a.view(), &b.view(), &|a, b| comparison.holds(a, b))?.into()])
    }
    each!(call.input(0)?, a => with(call, a, comparison))
}

fn logic(call: &Call<'_>, f: fn(bool, bool) -> bool) -> Outcome {
    Ok(vec![zip(call, &call.typed(0)?.view(), &call.typed(1)?.view(), &f)?.into()])
}

fn classify(call: &Call<'_>, f: impl Fn(f64) -> bool) -> Outcome {
    Ok(vec![call.to_f64(0)?.mapv(f).into()])
}

fn infinite(call: &Call<'_>) -> Outcome {
    let (negative, positive) = (call.flag("detect_negative", true)?, call.flag("detect_positive", true)?);
    classify(call, |x| x.is_infinite() && if x < 0.0 { negative } else { positive })
}

/// The elements of the second input where the first is true, of the third elsewhere.
fn choose<T: Element>(call: &Call<'_>, x: &ArrayD<T>) -> Outcome {
    let (condition, y) = (call.typed::<bool>(0)?, call.typed::<T>(2)?);
    let shape = call.broadcast_shape(&[condition.shape(), x.shape(), y.shape()])?;
    let (condition, x, y) = (condition.view(), x.view(), y.view());
    let condition = call.broadcast(&condition, &shape)?;
    let branches = call.broadcast(&x, &shape)?.into_iter().zip(call.broadcast(&y, &shape)?);
    let chosen = condition.iter().zip(branches).map(|(&condition, (&x, &y))| if condition { x } else { y });
    Ok(vec![call.collect(&shape, chosen)?.into()])
}
