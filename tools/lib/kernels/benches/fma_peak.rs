//! Peak f32 arithmetic of one core: GFLOP/s of fused multiply-adds on registers, with the instruction set that kernels
//! run on. A kernel's share of it says how much is left to win.
//!
//!     cargo bench -p kernels --bench fma_peak -- [SECONDS]

use std::{io::Write, time::Instant};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let seconds: f64 =
        std::env::args().skip(1).find(|argument| argument != "--bench").map_or(Ok(1.0), |text| text.parse())?;
    let isa = kernels::isa()?;
    let (began, mut best) = (Instant::now(), 0.0f64);
    while began.elapsed().as_secs_f64() < seconds {
        let round = Instant::now();
        let operations = kernels::peak::float32_operations(isa);
        best = best.max(operations as f64 / round.elapsed().as_secs_f64());
    }
    writeln!(std::io::stdout(), "{:.1}", best / 1e9)?;
    Ok(())
}
