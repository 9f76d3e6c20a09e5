//! What a cell holds, and what a column of cells holds.

use crate::DType;

/// What the cells of a column have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing stands in any of them.
    Empty,
    Integer,
    /// An integer that no `f64` holds exactly.
    LongInteger,
    Real,
    Boolean,
    Text,
}

/// Words for a number that is missing, as R, SQL, NumPy and pandas write it, in small letters. In a column of text only
/// the empty cell is missing: `NA` may be Namibia.
const MISSING: [&str; 5] = ["nan", "na", "n/a", "null", "none"];

/// Whether a cell of a column of numbers is a missing number.
pub(crate) fn is_missing(cell: &str) -> bool {
    let cell = cell.trim_ascii();
    cell.is_empty() || MISSING.iter().any(|word| cell.eq_ignore_ascii_case(word))
}

/// The boolean that a cell is, as Python, R and JSON write it.
pub(crate) fn boolean(cell: &str) -> Option<bool> {
    let cell = cell.trim_ascii();
    match () {
        () if cell.eq_ignore_ascii_case("true") => Some(true),
        () if cell.eq_ignore_ascii_case("false") => Some(false),
        () => None,
    }
}

/// The number that a cell is; infinity is one, a missing one is none.
pub(crate) fn real(cell: &str) -> Option<f64> {
    let cell = cell.trim_ascii();
    let value: f64 = fast_float2::parse(cell).ok()?;
    let is_word = cell.bytes().any(|byte| matches!(byte, b'i' | b'I'));
    (!value.is_nan() && (value.is_finite() || is_word)).then_some(value)
}

/// Integers up to this have an `f64` each.
const EXACT: u64 = 1 << 53;

/// The integer that a cell is. One with leading zeros is a code rather than a number.
pub(crate) fn integer(cell: &str) -> Option<i64> {
    let cell = cell.trim_ascii();
    let digits = cell.strip_prefix('-').unwrap_or(cell);
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    plain.then(|| cell.parse().ok()).flatten()
}

impl Kind {
    /// That of one cell.
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

    /// That of a column of such cells, and whether one of them is missing.
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

    /// The element type of a column that no tool computes with. What may be missing needs a value that says so.
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

/// The element type of the numbers that all of some texts are: `i8`, `f8` (where one may be missing) or `b1`; `Text` where
/// they are none.
pub fn dtype_of_texts<'a>(texts: impl Iterator<Item = &'a str>) -> DType {
    let (kind, missing) = Kind::of_column(texts);
    kind.dtype(missing, DType::F8)
}

/// Texts packed as the numbers of a `dtype` of [`dtype_of_texts`]; a missing one is NaN.
pub fn pack_texts(texts: &[&str], dtype: DType) -> Vec<u8> {
    let boolean_or_real = |text: &str| real(text).or_else(|| boolean(text).map(|yes| f64::from(u8::from(yes))));
    match dtype {
        DType::I8 => texts.iter().flat_map(|text| integer(text).unwrap_or_default().to_le_bytes()).collect(),
        DType::F8 => texts.iter().flat_map(|text| boolean_or_real(text).unwrap_or(f64::NAN).to_le_bytes()).collect(),
        DType::B1 => texts.iter().map(|text| u8::from(boolean(text) == Some(true))).collect(),
        _ => Vec::new(),
    }
}

/// A number or a boolean in the one way in which it is written here, so that `2`, `2.0` and `2e0` are one category, and
/// `True` and `true`. None where a text is neither; codes with leading zeros are none.
pub fn canonical_number(text: &str) -> Option<String> {
    match Kind::of(text) {
        Kind::Boolean => boolean(text).map(|yes| yes.to_string()),
        Kind::Integer | Kind::LongInteger => integer(text).map(|integer| integer.to_string()),
        // A whole number below 2^53 has its digits, any other the fewest that read back the same.
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
