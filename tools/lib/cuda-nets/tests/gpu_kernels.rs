//! Each kernel on a machine without a GPU against plain loops.

#![allow(unsafe_code, reason = "calls of kernels")]

mod machine;

use cuda_nets::source;
use half::bf16;

/// Rounding of `half` is that of IEEE 754; tails, and elements after them.
#[test]
fn bf16_rounds_to_nearest_even() {
    let Some(gpu) = machine::gpu() else { return };
    let odd = [0.0, -0.0, 1.0, f32::INFINITY, f32::NEG_INFINITY, f32::NAN, f32::MAX, f32::MIN_POSITIVE, 1e-42];
    let ties = (0..2000u32).map(|i| f32::from_bits(0x3f80_0000 + i * 0x4000));
    let values: Vec<f32> = odd.into_iter().chain(ties).collect();
    for count in (0..20).chain([values.len()]) {
        let stream = gpu.stream();
        let from = stream.clone_htod(&values).expect("copied");
        let (narrow, back) = (stream.alloc_zeros::<u16>(values.len()), stream.alloc_zeros::<f32>(values.len()));
        let (narrow, back) = (narrow.expect("memory"), back.expect("memory"));
        let (length, grid) = (count as u64, source::grid(count, 8));
        let addresses = (gpu.address(&from), gpu.address(&narrow), gpu.address(&back));
        // SAFETY: the arguments are those of the text, which reads and writes `count` elements.
        unsafe {
            gpu.launch("convert_f32_bf16", grid, &[addresses.0.into(), length.into(), addresses.1.into()])
                .expect("run");
            gpu.launch("convert_bf16_f32", grid, &[addresses.1.into(), length.into(), addresses.2.into()])
                .expect("run");
        }
        let expected: Vec<u16> = values.iter().map(|&x| bf16::from_f32(x).to_bits()).collect();
        let found = stream.clone_dtoh(&narrow).expect("copied");
        assert_eq!(found[..count], expected[..count]);
        assert!(found[count..].iter().all(|&x| x == 0), "a kernel wrote beyond its elements");
        let found = stream.clone_dtoh(&back).expect("copied");
        for (found, bits) in found[..count].iter().zip(expected) {
            assert_eq!(found.to_bits(), u32::from(bits) << 16);
        }
    }
}
