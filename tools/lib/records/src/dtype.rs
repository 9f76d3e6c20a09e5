//! Element types, and their Rust types.

use crate::Error;
use half::f16;

/// An element type, named as NumPy's type strings name it, without the byte order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DType {
    /// Signed 8-bit integer.
    I1,
    /// Signed 16-bit integer.
    I2,
    /// Signed 32-bit integer.
    I4,
    /// Signed 64-bit integer.
    I8,
    /// Unsigned 8-bit integer.
    U1,
    /// Unsigned 16-bit integer.
    U2,
    /// Unsigned 32-bit integer.
    U4,
    /// Unsigned 64-bit integer.
    U8,
    /// IEEE 754 binary16.
    F2,
    /// IEEE 754 binary32.
    F4,
    /// IEEE 754 binary64.
    F8,
    /// Boolean, one byte, 0 or 1.
    B1,
    /// UTF-8 text, always a scalar; in NDJSON and CSV, not in NPY. The empty text is a missing value.
    Text,
}

impl DType {
    /// Every numeric element type, in the order in which messages list them.
    pub const NUMERIC: [Self; 12] = [
        Self::I1,
        Self::I2,
        Self::I4,
        Self::I8,
        Self::U1,
        Self::U2,
        Self::U4,
        Self::U8,
        Self::F2,
        Self::F4,
        Self::F8,
        Self::B1,
    ];

    /// The name without byte order, for instance `f4`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            numeric => &numeric.descr()[1..],
        }
    }

    /// The type string that a little-endian `.npy` header holds, for instance `<f4` or `|u1`. NPY has none for text.
    pub fn descr(self) -> &'static str {
        match self {
            Self::I1 => "|i1",
            Self::I2 => "<i2",
            Self::I4 => "<i4",
            Self::I8 => "<i8",
            Self::U1 => "|u1",
            Self::U2 => "<u2",
            Self::U4 => "<u4",
            Self::U8 => "<u8",
            Self::F2 => "<f2",
            Self::F4 => "<f4",
            Self::F8 => "<f8",
            Self::B1 => "|b1",
            Self::Text => "|V8",
        }
    }

    /// The name that NumPy and ONNX write out, for instance `float32`.
    pub fn long_name(self) -> &'static str {
        match self {
            Self::I1 => "int8",
            Self::I2 => "int16",
            Self::I4 => "int32",
            Self::I8 => "int64",
            Self::U1 => "uint8",
            Self::U2 => "uint16",
            Self::U4 => "uint32",
            Self::U8 => "uint64",
            Self::F2 => "float16",
            Self::F4 => "float32",
            Self::F8 => "float64",
            Self::B1 => "bool",
            Self::Text => "text",
        }
    }

    /// Size of one element of a packed row, in bytes; for a text, of its offset and length in the heap.
    pub fn size(self) -> usize {
        match self {
            Self::I1 | Self::U1 | Self::B1 => 1,
            Self::I2 | Self::U2 | Self::F2 => 2,
            Self::I4 | Self::U4 | Self::F4 => 4,
            Self::I8 | Self::U8 | Self::F8 | Self::Text => 8,
        }
    }

    /// Whether elements are floating-point numbers.
    pub fn is_float(self) -> bool {
        matches!(self, Self::F2 | Self::F4 | Self::F8)
    }
}

impl std::str::FromStr for DType {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        Self::NUMERIC.into_iter().find(|dtype| dtype.name() == name).ok_or_else(|| Error::UnknownDType(name.to_owned()))
    }
}

/// The names of the numeric element types, for messages.
pub(crate) fn numeric_names() -> String {
    DType::NUMERIC.map(DType::name).join(", ")
}

/// As its [`DType::name`].
impl serde::Serialize for DType {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// From the name of a numeric element type.
impl<'de> serde::Deserialize<'de> for DType {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = std::borrow::Cow::<str>::deserialize(deserializer)?;
        name.parse().map_err(serde::de::Error::custom)
    }
}

impl std::fmt::Display for DType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// The Rust type of one [`DType`] (little-endian in memory and on the wire).
pub trait Element: bytemuck::Pod {
    /// The element type on the wire.
    const DTYPE: DType;
    /// The value as the nearest `f32`.
    fn to_f32(self) -> f32;
    /// The value as the nearest `f64`.
    fn to_f64(self) -> f64;
}

macro_rules! element {
    ($type:ty, $dtype:ident, $value:ident => $f32:expr, $f64:expr) => {
        impl Element for $type {
            const DTYPE: DType = DType::$dtype;
            fn to_f32(self) -> f32 {
                let $value = self;
                $f32
            }
            fn to_f64(self) -> f64 {
                let $value = self;
                $f64
            }
        }
    };
}

element!(i8, I1, v => f32::from(v), f64::from(v));
element!(i16, I2, v => f32::from(v), f64::from(v));
element!(i32, I4, v => v as f32, f64::from(v));
element!(i64, I8, v => v as f32, v as f64);
element!(u8, U1, v => f32::from(v), f64::from(v));
element!(u16, U2, v => f32::from(v), f64::from(v));
element!(u32, U4, v => v as f32, f64::from(v));
element!(u64, U8, v => v as f32, v as f64);
element!(f16, F2, v => v.to_f32(), v.to_f64());
element!(f32, F4, v => v, f64::from(v));
element!(f64, F8, v => v as f32, v);
