//! The kernels' text through NVRTC, which needs no GPU.
//!
//! Where NVRTC is not installed the tests are skipped with a note; `make test-cuda` installs it, and REQUIRE_CUDA=1 makes its
//! absence an error.

use cuda::nvrtc::{Capability, Image, Nvrtc};
use cuda_nets::source;
use std::env;

/// Ampere, Hopper, and Blackwell in data centers and in desktops.
const GPUS: [Capability; 4] = [Capability(8, 0), Capability(9, 0), Capability(10, 0), Capability(12, 0)];

fn nvrtc() -> Option<Nvrtc> {
    match Nvrtc::load(None) {
        Ok(nvrtc) => Some(nvrtc),
        Err(error) => {
            assert!(env::var_os("REQUIRE_CUDA").is_none(), "{error}");
            eprintln!("skipped: {error}");
            None
        }
    }
}

fn contains(haystack: &[u8], needle: &str) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle.as_bytes())
}

#[test]
fn kernels_compile_to_machine_code_for_every_gpu() {
    let Some(nvrtc) = nvrtc() else { return };
    let program = source::program();
    for gpu in GPUS {
        let architecture = nvrtc.architecture(gpu);
        assert_eq!(architecture, format!("sm_{gpu}"));
        let Image(code) = nvrtc.compile(&program.cuda(), &architecture).expect("compiled");
        assert_eq!(&code[..4], b"\x7fELF", "{architecture}");
        for name in program.kernels() {
            assert!(contains(&code, &format!(".text.{name}")), "{architecture}: {name}");
        }
    }
}

/// What the bits and the speed depend on.
#[test]
fn the_code_rounds_as_the_text_does_and_keeps_lines_in_registers() {
    let Some(nvrtc) = nvrtc() else { return };
    let Image(code) = nvrtc.compile(&source::program().cuda(), "compute_90").expect("compiled");
    let code = String::from_utf8_lossy(&code);
    for line in code.lines().map(str::trim).filter(|line| line.contains(".f32\t") || line.contains(".f64\t")) {
        // Approximate, flushing to zero, or left to the assembler, which would fuse a product and a sum. What is first
        // approximate in double is refined: log.
        let is_in_log = line.starts_with("rcp.approx.ftz.f64");
        assert!(is_in_log || !(line.contains(".approx") || line.contains(".ftz")), "{line}");
        let rounds = ["add.", "sub.", "mul.", "fma."].iter().any(|operation| line.starts_with(operation));
        assert!(!rounds || line.contains(".rn"), "{line}");
    }
    assert!(!code.contains(".local"), "an array of a thread is in its memory, not in its registers");
    for load in ["ld.global.nc.v4.f32", "st.global.v4.f32", "ld.global.nc.u8", "st.global.v4.u32"] {
        assert!(code.contains(load), "{load}");
    }
}
