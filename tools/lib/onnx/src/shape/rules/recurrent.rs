//! Recurrent networks.

use super::super::{
    call::{Call, Outcome, unknown},
    expression::number,
};
use rten_shape_inference::{SymExpr, SymTensor};

/// Input `[steps, batch, features]`, weights `[directions, gates · hidden, features]`, recurrence
/// `[directions, gates · hidden, hidden]`: outputs of all steps, then the last state or states. With `layout` 1 the batch is
/// the first axis.
pub fn infer(call: &Call) -> Outcome {
    let directions = match call.node.string("direction")?.unwrap_or("forward") {
        "forward" | "reverse" => SymExpr::Value(1),
        "bidirectional" => SymExpr::Value(2),
        other => return Err(call.fault(format!("attribute direction is {other:?}"))),
    };
    let (input, recurrence) = (call.dims(0)?, call.dims(2)?);
    let hidden = match (call.node.int("hidden_size", 0)?, &recurrence) {
        (size, None) if size > 0 => number(size.into()),
        (_, None) => call.symbols.unknown(),
        (size, Some(dims)) => {
            let Some(width) = dims.get(2) else { return Err(call.fault("the recurrence weights need three axes")) };
            if size > 0 {
                call.same(&number(size.into()), width, "hidden_size and the recurrence weights")?
            } else {
                width.clone()
            }
        }
    };
    let Some(input) = input else { return Ok(vec![unknown(); 3]) };
    let [first, second, _] = input.as_slice() else { return Err(call.fault("the input needs three axes")) };
    let batch_first = call.node.int("layout", 0)? != 0;
    let (steps, batch) = if batch_first { (second, first) } else { (first, second) };
    let (all, last) = if batch_first {
        (vec![batch, steps, &directions, &hidden], vec![batch, &directions, &hidden])
    } else {
        (vec![steps, &directions, batch, &hidden], vec![&directions, batch, &hidden])
    };
    let tensor = |dims: Vec<&SymExpr>| SymTensor::from_shape(dims.into_iter().cloned().collect());
    let last = tensor(last);
    Ok(vec![tensor(all), last.clone(), last])
}
