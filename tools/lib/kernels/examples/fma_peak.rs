//! Measures how many f32 operations a core can do at best: `fma_peak <seconds>` prints GFLOP/s of
//! multiplications and additions fused, on registers alone. The share of it that a kernel reaches says how
//! much is left to win.

#[cfg(target_arch = "x86_64")]
mod peak {
    use std::{
        arch::x86_64::{_mm256_fmadd_ps, _mm256_set1_ps},
        hint::black_box,
    };

    /// Two of these can start in each cycle, and one takes four to five: fewer chains would wait for each other.
    const CHAINS: usize = 12;
    const ROUNDS: usize = 100_000;
    /// Operations of a call of [`run`]: eight numbers, each multiplied and added.
    pub const FLOP: f64 = (ROUNDS * CHAINS * 8 * 2) as f64;

    pub fn is_supported() -> bool {
        std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma")
    }

    #[target_feature(enable = "avx2,fma")]
    pub fn run() {
        let (factor, summand) = (_mm256_set1_ps(black_box(0.999)), _mm256_set1_ps(black_box(1e-3)));
        let mut chains = [_mm256_set1_ps(1.0); CHAINS];
        for _ in 0..ROUNDS {
            for chain in &mut chains {
                *chain = _mm256_fmadd_ps(*chain, factor, summand);
            }
        }
        black_box(chains);
    }
}

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code, reason = "calling a function compiled for instructions that were checked")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    use std::{io::Write, time::Instant};
    let seconds: f64 = std::env::args().nth(1).ok_or("usage: fma_peak <seconds>")?.parse()?;
    if !peak::is_supported() {
        return Err("this processor has no AVX2 with FMA".into());
    }
    let (began, mut best) = (Instant::now(), f64::INFINITY);
    while began.elapsed().as_secs_f64() < seconds {
        let round = Instant::now();
        // SAFETY: the processor has AVX2 and FMA, as was just asked.
        unsafe { peak::run() };
        best = best.min(round.elapsed().as_secs_f64());
    }
    writeln!(std::io::stdout(), "{:.1}", peak::FLOP / best / 1e9)?;
    Ok(())
}

#[cfg(not(target_arch = "x86_64"))]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    Err("measured on x86-64 alone".into())
}
