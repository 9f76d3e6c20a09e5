//! Limits of a core, to hold kernels and models against: multiply-adds on registers, and reading memory.
//!
//! Each function runs a fixed amount of work and returns how much; the caller takes the time.

use crate::isa::{Isa, dispatch};
use std::hint::black_box;

/// Rounds of a call: enough that starting it takes no time.
const ROUNDS: u64 = 100_000;
/// Independent chains of operations. Two can start in each cycle, and one takes four to five: fewer chains would wait for
/// each other.
const CHAINS: usize = 12;
/// Independent sums of a read, of a register each.
const SUMS: usize = 8;

/// Runs float32 multiply-adds, fused where the processor has it; returns the number of operations, two a multiply-add.
#[allow(unsafe_code, reason = "calling functions compiled for instructions that were checked")]
pub fn float32_operations(isa: Isa) -> u64 {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("fma") {
        match isa {
            Isa::Avx512 if isa.is_supported() => {
                // SAFETY: the processor has AVX-512 F: the guard checks it.
                unsafe { x86::float32_avx512() };
                return operations(16);
            }
            Isa::Avx2 if isa.is_supported() => {
                // SAFETY: the processor has AVX2 and FMA: the guards check it.
                unsafe { x86::float32_avx2() };
                return operations(8);
            }
            _ => {}
        }
    }
    let _ = isa;
    separate_multiply_adds();
    operations(LANES as u64)
}

/// Runs 8-bit dot products that accumulate in 32 bits (VNNI); returns the number of operations, two a multiply-add. None if
/// the processor has none, or not on this instruction set.
#[allow(unsafe_code, reason = "calling functions compiled for instructions that were checked")]
pub fn int8_operations(isa: Isa) -> Option<u64> {
    #[cfg(target_arch = "x86_64")]
    match isa {
        Isa::Avx512 if isa.is_supported() && std::arch::is_x86_feature_detected!("avx512vnni") => {
            // SAFETY: the processor has AVX-512 F and VNNI: the guard checks it.
            unsafe { x86::int8_avx512() };
            return Some(operations(64));
        }
        Isa::Avx2 if isa.is_supported() && std::arch::is_x86_feature_detected!("avxvnni") => {
            // SAFETY: the processor has AVX2 and AVX-VNNI: the guard checks it.
            unsafe { x86::int8_avx2() };
            return Some(operations(32));
        }
        _ => {}
    }
    let _ = isa;
    None
}

/// Reads `values`, as their sum.
pub fn read(isa: Isa, values: &[f32]) -> f32 {
    let mut sum = [0.0];
    read_dispatched(isa, values, &mut sum);
    sum[0]
}

/// Operations of a call whose registers hold `lanes` values.
fn operations(lanes: u64) -> u64 {
    ROUNDS * CHAINS as u64 * 2 * lanes
}

/// Values of a register on every processor.
const LANES: usize = 4;

/// Products and sums, not fused.
fn separate_multiply_adds() {
    let (factor, summand) = (black_box(0.999f32), black_box(1e-3f32));
    let mut chains = [[1.0f32; LANES]; CHAINS];
    for _ in 0..ROUNDS {
        for lane in chains.as_flattened_mut() {
            *lane = *lane * factor + summand;
        }
    }
    black_box(chains);
}

dispatch! {
    fn read_dispatched(values: &[f32], sum: &mut [f32; 1]) => read_inline
}

#[inline(always)]
fn read_inline(values: &[f32], sum: &mut [f32; 1]) {
    let mut sums = [0.0f32; 16 * SUMS];
    let (blocks, rest) = values.as_chunks::<{ 16 * SUMS }>();
    for block in blocks {
        for i in 0..sums.len() {
            sums[i] += block[i];
        }
    }
    for i in 0..rest.len() {
        sums[i] += rest[i];
    }
    for partial in sums {
        sum[0] += partial;
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{CHAINS, ROUNDS};
    use std::{
        arch::x86_64::{
            _mm256_dpbusd_avx_epi32, _mm256_fmadd_ps, _mm256_set1_epi8, _mm256_set1_ps, _mm256_setzero_si256,
            _mm512_dpbusd_epi32, _mm512_fmadd_ps, _mm512_set1_epi8, _mm512_set1_ps, _mm512_setzero_si512,
        },
        hint::black_box,
    };

    #[target_feature(enable = "avx2,fma")]
    pub fn float32_avx2() {
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
    pub fn float32_avx512() {
        let (factor, summand) = (_mm512_set1_ps(black_box(0.999)), _mm512_set1_ps(black_box(1e-3)));
        let mut chains = [_mm512_set1_ps(1.0); CHAINS];
        for _ in 0..ROUNDS {
            for chain in &mut chains {
                *chain = _mm512_fmadd_ps(*chain, factor, summand);
            }
        }
        black_box(chains);
    }

    #[target_feature(enable = "avx2,avxvnni")]
    pub fn int8_avx2() {
        let (a, b) = (_mm256_set1_epi8(black_box(1)), _mm256_set1_epi8(black_box(1)));
        let mut chains = [_mm256_setzero_si256(); CHAINS];
        for _ in 0..ROUNDS {
            for chain in &mut chains {
                *chain = _mm256_dpbusd_avx_epi32(*chain, a, b);
            }
        }
        black_box(chains);
    }

    #[target_feature(enable = "avx512f,avx512vnni")]
    pub fn int8_avx512() {
        let (a, b) = (_mm512_set1_epi8(black_box(1)), _mm512_set1_epi8(black_box(1)));
        let mut chains = [_mm512_setzero_si512(); CHAINS];
        for _ in 0..ROUNDS {
            for chain in &mut chains {
                *chain = _mm512_dpbusd_epi32(*chain, a, b);
            }
        }
        black_box(chains);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_instruction_set_runs_and_reads_all() {
        // Small integers: exact in any order.
        let values: Vec<f32> = (0..1000u16).map(f32::from).collect();
        for isa in Isa::supported() {
            assert_eq!(read(isa, &values), 499_500.0, "{isa}");
            let lanes = float32_operations(isa) / operations(1);
            assert!([4, 8, 16].contains(&lanes), "{isa}: {lanes}");
            assert!(int8_operations(isa).is_none_or(|count| count >= operations(32)), "{isa}");
        }
    }
}
