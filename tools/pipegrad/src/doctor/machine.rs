//! The processor, and the threads of a tool.

use super::Check;
use kernels::{ISA_VARIABLE, Isa};
use std::{env, fs, num::NonZero, thread};

/// The environment variable that sets the number of threads.
const THREADS: &str = "RAYON_NUM_THREADS";

pub fn cpu() -> Check {
    let about = [model(), Some(features())].into_iter().flatten().collect::<Vec<_>>().join("; ");
    match kernels::isa() {
        Ok(isa) if isa == Isa::detect() => Check::ok("cpu").version(isa.to_string()).about(about),
        Ok(isa) => Check::ok("cpu").version(isa.to_string()).about(format!("{about}; chosen by {ISA_VARIABLE}")),
        Err(error) => {
            Check::wrong("cpu", format!("{ISA_VARIABLE}: {error}"), format!("unset {ISA_VARIABLE}, or correct it"))
        }
    }
}

/// The processor's name, where the system tells it.
fn model() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// What the processor has of the extensions that matter for networks.
fn features() -> String {
    #[cfg(target_arch = "x86_64")]
    let found = [
        ("avx2", is_x86_feature_detected!("avx2")),
        ("fma", is_x86_feature_detected!("fma")),
        ("f16c", is_x86_feature_detected!("f16c")),
        ("avx512f", is_x86_feature_detected!("avx512f")),
        ("avx512bw", is_x86_feature_detected!("avx512bw")),
        ("avx512dq", is_x86_feature_detected!("avx512dq")),
        ("avx512vl", is_x86_feature_detected!("avx512vl")),
        ("avx512vnni", is_x86_feature_detected!("avx512vnni")),
        ("avx512bf16", is_x86_feature_detected!("avx512bf16")),
    ];
    #[cfg(target_arch = "aarch64")]
    let found = [
        ("neon", std::arch::is_aarch64_feature_detected!("neon")),
        ("dotprod", std::arch::is_aarch64_feature_detected!("dotprod")),
        ("fp16", std::arch::is_aarch64_feature_detected!("fp16")),
    ];
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let found: [(&str, bool); 0] = [];
    let names: Vec<&str> = found.into_iter().filter(|(_, is_there)| *is_there).map(|(name, _)| name).collect();
    if names.is_empty() { env::consts::ARCH.to_owned() } else { names.join(" ") }
}

pub fn threads() -> Check {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    match env::var(THREADS).ok().filter(|text| !text.is_empty()) {
        None => Check::ok("threads").version(cores.to_string()).about("one a core"),
        Some(text) => match text.parse::<usize>() {
            Ok(threads @ 1..) => {
                Check::ok("threads").version(threads.to_string()).about(format!("by {THREADS}; the cores are {cores}"))
            }
            _ => {
                let about = format!("{THREADS}={text} is no whole number of at least 1, and has no effect");
                Check::wrong("threads", about, format!("unset {THREADS}, or correct it")).version(cores.to_string())
            }
        },
    }
}
