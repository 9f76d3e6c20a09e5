//! Matrix products of one core, beside its peak: the products of a training step of perceptrons, by their shapes.
//!
//!     cargo bench -p kernels --bench gemm -- [SECONDS]

use kernels::{
    gemm::{Matrix, matmul_on},
    peak,
};
use std::{
    io::Write,
    time::{Duration, Instant},
};

/// What is computed, `[rows, terms, columns]`, and which operands are transposed.
const PRODUCTS: [(&str, [usize; 3], [bool; 2]); 9] = [
    ("forward, 8 to 64", [128, 8, 64], [false, true]),
    ("forward, 64 to 64", [128, 64, 64], [false, true]),
    ("forward, 64 to 1", [128, 64, 1], [false, true]),
    ("grad_weight, 8 to 64", [64, 128, 8], [true, false]),
    ("grad_weight, 64 to 64", [64, 128, 64], [true, false]),
    ("grad_input, 64 to 64", [128, 64, 64], [false, false]),
    ("forward, 256 to 64", [256, 256, 64], [false, true]),
    ("forward, 784 to 128", [64, 784, 128], [false, true]),
    ("square", [256, 512, 512], [false, false]),
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let seconds: f64 =
        std::env::args().skip(1).find(|argument| argument != "--bench").map_or(Ok(0.5), |text| text.parse())?;
    let (isa, mut out) = (kernels::isa()?, std::io::stdout());
    let mut operations = 0;
    let peak = best(seconds, || operations = peak::float32_operations(isa));
    let peak = operations as f64 / peak;
    writeln!(out, "{isa}: peak {:.1} GFLOP/s", peak / 1e9)?;
    for (name, [m, k, n], transposed) in PRODUCTS {
        let (left, right, mut product) = (vec![0.5; m * k], vec![0.25; k * n], vec![0.0; m * n]);
        let view = |data, [rows, columns]: [usize; 2], transposed| {
            if transposed { Matrix::new(data, columns, rows).transposed() } else { Matrix::new(data, rows, columns) }
        };
        let (left, right) = (view(&left, [m, k], transposed[0]), view(&right, [k, n], transposed[1]));
        let rate = (2 * m * k * n) as f64 / best(seconds, || matmul_on(isa, left, right, &mut product, true));
        writeln!(out, "{name:22} {:6.1} GFLOP/s, {:3.0} % of the peak", rate / 1e9, 100.0 * rate / peak)?;
    }
    Ok(())
}

/// The shortest time of a call, in seconds; calls are timed ten at a time.
fn best(seconds: f64, mut call: impl FnMut()) -> f64 {
    const CALLS: u32 = 10;
    let (began, mut best) = (Instant::now(), Duration::MAX);
    while began.elapsed().as_secs_f64() < seconds {
        let round = Instant::now();
        (0..CALLS).for_each(|_| call());
        best = best.min(round.elapsed() / CALLS);
    }
    best.as_secs_f64()
}
