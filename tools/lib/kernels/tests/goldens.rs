//! The kernels against mpmath and NumPy, on every instruction set that this machine has.
//! `fixtures/make_goldens.py` made the values and describes their format.

use kernels::{Base, EntropyOptions, Isa, Real, entropy_rows_on, leaky_relu_on};

/// A number of a fixture: its bits, in hexadecimal.
trait Golden: Real {
    fn parse(bits: &str) -> Self;
}

impl Golden for f64 {
    fn parse(bits: &str) -> Self {
        Self::from_bits(u64::from_str_radix(bits, 16).expect("hexadecimal digits"))
    }
}

impl Golden for f32 {
    fn parse(bits: &str) -> Self {
        Self::from_bits(u32::from_str_radix(bits, 16).expect("hexadecimal digits"))
    }
}

/// Numbers, each of them written once or as `bits*count`.
fn numbers<T: Golden>(text: &str) -> Vec<T> {
    let run = |word: &str| {
        let (bits, count) = word.split_once('*').unwrap_or((word, "1"));
        vec![T::parse(bits); count.parse().expect("a count")]
    };
    text.split_whitespace().flat_map(run).collect()
}

/// The lines of a fixture, each with its number, without comments.
fn lines(fixture: &str) -> impl Iterator<Item = (usize, &str)> {
    fixture.lines().enumerate().map(|(i, line)| (i + 1, line)).filter(|(_, line)| !line.starts_with('#'))
}

fn ulps(ours: f64, expected: f64) -> u64 {
    (ours.to_bits() as i64).abs_diff(expected.to_bits() as i64)
}

fn entropy<T: Golden>(isa: Isa, elements: &str, options: &EntropyOptions) -> f64 {
    let row: Vec<T> = numbers(elements);
    let mut out = [T::ZERO];
    entropy_rows_on(isa, &row, row.len(), options, &mut out).expect("a row that passes");
    out[0].to_f64()
}

#[test]
fn entropies_are_those_of_mpmath() {
    for (number, line) in lines(include_str!("fixtures/entropy.txt")) {
        let (settings, elements) = line.split_once('|').expect("settings | elements");
        let [dtype, base, normalize, expected] = settings.split_whitespace().collect::<Vec<_>>()[..] else {
            panic!("entropy.txt:{number}: four settings")
        };
        let base = match base {
            "2" => Base::Two,
            "10" => Base::Ten,
            _ => Base::E,
        };
        let options = EntropyOptions { base, normalize: normalize == "1", tolerance: 1e-3 };
        let expected = f64::parse(expected);
        for isa in Isa::supported() {
            if dtype == "f8" {
                let ours = entropy::<f64>(isa, elements, &options);
                assert!(ulps(ours, expected) <= 4, "entropy.txt:{number}, {isa}: {ours:e}, expected {expected:e}");
            } else {
                let ours = entropy::<f32>(isa, elements, &options);
                // Where the entropy itself is subnormal in f32, its digits run out.
                let bound = 2e-6 * expected.abs() + 4.0 * f64::from(f32::from_bits(1));
                assert!(
                    (ours - expected).abs() <= bound,
                    "entropy.txt:{number}, {isa}: {ours:e}, expected {expected:e}"
                );
            }
        }
    }
}

fn assert_relu<T: Golden>(isa: Isa, slope: f64, x: &str, expected: &str, number: usize) {
    let mut ours: Vec<T> = numbers(x);
    leaky_relu_on(isa, &mut ours, slope);
    assert_eq!(ours, numbers::<T>(expected), "relu.txt:{number}, {isa}");
}

#[test]
fn relus_are_those_of_numpy() {
    for (number, line) in lines(include_str!("fixtures/relu.txt")) {
        let [settings, x, expected] = line.split('|').collect::<Vec<_>>()[..] else {
            panic!("relu.txt:{number}: settings | x | expected")
        };
        let (dtype, slope) = settings.trim().split_once(' ').expect("a dtype and a slope");
        for isa in Isa::supported() {
            match dtype {
                "f8" => assert_relu::<f64>(isa, f64::parse(slope), x, expected, number),
                _ => assert_relu::<f32>(isa, f64::parse(slope), x, expected, number),
            }
        }
    }
}
