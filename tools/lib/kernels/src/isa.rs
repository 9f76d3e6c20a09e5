//! Instruction sets and run-time dispatch.
//!
//! A kernel is written once and compiled once for each [`Isa`]: in plain Rust that the compiler vectorizes ([`dispatch`]),
//! or on the vectors of [`crate::lanes`]. A multiplication and an addition are fused on every instruction set or on none,
//! so all give the same bits. The entropy, matrix products and convolutions fuse them; x86-64 processors from before 2013 lack
//! the instruction and emulate it.
//!
//! Tests run the instruction sets of their machine only: development so far had x86-64 up to AVX-512, and AArch64 has
//! not been compiled.

use std::{fmt, str::FromStr, sync::OnceLock};

/// The environment variable that chooses an instruction set: `baseline`, `avx2` or `avx512`.
pub const ISA_VARIABLE: &str = "PIPEGRAD_ISA";

/// An instruction set that kernels are compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isa {
    /// Available on every processor of the architecture: SSE2 on x86-64, NEON on AArch64.
    Baseline,
    /// 256-bit vectors, x86-64: AVX2 and FMA.
    Avx2,
    /// 512-bit vectors, x86-64: AVX-512 F, DQ and VL, which imply AVX2 and FMA.
    Avx512,
}

impl Isa {
    const ALL: [Self; 3] = [Self::Baseline, Self::Avx2, Self::Avx512];

    /// Every instruction set that this processor has, the widest last.
    pub fn supported() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|isa| isa.is_supported())
    }

    /// The widest instruction set that this processor has.
    pub fn detect() -> Self {
        Self::supported().last().unwrap_or(Self::Baseline)
    }

    /// The instruction set of kernels: [`isa`], or [`Isa::detect`] if [`ISA_VARIABLE`] is invalid.
    ///
    /// Programs call [`isa`] when they start, to report an invalid variable.
    pub(crate) fn chosen() -> Self {
        isa().unwrap_or_else(|_| Self::detect())
    }

    /// Whether this processor has the instruction set. Cheap: the standard library caches the answer.
    pub fn is_supported(self) -> bool {
        match self {
            Self::Baseline => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma"),
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

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Baseline => "baseline",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        })
    }
}

/// Why an instruction set cannot be chosen. Displays as what follows the variable's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IsaError {
    /// No instruction set has this name.
    #[error("{0:?}; expected {names}", names = names(Isa::ALL))]
    Unknown(String),
    /// This processor does not have it.
    #[error("{0}; this processor has {names}", names = names(Isa::supported()))]
    Unsupported(Isa),
}

fn names(isas: impl IntoIterator<Item = Isa>) -> String {
    isas.into_iter().map(|isa| isa.to_string()).collect::<Vec<_>>().join(", ")
}

impl FromStr for Isa {
    type Err = IsaError;

    /// An instruction set that this processor has, by its name.
    fn from_str(name: &str) -> Result<Self, IsaError> {
        let named = Self::ALL.into_iter().find(|isa| isa.to_string() == name);
        let isa = named.ok_or_else(|| IsaError::Unknown(name.to_owned()))?;
        if isa.is_supported() { Ok(isa) } else { Err(IsaError::Unsupported(isa)) }
    }
}

/// The instruction set of kernels: the one that [`ISA_VARIABLE`] names, otherwise the widest that this processor has.
/// The variable is read once per process.
///
/// # Errors
/// If the variable names no instruction set, or one that this processor lacks.
pub fn isa() -> Result<Isa, IsaError> {
    static CHOSEN: OnceLock<Result<Isa, IsaError>> = OnceLock::new();
    CHOSEN.get_or_init(|| choose(std::env::var_os(ISA_VARIABLE).as_deref())).clone()
}

fn choose(variable: Option<&std::ffi::OsStr>) -> Result<Isa, IsaError> {
    match variable {
        None => Ok(Isa::detect()),
        Some(name) if name.is_empty() => Ok(Isa::detect()),
        Some(name) => name.to_string_lossy().parse(),
    }
}

/// Defines `$name(isa, arguments)`, which runs `$kernel(arguments)` compiled for `isa`.
///
/// `$kernel` and the functions that it calls must be `#[inline(always)]`, so that they are compiled within each version.
/// For the same reason they loop with `for`: `fold` and `for_each` of the standard library are functions that the
/// compiler may leave out of line, compiled for the baseline. An instruction set that the processor lacks runs as the
/// baseline.
macro_rules! dispatch {
    ($(#[$doc:meta])* fn $name:ident$(<$t:ident: $bound:ident>)?($($arg:ident: $type:ty),* $(,)?) => $kernel:ident) => {
        $(#[$doc])*
        #[allow(unsafe_code, reason = "calling a function compiled for an instruction set that was checked")]
        pub(crate) fn $name$(<$t: $bound>)?(isa: $crate::isa::Isa, $($arg: $type),*) {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            fn avx2$(<$t: $bound>)?($($arg: $type),*) {
                $kernel($($arg),*);
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512dq,avx512vl")]
            fn avx512$(<$t: $bound>)?($($arg: $type),*) {
                $kernel($($arg),*);
            }
            match isa {
                // SAFETY: the processor has AVX2 and FMA: the guard checks it.
                #[cfg(target_arch = "x86_64")]
                $crate::isa::Isa::Avx2 if isa.is_supported() => unsafe { avx2($($arg),*) },
                // SAFETY: the processor has AVX-512 F, DQ and VL: the guard checks it.
                #[cfg(target_arch = "x86_64")]
                $crate::isa::Isa::Avx512 if isa.is_supported() => unsafe { avx512($($arg),*) },
                _ => $kernel($($arg),*),
            }
        }
    };
}

pub(crate) use dispatch;

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(name: &str) -> Result<Isa, IsaError> {
        choose(Some(name.as_ref()))
    }

    #[test]
    fn the_variable_chooses() {
        assert_eq!(choose(None), Ok(Isa::detect()));
        assert_eq!(chosen(""), Ok(Isa::detect()));
        assert_eq!(chosen("baseline"), Ok(Isa::Baseline));
        for isa in Isa::supported() {
            assert_eq!(chosen(&isa.to_string()), Ok(isa));
        }
    }

    #[test]
    fn a_wrong_variable_is_an_error_that_says_what_is_right() {
        let message = |error: IsaError| error.to_string();
        assert_eq!(chosen("AVX9").map_err(message), Err("\"AVX9\"; expected baseline, avx2, avx512".into()));
        for isa in Isa::ALL.into_iter().filter(|isa| !isa.is_supported()) {
            assert_eq!(chosen(&isa.to_string()), Err(IsaError::Unsupported(isa)));
        }
        let unsupported = message(IsaError::Unsupported(Isa::Avx512));
        assert!(unsupported.starts_with("avx512; this processor has baseline"), "{unsupported}");
    }
}
