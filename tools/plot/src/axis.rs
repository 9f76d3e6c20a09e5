//! Axes: from values to positions, and their ticks.

/// An axis over a range of values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Axis {
    pub low: f64,
    pub high: f64,
    pub log: bool,
}

/// A marked value.
#[derive(Debug, Clone, PartialEq)]
pub struct Tick {
    pub value: f64,
    pub label: String,
}

/// Larger values are not drawn, so that ranges and tick steps stay finite.
const MAX_VALUE: f64 = 1e250;
/// Smaller ranges, relative to their values, are widened: tick labels would need too many digits.
const MIN_RELATIVE_RANGE: f64 = 1e-9;
/// From this many digits on, or beyond that many decimals, labels are written as powers of ten: 2e6, 5e-5.
const PLAIN_DIGITS: i32 = 6;
const PLAIN_DECIMALS: i32 = 4;

/// Whether a value can be drawn on an axis: finite and not too large, and on a log scale above 0.
pub fn is_drawable(value: f64, log: bool) -> bool {
    value.abs() <= MAX_VALUE && (!log || value >= 1.0 / MAX_VALUE)
}

impl Axis {
    /// The axis over all of `values`, with `margin`, a share of the range, left free at each end. A margin does not
    /// lead from positive values below zero.
    pub fn over(values: impl Iterator<Item = f64>, log: bool, margin: f64) -> Self {
        let inner = values.filter(|value| is_drawable(*value, log)).fold(None, |range, value| match range {
            None => Some((value, value)),
            Some((low, high)) => Some((value.min(low), value.max(high))),
        });
        let (low, high) = inner.unwrap_or(if log { (1.0, 10.0) } else { (0.0, 1.0) });
        if log {
            let (mut l, mut h) = (libm::log10(low), libm::log10(high));
            if h - l < MIN_RELATIVE_RANGE {
                (l, h) = (l - 0.1, h + 0.1);
            }
            let free = (h - l) * margin;
            return Self { low: libm::exp10(l - free), high: libm::exp10(h + free), log };
        }
        if high - low <= MIN_RELATIVE_RANGE * high.abs().max(low.abs()) {
            // One value: as much around it as makes readable labels.
            let around = if high == 0.0 { 1.0 } else { high.abs() / 10.0 };
            return Self { low: low - around, high: high + around, log };
        }
        let free = (high - low) * margin;
        let floor = if low >= 0.0 { 0.0 } else { f64::NEG_INFINITY };
        Self { low: (low - free).max(floor), high: high + free, log }
    }

    /// The position of a value along the axis, from 0 at the lower end to 1 at the upper.
    pub fn position(&self, value: f64) -> f64 {
        if self.log {
            (libm::log10(value) - libm::log10(self.low)) / (libm::log10(self.high) - libm::log10(self.low))
        } else {
            (value - self.low) / (self.high - self.low)
        }
    }

    /// Round values along the axis, about `wanted` of them or fewer. `whole` asks for whole numbers.
    pub fn ticks(&self, wanted: usize, whole: bool) -> Vec<Tick> {
        if !self.log {
            return linear(self.low, self.high, wanted, whole);
        }
        let decades: Vec<Tick> = self.decades(&[1]);
        if decades.len() > wanted {
            let stride = decades.len().div_ceil(wanted.max(1));
            return decades.into_iter().step_by(stride).collect();
        }
        // From coarse to fine, the first that says enough.
        let finer = [vec![1, 3], vec![1, 2, 5], (1..=9).collect()].into_iter().map(|digits| self.decades(&digits));
        std::iter::once(decades)
            .chain(finer)
            .find(|ticks| ticks.len() >= wanted.div_ceil(2) && ticks.len() <= wanted)
            .unwrap_or_else(|| linear(self.low, self.high, wanted, false))
    }

    /// Values between a logarithmic axis's decades that get a mark without a label; few decades have them.
    pub fn minor_ticks(&self) -> Vec<f64> {
        const MAX_DECADES: f64 = 6.0;
        let few = self.log && libm::log10(self.high / self.low) <= MAX_DECADES;
        if few {
            self.decades(&(1..=9).collect::<Vec<_>>()).into_iter().map(|tick| tick.value).collect()
        } else {
            vec![]
        }
    }

    /// `digit × 10^n` within the axis.
    fn decades(&self, digits: &[i64]) -> Vec<Tick> {
        let exponents = libm::log10(self.low).floor() as i32..=libm::log10(self.high).ceil() as i32;
        let all = exponents.flat_map(|exponent| digits.iter().map(move |&digit| decimal(digit, exponent)));
        let inside = |value: f64| value >= self.low && value <= self.high;
        // Labels of one axis are of one kind.
        let scientific = self.low < 10f64.powi(-PLAIN_DECIMALS) || self.high >= 10f64.powi(PLAIN_DIGITS);
        all.filter(|tick| inside(tick.0))
            .map(|(value, digit, exponent)| tick(value, digit, exponent, 0, scientific))
            .collect()
    }
}

/// The value of `mantissa × 10^exponent`, rounded once, with mantissa and exponent.
fn decimal(mantissa: i64, exponent: i32) -> (f64, i64, i32) {
    (format!("{mantissa}e{exponent}").parse().unwrap_or(f64::INFINITY), mantissa, exponent)
}

/// Multiples of 1, 2 or 5 times a power of ten (Heckbert, Graphics Gems, 1990).
fn linear(low: f64, high: f64, wanted: usize, whole: bool) -> Vec<Tick> {
    let rough = (high - low) / wanted.max(1) as f64;
    let mut exponent = libm::log10(rough).floor() as i32;
    let mut digit = match rough / 10f64.powi(exponent) {
        share if share <= 1.0 => 1,
        share if share <= 2.0 => 2,
        share if share <= 5.0 => 5,
        _ => 10,
    };
    if whole && exponent < 0 && high - low >= 1.0 {
        (digit, exponent) = (1, 0);
    }
    if digit == 10 {
        (digit, exponent) = (1, exponent + 1);
    }
    let (step, ..) = decimal(digit, exponent);
    let (first, last) = ((low / step).ceil() as i64, (high / step).floor() as i64);
    let largest = low.abs().max(high.abs());
    let scientific = largest >= 10f64.powi(PLAIN_DIGITS) || exponent < -PLAIN_DECIMALS;
    let ticks = (first..=last).map(|count| decimal(count.saturating_mul(digit), exponent));
    ticks.map(|(value, mantissa, exponent)| tick(value, mantissa, exponent, exponent.min(0), scientific)).collect()
}

/// A tick at `mantissa × 10^exponent`, with as many decimals as its neighbours.
fn tick(value: f64, mantissa: i64, exponent: i32, decimals: i32, scientific: bool) -> Tick {
    let label = if mantissa == 0 {
        "0".to_owned()
    } else if scientific {
        format!("{value:e}")
    } else {
        format!("{value:.*}", exponent.min(decimals).min(0).unsigned_abs() as usize)
    };
    Tick { value, label }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(low: f64, high: f64, log: bool, whole: bool) -> Vec<String> {
        Axis { low, high, log }.ticks(6, whole).into_iter().map(|tick| tick.label).collect()
    }

    #[test]
    fn ticks_are_round_numbers() {
        assert_eq!(labels(0.0, 1.0, false, false), ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(labels(0.0, 2.3e-4, false, false), ["0", "5e-5", "1e-4", "1.5e-4", "2e-4"]);
        assert_eq!(labels(-3.0, 3.0, false, false), ["-3", "-2", "-1", "0", "1", "2", "3"]);
        assert_eq!(labels(1.0, 3.0, false, true), ["1", "2", "3"]);
        assert_eq!(labels(0.0, 2.5e6, false, true), ["0", "5e5", "1e6", "1.5e6", "2e6", "2.5e6"]);
    }

    #[test]
    fn log_ticks_are_decades_or_what_is_between_them() {
        assert_eq!(labels(1e-5, 1.0, true, false), ["1e-5", "1e-4", "1e-3", "1e-2", "1e-1", "1e0"]);
        assert_eq!(labels(1e-3, 1.0, true, false), ["0.001", "0.01", "0.1", "1"]);
        assert_eq!(labels(0.9, 60.0, true, false), ["1", "3", "10", "30"]);
        assert_eq!(labels(1e-30, 1.0, true, false).len(), 6);
        assert_eq!(labels(2.0, 2.5, true, false), ["2.0", "2.1", "2.2", "2.3", "2.4", "2.5"]);
    }

    #[test]
    fn odd_ranges_have_axes_all_the_same() {
        let over = |values: &[f64], log| Axis::over(values.iter().copied(), log, 0.05);
        for log in [false, true] {
            for values in [
                &[][..],
                &[0.0],
                &[1e-320],
                &[1e300, -1e300],
                &[f64::MAX, f64::INFINITY],
                &[f64::NAN],
                &[7.0, 7.0],
                &[1e6, 1e6 + 1e-7],
                &[1e300, 1e-300],
                &[-5.0],
                &[5e-324, 1e-323],
            ] {
                let axis = over(values, log);
                assert!(axis.low < axis.high && axis.low.is_finite() && axis.high.is_finite(), "{values:?} {axis:?}");
                let ticks = axis.ticks(6, false);
                assert!(ticks.len() <= 12, "{values:?} {axis:?} {ticks:?}");
                assert!(ticks.iter().all(|tick| tick.label.len() <= 20), "{ticks:?}");
                assert!(axis.minor_ticks().len() <= 80);
            }
        }
    }

    #[test]
    fn a_margin_does_not_lead_below_zero() {
        assert_eq!(Axis::over([0.01, 1.0].into_iter(), false, 0.05).low, 0.0);
        assert!(Axis::over([-0.5, 1.0].into_iter(), false, 0.05).low < -0.5);
    }
}
