//! The transforms of F(4×4, 3×3) along one axis (Lavin and Gray, 2015), at the points 0, ±1, ±2 and ∞.
//!
//! In two dimensions each is applied to the columns, then to the rows.

use crate::vector::Vector;

/// Bᵀ: six pixels of the source to six points.
#[inline(always)]
pub(super) fn source<V: Vector>(d: [V; 6]) -> [V; 6] {
    let [two, four, minus_four, minus_five] = [2.0, 4.0, -4.0, -5.0].map(|x| d[0].splat(x));
    let (even, odd) = (d[2].mul_add(minus_four, d[4]), d[1].mul_add(minus_four, d[3]));
    let (even2, odd2) = (d[4].sub(d[2]), two.mul(d[3].sub(d[1])));
    [
        d[0].mul_add(four, d[2].mul_add(minus_five, d[4])),
        even.add(odd),
        even.sub(odd),
        even2.add(odd2),
        even2.sub(odd2),
        d[1].mul_add(four, d[3].mul_add(minus_five, d[5])),
    ]
}

/// Aᵀ: six points to four pixels of the target.
#[inline(always)]
pub(super) fn target<V: Vector>(m: [V; 6]) -> [V; 4] {
    let [two, four, eight] = [2.0, 4.0, 8.0].map(|x| m[0].splat(x));
    let (sum, difference) = (m[1].add(m[2]), m[1].sub(m[2]));
    let (sum2, difference2) = (m[3].add(m[4]), m[3].sub(m[4]));
    [
        m[0].add(sum).add(sum2),
        difference2.mul_add(two, difference),
        sum2.mul_add(four, sum),
        difference2.mul_add(eight, difference).add(m[5]),
    ]
}

/// A: four pixels of the target's gradient to six points.
#[inline(always)]
pub(super) fn target_gradient<V: Vector>(y: [V; 4]) -> [V; 6] {
    let [two, four, eight] = [2.0, 4.0, 8.0].map(|x| y[0].splat(x));
    let (even, odd) = (y[0].add(y[2]), y[1].add(y[3]));
    let (even2, odd2) = (y[2].mul_add(four, y[0]), y[3].mul_add(eight, y[1].mul(two)));
    [y[0], even.add(odd), even.sub(odd), even2.add(odd2), even2.sub(odd2), y[3]]
}

/// G: three weights to six points.
#[inline(always)]
pub(super) fn weights<V: Vector>(g: [V; 3]) -> [V; 6] {
    let [quarter, sixth, minus_sixth, twelfth, twenty_fourth] =
        [1.0 / 4.0, 1.0 / 6.0, -1.0 / 6.0, 1.0 / 12.0, 1.0 / 24.0].map(|x| g[0].splat(x));
    let (even, odd) = (g[0].add(g[2]).mul(minus_sixth), g[1].mul(minus_sixth));
    let (even2, odd2) = (g[0].mul_add(twenty_fourth, g[2].mul(sixth)), g[1].mul(twelfth));
    [g[0].mul(quarter), even.add(odd), even.sub(odd), even2.add(odd2), even2.sub(odd2), g[2]]
}

/// Gᵀ: six points to the gradients of three weights.
#[inline(always)]
pub(super) fn weights_gradient<V: Vector>(u: [V; 6]) -> [V; 3] {
    let [quarter, sixth, minus_sixth, twelfth, twenty_fourth] =
        [1.0 / 4.0, 1.0 / 6.0, -1.0 / 6.0, 1.0 / 12.0, 1.0 / 24.0].map(|x| u[0].splat(x));
    let (sum, difference) = (u[1].add(u[2]).mul(minus_sixth), u[2].sub(u[1]));
    let (sum2, difference2) = (u[3].add(u[4]), u[3].sub(u[4]));
    [
        u[0].mul_add(quarter, sum2.mul_add(twenty_fourth, sum)),
        difference.mul_add(sixth, difference2.mul(twelfth)),
        sum2.mul_add(sixth, sum).add(u[5]),
    ]
}
