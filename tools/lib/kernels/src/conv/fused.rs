//! Convolutions of inference: the forward pass alone, with bias, residual and activation as its epilogue.

use super::{
    Algorithm, ConvShape, ConvShapeError,
    algorithm::{self, ConvPass},
    check,
};
use crate::{
    epilogue::{Epilogue, Store},
    isa::Isa,
    operand::Operand,
};

/// Fewest tiles of an image for which Winograd's algorithm is chosen: its weights are four times as large, and a batch of one
/// image reads them for so few tiles.
const LEAST_TILES: usize = 4;

/// A plan of one convolution. The algorithm depends on the shape without the batch, so that an image has the same output in
/// batches of any size; so do the packed weights.
#[derive(Debug)]
pub struct FusedConv {
    shape: ConvShape,
    isa: Isa,
    algorithm: Algorithm,
    pass: Box<dyn ConvPass>,
}

impl FusedConv {
    /// Plans a convolution for the instruction set of [`crate::isa`], with the algorithm of [`Self::choose`].
    ///
    /// # Errors
    /// If the shape is not a valid convolution.
    pub fn new(shape: ConvShape) -> Result<Self, ConvShapeError> {
        shape.check()?;
        Self::with(Isa::chosen(), Self::choose(&shape), shape)
    }

    /// As [`Self::new`], for a given instruction set and algorithm: for tests and benchmarks.
    ///
    /// # Errors
    /// If the shape is not a valid convolution, or not supported by the algorithm.
    pub fn with(isa: Isa, algorithm: Algorithm, shape: ConvShape) -> Result<Self, ConvShapeError> {
        shape.check()?;
        Ok(Self { pass: algorithm::plan_forward(algorithm, &shape)?, algorithm, shape, isa })
    }

    /// The algorithm for a shape, whatever the number of images.
    pub fn choose(shape: &ConvShape) -> Algorithm {
        algorithm::choose(shape, LEAST_TILES)
    }

    /// The algorithm of the plan.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The shape of the plan.
    pub fn shape(&self) -> &ConvShape {
        &self.shape
    }

    /// Elements of the packed weights.
    pub fn packed_len(&self) -> usize {
        self.pass.packed_len()
    }

    /// Elements of workspace with which [`Self::run`] runs on `threads` threads. With a shorter workspace it runs on fewer; the
    /// length for one thread is the minimum.
    pub fn workspace_len(&self, threads: usize) -> usize {
        threads.max(1) * self.pass.workspace_len()
    }

    /// Packs `weights` (OIHW).
    ///
    /// # Panics
    /// If a length does not match the plan.
    pub fn pack(&self, weights: &[f32], packed: &mut [f32]) {
        check("weights", weights.len(), self.shape.weights_len());
        check("packed weights", packed.len(), self.packed_len());
        self.pass.pack(self.isa, weights, packed);
    }

    /// Writes `output` (NHWC) from `input` (NHWC) and the weights of [`Self::pack`].
    ///
    /// # Panics
    /// If a length does not match the plan.
    pub fn run(
        &self,
        input: &[f32],
        packed: &[f32],
        epilogue: Epilogue<'_>,
        output: &mut [f32],
        workspace: &mut [f32],
    ) {
        check("input", input.len(), self.shape.input_len());
        check("packed weights", packed.len(), self.packed_len());
        check("output", output.len(), self.shape.output_len());
        epilogue.check(&self.shape);
        let (input, store) = (Operand::Plain(input), Store::Fused(epilogue));
        self.pass.run(self.isa, input, packed, output, store, &mut [], workspace);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Activation, conv::Conv};

    fn draw(seed: u64, len: usize) -> Vec<f32> {
        let mut random = random::Random::new(seed, 0);
        (0..len).map(|_| random.normal() as f32).collect()
    }

    fn run(conv: &FusedConv, input: &[f32], weights: &[f32], epilogue: Epilogue<'_>) -> Vec<f32> {
        let (mut packed, mut workspace) = (vec![0.0; conv.packed_len()], vec![f32::NAN; conv.workspace_len(2)]);
        let mut output = vec![f32::NAN; conv.shape.output_len()];
        conv.pack(weights, &mut packed);
        conv.run(input, &packed, epilogue, &mut output, &mut workspace);
        output
    }

    /// Bits equal the plain convolution of the same algorithm followed by the epilogue, on every instruction set.
    fn check_shape(shape: ConvShape, algorithm: Algorithm) {
        let (input, weights) = (draw(1, shape.input_len()), draw(2, shape.weights_len()));
        let (mut bias, residual) = (draw(3, shape.outputs), draw(4, shape.output_len()));
        bias.resize(Epilogue::padded_len(shape.outputs), 0.0);
        for isa in Isa::supported() {
            let plain = Conv::with(isa, algorithm, shape).expect("a valid shape");
            let (mut packed, mut workspace) =
                (vec![0.0; plain.packed_forward_len()], vec![0.0; plain.workspace_len(1)]);
            let mut product = vec![0.0; shape.output_len()];
            plain.pack_forward(&weights, &mut packed);
            plain.forward(Operand::Plain(&input), &packed, &mut product, &mut workspace);
            for activation in [Activation::Identity, Activation::Relu, Activation::Clip(-0.5, 1.0), Activation::Tanh] {
                for residual in [&[][..], &residual] {
                    let conv = FusedConv::with(isa, algorithm, shape).expect("a valid shape");
                    let ours = run(&conv, &input, &weights, Epilogue { bias: &bias, residual, activation });
                    let mut expected = product.clone();
                    for (i, x) in expected.iter_mut().enumerate() {
                        *x = *x + bias[i % shape.outputs] + residual.get(i).unwrap_or(&0.0);
                    }
                    activation.apply_on(isa, &mut expected);
                    assert!(ours == expected, "{shape:?} {algorithm:?} {isa} {activation:?}");
                    let (mut trained, epilogue) = (product.clone(), Epilogue { bias: &bias, residual, activation });
                    let input = Operand::Plain(&input);
                    plain.forward_with_epilogue(input, &packed, epilogue, &mut trained, &mut workspace);
                    assert!(trained == expected, "training: {shape:?} {algorithm:?} {isa} {activation:?}");
                }
            }
        }
    }

    #[test]
    fn the_epilogue_is_that_of_a_plain_convolution() {
        let shape =
            ConvShape { images: 3, height: 9, width: 7, inputs: 8, outputs: 24, kernel: 3, stride: 1, padding: 1 };
        check_shape(shape, Algorithm::Direct);
        check_shape(shape, Algorithm::Winograd);
        check_shape(ConvShape { outputs: 32, inputs: 16, ..shape }, Algorithm::Winograd);
        check_shape(ConvShape { inputs: 3, outputs: 5, stride: 2, ..shape }, Algorithm::Direct);
        check_shape(ConvShape { inputs: 3, outputs: 40, kernel: 1, padding: 0, ..shape }, Algorithm::Direct);
    }

    #[test]
    fn an_image_has_the_same_bits_in_every_batch() {
        for inputs in [3, 16] {
            let one =
                ConvShape { images: 1, height: 20, width: 18, inputs, outputs: 16, kernel: 3, stride: 1, padding: 1 };
            let weights = draw(2, one.weights_len());
            let bias = draw(3, 16);
            let epilogue = Epilogue { bias: &bias, residual: &[], activation: Activation::Relu };
            for images in [7, 64] {
                let all = ConvShape { images, ..one };
                let input = draw(5, all.input_len());
                let together = run(&FusedConv::new(all).expect("a valid shape"), &input, &weights, epilogue);
                let alone = FusedConv::new(one).expect("a valid shape");
                for (input, together) in input.chunks(one.input_len()).zip(together.chunks(one.output_len())) {
                    assert!(run(&alone, input, &weights, epilogue) == together);
                }
            }
        }
    }
}
