//! Numbers of JSON, read once into a decimal of 64 bits and rounded from it.
//!
//! Digits are taken eight at a time. `FP32` is rounded from a double that is off by at most two units in its last place:
//! where a midpoint between two floats is as near as that, and for numbers of many digits or far exponents, the exact
//! algorithm of `fast_float2` decides (1 of 10⁸ of random numbers).

/// Powers of ten that a double holds exactly.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

/// Digits of which every number fits 64 bits.
const DIGITS: usize = 19;

/// Every integer up to here is a double.
const EXACT: u64 = 1 << f64::MANTISSA_DIGITS;

/// Bits of a double's mantissa that a float does not have.
const DROPPED: u32 = f64::MANTISSA_DIGITS - f32::MANTISSA_DIGITS;

/// What a double that stands for a float may be off by, in units in its last place.
const ERROR: u64 = 2;

/// Exponents beyond it make no difference, whatever the digits of a text that fits memory are.
const FAR: i64 = 1 << 48;

/// A number as it is written: ± `mantissa` × 10^`exponent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Decimal {
    negative: bool,
    /// Modulo 2^64 if `long`.
    mantissa: u64,
    exponent: i64,
    /// Whether it has more digits than `mantissa` holds.
    long: bool,
    /// Whether it is written with a fraction or an exponent.
    real: bool,
}

impl Decimal {
    /// The number at the beginning of `text`, as RFC 8259 spells it, and what comes after it.
    #[inline]
    pub fn scan(text: &[u8]) -> Option<(Self, &[u8])> {
        let negative = text.first() == Some(&b'-');
        let whole = &text[usize::from(negative)..];
        let mut mantissa = 0_u64;
        let mut rest = short_digits(whole, &mut mantissa);
        let mut digits = whole.len() - rest.len();
        if digits == 0 || (whole[0] == b'0' && digits > 1) {
            return None;
        }
        let (mut exponent, mut real) = (0, false);
        if let [b'.', fraction @ ..] = rest {
            rest = long_digits(fraction, &mut mantissa);
            let places = fraction.len() - rest.len();
            if places == 0 {
                return None;
            }
            digits += places;
            exponent = -(places as i64);
            real = true;
        }
        let long = digits > DIGITS && significant(whole, digits) > DIGITS;
        if let [b'e' | b'E', after @ ..] = rest {
            let power;
            (power, rest) = scan_exponent(after)?;
            exponent += power;
            real = true;
        }
        Some((Self { negative, mantissa, exponent, long, real }, rest))
    }

    /// Sign and magnitude of an integer; None of one that 64 bits do not hold, or of a fraction. `text` is what was scanned.
    #[inline]
    pub fn integer(&self, text: &[u8]) -> Option<(bool, u64)> {
        if self.real {
            return None;
        }
        if !self.long {
            return Some((self.negative, self.mantissa));
        }
        let digits = std::str::from_utf8(&text[usize::from(self.negative)..]).ok()?;
        Some((self.negative, digits.parse().ok()?))
    }

    /// Whether it is written with a fraction or an exponent.
    pub fn is_real(&self) -> bool {
        self.real
    }

    /// The nearest float, ties to even; infinite if it is out of range. `text` is what was scanned.
    #[inline]
    pub fn to_f32(self, text: &[u8]) -> f32 {
        if let Some(near) = self.scaled().filter(|_| !self.long) {
            let half = 1_u64 << (DROPPED - 1);
            let tail = near.to_bits() & ((1 << DROPPED) - 1);
            // No midpoint between floats lies within the error, so that the exact number rounds as this one does.
            if tail.abs_diff(half) > ERROR {
                return near as f32;
            }
        }
        exact(text)
    }

    /// The nearest double, ties to even; infinite if it is out of range. `text` is what was scanned.
    #[inline]
    pub fn to_f64(self, text: &[u8]) -> f64 {
        match self.scaled() {
            // Both operands are exact: one rounding.
            Some(value) if self.mantissa <= EXACT && !self.long => value,
            _ => exact(text),
        }
    }

    /// The number, rounded at most twice: the mantissa, and its product or quotient with an exact power of ten. None if the
    /// power is not exact. It is no subnormal, even as a float: no mantissa but 0 is below 1, and no power below 1e-22.
    #[inline]
    fn scaled(&self) -> Option<f64> {
        let power = *POWERS.get(usize::try_from(self.exponent.unsigned_abs()).ok()?)?;
        let mantissa = self.mantissa as f64;
        let value = if self.exponent < 0 { mantissa / power } else { mantissa * power };
        Some(if self.negative { -value } else { value })
    }
}

#[cold]
fn exact<T: fast_float2::FastFloat>(text: &[u8]) -> T {
    fast_float2::parse(text).expect("a number of JSON is one of fast_float2's grammar")
}

/// Adds the digits at the beginning of `text` to `value`, modulo 2^64; returns what comes after them. For few digits.
#[inline]
fn short_digits<'a>(mut text: &'a [u8], value: &mut u64) -> &'a [u8] {
    while let [digit @ b'0'..=b'9', rest @ ..] = text {
        *value = value.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
        text = rest;
    }
    text
}

/// As [`short_digits`], for many digits.
#[inline]
fn long_digits<'a>(mut text: &'a [u8], value: &mut u64) -> &'a [u8] {
    /// 10^n.
    const SHIFT: [u64; 9] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];
    while let Some(chunk) = text.first_chunk::<8>() {
        let bytes = u64::from_le_bytes(*chunk) ^ 0x3030_3030_3030_3030;
        // Bit 7 of each byte that is no digit; a carry reaches only bytes after the first of them.
        let others = (bytes.wrapping_add(0x7676_7676_7676_7676) | bytes) & 0x8080_8080_8080_8080;
        let digits = (others.trailing_zeros() / 8) as usize;
        if digits == 0 {
            return text;
        }
        // The digits move to the end, so that zeros are in front of them.
        let number = eight_digits(bytes << (64 - 8 * digits));
        *value = value.wrapping_mul(SHIFT[digits]).wrapping_add(number);
        text = &text[digits..];
        if digits < 8 {
            return text;
        }
    }
    short_digits(text, value)
}

/// The number of eight digits 0 to 9, the first in the lowest byte: pairs, then fours, then all.
#[inline]
fn eight_digits(bytes: u64) -> u64 {
    let pairs = bytes.wrapping_mul(10).wrapping_add(bytes >> 8) & 0x00FF_00FF_00FF_00FF;
    let fours = pairs.wrapping_mul(100).wrapping_add(pairs >> 16) & 0x0000_FFFF_0000_FFFF;
    fours.wrapping_mul(10_000).wrapping_add(fours >> 32) & 0xFFFF_FFFF
}

/// Digits without the zeros in front, of `digits` digits at the beginning of `text`, a point among them.
#[cold]
fn significant(text: &[u8], digits: usize) -> usize {
    digits - text.iter().filter(|byte| **byte != b'.').take_while(|byte| **byte == b'0').count().min(digits)
}

/// The exponent after `e`, and what comes after it.
#[inline]
fn scan_exponent(text: &[u8]) -> Option<(i64, &[u8])> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    let mut power = 0;
    let mut rest = digits;
    while let [digit @ b'0'..=b'9', after @ ..] = rest {
        power = (power * 10 + i64::from(digit - b'0')).min(FAR);
        rest = after;
    }
    (rest.len() < digits.len()).then_some((if negative { -power } else { power }, rest))
}
