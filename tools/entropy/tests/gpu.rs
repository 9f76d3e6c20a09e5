//! The real binary with `device=cuda:0`, on a driver that runs the kernels' text on the CPU: the bytes and errors of
//! `device=cpu`. What is not tested so is the GPU itself (`docs/gpu.md`).

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use testkit::{FakeGpu, Tool, npy, tool};

fn fake_gpu() -> Option<FakeGpu> {
    FakeGpu::compile(&cuda::source::fake_driver())
}

fn entropy(device: &str, args: &[&str], stdin: &[u8]) -> Tool {
    tool!("entropy").args([&format!("device={device}")]).args(args).stdin(stdin)
}

/// Probabilities in NPY, `[rows, width]`, of 8 or 4 bytes; each of `changes` is an element and its value.
fn probs(size: usize, rows: usize, width: usize, changes: &[(usize, f64)]) -> Vec<u8> {
    let mut values: Vec<f64> = Vec::new();
    for row in 0..rows {
        let weights: Vec<f64> = (0..width).map(|i| ((row * 31 + i * 17) % 13) as f64 + 0.5).collect();
        let sum: f64 = weights.iter().sum();
        values.extend(weights.iter().map(|weight| weight / sum));
    }
    changes.iter().for_each(|(index, value)| values[*index] = *value);
    let data: Vec<u8> = match size {
        4 => values.iter().flat_map(|&x| (x as f32).to_le_bytes()).collect(),
        _ => values.iter().flat_map(|x| x.to_le_bytes()).collect(),
    };
    npy::file(&format!("[('id', '<i4'), ('probs', '<f{size}', ({width},))]"), rows, &with_ids(&data, size * width))
}

/// Each row behind a number.
fn with_ids(data: &[u8], row_bytes: usize) -> Vec<u8> {
    (0i32..).zip(data.chunks(row_bytes)).flat_map(|(id, row)| [&id.to_le_bytes(), row].concat()).collect()
}

#[test]
fn rows_have_the_bytes_of_the_cpu() {
    let Some(gpu) = fake_gpu() else { return };
    for size in [4, 8] {
        // Batches of 8 MiB: one, and several with a short last one.
        for (rows, width) in [(1, 3), (1000, 8), (300_000, 8), (70_000, 33), (20_011, 129)] {
            let input = probs(size, rows, width, &[]);
            for args in [&[][..], &["--base", "2"], &["--normalize"]] {
                let on_gpu = gpu.run(entropy("cuda:0", args, &input)).output();
                let on_cpu = entropy("cpu", args, &input).output();
                assert_eq!(String::from_utf8_lossy(&on_gpu.stderr), "");
                assert!(on_gpu.stdout == on_cpu.stdout && !on_cpu.stdout.is_empty(), "{size} {rows} {width} {args:?}");
            }
        }
    }
    let lines: String = (0..50_000).map(|row| format!("{{\"n\":{row},\"probs\":[0,1,0]}}\n")).collect();
    assert_eq!(gpu.run(entropy("auto", &[], lines.as_bytes())).works(), entropy("cpu", &[], lines.as_bytes()).works());
    assert_eq!(gpu.cached().len(), 1, "the kernels are compiled once");
}

#[test]
fn refused_rows_have_the_error_of_the_cpu() {
    let Some(gpu) = fake_gpu() else { return };
    let (rows, width) = (400_000, 8);
    for size in [4, 8] {
        for bad in [0, 130_000, rows - 1] {
            for value in [-1.0, f64::NAN, f64::INFINITY, 3.0, -0.0, 1e-39] {
                // The second is later, and has another fault.
                let input = probs(size, rows, width, &[(bad * width + 3, value), (rows * width - 1, -7.0)]);
                for args in [&[][..], &["--normalize"]] {
                    // Rows before the error are on a pipe already, a batch at a time.
                    let error = |tool: Tool| {
                        let (status, _, error) = tool.run().parts();
                        (status, error)
                    };
                    let on_gpu = error(gpu.run(entropy("cuda:0", args, &input)));
                    assert_eq!(on_gpu, error(entropy("cpu", args, &input)), "{size} {bad} {value} {args:?}");
                    assert_eq!(on_gpu.0, 2, "{}", on_gpu.1);
                }
            }
        }
    }
}

/// Rows that the CPU computes by the definition, or checks by their exact sum, are its own on a GPU too.
#[test]
fn odd_rows_have_the_bytes_of_the_cpu() {
    let Some(gpu) = fake_gpu() else { return };
    let one_hot = |row: usize| (0..8).map(move |i| (row * 8 + i, [0.0, -0.0, 1e-42, 1.0][(i + row) % 8 / 2]));
    let changes: Vec<_> = [0, 77, 299_999].into_iter().flat_map(one_hot).collect();
    let lax = ["tolerance=10"];
    for size in [4, 8] {
        let input = probs(size, 300_000, 8, &changes);
        let on_cpu = entropy("cpu", &lax, &input).output();
        assert!(on_cpu.status.success(), "{}", String::from_utf8_lossy(&on_cpu.stderr));
        assert!(gpu.run(entropy("cuda:0", &lax, &input)).output().stdout == on_cpu.stdout, "{size}");
    }
}

#[test]
fn a_gpu_that_cannot_be_used_is_one_line() {
    let line = b"{\"probs\":[0.5,0.5]}\n";
    let error = |tool: Tool| {
        let (status, out, error) = tool.run().parts();
        assert_eq!((status, out.as_str()), (2, ""), "{error}");
        error
    };
    assert_eq!(
        error(entropy("gpu", &[], line)),
        "entropy: override \"device=gpu\": entropy.device: \"gpu\"; expected auto, cpu, or cuda:N for the GPU number N \
         (cuda is cuda:0)\n"
    );
    let Some(gpu) = fake_gpu() else { return };
    let on = |device: &str| gpu.run(entropy(device, &[], line));
    assert_eq!(
        error(on("cuda:4").env("FAKE_GPUS", "3")),
        "entropy: entropy.device=cuda:4: no GPU 4: there are 3, cuda:0 to cuda:2; choose the device cpu\n"
    );
    assert_eq!(
        error(on("cuda:0").env("FAKE_GPUS", "0")),
        "entropy: entropy.device=cuda:0: no GPU 0: there is none; choose the device cpu\n"
    );
    assert_eq!(
        error(on("cuda:0").env("FAKE_DRIVER", "12040")),
        "entropy: entropy.device=cuda:0: the NVIDIA driver has CUDA 12.4, and 13.0 or newer is required; update it, or choose \
         the device cpu\n"
    );
    assert_eq!(
        error(on("cuda:0").env("FAKE_COMPILE_ERROR", "1")),
        "entropy: entropy.device=cuda:0: NVRTC does not compile the kernels for sm_90: kernels.cu(1): error: fake\n"
    );
    let missing = error(on("cuda:0").env("NVRTC_DYLIB_PATH", "/none.so"));
    assert!(
        missing.starts_with("entropy: entropy.device=cuda:0: NVRTC, which compiles kernels, is missing (/none.so: ")
    );
    for (gpus, driver) in [("0", "13000"), ("1", "12040")] {
        let works = on("auto").env("FAKE_GPUS", gpus).env("FAKE_DRIVER", driver).works();
        assert_eq!(works, "{\"probs\":[0.5,0.5],\"entropy\":0.6931471805599453}\n");
    }
}

#[test]
fn damaged_kernels_are_compiled_again() {
    let Some(gpu) = fake_gpu() else { return };
    let run = || gpu.run(entropy("cuda", &[], b"{\"probs\":[0.5,0.5]}\n"));
    run().works();
    let [file] = gpu.cached().try_into().unwrap();
    let whole = fs::read(&file).unwrap();
    fs::write(&file, &whole[..whole.len() - 1]).unwrap();
    run().works();
    assert!(fs::read(&file).unwrap() == whole);
    // With them, no compiler is needed.
    run().env("NVRTC_DYLIB_PATH", "/none.so").works();
}
