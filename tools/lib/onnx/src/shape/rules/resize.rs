//! Resampled images.

use super::super::{
    call::{Call, Outcome, shaped, unknown},
    expression::{MAX_RANK, known, number},
};
use crate::Problem;
use rten_shape_inference::SymExpr;

/// Sizes or scales of axes; the scales are input 1 in operator set 10, then input 2.
pub fn resize(call: &Call) -> Outcome {
    let Some(dims) = call.dims(0)? else { return Ok(vec![unknown()]) };
    let axes = match call.node.ints("axes")? {
        Some(axes) => call.axes(axes, dims.len())?,
        None => (0..dims.len()).collect(),
    };
    let scales = if call.opset < 11 { 1 } else { 2 };
    if call.opset >= 11 && is_given(call, 3) {
        return by_sizes(call, dims, &axes);
    }
    if !is_given(call, scales) {
        return Err(call.fault("neither scales nor sizes are given"));
    }
    let scales = call.constant(scales).and_then(|it| it.to_f32());
    by_scales(call, dims, &axes, scales.as_deref())
}

/// Scales of all axes; an attribute until operator set 8.
pub fn upsample(call: &Call) -> Outcome {
    let Some(dims) = call.dims(0)? else { return Ok(vec![unknown()]) };
    let attribute = call.node.attribute("scales").map(|it| it.floats.clone());
    let scales = attribute.or_else(|| call.constant(1).and_then(|it| it.to_f32()));
    let axes: Vec<_> = (0..dims.len()).collect();
    by_scales(call, dims, &axes, scales.as_deref())
}

/// Whether an input is there; before operator set 13 an empty vector stood for none.
fn is_given(call: &Call, index: usize) -> bool {
    let Some(Some(fact)) = call.inputs.get(index) else { return false };
    fact.tensor.size(0) != Some(SymExpr::Value(0))
}

fn by_sizes(call: &Call, mut dims: Vec<SymExpr>, axes: &[usize]) -> Outcome {
    let policy = call.node.string("keep_aspect_ratio_policy")?.unwrap_or("stretch");
    match call.tensor(3)?.values().filter(|sizes| sizes.len() <= MAX_RANK) {
        Some(sizes) if sizes.len() != axes.len() => {
            Err(call.fault(format!("{} sizes for {} axes", sizes.len(), axes.len())))
        }
        Some(sizes) if policy == "stretch" => {
            axes.iter().zip(sizes).for_each(|(&axis, size)| dims[axis] = size.clone());
            shaped(dims)
        }
        _ => {
            axes.iter().for_each(|&axis| dims[axis] = call.symbols.unknown());
            shaped(dims)
        }
    }
}

/// ⌊size · scale⌋ of each axis.
fn by_scales(call: &Call, mut dims: Vec<SymExpr>, axes: &[usize], scales: Option<&[f32]>) -> Outcome {
    if scales.is_some_and(|scales| scales.len() != axes.len()) {
        return Err(call.fault(format!("the scales are not as many as the axes, {}", axes.len())));
    }
    for (index, &axis) in axes.iter().enumerate() {
        dims[axis] = match scales {
            Some(scales) => scaled(call, &dims[axis], scales[index])?,
            None => call.symbols.unknown(),
        };
    }
    shaped(dims)
}

fn scaled(call: &Call, size: &SymExpr, scale: f32) -> Result<SymExpr, Problem> {
    if !(scale.is_finite() && scale > 0.0) {
        return Err(call.fault(format!("a scale is {scale}")));
    }
    Ok(match known(size) {
        _ if scale == 1.0 => size.clone(),
        // In float32, as ONNX and ONNX Runtime round it.
        Some(size) => number((size as f32 * scale).floor() as i128),
        None if scale.fract() == 0.0 => call.settle(&(size.clone() * number(scale as i128))),
        None => call.symbols.unknown(),
    })
}
