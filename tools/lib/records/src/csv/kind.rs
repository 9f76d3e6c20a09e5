//! The types of cells and columns.

use crate::DType;

/// The type of a cell, and the common type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Missing; in a column, all of them.
    Empty,
    Integer,
    /// An integer of up to 64 bits that no `f64` holds exactly.
    LongInteger,
    Real,
    Boolean,
    Text,
}

/// Words for a missing number, as R, SQL, NumPy and pandas write it, in any case. In a column of text only the empty cell
/// is missing: `NA` may be Namibia.
const MISSING: [&str; 5] = ["nan", "na", "n/a", "null", "none"];

/// Whether a cell of a column of numbers is a missing number.
pub(crate) fn is_missing(cell: &str) -> bool {
    let cell = cell.trim_ascii();
    cell.is_empty() || MISSING.iter().any(|word| cell.eq_ignore_ascii_case(word))
}

/// The boolean in a cell, as Python, R and JSON write it.
pub(crate) fn boolean(cell: &str) -> Option<bool> {
    let cell = cell.trim_ascii();
    match () {
        () if cell.eq_ignore_ascii_case("true") => Some(true),
        () if cell.eq_ignore_ascii_case("false") => Some(false),
        () => None,
    }
}

/// The number in a cell, which may be infinite; None for NaN and for what overflows.
pub(crate) fn real(cell: &str) -> Option<f64> {
    let cell = cell.trim_ascii();
    let value: f64 = fast_float2::parse(cell).ok()?;
    let is_word = cell.bytes().any(|byte| matches!(byte, b'i' | b'I'));
    (!value.is_nan() && (value.is_finite() || is_word)).then_some(value)
}

/// The largest n for which every integer up to n is an `f64`.
const EXACT: u64 = 1 << 53;

/// The integer in a cell. None with leading zeros: it is a code rather than a number.
pub(crate) fn integer(cell: &str) -> Option<i64> {
    let cell = cell.trim_ascii();
    let digits = cell.strip_prefix('-').unwrap_or(cell);
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    plain.then(|| cell.parse().ok()).flatten()
}

impl Kind {
    /// The type of one cell.
    fn of(cell: &str) -> Self {
        let is_code = || {
            // Leading zeros, or more digits than an integer has.
            let digits = cell.trim_ascii();
            let digits = digits.strip_prefix('-').unwrap_or(digits);
            !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
        };
        match () {
            () if is_missing(cell) => Self::Empty,
            () if boolean(cell).is_some() => Self::Boolean,
            () if integer(cell).is_some_and(|integer| integer.unsigned_abs() <= EXACT) => Self::Integer,
            () if integer(cell).is_some() => Self::LongInteger,
            () if is_code() => Self::Text,
            () if real(cell).is_some() => Self::Real,
            () => Self::Text,
        }
    }

    /// The type of a column, and whether one of its cells is missing.
    pub fn of_column<'a>(cells: impl Iterator<Item = &'a str>) -> (Self, bool) {
        let (mut kind, mut missing) = (Self::Empty, false);
        for cell in cells {
            let cell = Self::of(cell);
            missing |= cell == Self::Empty;
            kind = match (kind, cell) {
                (Self::Empty, other) | (other, Self::Empty) => other,
                (one, other) if one == other => one,
                (Self::Integer | Self::LongInteger, Self::Integer | Self::LongInteger) => Self::LongInteger,
                (Self::Integer | Self::LongInteger | Self::Real, Self::Integer | Self::LongInteger | Self::Real) => {
                    Self::Real
                }
                _ => return (Self::Text, missing),
            };
        }
        (kind, missing)
    }

    /// The element type of a column that no tool computes with. Integers and booleans have no value for a missing one, and
    /// become floating-point.
    pub fn dtype(self, missing: bool, float: DType) -> DType {
        match (self, missing) {
            (Self::Integer | Self::LongInteger, false) => DType::I8,
            (Self::Integer | Self::Real, _) => float,
            (Self::Boolean, false) => DType::B1,
            (Self::Boolean, true) => float,
            (Self::LongInteger | Self::Empty | Self::Text, _) => DType::Text,
        }
    }
}

/// The element type of texts that are all numbers: `i8`, `f8` (also where one is missing) or `b1`; [`DType::Text`]
/// otherwise.
pub fn dtype_of_texts<'a>(texts: impl Iterator<Item = &'a str>) -> DType {
    let (kind, missing) = Kind::of_column(texts);
    kind.dtype(missing, DType::F8)
}

/// Texts as packed numbers of the element type that [`dtype_of_texts`] returned; a missing one is NaN.
pub fn pack_texts(texts: &[&str], dtype: DType) -> Vec<u8> {
    let boolean_or_real = |text: &str| real(text).or_else(|| boolean(text).map(|yes| f64::from(u8::from(yes))));
    match dtype {
        DType::I8 => texts.iter().flat_map(|text| integer(text).unwrap_or_default().to_le_bytes()).collect(),
        DType::F8 => texts.iter().flat_map(|text| boolean_or_real(text).unwrap_or(f64::NAN).to_le_bytes()).collect(),
        DType::B1 => texts.iter().map(|text| u8::from(boolean(text) == Some(true))).collect(),
        _ => Vec::new(),
    }
}

/// The canonical text of a number or boolean, so that `2`, `2.0` and `2e0` are one category, as are `True` and `true`.
/// None where a text is neither; with leading zeros it is a code, not a number.
pub fn canonical_number(text: &str) -> Option<String> {
    match Kind::of(text) {
        Kind::Boolean => boolean(text).map(|yes| yes.to_string()),
        Kind::Integer | Kind::LongInteger => integer(text).map(|integer| integer.to_string()),
        // Rust's shortest text that parses to the same bits.
        Kind::Real => real(text).map(|real| real.to_string()),
        Kind::Empty | Kind::Text => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_numbers_where_all_cells_are() {
        for (cells, kind, missing) in [
            (&["1", " -2 ", "3"][..], Kind::Integer, false),
            (&["1", "2.5", "1e3", ".5"], Kind::Real, false),
            (&["1", "", "NA"], Kind::Integer, true),
            (&["true", "False"], Kind::Boolean, false),
            (&["true", "1"], Kind::Text, false),
            (&["007", "8"], Kind::Text, false),
            (&["99999999999999999999"], Kind::Text, false),
            (&["1,234"], Kind::Text, false),
            (&["0", "-0.0"], Kind::Real, false),
            (&["inf", "1"], Kind::Real, false),
            (&["1e999"], Kind::Text, false),
            (&["", "null"], Kind::Empty, true),
            (&["NA", "DE"], Kind::Text, true),
            (&["0x10"], Kind::Text, false),
        ] {
            assert_eq!(Kind::of_column(cells.iter().copied()), (kind, missing), "{cells:?}");
        }
    }
}
