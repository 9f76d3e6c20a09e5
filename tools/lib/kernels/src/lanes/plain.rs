//! Vectors in plain Rust: the baseline, and the reference of the others.

#![allow(unsafe_code, reason = "the trait's constructor is unsafe for the other instruction sets")]

use super::{COLUMNS, Lanes, Split, Vectorized};
use crate::real::Real;

/// An array, of which the compiler makes vectors.
#[derive(Clone, Copy)]
pub struct Plain<T: Vectorized>(T::Line);

impl<T: Real> Plain<T> {
    #[inline(always)]
    fn map(mut self, f: impl Fn(T) -> T) -> Self {
        for x in self.0.as_mut() {
            *x = f(*x);
        }
        self
    }

    #[inline(always)]
    fn zip(mut self, other: Self, f: impl Fn(T, T) -> T) -> Self {
        for (x, y) in self.0.as_mut().iter_mut().zip(other.0.as_ref()) {
            *x = f(*x, *y);
        }
        self
    }
}

impl<T: Real> Lanes for Plain<T> {
    type Real = T;

    #[inline(always)]
    unsafe fn zero() -> Self {
        Self(T::Line::default())
    }

    #[inline(always)]
    fn splat(self, x: T) -> Self {
        self.map(|_| x)
    }

    #[inline(always)]
    fn load(mut self, values: &[T]) -> Self {
        self.0.as_mut().copy_from_slice(&values[..T::LANES]);
        self
    }

    #[inline(always)]
    fn load_first(self, values: &[T]) -> Self {
        assert!(values.len() < T::LANES, "{} elements", values.len());
        let mut line = T::Line::default();
        line.as_mut()[..values.len()].copy_from_slice(values);
        Self(line)
    }

    #[inline(always)]
    fn store(self, values: &mut [T]) {
        values[..T::LANES].copy_from_slice(self.0.as_ref());
    }

    #[inline(always)]
    fn columns(self, values: &[T], stride: usize) -> [Self; COLUMNS] {
        let mut columns = [self; COLUMNS];
        for (column, lanes) in columns.iter_mut().enumerate() {
            for (row, x) in lanes.0.as_mut().iter_mut().enumerate() {
                *x = values[row * stride + column];
            }
        }
        columns
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.zip(other, |x, y| x + y)
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.zip(other, |x, y| x - y)
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self.zip(other, |x, y| x * y)
    }

    #[inline(always)]
    fn div(self, other: Self) -> Self {
        self.zip(other, |x, y| x / y)
    }

    #[inline(always)]
    fn mul_add(mut self, factor: Self, term: Self) -> Self {
        let others = factor.0.as_ref().iter().zip(term.0.as_ref());
        for (x, (factor, term)) in self.0.as_mut().iter_mut().zip(others) {
            *x = x.mul_add(*factor, *term);
        }
        self
    }

    #[inline(always)]
    fn at_least_0(self) -> Self {
        self.map(|x| if x < T::ZERO { T::ZERO } else { x })
    }

    #[inline(always)]
    fn if_negative(mut self, negative: Self, other: Self) -> Self {
        let others = negative.0.as_ref().iter().zip(other.0.as_ref());
        for (x, (negative, other)) in self.0.as_mut().iter_mut().zip(others) {
            *x = if *x < T::ZERO { *negative } else { *other };
        }
        self
    }

    #[inline(always)]
    fn or(self, other: Self) -> Self {
        self.zip(other, T::or)
    }

    #[inline(always)]
    fn any_negative(self) -> bool {
        self.0.as_ref().iter().any(|x| x.is_sign_negative())
    }

    #[inline(always)]
    fn any_beyond(self, bound: Self) -> bool {
        !self.0.as_ref().iter().zip(bound.0.as_ref()).all(|(x, bound)| x.abs() <= *bound)
    }

    #[inline(always)]
    fn any_tiny(self, bound: Self) -> bool {
        self.0.as_ref().iter().zip(bound.0.as_ref()).any(|(x, bound)| x.abs() < *bound && *x != T::ZERO)
    }

    #[inline(always)]
    fn split(self) -> Split<Self> {
        let mut split = Split { k: self, logarithm: self, f: self };
        for (lane, x) in self.0.as_ref().iter().enumerate() {
            let Split { k, logarithm, f } = x.split();
            split.k.0.as_mut()[lane] = k;
            split.logarithm.0.as_mut()[lane] = logarithm;
            split.f.0.as_mut()[lane] = f;
        }
        split
    }
}
