//! The entropies of a block of rows: one pass that computes and checks.

use super::{EntropyOptions, RowChecks};
use crate::{
    lanes::{COLUMNS, Lanes, Vectorized, dispatch_lanes},
    logarithm::ln,
    real::Real,
};

/// Up to this width a vector has an element of each of several rows; beyond, several elements of one row.
const NARROW: usize = 64;

/// Rows of probabilities.
pub(super) struct Rows<'a, T> {
    /// `[rows, width]`
    pub probs: &'a [T],
    pub width: usize,
    pub options: &'a EntropyOptions,
    /// What each row is divided by, `[rows]`, if rows are normalized.
    pub sums: Option<&'a [f64]>,
}

/// What [`entropies`] saw in a block.
#[derive(Clone, Copy, Default)]
pub(super) struct Findings {
    /// A row may not be a probability vector: a sign bit is set, or a sum is not clearly within the tolerance. Not said of
    /// what rows are divided by.
    pub suspect: bool,
    /// An entropy is not 0, but so small ([`Real::TINY`]) that subnormal elements may count.
    pub tiny: bool,
}

dispatch_lanes! {
    /// The entropy of each of `rows`, into `out` `[rows]`; of rows that [`Findings`] suspects, any number.
    fn entropies<T>(rows: &Rows<'_, T>, out: &mut [T]) -> Findings => kernel
}

#[inline(always)]
fn kernel<V: Lanes<Real: Real>>(zero: V, rows: &Rows<'_, V::Real>, out: &mut [V::Real]) -> Findings {
    match (rows.width <= NARROW, rows.sums) {
        (true, None) => narrow::<V, false>(zero, rows, &[], out),
        (true, Some(sums)) => narrow::<V, true>(zero, rows, sums, out),
        (false, None) => wide::<V, false>(zero, rows, &[], out),
        (false, Some(sums)) => wide::<V, true>(zero, rows, sums, out),
    }
}

/// Vectors of elements, to be summed over. A trait, as a closure could not be `inline(always)`.
trait Group<V> {
    /// The vector `i`.
    fn vector(&self, i: usize) -> V;
}

impl<V: Copy> Group<V> for [V; COLUMNS] {
    #[inline(always)]
    fn vector(&self, i: usize) -> V {
        self[i]
    }
}

/// Consecutive elements.
struct Consecutive<'a, V: Lanes>(V, &'a [V::Real]);

impl<V: Lanes<Real: Real>> Group<V> for Consecutive<'_, V> {
    #[inline(always)]
    fn vector(&self, i: usize) -> V {
        self.0.load(&self.1[i * V::Real::LANES..])
    }
}

/// Sums over the elements of rows, on their way.
#[derive(Clone, Copy)]
struct Sums<V> {
    /// Σ p
    probs: V,
    /// Σ p ln p
    terms: V,
    /// What the additions of groups lost of `terms` by rounding.
    lost: V,
}

impl<V: Lanes<Real: Real>> Sums<V> {
    /// The sums of the first `count` vectors of a group, at most [`COLUMNS`], each divided by `divisor` with `SCALE`.
    /// `signs` collects their bits.
    #[inline(always)]
    fn of<const SCALE: bool>(group: &impl Group<V>, count: usize, zero: V, divisor: V, signs: &mut V) -> Self {
        // Two chains of additions: half as long, so half the rounding error.
        let (mut probs, mut terms) = ([zero; 2], [zero; 2]);
        for i in 0..COLUMNS {
            if i == count {
                break;
            }
            let p = if SCALE { group.vector(i).div(divisor) } else { group.vector(i) };
            *signs = signs.or(p);
            probs[i % 2] = probs[i % 2].add(p);
            terms[i % 2] = p.mul_add(ln(p), terms[i % 2]);
        }
        Self { probs: probs[0].add(probs[1]), terms: terms[0].add(terms[1]), lost: zero }
    }

    /// Adds a group. The terms are added with compensation (Knuth's two-sum), so that the error does not grow with the
    /// width.
    #[inline(always)]
    fn add(self, group: Self) -> Self {
        let terms = self.terms.add(group.terms);
        let from_group = terms.sub(self.terms);
        let from_self = terms.sub(from_group);
        let lost = self.terms.sub(from_self).add(group.terms.sub(from_group));
        Self { probs: self.probs.add(group.probs), terms, lost: self.lost.add(lost) }
    }

    /// The sums over all lanes, in each lane.
    #[inline(always)]
    fn over_lanes(self, zero: V) -> Self {
        let terms = zero.splat(sum_lanes(self.terms.add(self.lost)));
        Self { probs: zero.splat(sum_lanes(self.probs)), terms, lost: zero }
    }
}

/// What rows are checked against.
struct Checks<V> {
    one: V,
    /// Maximum distance from 1 of a sum as computed here: beyond, the exact sum decides.
    tolerance: V,
    /// [`Real::TINY`]
    tiny: V,
    /// ln of the base.
    divisor: V,
}

impl<V: Lanes<Real: Real>> Checks<V> {
    #[inline(always)]
    fn new(zero: V, rows: &Rows<'_, V::Real>) -> Self {
        let RowChecks { tolerance, tiny, divisor } = RowChecks::new(rows.width, rows.options);
        Self {
            one: zero.splat(V::Real::ONE),
            tolerance: zero.splat(tolerance),
            tiny: zero.splat(tiny),
            divisor: zero.splat(divisor),
        }
    }

    /// The entropies of rows with these sums, a lane each.
    #[inline(always)]
    fn entropies<const SCALE: bool>(&self, zero: V, sums: Sums<V>, findings: &mut Findings) -> V {
        findings.suspect |= !SCALE & sums.probs.sub(self.one).any_beyond(self.tolerance);
        // Taken from 0, the sum of a one-hot row, which may be -0, becomes 0.
        let entropies = zero.sub(sums.terms.add(sums.lost).div(self.divisor));
        findings.tiny |= entropies.any_tiny(self.tiny);
        entropies
    }
}

/// Rows of at most [`NARROW`] elements: each lane has a row, each vector a column.
#[inline(always)]
fn narrow<V: Lanes<Real: Real>, const SCALE: bool>(
    zero: V,
    rows: &Rows<'_, V::Real>,
    sums: &[f64],
    out: &mut [V::Real],
) -> Findings {
    let (lanes, width) = (V::Real::LANES, rows.width);
    let checks = Checks::new(zero, rows);
    let mut findings = Findings::default();
    let mut signs = zero;
    let mut copy = Vec::new();
    for (tile, out) in out.chunks_mut(lanes).enumerate() {
        // Whole groups of columns are loaded, so a little beyond the last row.
        let probs = &rows.probs[tile * lanes * width..];
        let (probs, stride) = match probs.get(..(lanes - 1) * width + width.next_multiple_of(COLUMNS)) {
            Some(probs) => (probs, width),
            None => padded(probs, width, &mut copy),
        };
        let divisor = if SCALE { divisors(zero, &sums[tile * lanes..]) } else { zero };
        let columns = zero.columns(probs, stride);
        let mut sums = Sums::of::<SCALE>(&columns, width.min(COLUMNS), zero, divisor, &mut signs);
        for start in (COLUMNS..width).step_by(COLUMNS) {
            let columns = zero.columns(&probs[start..], stride);
            sums = sums.add(Sums::of::<SCALE>(&columns, (width - start).min(COLUMNS), zero, divisor, &mut signs));
        }
        let entropies = checks.entropies::<SCALE>(zero, sums, &mut findings);
        if out.len() == lanes {
            entropies.store(out);
        } else {
            let mut line = <V::Real as Vectorized>::Line::default();
            entropies.store(line.as_mut());
            out.copy_from_slice(&line.as_ref()[..out.len()]);
        }
    }
    findings.suspect |= signs.any_negative();
    findings
}

/// The last rows, as many as there are lanes, with zeros up to a multiple of [`COLUMNS`], which is the stride. Rows that
/// are missing repeat the first.
#[cold]
fn padded<'a, T: Real>(rows: &[T], width: usize, copy: &'a mut Vec<T>) -> (&'a [T], usize) {
    let stride = width.next_multiple_of(COLUMNS);
    copy.resize(T::LANES * stride, T::ZERO);
    let rows = rows.chunks_exact(width).chain(std::iter::repeat(&rows[..width]));
    for (padded, row) in copy.chunks_exact_mut(stride).zip(rows) {
        padded[..width].copy_from_slice(row);
    }
    (copy, stride)
}

/// What the first rows are divided by, a lane each; 1 where there is no row.
#[inline(always)]
fn divisors<V: Lanes<Real: Real>>(zero: V, sums: &[f64]) -> V {
    let mut line = <V::Real as Vectorized>::Line::default();
    for (row, divisor) in line.as_mut().iter_mut().enumerate() {
        *divisor = sums.get(row).map_or(V::Real::ONE, |&sum| V::Real::from_f64(sum));
    }
    zero.load(line.as_ref())
}

/// Rows of more than [`NARROW`] elements, one after the other: each vector has elements of one row.
#[inline(always)]
fn wide<V: Lanes<Real: Real>, const SCALE: bool>(
    zero: V,
    rows: &Rows<'_, V::Real>,
    sums: &[f64],
    out: &mut [V::Real],
) -> Findings {
    let lanes = V::Real::LANES;
    let checks = Checks::new(zero, rows);
    let mut findings = Findings::default();
    let mut signs = zero;
    for (row, (probs, out)) in rows.probs.chunks_exact(rows.width).zip(out).enumerate() {
        let divisor = if SCALE { zero.splat(V::Real::from_f64(sums[row])) } else { zero };
        let mut groups = probs.chunks_exact(COLUMNS * lanes);
        let rest = groups.remainder();
        let vectors = rest.len() / lanes;
        let last = [zero.load_first(&rest[vectors * lanes..]); COLUMNS];
        let mut sums = Sums::of::<SCALE>(&last, 1, zero, divisor, &mut signs);
        sums = sums.add(Sums::of::<SCALE>(&Consecutive(zero, rest), vectors, zero, divisor, &mut signs));
        for group in groups.by_ref() {
            sums = sums.add(Sums::of::<SCALE>(&Consecutive(zero, group), COLUMNS, zero, divisor, &mut signs));
        }
        *out = checks.entropies::<SCALE>(zero, sums.over_lanes(zero), &mut findings).first();
    }
    findings.suspect |= signs.any_negative();
    findings
}

/// The sum of all lanes, as a tree: halves are added until one is left.
#[inline(always)]
fn sum_lanes<V: Lanes<Real: Real>>(vector: V) -> V::Real {
    let mut line = <V::Real as Vectorized>::Line::default();
    vector.store(line.as_mut());
    let line = line.as_mut();
    let mut half = V::Real::LANES / 2;
    while half > 0 {
        for i in 0..half {
            line[i] = line[i] + line[i + half];
        }
        half /= 2;
    }
    line[0]
}
