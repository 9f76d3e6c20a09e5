//! Numbers of JSON as elements of a tensor.
//!
//! Each type has two parsers. `parse` is the plain one: it takes any number, by the standard library or `fast_float2`, and
//! says what is wrong. `simple` takes what most numbers are and leaves everything else to `parse`; it reads eight digits
//! at a time and rounds an `FP32` from a double that is off by at most two units in its last place, unless a midpoint
//! between two floats is as near as that (1 of 10⁸ of random numbers).

use super::{
    digits,
    error::{Problem, RequestError, Result},
    json::{Cursor, NumberText},
};
use crate::DataType;
use bytemuck::NoUninit;

/// An element whose JSON form is a number or a boolean.
pub(super) trait Number: NoUninit + Send + Sync {
    /// Consumes any element.
    fn parse(cursor: &mut Cursor<'_>) -> Result<Self>;

    /// The element at the beginning of `text`, and what comes after it; None if `parse` is to look at it. What comes after
    /// may belong to the number (`1.5` of integers): the caller takes the element only in front of a comma or a bracket.
    #[inline]
    fn simple(_text: &[u8]) -> Option<(Self, &[u8])> {
        None
    }
}

/// An element of `BOOL`: 0 or 1.
#[derive(Clone, Copy, NoUninit)]
#[repr(transparent)]
pub(super) struct Boolean(u8);

impl Number for Boolean {
    /// Beside booleans, the numbers 0 and 1.
    fn parse(cursor: &mut Cursor<'_>) -> Result<Self> {
        if !matches!(cursor.peek(), Some(b'-' | b'0'..=b'9')) {
            return cursor.boolean().map(|value| Self(value.into()));
        }
        match cursor.number()?.text {
            "0" => Ok(Self(0)),
            "1" => Ok(Self(1)),
            text => Err(out_of_range(text, DataType::Bool)),
        }
    }
}

/// A number of a record: an `FP64`, for which booleans are 1 and 0, as in CSV and NDJSON.
#[derive(Clone, Copy, NoUninit)]
#[repr(transparent)]
pub(super) struct FieldNumber(f64);

impl Number for FieldNumber {
    fn parse(cursor: &mut Cursor<'_>) -> Result<Self> {
        let value = match cursor.peek() {
            Some(b't' | b'f') => f64::from(u8::from(cursor.boolean()?)),
            _ => f64::parse(cursor)?,
        };
        Ok(Self(value))
    }

    #[inline]
    fn simple(text: &[u8]) -> Option<(Self, &[u8])> {
        f64::simple(text).map(|(value, rest)| (Self(value), rest))
    }
}

macro_rules! integers {
    ($($number:ty: $data_type:ident),+) => {$(
        impl Number for $number {
            fn parse(cursor: &mut Cursor<'_>) -> Result<Self> {
                let number = cursor.number()?;
                // 128 bits take any sign of zero, too.
                let value = number.text.parse::<i128>().ok().and_then(|value| value.try_into().ok());
                value.ok_or_else(|| no_integer(number, DataType::$data_type))
            }

            #[inline]
            fn simple(text: &[u8]) -> Option<(Self, &[u8])> {
                let negative = <$number>::MIN != 0 && text.first() == Some(&b'-');
                let whole = &text[usize::from(negative)..];
                let (digits, magnitude) = digits::leading(whole.first_chunk()?);
                let (magnitude, rest) = match digits {
                    0 => return None,
                    1 => (magnitude, &whole[1..]),
                    _ if whole[0] == b'0' => return None,
                    digits::MAX => few_digits(&whole[digits::MAX..], magnitude)?,
                    _ => (magnitude, &whole[digits..]),
                };
                let magnitude = i64::try_from(magnitude).ok()?;
                Some(((if negative { -magnitude } else { magnitude }).try_into().ok()?, rest))
            }
        }
    )+};
}

integers!(u8: Uint8, u16: Uint16, u32: Uint32, u64: Uint64, i8: Int8, i16: Int16, i32: Int32, i64: Int64);

impl Number for f32 {
    fn parse(cursor: &mut Cursor<'_>) -> Result<Self> {
        if let Some(value) = cursor.not_finite() {
            return Ok(value as Self);
        }
        let NumberText { text, .. } = cursor.number()?;
        finite(fast_float2::parse(text), text, DataType::Fp32)
    }

    #[inline]
    fn simple(text: &[u8]) -> Option<(Self, &[u8])> {
        /// Bits of a double's mantissa that a float does not have.
        const DROPPED: u32 = f64::MANTISSA_DIGITS - f32::MANTISSA_DIGITS;
        /// What `near` may be off by, in units in its last place: one rounding of the mantissa, one of the quotient, each of
        /// half a unit of a number that may be half as large.
        const ERROR: u64 = 2;
        let (decimal, rest) = Decimal::scan(text)?;
        let near = decimal.magnitude()?;
        let tail = near.to_bits() & ((1 << DROPPED) - 1);
        // No midpoint between floats lies within the error, so that the exact number rounds as this one does. None of them
        // is subnormal: a mantissa other than 0 is at least 1, a power at least 1e-22.
        let certain = tail.abs_diff(1 << (DROPPED - 1)) > ERROR && near < f32::MAX.into();
        let sign = u32::from(decimal.negative) << (u32::BITS - 1);
        certain.then(|| (Self::from_bits((near as Self).to_bits() | sign), rest))
    }
}

impl Number for f64 {
    fn parse(cursor: &mut Cursor<'_>) -> Result<Self> {
        if let Some(value) = cursor.not_finite() {
            return Ok(value);
        }
        let NumberText { text, .. } = cursor.number()?;
        finite(fast_float2::parse(text), text, DataType::Fp64)
    }

    #[inline]
    fn simple(text: &[u8]) -> Option<(Self, &[u8])> {
        let (decimal, rest) = Decimal::scan(text)?;
        let magnitude = match decimal.magnitude() {
            // Mantissa and power are exact: one rounding.
            Some(magnitude) if decimal.mantissa <= 1 << Self::MANTISSA_DIGITS => magnitude,
            _ => {
                let value: Self = fast_float2::parse(&text[..text.len() - rest.len()]).ok()?;
                return value.is_finite().then_some((value, rest));
            }
        };
        let sign = u64::from(decimal.negative) << (u64::BITS - 1);
        Some((Self::from_bits(magnitude.to_bits() | sign), rest))
    }
}

/// A decimal of few digits: ± `mantissa` × 10^`exponent`.
struct Decimal {
    negative: bool,
    mantissa: i64,
    exponent: i64,
}

impl Decimal {
    /// The number at the beginning of `text`, and what comes after it; None for one of many digits or that is no number.
    #[inline]
    fn scan(text: &[u8]) -> Option<(Self, &[u8])> {
        let negative = text.first() == Some(&b'-');
        let whole = &text[usize::from(negative)..];
        let (first, mut rest) = whole.split_first()?;
        let mut mantissa = u64::from(first.wrapping_sub(b'0'));
        match mantissa {
            // Another digit here is none of the number's: JSON has no zeros in front.
            0 => {}
            1..=9 => (mantissa, rest) = few_digits(rest, mantissa)?,
            _ => return None,
        }
        let mut exponent = 0;
        if let [b'.', fraction @ ..] = rest {
            let (places, value) = digits::leading(fraction.first_chunk()?);
            if places == 0 {
                return None;
            }
            mantissa = mantissa.checked_mul(digits::POWERS[places])?.checked_add(value)?;
            rest = &fraction[places..];
            if places == digits::MAX {
                (mantissa, rest) = few_digits(rest, mantissa)?;
            }
            exponent = -((fraction.len() - rest.len()) as i64);
        }
        if let [b'e' | b'E', after @ ..] = rest {
            let power;
            (power, rest) = scan_exponent(after)?;
            exponent += power;
        }
        Some((Self { negative, mantissa: mantissa.try_into().ok()?, exponent }, rest))
    }

    /// The number without its sign, rounded at most twice: its mantissa, and the product or quotient of it and an exact power
    /// of ten. None if the power is not exact.
    #[inline]
    fn magnitude(&self) -> Option<f64> {
        /// Powers of ten that a double holds exactly.
        const POWERS: [f64; 23] = [
            1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
            1e19, 1e20, 1e21, 1e22,
        ];
        let power = *POWERS.get(self.exponent.unsigned_abs() as usize)?;
        let mantissa = self.mantissa as f64;
        Some(if self.exponent < 0 { mantissa / power } else { mantissa * power })
    }
}

/// `value` with the digits at the beginning of `text` after it, and what comes after them; None if 64 bits do not hold it.
#[inline]
fn few_digits(mut text: &[u8], mut value: u64) -> Option<(u64, &[u8])> {
    while let [digit @ b'0'..=b'9', rest @ ..] = text {
        value = value.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
        text = rest;
    }
    Some((value, text))
}

/// The exponent after `e`, and what comes after it; None if it is far.
fn scan_exponent(text: &[u8]) -> Option<(i64, &[u8])> {
    /// Digits that a near exponent has at most.
    const DIGITS: usize = 4;
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    let (power, rest) = few_digits(digits, 0)?;
    let power = power as i64;
    matches!(digits.len() - rest.len(), 1..=DIGITS).then_some((if negative { -power } else { power }, rest))
}

fn finite<T: Copy + Into<f64>, E>(value: std::result::Result<T, E>, text: &str, data_type: DataType) -> Result<T> {
    value.ok().filter(|value| (*value).into().is_finite()).ok_or_else(|| out_of_range(text, data_type))
}

fn no_integer(number: NumberText<'_>, data_type: DataType) -> Box<RequestError> {
    if number.real { Problem::NotAnInteger(quoted(number.text)).into() } else { out_of_range(number.text, data_type) }
}

fn out_of_range(text: &str, data_type: DataType) -> Box<RequestError> {
    Problem::OutOfRange { text: quoted(text), data_type }.into()
}

/// The beginning of a number, for an error.
pub(super) fn quoted(text: &str) -> String {
    /// Digits of a number that tell which one it is.
    const SHOWN: usize = 32;
    match text.get(..SHOWN) {
        Some(start) if text.len() > SHOWN => format!("{start}…"),
        _ => text.to_owned(),
    }
}
