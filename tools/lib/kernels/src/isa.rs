//! Which instructions this processor has.
//!
//! Kernels are written once, in plain Rust that the compiler turns into vector instructions, and
//! compiled once for each [`Isa`]. No version fuses a multiplication with an addition, so every one
//! of them gives the same bits.

/// An instruction set that kernels are compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isa {
    /// What every processor of the architecture has: SSE2 on x86-64, NEON on AArch64.
    Baseline,
    /// 256-bit vectors.
    Avx2,
    /// 512-bit vectors.
    Avx512,
}

impl Isa {
    /// Every instruction set that this processor has, the widest last.
    pub fn supported() -> impl Iterator<Item = Self> {
        [Self::Baseline, Self::Avx2, Self::Avx512].into_iter().filter(|isa| isa.is_supported())
    }

    /// The widest instruction set that this processor has.
    pub fn detect() -> Self {
        Self::supported().last().unwrap_or(Self::Baseline)
    }

    /// Whether this processor has the instruction set. The standard library asks it once.
    pub fn is_supported(self) -> bool {
        match self {
            Self::Baseline => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => std::arch::is_x86_feature_detected!("avx2"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => {
                std::arch::is_x86_feature_detected!("avx512f")
                    && std::arch::is_x86_feature_detected!("avx512dq")
                    && std::arch::is_x86_feature_detected!("avx512vl")
            }
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx2 | Self::Avx512 => false,
        }
    }
}

/// Defines `$name(isa, arguments)`, which runs `$kernel(arguments)` compiled for `isa`.
///
/// `$kernel` must be `#[inline(always)]`, so that it is compiled anew within each version. An
/// instruction set that the processor lacks runs as the baseline.
macro_rules! dispatch {
    ($(#[$doc:meta])* fn $name:ident<$t:ident: $bound:ident>($($arg:ident: $type:ty),* $(,)?) => $kernel:ident) => {
        $(#[$doc])*
        #[allow(unsafe_code, reason = "calling a function compiled for an instruction set that was checked")]
        pub(crate) fn $name<$t: $bound>(isa: $crate::isa::Isa, $($arg: $type),*) {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2")]
            fn avx2<$t: $bound>($($arg: $type),*) {
                $kernel($($arg),*);
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512dq,avx512vl")]
            fn avx512<$t: $bound>($($arg: $type),*) {
                $kernel($($arg),*);
            }
            match isa {
                // SAFETY: the processor has AVX2: the guard has just asked.
                #[cfg(target_arch = "x86_64")]
                $crate::isa::Isa::Avx2 if isa.is_supported() => unsafe { avx2($($arg),*) },
                // SAFETY: the processor has AVX-512 F, DQ and VL: the guard has just asked.
                #[cfg(target_arch = "x86_64")]
                $crate::isa::Isa::Avx512 if isa.is_supported() => unsafe { avx512($($arg),*) },
                _ => $kernel($($arg),*),
            }
        }
    };
}

pub(crate) use dispatch;
