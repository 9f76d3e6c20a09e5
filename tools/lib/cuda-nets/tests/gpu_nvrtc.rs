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

#[test]
fn kernels_compile_to_machine_code_for_every_gpu() {
    let Some(nvrtc) = nvrtc() else { return };
    let program = source::program();
    for gpu in GPUS {
        let architecture = nvrtc.architecture(gpu);
        let Image(code) = nvrtc.compile(&program.cuda(), &architecture).expect("compiled");
        assert_eq!(&code[..4], b"\x7fELF", "{architecture}");
        for name in program.kernels() {
            let section = format!(".text.{name}");
            let found = code.windows(section.len()).any(|window| window == section.as_bytes());
            assert!(found, "{architecture}: {name}");
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
        // approximate in double is refined: log. exp, tanh and erf in single have errors of 2 units in the last place.
        let functions = ["rcp.approx.ftz.f64", "ex2.approx.ftz.f32", "rcp.approx.ftz.f32"];
        let is_function = functions.iter().any(|operation| line.starts_with(operation));
        assert!(is_function || !(line.contains(".approx") || line.contains(".ftz")), "{line}");
        let rounds = ["add.", "sub.", "mul.", "fma."].iter().any(|operation| line.starts_with(operation));
        assert!(!rounds || line.contains(".rn"), "{line}");
    }
    assert!(!code.contains(".local"), "an array of a thread is in its memory, not in its registers");
}

/// No sum depends on which thread comes first, and vectors are loaded and stored whole.
#[test]
fn the_code_adds_nothing_atomically_and_loads_lines() {
    let Some(nvrtc) = nvrtc() else { return };
    let Image(code) = nvrtc.compile(&source::program().cuda(), "compute_90").expect("compiled");
    let code = String::from_utf8_lossy(&code);
    for instruction in code.split_whitespace().filter(|word| word.starts_with("atom.") || word.starts_with("red.")) {
        assert!(!instruction.contains(".f32") && !instruction.contains(".f64"), "{instruction}");
    }
    for (kernel, load) in [
        ("norm_apply_bf16", "ld.global.v4"),
        ("norm_backward_f32", "ld.global.v4"),
        ("load_images_u8_bf16", "st.global.v4"),
        ("gradient_squares", "ld.global.nc.v4.f32"),
        ("update_adam", "st.global.v4.f32"),
    ] {
        let start = code.find(&format!(".entry {kernel}(")).unwrap_or_else(|| panic!("{kernel}"));
        let end = code[start..].find("\n}").map_or(code.len(), |end| start + end);
        assert!(code[start..end].contains(load), "{kernel} has no {load}");
    }
}
