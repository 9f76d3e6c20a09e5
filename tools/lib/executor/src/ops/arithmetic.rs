//! Arithmetic of broadcast operands, and of single elements.

use super::{Call, Operator, Outcome, number, real};
use crate::{
    element::{Number, Real},
    ops::compare::same_type,
};
use ndarray::{ArrayD, ArrayViewD};
use onnx::{Node, Problem};

/// The module's operators.
pub(super) fn find(node: &Node) -> Option<Operator> {
    Some(match node.op_type.as_str() {
        "Add" => |call| number!(call, same_type(call)?, T => binary::<T>(call, T::add)),
        "Sub" => |call| number!(call, same_type(call)?, T => binary::<T>(call, T::sub)),
        "Mul" => |call| number!(call, same_type(call)?, T => binary::<T>(call, T::mul)),
        "Div" => |call| number!(call, same_type(call)?, T => divide::<T>(call, T::div)),
        "Mod" => modulo,
        "Pow" => |call| number!(call, call.input(0)?, T => power::<T>(call)),
        "Min" => |call| number!(call, same_type(call)?, T => fold::<T>(call, T::min_or_nan)),
        "Max" => |call| number!(call, same_type(call)?, T => fold::<T>(call, T::max_or_nan)),
        "Sum" => |call| number!(call, same_type(call)?, T => fold::<T>(call, T::add)),
        "Mean" => |call| real!(call, same_type(call)?, T => mean::<T>(call)),
        "Abs" => |call| number!(call, call.input(0)?, T => unary(call, &T::abs)),
        "Neg" => |call| number!(call, call.input(0)?, T => unary(call, &T::neg)),
        "Sign" => |call| number!(call, call.input(0)?, T => unary::<T>(call, &sign)),
        "Reciprocal" => |call| real!(call, call.input(0)?, T => unary(call, &|x| T::ONE.div(x))),
        "Sqrt" => |call| real!(call, call.input(0)?, T => unary(call, &T::sqrt)),
        "Exp" => |call| real!(call, call.input(0)?, T => unary(call, &<T as Real>::exp)),
        "Log" => |call| real!(call, call.input(0)?, T => unary(call, &<T as Real>::ln)),
        "Erf" => |call| real!(call, call.input(0)?, T => unary(call, &<T as Real>::erf)),
        "Floor" => |call| real!(call, call.input(0)?, T => unary(call, &T::floor)),
        "Ceil" => |call| real!(call, call.input(0)?, T => unary(call, &T::ceil)),
        "Round" => |call| real!(call, call.input(0)?, T => unary(call, &<T as Real>::round)),
        "Sin" => |call| real!(call, call.input(0)?, T => unary(call, &<T as Real>::sin)),
        "Cos" => |call| real!(call, call.input(0)?, T => unary(call, &<T as Real>::cos)),
        "Tan" => |call| real!(call, call.input(0)?, T => unary(call, &<T as Real>::tan)),
        "Asin" => |call| real!(call, call.input(0)?, T => unary(call, &<T as Real>::asin)),
        "Acos" => |call| real!(call, call.input(0)?, T => unary(call, &<T as Real>::acos)),
        "Atan" => |call| real!(call, call.input(0)?, T => unary(call, &<T as Real>::atan)),
        "Sinh" => |call| real!(call, call.input(0)?, T => unary(call, &<T as Real>::sinh)),
        "Cosh" => |call| real!(call, call.input(0)?, T => unary(call, &<T as Real>::cosh)),
        "Asinh" => |call| real!(call, call.input(0)?, T => unary(call, &<T as Real>::asinh)),
        "Acosh" => |call| real!(call, call.input(0)?, T => unary(call, &<T as Real>::acosh)),
        "Atanh" => |call| real!(call, call.input(0)?, T => unary(call, &<T as Real>::atanh)),
        _ => return None,
    })
}

/// A function of each element of the only input.
pub(super) fn unary<T: Number>(call: &Call<'_>, f: &dyn Fn(T) -> T) -> Result<ArrayD<T>, Problem> {
    let x = call.numbers::<T>(0)?;
    call.collect(x.shape(), x.iter().map(|&x| f(x)))
}

/// A function of the elements of two operands that broadcast.
pub(super) fn zip<A: Copy, B: Copy, C>(
    call: &Call<'_>,
    a: &ArrayViewD<'_, A>,
    b: &ArrayViewD<'_, B>,
    f: &dyn Fn(A, B) -> C,
) -> Result<ArrayD<C>, Problem> {
    if a.shape() == b.shape() {
        return call.collect(a.shape(), a.iter().zip(b).map(|(&a, &b)| f(a, b)));
    }
    let shape = call.broadcast_shape(&[a.shape(), b.shape()])?;
    let (a, b) = (call.broadcast(a, &shape)?, call.broadcast(b, &shape)?);
    call.collect(&shape, a.iter().zip(b).map(|(&a, &b)| f(a, b)))
}

fn binary<T: Number>(call: &Call<'_>, f: fn(T, T) -> T) -> Result<ArrayD<T>, Problem> {
    zip(call, &call.numbers::<T>(0)?.view(), &call.numbers::<T>(1)?.view(), &f)
}

/// A quotient or remainder.
fn divide<T: Number>(call: &Call<'_>, f: fn(T, T) -> T) -> Result<ArrayD<T>, Problem> {
    let divisor = call.numbers::<T>(1)?;
    if T::INTEGER && divisor.iter().any(|&x| x == T::ZERO) {
        return Err(call.problem("an integer is divided by zero"));
    }
    zip(call, &call.numbers::<T>(0)?.view(), &divisor.view(), &f)
}

/// The remainder has the sign of the divisor, or of the dividend if `fmod` is set, which floating-point types require.
fn modulo(call: &Call<'_>) -> Outcome {
    let fmod = call.flag("fmod", false)?;
    number!(call, same_type(call)?, T => {
        match fmod {
            true => divide::<T>(call, T::rem),
            false => divide::<T>(call, |a, b| match a.rem(b) {
                rest if rest != T::ZERO && (rest < T::ZERO) != (b < T::ZERO) => rest.add(b),
                rest => rest,
            }),
        }
    })
}

/// The exponent may be of another type than the base.
fn power<T: Number>(call: &Call<'_>) -> Result<ArrayD<T>, Problem> {
    let (base, exponent) = (call.numbers::<T>(0)?, call.to_f64(1)?);
    zip(call, &base.view(), &exponent.view(), &T::pow)
}

/// A function of any number of operands, applied from left to right.
fn fold<T: Number>(call: &Call<'_>, f: fn(T, T) -> T) -> Result<ArrayD<T>, Problem> {
    let mut out = call.numbers::<T>(0)?.into_owned();
    for index in 1..call.inputs.len() {
        out = zip(call, &out.view(), &call.numbers::<T>(index)?.view(), &f)?;
    }
    Ok(out)
}

fn mean<T: Real>(call: &Call<'_>) -> Result<ArrayD<T>, Problem> {
    let (sum, count) = (fold(call, T::add)?, T::from_f64(call.inputs.len() as f64));
    Ok(sum.mapv_into(|x| x.div(count)))
}

fn sign<T: Number>(x: T) -> T {
    match x {
        x if x > T::ZERO => T::ONE,
        x if x < T::ZERO => T::ONE.neg(),
        // 0 without its sign; NaN.
        x => x.add(T::ZERO),
    }
}
