//! Run-time dispatch for kernels that may fuse a multiplication with an addition.

/// Defines `$name(isa, arguments)`, which runs `$kernel::<FUSED, M>(arguments)` compiled for `isa`: FUSED
/// where it has an instruction for a·b + c in one rounding, M the rows of a tile that fit its registers.
///
/// As `isa::dispatch`, but the results of instruction sets differ by rounding. AVX2 without FMA, which
/// hardly exists, runs as the baseline; so does an instruction set that the processor lacks.
macro_rules! dispatch_fused {
    ($(#[$doc:meta])* fn $name:ident($($arg:ident: $type:ty),* $(,)?) => $kernel:ident) => {
        $(#[$doc])*
        #[allow(unsafe_code, reason = "calling a function compiled for an instruction set that was checked")]
        pub(crate) fn $name(isa: $crate::isa::Isa, $($arg: $type),*) {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            fn avx2($($arg: $type),*) {
                $kernel::<true, 6>($($arg),*);
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512dq,avx512vl,fma")]
            fn avx512($($arg: $type),*) {
                $kernel::<true, 12>($($arg),*);
            }
            match isa {
                // SAFETY: the processor has AVX2 and FMA: the guard has just asked.
                #[cfg(target_arch = "x86_64")]
                $crate::isa::Isa::Avx2 if isa.is_supported() && std::arch::is_x86_feature_detected!("fma") => unsafe {
                    avx2($($arg),*)
                },
                // SAFETY: the processor has AVX-512 F, DQ and VL, and FMA: the guard has just asked.
                #[cfg(target_arch = "x86_64")]
                $crate::isa::Isa::Avx512 if isa.is_supported() && std::arch::is_x86_feature_detected!("fma") => unsafe {
                    avx512($($arg),*)
                },
                // NEON has thirty-two registers and fuses; SSE2 has sixteen and does not.
                #[cfg(target_arch = "aarch64")]
                _ => $kernel::<true, 6>($($arg),*),
                #[cfg(not(target_arch = "aarch64"))]
                _ => $kernel::<false, 2>($($arg),*),
            }
        }
    };
}

pub(super) use dispatch_fused;
