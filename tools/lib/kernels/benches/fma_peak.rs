//! Peak f32 arithmetic of one core: GFLOP/s of fused multiply-adds on registers, with the instruction set that kernels
//! run on. A kernel's share of it says how much is left to win.
//!
//!     cargo bench -p kernels --bench fma_peak -- [SECONDS]

#[cfg(target_arch = "x86_64")]
mod peak {
    use std::{
        arch::x86_64::{_mm256_fmadd_ps, _mm256_set1_ps, _mm512_fmadd_ps, _mm512_set1_ps},
        hint::black_box,
    };

    /// Two of these can start in each cycle, and one takes four to five: fewer chains would wait for each other.
    const CHAINS: usize = 12;
    const ROUNDS: usize = 100_000;
    /// Operations of a call for each number of a vector: it is multiplied and added to.
    pub const FLOP_A_LANE: f64 = (ROUNDS * CHAINS * 2) as f64;

    #[target_feature(enable = "avx2,fma")]
    pub fn avx2() {
        let (factor, summand) = (_mm256_set1_ps(black_box(0.999)), _mm256_set1_ps(black_box(1e-3)));
        let mut chains = [_mm256_set1_ps(1.0); CHAINS];
        for _ in 0..ROUNDS {
            for chain in &mut chains {
                *chain = _mm256_fmadd_ps(*chain, factor, summand);
            }
        }
        black_box(chains);
    }

    #[target_feature(enable = "avx512f")]
    pub fn avx512() {
        let (factor, summand) = (_mm512_set1_ps(black_box(0.999)), _mm512_set1_ps(black_box(1e-3)));
        let mut chains = [_mm512_set1_ps(1.0); CHAINS];
        for _ in 0..ROUNDS {
            for chain in &mut chains {
                *chain = _mm512_fmadd_ps(*chain, factor, summand);
            }
        }
        black_box(chains);
    }
}

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code, reason = "calling a function compiled for instructions that were checked")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    use std::{io::Write, time::Instant};
    let seconds: f64 =
        std::env::args().skip(1).find(|argument| argument != "--bench").map_or(Ok(1.0), |text| text.parse())?;
    let isa = kernels::isa()?;
    if isa == kernels::Isa::Baseline || !std::arch::is_x86_feature_detected!("fma") {
        return Err("measured with AVX2 and FMA, or AVX-512, alone".into());
    }
    let lanes = if isa == kernels::Isa::Avx512 { 16.0 } else { 8.0 };
    let (began, mut best) = (Instant::now(), f64::INFINITY);
    while began.elapsed().as_secs_f64() < seconds {
        let round = Instant::now();
        // SAFETY: the processor has what `isa` names, and FMA, as was just asked.
        unsafe { if isa == kernels::Isa::Avx512 { peak::avx512() } else { peak::avx2() } };
        best = best.min(round.elapsed().as_secs_f64());
    }
    writeln!(std::io::stdout(), "{:.1}", lanes * peak::FLOP_A_LANE / best / 1e9)?;
    Ok(())
}

#[cfg(not(target_arch = "x86_64"))]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    Err("measured on x86-64 alone".into())
}
