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

/// No sum depends on which thread comes first, and vectors are loaded and stored whole.
#[test]
fn the_code_adds_nothing_atomically_and_loads_lines() {
    let Some(nvrtc) = nvrtc() else { return };
    let Image(code) = nvrtc.compile(&source::program().cuda(), "compute_90").expect("compiled");
    let code = String::from_utf8_lossy(&code);
    for line in code.lines().filter(|line| line.contains("atom.") || line.contains("red.")) {
        assert!(!line.contains(".f32") && !line.contains(".f64"), "{line}");
    }
    for (kernel, load) in [("norm_apply_bf16", "ld.global.v4"), ("norm_backward_f32", "ld.global.v4")] {
        let start = code.find(&format!(".entry {kernel}(")).unwrap_or_else(|| panic!("{kernel}"));
        let end = code[start..].find("\n}").map_or(code.len(), |end| start + end);
        assert!(code[start..end].contains(load), "{kernel} has no {load}");
    }
}
