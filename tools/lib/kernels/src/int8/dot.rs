//! Sixteen int32 sums of products of bytes, in the registers of each instruction set, and run-time dispatch.
//!
//! A line of weights has four bytes, of consecutive k, for each of sixteen columns. Integer sums are exact, so all instruction sets
//! give the same bits. `vpmaddubsw` is not used: its sums of two products saturate at 16 bits.

#![allow(unsafe_code, reason = "the instructions of an instruction set that was checked")]

use crate::isa::Isa;
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{
    __m256i, __m512i, _mm256_add_epi32, _mm256_and_si256, _mm256_dpbusd_avx_epi32, _mm256_loadu_si256,
    _mm256_madd_epi16, _mm256_set1_epi32, _mm256_slli_epi16, _mm256_srai_epi16, _mm256_srli_epi16, _mm256_storeu_si256,
    _mm512_add_epi32, _mm512_and_si512, _mm512_dpbusd_epi32, _mm512_loadu_si512, _mm512_madd_epi16, _mm512_set1_epi32,
    _mm512_slli_epi16, _mm512_srai_epi16, _mm512_srli_epi16, _mm512_storeu_si512,
};

/// Columns of a line.
pub(super) const LANES: usize = 16;
/// Consecutive k of a group.
pub(super) const GROUP: usize = 4;
/// Weights of sixteen columns and four k.
pub(super) type WeightLine = [i8; LANES * GROUP];

/// Which instructions compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Engine {
    Plain,
    Avx2,
    AvxVnni,
    Avx512,
    Avx512Vnni,
}

impl Engine {
    /// The fastest that the processor has, within an instruction set.
    pub fn of(isa: Isa) -> Self {
        let within = |engine: &Self| match isa {
            Isa::Baseline => *engine == Self::Plain,
            Isa::Avx2 => !matches!(engine, Self::Avx512 | Self::Avx512Vnni),
            // Without AVX-512 BW there are no sums of 16-bit products in 512 bits.
            Isa::Avx512 => *engine != Self::AvxVnni,
        };
        Self::supported().filter(within).last().unwrap_or(Self::Plain)
    }

    /// Those that the processor has, the fastest last.
    pub fn supported() -> impl Iterator<Item = Self> {
        [Self::Plain, Self::Avx2, Self::AvxVnni, Self::Avx512, Self::Avx512Vnni]
            .into_iter()
            .filter(|engine| engine.is_supported())
    }

    /// Whether the processor has the instructions. Cheap: the standard library caches the answer.
    pub fn is_supported(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        {
            let avx512 = || Isa::Avx512.is_supported() && std::arch::is_x86_feature_detected!("avx512bw");
            match self {
                Self::Plain => true,
                Self::Avx2 => Isa::Avx2.is_supported(),
                Self::AvxVnni => Isa::Avx2.is_supported() && std::arch::is_x86_feature_detected!("avxvnni"),
                Self::Avx512 => avx512(),
                Self::Avx512Vnni => avx512() && std::arch::is_x86_feature_detected!("avx512vnni"),
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        {
            self == Self::Plain
        }
    }
}

/// Sixteen sums. A value proves that the processor has the instructions: the first comes from [`dispatch_dot`], which checks; others
/// are made from it.
pub(super) trait Dot: Copy {
    /// A line of weights, ready to be multiplied.
    type Weights: Copy;
    /// A group of inputs in every lane, ready to be multiplied.
    type Inputs: Copy;
    fn load(self, sums: &[i32; LANES]) -> Self;
    fn store(self, sums: &mut [i32; LANES]);
    fn weights(self, line: &WeightLine) -> Self::Weights;
    fn inputs(self, group: [u8; GROUP]) -> Self::Inputs;
    /// self + Σ inputs · weights, of four products a lane.
    fn dot(self, inputs: Self::Inputs, weights: Self::Weights) -> Self;
}

/// Plain Rust.
#[derive(Clone, Copy)]
pub(super) struct Plain([i32; LANES]);

impl Plain {
    pub fn zero() -> Self {
        Self([0; LANES])
    }
}

impl Dot for Plain {
    /// By lanes: products of 16 bits, which SSE2 has.
    type Weights = [i16; LANES * GROUP];
    type Inputs = [i16; GROUP];

    #[inline(always)]
    fn load(self, sums: &[i32; LANES]) -> Self {
        Self(*sums)
    }

    #[inline(always)]
    fn store(self, sums: &mut [i32; LANES]) {
        *sums = self.0;
    }

    #[inline(always)]
    fn weights(self, line: &WeightLine) -> Self::Weights {
        line.map(i16::from)
    }

    #[inline(always)]
    fn inputs(self, group: [u8; GROUP]) -> Self::Inputs {
        group.map(i16::from)
    }

    #[inline(always)]
    fn dot(mut self, inputs: Self::Inputs, weights: Self::Weights) -> Self {
        for (lane, sum) in self.0.iter_mut().enumerate() {
            for k in 0..GROUP {
                *sum = sum.wrapping_add(i32::from(inputs[k]) * i32::from(weights[lane * GROUP + k]));
            }
        }
        self
    }
}

/// AVX2 without VNNI: even and odd bytes are widened to 16 bits, whose products are summed in 32.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub(super) struct Avx2([__m256i; 2]);

#[cfg(target_arch = "x86_64")]
impl Avx2 {
    /// Zeros.
    ///
    /// # Safety
    /// The processor has AVX2.
    #[inline(always)]
    pub unsafe fn zero() -> Self {
        // SAFETY: promised by the caller.
        unsafe { Self([_mm256_set1_epi32(0); 2]) }
    }
}

/// The two halves of a line of 64 bytes.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn halves<T, const N: usize>(line: &[T; N]) -> [__m256i; 2] {
    const { assert!(size_of::<T>() * N == 64) };
    // SAFETY: the caller has AVX2; both halves of 32 bytes are within the 64 of a line.
    unsafe { [_mm256_loadu_si256(line.as_ptr().cast()), _mm256_loadu_si256(line.as_ptr().cast::<__m256i>().add(1))] }
}

#[cfg(target_arch = "x86_64")]
impl Dot for Avx2 {
    /// Even and odd bytes of both halves.
    type Weights = [[__m256i; 2]; 2];
    type Inputs = [__m256i; 2];

    #[inline(always)]
    fn load(self, sums: &[i32; LANES]) -> Self {
        // SAFETY: `self` proves AVX2, here and below.
        unsafe { Self(halves(sums)) }
    }

    #[inline(always)]
    fn store(self, sums: &mut [i32; LANES]) {
        // SAFETY: both halves of 32 bytes are within the 64 of a line.
        unsafe {
            _mm256_storeu_si256(sums.as_mut_ptr().cast(), self.0[0]);
            _mm256_storeu_si256(sums.as_mut_ptr().cast::<__m256i>().add(1), self.0[1]);
        }
    }

    #[inline(always)]
    fn weights(self, line: &WeightLine) -> Self::Weights {
        // SAFETY: as in `load`.
        unsafe {
            halves(line)
                .map(|bytes| [_mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(bytes)), _mm256_srai_epi16::<8>(bytes)])
        }
    }

    #[inline(always)]
    fn inputs(self, group: [u8; GROUP]) -> Self::Inputs {
        // SAFETY: as in `load`.
        unsafe {
            let bytes = _mm256_set1_epi32(i32::from_le_bytes(group));
            [_mm256_and_si256(bytes, _mm256_set1_epi32(0x00ff_00ff)), _mm256_srli_epi16::<8>(bytes)]
        }
    }

    #[inline(always)]
    #[allow(clippy::needless_range_loop, reason = "an array that an iterator borrows is kept in memory")]
    fn dot(mut self, [even, odd]: Self::Inputs, weights: Self::Weights) -> Self {
        for half in 0..2 {
            let [w_even, w_odd] = weights[half];
            // SAFETY: as in `load`. Two products of at most 255 · 128 fit 32 bits.
            self.0[half] = unsafe {
                let pairs = _mm256_add_epi32(_mm256_madd_epi16(even, w_even), _mm256_madd_epi16(odd, w_odd));
                _mm256_add_epi32(self.0[half], pairs)
            };
        }
        self
    }
}

/// AVX-VNNI.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub(super) struct AvxVnni([__m256i; 2]);

#[cfg(target_arch = "x86_64")]
impl AvxVnni {
    /// Zeros.
    ///
    /// # Safety
    /// The processor has AVX2 and AVX-VNNI.
    #[inline(always)]
    pub unsafe fn zero() -> Self {
        // SAFETY: promised by the caller.
        unsafe { Self([_mm256_set1_epi32(0); 2]) }
    }
}

#[cfg(target_arch = "x86_64")]
impl Dot for AvxVnni {
    type Weights = [__m256i; 2];
    type Inputs = __m256i;

    #[inline(always)]
    fn load(self, sums: &[i32; LANES]) -> Self {
        // SAFETY: `self` proves AVX2 and AVX-VNNI, here and below.
        unsafe { Self(halves(sums)) }
    }

    #[inline(always)]
    fn store(self, sums: &mut [i32; LANES]) {
        Avx2(self.0).store(sums);
    }

    #[inline(always)]
    fn weights(self, line: &WeightLine) -> Self::Weights {
        // SAFETY: as in `load`.
        unsafe { halves(line) }
    }

    #[inline(always)]
    fn inputs(self, group: [u8; GROUP]) -> Self::Inputs {
        // SAFETY: as in `load`.
        unsafe { _mm256_set1_epi32(i32::from_le_bytes(group)) }
    }

    #[inline(always)]
    fn dot(self, inputs: Self::Inputs, weights: Self::Weights) -> Self {
        let [low, high] = self.0;
        // SAFETY: as in `load`. The instruction wraps: it does not saturate.
        unsafe {
            Self([_mm256_dpbusd_avx_epi32(low, inputs, weights[0]), _mm256_dpbusd_avx_epi32(high, inputs, weights[1])])
        }
    }
}

/// AVX-512 BW without VNNI: as [`Avx2`].
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub(super) struct Avx512(__m512i);

#[cfg(target_arch = "x86_64")]
impl Avx512 {
    /// Zeros.
    ///
    /// # Safety
    /// The processor has AVX-512 F and BW.
    #[inline(always)]
    pub unsafe fn zero() -> Self {
        // SAFETY: promised by the caller.
        unsafe { Self(_mm512_set1_epi32(0)) }
    }
}

#[cfg(target_arch = "x86_64")]
impl Dot for Avx512 {
    type Weights = [__m512i; 2];
    type Inputs = [__m512i; 2];

    #[inline(always)]
    fn load(self, sums: &[i32; LANES]) -> Self {
        // SAFETY: `self` proves AVX-512 F and BW, here and below; a line has sixteen lanes.
        unsafe { Self(_mm512_loadu_si512(sums.as_ptr().cast())) }
    }

    #[inline(always)]
    fn store(self, sums: &mut [i32; LANES]) {
        // SAFETY: a line has sixteen lanes.
        unsafe { _mm512_storeu_si512(sums.as_mut_ptr().cast(), self.0) }
    }

    #[inline(always)]
    fn weights(self, line: &WeightLine) -> Self::Weights {
        // SAFETY: a line has 64 bytes.
        unsafe {
            let bytes = _mm512_loadu_si512(line.as_ptr().cast());
            [_mm512_srai_epi16::<8>(_mm512_slli_epi16::<8>(bytes)), _mm512_srai_epi16::<8>(bytes)]
        }
    }

    #[inline(always)]
    fn inputs(self, group: [u8; GROUP]) -> Self::Inputs {
        // SAFETY: as in `load`.
        unsafe {
            let bytes = _mm512_set1_epi32(i32::from_le_bytes(group));
            [_mm512_and_si512(bytes, _mm512_set1_epi32(0x00ff_00ff)), _mm512_srli_epi16::<8>(bytes)]
        }
    }

    #[inline(always)]
    fn dot(self, [even, odd]: Self::Inputs, [w_even, w_odd]: Self::Weights) -> Self {
        // SAFETY: as in `load`. Two products of at most 255 · 128 fit 32 bits.
        unsafe {
            let pairs = _mm512_add_epi32(_mm512_madd_epi16(even, w_even), _mm512_madd_epi16(odd, w_odd));
            Self(_mm512_add_epi32(self.0, pairs))
        }
    }
}

/// AVX-512 VNNI.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub(super) struct Avx512Vnni(__m512i);

#[cfg(target_arch = "x86_64")]
impl Avx512Vnni {
    /// Zeros.
    ///
    /// # Safety
    /// The processor has AVX-512 F, BW and VNNI.
    #[inline(always)]
    pub unsafe fn zero() -> Self {
        // SAFETY: promised by the caller.
        unsafe { Self(_mm512_set1_epi32(0)) }
    }
}

#[cfg(target_arch = "x86_64")]
impl Dot for Avx512Vnni {
    type Weights = __m512i;
    type Inputs = __m512i;

    #[inline(always)]
    fn load(self, sums: &[i32; LANES]) -> Self {
        // SAFETY: `self` proves AVX-512 F and VNNI, here and below; a line has sixteen lanes.
        unsafe { Self(_mm512_loadu_si512(sums.as_ptr().cast())) }
    }

    #[inline(always)]
    fn store(self, sums: &mut [i32; LANES]) {
        // SAFETY: a line has sixteen lanes.
        unsafe { _mm512_storeu_si512(sums.as_mut_ptr().cast(), self.0) }
    }

    #[inline(always)]
    fn weights(self, line: &WeightLine) -> Self::Weights {
        // SAFETY: a line has 64 bytes.
        unsafe { _mm512_loadu_si512(line.as_ptr().cast()) }
    }

    #[inline(always)]
    fn inputs(self, group: [u8; GROUP]) -> Self::Inputs {
        // SAFETY: as in `load`.
        unsafe { _mm512_set1_epi32(i32::from_le_bytes(group)) }
    }

    #[inline(always)]
    fn dot(self, inputs: Self::Inputs, weights: Self::Weights) -> Self {
        // SAFETY: as in `load`. The instruction wraps: it does not saturate.
        unsafe { Self(_mm512_dpbusd_epi32(self.0, inputs, weights)) }
    }
}

/// Defines `$name(engine, arguments)`, which runs `$kernel::<D, M>(zero, arguments)` compiled for `engine`, where `zero` is a [`Dot`]
/// of zeros and M the number of rows of a tile that fit in registers.
///
/// `$kernel` and what it calls must be `#[inline(always)]`. Instructions that the processor lacks run as plain Rust.
macro_rules! dispatch_dot {
    (fn $name:ident($($arg:ident: $type:ty),* $(,)?) => $kernel:ident) => {
        #[allow(unsafe_code, reason = "calling a function compiled for an instruction set that was checked")]
        fn $name(engine: $crate::int8::dot::Engine, $($arg: $type),*) {
            use $crate::int8::dot::{self, Engine};
            macro_rules! version {
                ($inner:ident, $features:literal, $vector:ident, $rows:literal) => {
                    #[cfg(target_arch = "x86_64")]
                    #[target_feature(enable = $features)]
                    fn $inner($($arg: $type),*) {
                        // SAFETY: this function is compiled for these features, so its caller has checked them.
                        $kernel::<_, $rows>(unsafe { dot::$vector::zero() }, $($arg),*);
                    }
                };
            }
            version!(avx2, "avx2,fma", Avx2, 4);
            version!(avx_vnni, "avx2,fma,avxvnni", AvxVnni, 5);
            version!(avx512, "avx512f,avx512dq,avx512vl,avx512bw", Avx512, 8);
            version!(avx512_vnni, "avx512f,avx512dq,avx512vl,avx512bw,avx512vnni", Avx512Vnni, 12);
            match engine {
                // SAFETY: the guard checks that the processor has the features, here and below.
                #[cfg(target_arch = "x86_64")]
                Engine::Avx2 if engine.is_supported() => unsafe { avx2($($arg),*) },
                // SAFETY: as above.
                #[cfg(target_arch = "x86_64")]
                Engine::AvxVnni if engine.is_supported() => unsafe { avx_vnni($($arg),*) },
                // SAFETY: as above.
                #[cfg(target_arch = "x86_64")]
                Engine::Avx512 if engine.is_supported() => unsafe { avx512($($arg),*) },
                // SAFETY: as above.
                #[cfg(target_arch = "x86_64")]
                Engine::Avx512Vnni if engine.is_supported() => unsafe { avx512_vnni($($arg),*) },
                _ => $kernel::<_, 2>(dot::Plain::zero(), $($arg),*),
            }
        }
    };
}

pub(super) use dispatch_dot;
