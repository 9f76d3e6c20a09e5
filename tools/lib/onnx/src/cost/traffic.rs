//! Bytes that nodes read and write.

use super::{
    Traffic, Unknown,
    call::{Call, Operand, plus, times},
};
use crate::{
    DataType, Node, bits,
    operators::{Kind, kind_of},
};
use std::collections::HashSet;

/// Whether a node moves nothing.
pub(super) fn is_view(node: &Node) -> bool {
    matches!(kind_of(node), Kind::View | Kind::Known)
}

/// The bytes of a node on its own, each value once.
pub(super) fn of_node(call: &Call) -> Result<Traffic, Unknown> {
    let mut traffic = Traffic::default();
    if is_view(call.node) {
        return Ok(traffic);
    }
    let mut seen = HashSet::new();
    for (index, name) in call.node.inputs.iter().enumerate().filter(|(_, name)| !name.is_empty()) {
        if seen.insert(name) {
            let bytes = read(call, index, None)?;
            let sum = if call.constants.contains(name.as_str()) { &mut traffic.constants } else { &mut traffic.read };
            *sum = plus(*sum, bytes)?;
        }
    }
    for name in call.node.outputs.iter().filter(|name| !name.is_empty()) {
        traffic.written = plus(traffic.written, bytes(call, name, None)?)?;
    }
    Ok(traffic)
}

/// Bytes that a node reads of the input at `index`, stored in `dtype` if that is another type than the value's.
pub(super) fn read(call: &Call, index: usize, dtype: Option<DataType>) -> Result<u64, Unknown> {
    let name = call.node.input(index).ok_or(Unknown::Malformed)?;
    match call.node.op_type.as_str() {
        _ if !call.node.domain.is_empty() => bytes(call, name, dtype),
        "Gather" | "GatherElements" | "GatherND" | "Slice" if index == 0 => {
            let stored = dtype.or_else(|| call.types.get(name).map(|ty| ty.dtype)).unwrap_or(DataType::Undefined);
            size(&call.output()?, stored).ok_or_else(|| Unknown::Type(name.to_owned()))?
        }
        _ if is_view(call.node) => Ok(0),
        _ => bytes(call, name, dtype),
    }
}

/// Bytes of a value, stored in `dtype` if that is another type than its own.
pub(super) fn bytes(call: &Call, name: &str, dtype: Option<DataType>) -> Result<u64, Unknown> {
    let value = call.value(name)?;
    size(&value, dtype.unwrap_or(value.dtype)).ok_or_else(|| Unknown::Type(name.to_owned()))?
}

/// None for types without a fixed size: strings.
fn size(value: &Operand, dtype: DataType) -> Option<Result<u64, Unknown>> {
    let bits = bits(dtype)? as u64;
    Some(value.elements().and_then(|elements| Ok(times(elements, bits)?.div_ceil(8))))
}
