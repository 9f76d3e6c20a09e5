//! The kernels' text through NVRTC, which needs no GPU.
//!
//! Where NVRTC is not installed the tests are skipped with a note; `make test-cuda` installs it, and REQUIRE_CUDA=1 makes its
//! absence an error.

use cuda::{
    nvrtc::{Capability, Image, Nvrtc},
    source,
};
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

fn names() -> Vec<String> {
    let sizes = [4, 8];
    let entropy =
        |size| [(8, false), (8, true), (65, false), (65, true)].map(|(width, n)| source::entropy_name(width, size, n));
    sizes.into_iter().flat_map(entropy).chain(sizes.map(source::relu_name)).collect()
}

fn contains(haystack: &[u8], needle: &str) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle.as_bytes())
}

#[test]
fn kernels_compile_to_machine_code_for_every_gpu() {
    let Some(nvrtc) = nvrtc() else { return };
    for gpu in GPUS {
        let architecture = nvrtc.architecture(gpu);
        assert_eq!(architecture, format!("sm_{gpu}"));
        let Image(code) = nvrtc.compile(&source::cuda(), &architecture).expect("compiled");
        assert_eq!(&code[..4], b"\x7fELF", "{architecture}");
        for name in names() {
            assert!(contains(&code, &format!(".text.{name}")), "{architecture}: {name}");
        }
    }
}

/// A newer GPU than the compiler knows gets the text that its driver compiles.
#[test]
fn a_gpu_that_the_compiler_does_not_know_gets_ptx() {
    let Some(nvrtc) = nvrtc() else { return };
    let architecture = nvrtc.architecture(Capability(99, 0));
    assert!(architecture.starts_with("compute_"), "{architecture}");
    let Image(code) = nvrtc.compile(&source::cuda(), &architecture).expect("compiled");
    assert!(contains(&code, ".version") && code.ends_with(b"\0"), "{architecture}");
}

/// What the bits and the speed depend on.
#[test]
fn the_code_fuses_what_the_text_fuses_and_loads_lines() {
    let Some(nvrtc) = nvrtc() else { return };
    let Image(code) = nvrtc.compile(&source::cuda(), "compute_90").expect("compiled");
    let code = String::from_utf8_lossy(&code);
    for line in code.lines().filter(|line| line.contains(".f32\t") || line.contains(".f64\t")) {
        let line = line.trim();
        // Approximate, flushing to zero, or left to the assembler, which would fuse a product and a sum.
        assert!(!line.contains(".approx") && !line.contains(".ftz"), "{line}");
        let rounds = ["add.", "sub.", "mul.", "fma."].iter().any(|operation| line.starts_with(operation));
        assert!(!rounds || line.contains(".rn"), "{line}");
    }
    for load in ["ld.global.v4", "ld.global.nc.f32", "ld.global.nc.f64", "st.global.v4"] {
        assert!(code.contains(load), "{load}");
    }
}

#[test]
fn a_text_that_is_wrong_is_one_line() {
    let Some(nvrtc) = nvrtc() else { return };
    let error = nvrtc.compile("__global__ void f() { x = 1; }", "sm_90").expect_err("no such variable").to_string();
    assert_eq!(
        error,
        "NVRTC does not compile the kernels for sm_90: kernels.cu(1): error: identifier \"x\" is undefined"
    );
}
