//! Converting elements of any numeric type to floating-point.

use crate::{DType, Element};

/// A boolean byte; any value but 0 counts as true, as in NumPy.
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(transparent)]
pub struct Bool(u8);

impl Element for Bool {
    const DTYPE: DType = DType::B1;
    fn to_f32(self) -> f32 {
        f32::from(u8::from(self.0 != 0))
    }
    fn to_f64(self) -> f64 {
        f64::from(self.to_f32())
    }
}

/// A conversion of elements: to `f32` or to `f64`.
pub(crate) trait Convert: Copy {
    type Output;
    fn apply<T: Element>(self, value: T) -> Self::Output;
}

#[derive(Clone, Copy)]
pub(crate) struct ToF32;
#[derive(Clone, Copy)]
pub(crate) struct ToF64;

impl Convert for ToF32 {
    type Output = f32;
    fn apply<T: Element>(self, value: T) -> f32 {
        value.to_f32()
    }
}

impl Convert for ToF64 {
    type Output = f64;
    fn apply<T: Element>(self, value: T) -> f64 {
        value.to_f64()
    }
}
