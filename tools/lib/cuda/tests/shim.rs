//! The kernels' text, compiled as C++ for the CPU, against the kernels of `kernels`: the same bits.
//!
//! Without a C++ compiler the tests are skipped with a note. `CXX` names another than `c++`.

#![allow(unsafe_code, reason = "functions of a library that the test compiles")]

use cuda::source::{self, Grid};
use kernels::{Base, EntropyOptions, Real, RowChecks, entropy_rows, leaky_relu};
use libloading::Library;
use std::{env, fs, process::Command, sync::OnceLock};

const NATS: EntropyOptions = EntropyOptions { base: Base::E, normalize: false, tolerance: 1e-4 };
/// Numbers that a kernel must not write.
const GUARD: usize = 3;

/// The kernels, compiled once.
fn library() -> Option<&'static Library> {
    static LIBRARY: OnceLock<Option<Library>> = OnceLock::new();
    LIBRARY.get_or_init(compile).as_ref()
}

fn compile() -> Option<Library> {
    let folder = tempfile::tempdir().expect("a folder");
    let (text, library) = (folder.path().join("kernels.cc"), folder.path().join("kernels.so"));
    fs::write(&text, source::cpu()).expect("written");
    let compiler = env::var("CXX").unwrap_or_else(|_| "c++".into());
    // No contraction: only what the text fuses is fused. Pragmas are for the GPU's compiler.
    let flags = ["-std=c++17", "-O2", "-ffp-contract=off", "-Wall", "-Wextra", "-Wno-unknown-pragmas", "-Werror"];
    let mut command = Command::new(&compiler);
    command.args(flags).args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&text);
    match command.output() {
        Err(error) => {
            eprintln!("skipped: no C++ compiler {compiler}: {error}");
            None
        }
        Ok(output) => {
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            // SAFETY: the library has no initialization but that of its thread's memory.
            Some(unsafe { Library::new(library) }.expect("a library"))
        }
    }
}

/// A function of the library's.
fn function<F: Copy>(library: &Library, name: &str) -> F {
    // SAFETY: the callers name the type that the text has.
    *unsafe { library.get::<F>(name.as_bytes()) }.expect("a kernel")
}

/// Calls `kernel` once for each block.
fn each_block(library: &Library, grid: Grid, mut kernel: impl FnMut()) {
    let choose: unsafe extern "C" fn(u32, u32, u32) = function(library, "shim_block");
    for block in 0..grid.blocks {
        // SAFETY: it sets numbers of this thread's.
        unsafe { choose(block, grid.blocks, grid.threads) };
        kernel();
    }
}

type Entropy<T> = unsafe extern "C" fn(*const T, u32, u32, T, T, T, *mut T, *mut u32);
type Relu<T> = unsafe extern "C" fn(*const T, u64, T, *mut T);

/// The entropies, and the first row that is left to the CPU.
fn entropies<T: Real>(
    library: &Library,
    probs: &[T],
    width: usize,
    options: &EntropyOptions,
) -> (Vec<T>, Option<usize>) {
    let (rows, size) = (probs.len() / width, size_of::<T>());
    let kernel: Entropy<T> = function(library, &source::entropy_name(width, size, options.normalize));
    let RowChecks { tolerance, tiny, divisor } = RowChecks::<T>::new(width, options);
    let (mut out, mut flagged) = (vec![T::from_f64(-7.0); rows + GUARD], u32::MAX);
    each_block(library, source::entropy_grid(rows, width, size), || {
        let (rows, width, out) = (rows as u32, width as u32, out.as_mut_ptr());
        // SAFETY: the arguments are those of the text, and the buffers as long as the rows.
        unsafe { kernel(probs.as_ptr(), rows, width, tolerance, tiny, divisor, out, &mut flagged) };
    });
    assert!(out[rows..].iter().all(|&x| x == T::from_f64(-7.0)), "{width}: a kernel wrote beyond its rows");
    out.truncate(rows);
    (out, usize::try_from(flagged).ok().filter(|&row| row < rows))
}

fn bits<T: Real>(values: &[T]) -> Vec<u64> {
    values.iter().map(|x| x.to_f64().to_bits()).collect()
}

/// Rows that sum to 1, of elements of many magnitudes; a fifth of the elements are 0.
fn rows(seed: u64, width: usize, count: usize) -> Vec<f64> {
    let mut random = random::Random::new(seed, 0);
    let mut rows: Vec<f64> =
        (0..width * count).map(|_| if random.index(5) == 0 { 0.0 } else { random.exponential().powi(4) }).collect();
    for row in rows.chunks_exact_mut(width) {
        row[0] += 1e-3;
        let sum: f64 = row.iter().sum();
        row.iter_mut().for_each(|p| *p /= sum);
    }
    rows
}

/// The same bits as the CPU's kernel, and no row left to it.
fn compare<T: Real>(library: &Library, probs: &[f64], width: usize, options: &EntropyOptions) {
    let probs: Vec<T> = probs.iter().map(|&p| T::from_f64(p)).collect();
    let mut expected = vec![T::ZERO; probs.len() / width];
    entropy_rows(&probs, width, options, &mut expected).expect("probabilities");
    let (ours, flagged) = entropies(library, &probs, width, options);
    assert_eq!(flagged, None, "{width} {options:?}");
    assert_eq!(bits(&ours), bits(&expected), "{width} {options:?} {}", expected.len());
}

fn compare_all(library: &Library, width: usize, count: usize) {
    let probs = rows(width as u64, width, count);
    for base in [Base::E, Base::Two, Base::Ten] {
        for normalize in [false, true] {
            let options = EntropyOptions { base, normalize, ..NATS };
            compare::<f32>(library, &probs, width, &options);
            compare::<f64>(library, &probs, width, &options);
        }
    }
}

#[test]
fn entropies_of_every_width_have_the_bits_of_the_cpu() {
    let Some(library) = library() else { return };
    for width in (1..=70).chain([127, 128, 129, 255, 256, 300, 1000, 4096]) {
        compare_all(library, width, if width > 300 { 40 } else { 133 });
    }
}

#[test]
fn entropies_of_every_number_of_rows_have_the_bits_of_the_cpu() {
    let Some(library) = library() else { return };
    for width in [1, 8, 9, 64, 65, 128] {
        for count in (0..40).chain([63, 64, 65, 127, 128, 129, 255, 256, 257, 1000]) {
            compare_all(library, width, count);
        }
    }
}

#[test]
fn weights_of_any_scale_are_normalized_as_on_the_cpu() {
    let Some(library) = library() else { return };
    let normalize = EntropyOptions { normalize: true, ..NATS };
    for width in [3, 8, 33, 64, 100, 700] {
        for exponent in [-100, -30, 0, 30, 100] {
            let weights: Vec<f64> = rows(7, width, 50).iter().map(|p| p * 2f64.powi(exponent)).collect();
            compare::<f32>(library, &weights, width, &normalize);
            compare::<f64>(library, &weights, width, &normalize);
        }
    }
}

/// A row that the CPU's kernel refuses, or computes by the definition, is flagged, and the first one is.
#[test]
fn rows_that_the_cpu_must_see_are_flagged() {
    let Some(library) = library() else { return };
    let normalize = EntropyOptions { normalize: true, ..NATS };
    let lax = EntropyOptions { tolerance: 10.0, ..NATS };
    for width in [2, 7, 8, 9, 64, 65, 200] {
        for row in [0, 1, 63, 64, 150, 299] {
            let flagged = |changes: &[(usize, f64)], options: &EntropyOptions| {
                let mut probs = rows(5, width, 300);
                for later in [row, 299] {
                    for (index, value) in changes {
                        probs[later * width + index % width] = *value;
                    }
                }
                let narrow: Vec<f32> = probs.iter().map(|&p| p as f32).collect();
                let found = entropies(library, &probs, width, options).1;
                assert_eq!(entropies(library, &narrow, width, options).1, found, "{width} {changes:?}");
                found
            };
            for index in 0..width {
                assert_eq!(flagged(&[(index, -1e-9)], &lax), Some(row), "{width} {index}");
            }
            assert_eq!(flagged(&[(1, f64::NAN)], &NATS), Some(row));
            assert_eq!(flagged(&[(1, f64::INFINITY)], &NATS), Some(row));
            assert_eq!(flagged(&[(1, 2.0)], &NATS), Some(row));
            assert_eq!(flagged(&[(1, f64::NAN)], &normalize), Some(row));
            assert_eq!(flagged(&[(1, -2.0)], &normalize), Some(row));
            let zeros: Vec<_> = (0..width).map(|index| (index, 0.0)).collect();
            assert_eq!(flagged(&zeros, &normalize), Some(row));
            let tiny: Vec<_> = (0..width).map(|index| (index, if index == 0 { 1.0 } else { 1e-40 })).collect();
            let single: Vec<f32> = tiny.iter().map(|(_, p)| *p as f32).collect();
            assert_eq!(entropies(library, &single, width, &NATS).1, Some(0), "{width}: subnormal elements");
        }
    }
}

#[test]
fn relu_has_the_bits_of_the_cpu() {
    fn check<T: Real>(library: &Library, count: usize, slope: f64, values: &[f64]) {
        let values: Vec<T> = values[..count].iter().map(|&x| T::from_f64(x)).collect();
        let mut expected = values.clone();
        leaky_relu(&mut expected, slope);
        let kernel: Relu<T> = function(library, &source::relu_name(size_of::<T>()));
        let mut lines = vec![[0u128; 1]; count + GUARD];
        // SAFETY: lines of 16 bytes are aligned as the kernel needs, and there are at least as many bytes as numbers.
        let out = unsafe { std::slice::from_raw_parts_mut(lines.as_mut_ptr().cast::<T>(), count + GUARD) };
        out[..count].copy_from_slice(&values);
        let start = out.as_mut_ptr();
        each_block(library, source::relu_grid(count, size_of::<T>()), || {
            // SAFETY: the arguments are those of the text; in place, as the text allows.
            unsafe { kernel(start, count as u64, T::from_f64(slope), start) };
        });
        assert_eq!(bits(&out[..count]), bits(&expected), "{count} {slope}");
        assert!(bits(&out[count..]).iter().all(|&bits| bits == 0), "a kernel wrote beyond its elements");
    }
    let Some(library) = library() else { return };
    let odd = [f64::NEG_INFINITY, f64::INFINITY, f64::NAN, -0.0, 0.0, -1e-310, f64::MIN, f64::MAX];
    let mut random = random::Random::new(1, 0);
    let values: Vec<f64> = odd.into_iter().chain((0..10_000).map(|_| random.exponential() - 1.0)).collect();
    for count in (0..70).chain([1023, 1024, 1025, 4096, 8191, 10_000]) {
        for slope in [0.0, 0.1, 1.0, -0.5] {
            check::<f32>(library, count, slope, &values);
            check::<f64>(library, count, slope, &values);
        }
    }
}
