//! Shapes that are read and given.

use super::super::{
    call::{Call, Outcome, shaped, unknown},
    expression::{MAX_RANK, known, number},
};
use crate::Problem;
use rten_shape_inference::{SymExpr, SymTensor};

/// A product of sizes: what is known of it, exactly, times symbolic factors.
#[derive(Debug, Clone)]
struct Product {
    known: u128,
    symbolic: Vec<SymExpr>,
}

impl Product {
    /// None if the known part is beyond 128 bits.
    fn of(sizes: &[SymExpr]) -> Option<Self> {
        let mut product = Self { known: 1, symbolic: Vec::new() };
        sizes.iter().try_for_each(|size| product.multiply(size))?;
        Some(product)
    }

    fn multiply(&mut self, size: &SymExpr) -> Option<()> {
        match (known(size), size) {
            (Some(value), _) => self.known = self.known.checked_mul(u128::try_from(value).ok()?)?,
            (None, SymExpr::Mul(a, b)) => {
                self.multiply(a)?;
                self.multiply(b)?;
            }
            (None, other) => self.symbolic.push(other.clone()),
        }
        Some(())
    }

    /// Removes the symbolic factors that both have.
    fn cancel(&mut self, other: &mut Self) {
        self.symbolic.retain(|factor| {
            let twin = other.symbolic.iter().position(|it| it == factor);
            twin.map(|index| other.symbolic.swap_remove(index)).is_none()
        });
    }
}

/// A new shape over the same elements: 0 copies a dimension, -1 is what is left.
pub fn reshape(call: &Call) -> Outcome {
    let shape = call.tensor(1)?;
    let Some(sizes) = shape.values().filter(|sizes| sizes.len() <= MAX_RANK) else {
        return Ok(vec![call.ranked_by(shape)]);
    };
    let input = call.dims(0)?;
    let (mut output, rest) = given(call, sizes, input.as_deref())?;
    if let Some(input) = &input {
        match rest {
            Some(index) => output[index] = remainder(call, input, &output, index)?,
            None => check_count(call, input, &output)?,
        }
    }
    // A scalar or vector that stays one keeps its elements.
    let data = call.tensor(0)?;
    if let (Some(values), 0 | 1) = (data.values(), output.len()) {
        return match (values, output.len()) {
            ([value], 0) => Ok(vec![SymTensor::from_scalar(value.clone())]),
            (values, 1) => Ok(vec![SymTensor::from_vec(values.to_vec())]),
            _ => Err(call.fault("a scalar has one element")),
        };
    }
    shaped(output)
}

/// The sizes with zeros replaced, and the index of the one to compute, which is unknown as yet.
fn given(call: &Call, sizes: &[SymExpr], input: Option<&[SymExpr]>) -> Result<(Vec<SymExpr>, Option<usize>), Problem> {
    let copies = call.node.int("allowzero", 0)? == 0;
    let mut rest = None;
    let mut output = Vec::with_capacity(sizes.len());
    for (index, size) in sizes.iter().enumerate() {
        output.push(match known(size) {
            Some(0) if copies => match input {
                None => call.symbols.unknown(),
                Some(dims) => {
                    let dim = dims.get(index).cloned();
                    dim.ok_or_else(|| call.fault(format!("dimension {index} copies one that the input has not")))?
                }
            },
            Some(-1) if rest.is_some() => return Err(call.fault("the shape has two -1")),
            Some(-1) => {
                rest = Some(index);
                call.symbols.unknown()
            }
            Some(size) if size < 0 => return Err(call.fault(format!("the shape has {size}"))),
            // An element that may be -1 or 0 is no size yet.
            None if !size.is_positive() => call.symbols.unknown(),
            _ => size.clone(),
        });
    }
    Ok((output, rest))
}

/// The size at `index`: the input's elements over those of the other dimensions.
fn remainder(call: &Call, input: &[SymExpr], output: &[SymExpr], index: usize) -> Result<SymExpr, Problem> {
    let mut others = output.to_vec();
    others.remove(index);
    let (Some(mut all), Some(mut taken)) = (Product::of(input), Product::of(&others)) else {
        return Ok(call.symbols.unknown());
    };
    all.cancel(&mut taken);
    if taken.known == 0 {
        return Ok(call.symbols.unknown());
    }
    let exact = all.known % taken.known == 0;
    if all.symbolic.is_empty() && taken.symbolic.is_empty() {
        if !exact {
            return Err(call.fault(format!("{} elements do not divide by {}", all.known, taken.known)));
        }
        return Ok(i128::try_from(all.known / taken.known).map_or_else(|_| call.symbols.unknown(), number));
    }
    let common = gcd(all.known, taken.known);
    let expression = |product: &Product| {
        let known = i128::try_from(product.known / common).ok().map(number)?;
        Some(product.symbolic.iter().fold(known, |all, factor| all * factor.clone()))
    };
    Ok(match (expression(&all), expression(&taken)) {
        (Some(all), Some(taken)) => call.settle(&(all / taken)),
        _ => call.symbols.unknown(),
    })
}

fn gcd(mut a: u128, mut b: u128) -> u128 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a.max(1)
}

/// Input and output have the same number of elements, as far as that is known.
fn check_count(call: &Call, input: &[SymExpr], output: &[SymExpr]) -> Result<(), Problem> {
    let (Some(mut before), Some(mut after)) = (Product::of(input), Product::of(output)) else { return Ok(()) };
    before.cancel(&mut after);
    if before.symbolic.is_empty() && after.symbolic.is_empty() && before.known != after.known {
        return Err(call.fault(format!("{} elements do not fill a shape of {}", before.known, after.known)));
    }
    Ok(())
}

/// A matrix: the axes before `axis` are its rows.
pub fn flatten(call: &Call) -> Outcome {
    let axis = call.node.int("axis", 1)?;
    let Some(dims) = call.dims(0)? else { return Ok(vec![call.of_rank(2)]) };
    let rank = dims.len();
    let split = if axis == rank as i64 { rank } else { call.axis(axis, rank)? };
    let product =
        |dims: &[SymExpr]| call.settle(&dims.iter().fold(SymExpr::Value(1), |product, dim| product * dim.clone()));
    shaped(vec![product(&dims[..split]), product(&dims[split..])])
}

/// The input's dimensions, from `start` to `end`, which count from the end if they are negative, and are clamped to the rank.
pub fn shape(call: &Call) -> Outcome {
    let (start, end) = (call.node.int("start", 0)?, call.node.int("end", i64::MAX)?);
    let Some(dims) = call.dims(0)? else { return Ok(vec![call.of_rank(1)]) };
    let rank = dims.len() as i64;
    let clamped = |index: i64| if index < 0 { index.saturating_add(rank) } else { index }.clamp(0, rank) as usize;
    let part = dims.get(clamped(start)..clamped(end)).unwrap_or_default();
    Ok(vec![SymTensor::from_vec(part.to_vec())])
}

/// The number of elements, a scalar.
pub fn size(call: &Call) -> Outcome {
    let Some(dims) = call.dims(0)? else { return shaped(Vec::new()) };
    let count = dims.iter().fold(SymExpr::Value(1), |product, dim| product * dim.clone());
    Ok(vec![SymTensor::from_scalar(call.settle(&count))])
}

/// Axes of `Squeeze` and `Unsqueeze`: an attribute, since operator set 13 an input. None if they are not constant.
fn squeezed(call: &Call) -> Result<Option<Vec<i64>>, Problem> {
    match call.node.ints("axes")? {
        Some(axes) => Ok(Some(axes.to_vec())),
        None => Ok(call.values(1)),
    }
}

/// Removes axes of size 1: those named, or all.
pub fn squeeze(call: &Call) -> Outcome {
    let Some(dims) = call.dims(0)? else { return Ok(vec![unknown()]) };
    let named = call.has(1) || call.node.attribute("axes").is_some();
    let axes = match squeezed(call)? {
        Some(axes) => call.axes(&axes, dims.len())?,
        None if named => return Ok(vec![unknown()]),
        None if dims.iter().all(|dim| known(dim).is_some()) => {
            (0..dims.len()).filter(|&axis| dims[axis] == SymExpr::Value(1)).collect()
        }
        None => return Ok(vec![unknown()]),
    };
    for &axis in &axes {
        call.same(&dims[axis], &SymExpr::Value(1), "the size of a squeezed axis and 1")?;
    }
    if let (Some([value]), [0]) = (call.tensor(0)?.as_vector(), axes.as_slice()) {
        return Ok(vec![SymTensor::from_scalar(value.clone())]);
    }
    shaped(dims.into_iter().enumerate().filter(|(axis, _)| !axes.contains(axis)).map(|(_, dim)| dim).collect())
}

/// Inserts axes of size 1.
pub fn unsqueeze(call: &Call) -> Outcome {
    let (Some(mut dims), Some(axes)) = (call.dims(0)?, squeezed(call)?) else { return Ok(vec![unknown()]) };
    if axes.len() > MAX_RANK {
        return Ok(vec![unknown()]);
    }
    // Distinct axes within the new rank, in rising order, are each at most as large as the shape is long by then.
    let mut axes = call.axes(&axes, dims.len() + axes.len())?;
    axes.sort_unstable();
    if let (Some(value), [0]) = (call.tensor(0)?.as_scalar(), axes.as_slice()) {
        return Ok(vec![SymTensor::from_vec(vec![value.clone()])]);
    }
    axes.into_iter().for_each(|axis| dims.insert(axis, SymExpr::Value(1)));
    shaped(dims)
}
