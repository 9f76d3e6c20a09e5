//! Decimal digits, eight at a time.

/// Digits that are read at most.
pub(super) const MAX: usize = 16;

/// 10^n, for up to [`MAX`] digits.
pub(super) const POWERS: [u64; MAX + 1] = {
    let mut powers = [1; MAX + 1];
    let mut n = 1;
    while n <= MAX {
        powers[n] = powers[n - 1] * 10;
        n += 1;
    }
    powers
};

/// The number of digits that `text` begins with, up to [`MAX`], and their value. The only branch is on whether there are
/// fewer than eight, and more than eight.
#[inline]
pub(super) fn leading(text: &[u8; MAX]) -> (usize, u64) {
    let text = u128::from_le_bytes(*text);
    let (digits, value) = leading_eight(text as u64);
    if digits < 8 {
        return (digits, value);
    }
    let (more, low) = leading_eight((text >> u64::BITS) as u64);
    if more == 0 { (digits, value) } else { (digits + more, value * POWERS[more] + low) }
}

/// As [`leading`], of eight bytes; without any digit the value is arbitrary.
#[inline]
fn leading_eight(text: u64) -> (usize, u64) {
    let bytes = text ^ 0x3030_3030_3030_3030;
    let digits = count(bytes);
    // The digits move to the end, so that zeros are in front of them.
    (digits, value(bytes.wrapping_shl(u64::BITS - 8 * digits as u32)))
}

/// The number of bytes 0 to 9 before the first other one, the lowest byte first.
#[inline]
fn count(bytes: u64) -> usize {
    // Bit 7 of each byte above 9; a carry reaches only bytes after the first of them.
    let others = (bytes.wrapping_add(0x7676_7676_7676_7676) | bytes) & 0x8080_8080_8080_8080;
    (others.trailing_zeros() / 8) as usize
}

/// The number of eight digits 0 to 9, the first in the lowest byte: pairs, then fours, then all.
#[inline]
fn value(digits: u64) -> u64 {
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8) & 0x00FF_00FF_00FF_00FF;
    let fours = pairs.wrapping_mul(100).wrapping_add(pairs >> 16) & 0x0000_FFFF_0000_FFFF;
    fours.wrapping_mul(10_000).wrapping_add(fours >> 32) & 0xFFFF_FFFF
}

#[cfg(test)]
mod tests {
    use super::{MAX, leading};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn as_read_one_by_one(digits in "[0-9]{0,16}", others in "[ -/:-~]{16}", more in any::<[u8; MAX]>()) {
            for tail in [others.as_bytes(), &more] {
                let text = [digits.as_bytes(), tail].concat();
                let number = text.iter().take(MAX).take_while(|byte| byte.is_ascii_digit()).count();
                let expected = std::str::from_utf8(&text[..number]).unwrap_or("").parse().unwrap_or(0);
                let (digits, value) = leading(text.first_chunk().expect("16 bytes"));
                prop_assert_eq!(digits, number);
                prop_assert!(digits == 0 || value == expected, "{} {}", value, expected);
            }
        }
    }
}
