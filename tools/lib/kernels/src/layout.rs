//! Layouts of activations: PyTorch's NCHW, `[images, channels, height, width]`, and the kernels' NHWC,
//! `[images, height, width, channels]`. `pixels` is `height · width`, 1 for feature vectors.

use parallel::parallel_for;

/// Copies `[images, channels, pixels]` to `[images, pixels, channels]`.
///
/// # Panics
/// If the lengths of `from` and `to` differ.
pub fn nchw_to_nhwc(from: &[f32], to: &mut [f32], channels: usize, pixels: usize) {
    transpose(from, to, channels, pixels);
}

/// Copies `[images, pixels, channels]` to `[images, channels, pixels]`.
///
/// # Panics
/// If the lengths of `from` and `to` differ.
pub fn nhwc_to_nchw(from: &[f32], to: &mut [f32], channels: usize, pixels: usize) {
    transpose(from, to, pixels, channels);
}

/// Copies `[images, rows, columns]` to `[images, columns, rows]`.
fn transpose(from: &[f32], to: &mut [f32], rows: usize, columns: usize) {
    assert_eq!(from.len(), to.len(), "elements of both layouts");
    if rows == 1 || columns == 1 {
        to.copy_from_slice(from);
        return;
    }
    let len = rows * columns;
    parallel_for(from.chunks_exact(len).zip(to.chunks_exact_mut(len)), |(from, to)| {
        for (column, to) in to.chunks_exact_mut(rows).enumerate() {
            to.iter_mut().zip(from[column..].iter().step_by(columns)).for_each(|(to, from)| *to = *from);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_are_transposed_image_by_image() {
        // Two images of 2 channels and 3 pixels: the tens are channels, the ones pixels, the hundreds images.
        let nchw = [0, 1, 2, 10, 11, 12, 100, 101, 102, 110, 111, 112].map(|x| x as f32);
        let nhwc = [0, 10, 1, 11, 2, 12, 100, 110, 101, 111, 102, 112].map(|x| x as f32);
        let (mut to, mut back) = ([0.0; 12], [0.0; 12]);
        nchw_to_nhwc(&nchw, &mut to, 2, 3);
        nhwc_to_nchw(&to, &mut back, 2, 3);
        assert_eq!((to, back), (nhwc, nchw));
    }

    #[test]
    fn one_channel_is_copied() {
        let mut to = [0.0; 3];
        nchw_to_nhwc(&[1.0, 2.0, 3.0], &mut to, 1, 3);
        assert_eq!(to, [1.0, 2.0, 3.0]);
    }
}
