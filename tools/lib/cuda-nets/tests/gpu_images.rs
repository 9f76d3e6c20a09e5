//! Batches of rows on a machine without a GPU against the CPU's augmentation and scaling: the same bits.

mod machine;

use cuda_nets::{
    Activations, Element, Gpu,
    images::{Images, RowDraw, Rows},
};
use dataset::augmentation::{Augmentation, Epoch, Flip, PadMode};
use half::bf16;
use nets::Scaling;
use random::Random;
use std::sync::Arc;

/// Elements after a batch that a kernel must not write.
const GUARD: usize = 9;
const ROWS: usize = 23;

fn augmentations([channels, height, width]: [usize; 3]) -> Vec<Option<Augmentation>> {
    let fill: Vec<f32> = (0..channels).map(|channel| 100.0 + channel as f32).collect();
    let new = |pad, pad_mode, flip, cutout| {
        Some(Augmentation { pad, pad_mode, flip, cutout, fill: fill.clone(), height, width })
    };
    vec![
        None,
        new(0, PadMode::Zero, Some(Flip::Random), 0),
        new(2, PadMode::Zero, None, 0),
        new(2, PadMode::Reflect, Some(Flip::Alternating), 0),
        new(0, PadMode::Zero, None, 3),
        new(height.min(width) - 1, PadMode::Reflect, Some(Flip::Random), height.min(width)),
    ]
}

/// A batch as the CPU's data loader has it, then NHWC.
fn expected<T: Copy + Into<f32>>(
    values: &[T],
    rows: &[usize],
    shape: &[usize],
    scaling: Option<&Scaling>,
    augmentation: Option<(&Augmentation, Epoch)>,
) -> Vec<f32> {
    let size: usize = shape.iter().product();
    let mut batch = Vec::new();
    for &row in rows {
        let from = &values[row * size..(row + 1) * size];
        let mut out: Vec<f32> = from.iter().map(|&x| x.into()).collect();
        if let Some((augmentation, epoch)) = augmentation {
            augmentation.apply(from, row, epoch, &mut out);
        }
        scaling.iter().for_each(|scaling| scaling.apply(&mut out, shape));
        let [channels, plane] = match *shape {
            [channels, height, width] => [channels, height * width],
            _ => [size, 1],
        };
        batch.extend((0..size).map(|i| out[i % channels * plane + i / channels]));
    }
    batch
}

/// What a batch is on the GPU; `draws` changes what is drawn.
fn load(gpu: &Arc<Gpu>, images: &mut Images, draws: &[RowDraw], element: Element) -> Vec<u32> {
    let count = draws.len() * images.row_size();
    let mut out = Activations::new(gpu, element, count + GUARD).expect("memory");
    images.load(draws, &mut out).expect("loaded");
    let bytes = gpu.stream().clone_dtoh(out.bytes()).expect("copied");
    let number = |bytes: &[u8]| bytes.iter().rev().fold(0, |number, &byte| number << 8 | u32::from(byte));
    let mut bits: Vec<u32> = bytes.chunks_exact(element.size()).map(number).collect();
    assert!(bits[count..].iter().all(|&bits| bits == 0), "a kernel wrote beyond its elements");
    bits.truncate(count);
    bits
}

fn check<T: Copy + Into<f32>>(
    gpu: &Arc<Gpu>,
    values: &[T],
    rows: Rows<'_>,
    shape: &[usize],
    scaling: Option<&Scaling>,
) {
    let augmentations = match *shape {
        [channels, height, width] => augmentations([channels, height, width]),
        _ => vec![None],
    };
    for augmentation in augmentations {
        let mut images = Images::new(gpu, rows, shape, scaling, augmentation.clone()).expect("uploaded");
        assert_eq!(images.rows(), ROWS);
        for (seed, batch) in
            [&[][..], &[0], &[22, 3, 3, 7, 0], &[1, 5, 9, 13, 17, 21, 2, 4, 6, 8]].into_iter().enumerate()
        {
            let epoch = Epoch { seed: seed as u64, first_flip: 9, even: seed % 2 == 0 };
            let expected = expected(values, batch, shape, scaling, augmentation.as_ref().map(|one| (one, epoch)));
            let draws = images.draws(batch, Some(epoch));
            let bits: Vec<u32> = expected.iter().map(|x| x.to_bits()).collect();
            assert_eq!(load(gpu, &mut images, &draws, Element::F32), bits, "{shape:?} {augmentation:?}");
            let bits: Vec<u32> = expected.iter().map(|&x| bf16::from_f32(x).to_bits().into()).collect();
            assert_eq!(load(gpu, &mut images, &draws, Element::Bf16), bits, "{shape:?} {augmentation:?}");
        }
        // As they are: the padding is cut off again.
        let plain = images.draws(&[4, 2], None);
        let bits: Vec<u32> = expected(values, &[4, 2], shape, scaling, None).iter().map(|x| x.to_bits()).collect();
        assert_eq!(load(gpu, &mut images, &plain, Element::F32), bits, "{shape:?}");
    }
}

#[test]
fn rows_have_the_bits_of_the_cpu() {
    let Some(gpu) = machine::gpu() else { return };
    for shape in [&[3, 8, 8][..], &[1, 5, 7], &[3, 7, 5], &[4, 4, 6], &[9, 3, 3], &[1], &[13], &[2, 3]] {
        let mut random = Random::new(1, 0);
        let size: usize = shape.iter().product();
        let bytes: Vec<u8> = (0..ROWS * size).map(|_| random.index(256) as u8).collect();
        let reals: Vec<f32> = (0..ROWS * size).map(|_| random.normal() as f32).collect();
        let channels = dataset::channels(shape);
        let scaling = Scaling {
            mean: (0..channels).map(|_| random.normal() as f32).collect(),
            scale: (0..channels).map(|_| random.exponential() as f32).collect(),
        };
        for scaling in [None, Some(&scaling)] {
            check(&gpu, &bytes, Rows::Bytes(&bytes), shape, scaling);
            check(&gpu, &reals, Rows::Real(&reals), shape, scaling);
        }
    }
}

#[test]
fn images_can_be_flipped() {
    let Some(gpu) = machine::gpu() else { return };
    // One image of two channels of 1 × 3 pixels.
    let values = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
    let mut images = Images::new(&gpu, Rows::Real(&values), &[2, 1, 3], None, None).expect("uploaded");
    let draws: Vec<RowDraw> = images.draws(&[0], None).into_iter().map(RowDraw::flipped).collect();
    let expected = [3.0f32, 6.0, 2.0, 5.0, 1.0, 4.0].map(f32::to_bits);
    assert_eq!(load(&gpu, &mut images, &draws, Element::F32), expected);
}

/// More than two buffers of an upload.
#[test]
fn many_rows_are_uploaded_in_parts() {
    let Some(gpu) = machine::gpu() else { return };
    let bytes: Vec<u8> = (0..(20u32 << 20) + 12).map(|i| (i % 251) as u8).collect();
    let rows = bytes.len() / 4;
    let mut images = Images::new(&gpu, Rows::Bytes(&bytes), &[4], None, None).expect("uploaded");
    let draws = images.draws(&[rows - 1, 0, rows / 2], None);
    let expected: Vec<u32> = [rows - 1, 0, rows / 2]
        .iter()
        .flat_map(|row| &bytes[row * 4..][..4])
        .map(|&byte| f32::from(byte).to_bits())
        .collect();
    assert_eq!(load(&gpu, &mut images, &draws, Element::F32), expected);
}
