//! The real binary with `device=cuda:0`, on a driver that runs the kernels' text on the CPU: the bytes of `device=cpu`.

use testkit::{FakeGpu, npy, tool};

#[test]
fn values_have_the_bytes_of_the_cpu() {
    let Some(gpu) = FakeGpu::compile(&cuda::source::fake_driver()) else { return };
    let values: Vec<f64> = (0..3_000_001).map(|i| f64::from(i % 1009 - 500) / 7.0).collect();
    let wide: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
    let narrow: Vec<u8> = values.iter().flat_map(|&x| (x as f32).to_le_bytes()).collect();
    let integers: Vec<u8> = values.iter().flat_map(|&x| (x as i32).to_le_bytes()).collect();
    for (dtype, data) in [("f8", &wide), ("f4", &narrow), ("i4", &integers)] {
        let input = npy::file(&format!("[('values', '<{dtype}')]"), values.len(), data);
        for args in [&[][..], &["--slope", "0.1"], &["--out-field", "y"]] {
            let run = |device: &str| tool!("relu").args([device]).args(args).stdin(input.clone());
            let (on_gpu, on_cpu) = (gpu.run(run("device=cuda:0")).output(), run("device=cpu").output());
            assert_eq!(String::from_utf8_lossy(&on_gpu.stderr), "");
            assert!(on_gpu.stdout == on_cpu.stdout && !on_cpu.stdout.is_empty(), "{dtype} {args:?}");
        }
    }
    // A field of several elements, and lines of text.
    let pixels = npy::file("[('values', '<f4', (3, 2))]", 500_000, &narrow[..500_000 * 24]);
    let run = |device: &str| tool!("relu").args([device]).stdin(pixels.clone());
    assert!(gpu.run(run("device=cuda:0")).output().stdout == run("device=cpu").output().stdout);
    let line = |device: &str| tool!("relu").args([device]).stdin("{\"values\":[-1,2,-0.5]}\n");
    assert_eq!(gpu.run(line("device=auto")).works(), line("device=cpu").works());
}
