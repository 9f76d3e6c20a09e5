//! Times of the convolutions of ResNet-20 and ResNet-18 on 32 × 32 images: forward, grad_input and grad_weight.
//!
//!     cargo bench -p kernels --bench conv -- [THREADS [ROUNDS [IMAGES]]]
//!
//! Prints one line a layer and direction: height, inputs, outputs, kernel, stride, direction, and the
//! milliseconds of each round. With `-` for ROUNDS, each line read from stdin runs one round of all
//! layers, which an empty line ends: so that `scripts/bench/conv/run.py` can take turns with a peer.
#![allow(clippy::print_stdout, reason = "a program that prints its measurements")]

use kernels::{
    Operand,
    conv::{Conv, ConvShape},
};
use random::Random;
use std::{io, time::Instant};

/// (height and width, inputs, outputs, kernel, stride)
const LAYERS: [[usize; 5]; 16] = [
    [32, 3, 16, 3, 1],
    [32, 16, 16, 3, 1],
    [32, 16, 32, 3, 2],
    [16, 32, 32, 3, 1],
    [16, 32, 64, 3, 2],
    [8, 64, 64, 3, 1],
    [32, 3, 64, 3, 1],
    [32, 64, 64, 3, 1],
    [32, 64, 128, 3, 2],
    [32, 64, 128, 1, 2],
    [16, 128, 128, 3, 1],
    [16, 128, 256, 3, 2],
    [8, 256, 256, 3, 1],
    [8, 256, 512, 3, 2],
    [8, 256, 512, 1, 2],
    [4, 512, 512, 3, 1],
];
const DIRECTIONS: [&str; 3] = ["forward", "input", "weights"];

fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut arguments = // cargo appends `--bench`.
    std::env::args().skip(1).filter(|argument| argument != "--bench");
    let threads = arguments.next().map_or(Ok(1), |n| n.parse())?;
    let rounds = arguments.next().unwrap_or_else(|| "5".into());
    let images = arguments.next().map_or(Ok(128), |n| n.parse())?;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    pool.install(|| {
        let mut layers =
            LAYERS.iter().map(|&sizes| Layer::new(images, sizes, threads)).collect::<Result<Vec<_>, _>>()?;
        layers.iter_mut().for_each(|layer| _ = layer.round());
        if rounds == "-" {
            for _ in io::stdin().lines() {
                print(&mut layers, 1);
                println!();
            }
        } else {
            print(&mut layers, rounds.parse()?);
        }
        Ok(())
    })
}

fn print(layers: &mut [Layer], rounds: usize) {
    for layer in layers {
        let times: Vec<[f64; 3]> = (0..rounds).map(|_| layer.round()).collect();
        let s = *layer.conv.shape();
        for (i, direction) in DIRECTIONS.iter().enumerate() {
            print!("{} {} {} {} {} {direction}", s.height, s.inputs, s.outputs, s.kernel, s.stride);
            times.iter().for_each(|times| print!(" {:.3}", times[i] * 1e3));
            println!();
        }
    }
}

/// A layer with its buffers.
struct Layer {
    conv: Conv,
    input: Vec<f32>,
    output: Vec<f32>,
    weights: Vec<f32>,
    packed: Vec<f32>,
    packed_backward: Vec<f32>,
    workspace: Vec<f32>,
    target: Vec<f32>,
}

impl Layer {
    fn new(images: usize, sizes: [usize; 5], threads: usize) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let [size, inputs, outputs, kernel, stride] = sizes;
        let shape =
            ConvShape { images, height: size, width: size, inputs, outputs, kernel, stride, padding: kernel / 2 };
        let conv = Conv::new(shape)?;
        let mut random = Random::new(0, 0);
        let mut draw = |n: usize| (0..n).map(|_| random.uniform() as f32 - 0.5).collect::<Vec<_>>();
        Ok(Self {
            input: draw(shape.input_len()),
            output: draw(shape.output_len()),
            weights: draw(shape.weights_len()),
            packed: vec![0.0; conv.packed_forward_len()],
            packed_backward: vec![0.0; conv.packed_backward_len()],
            workspace: vec![0.0; conv.workspace_len(threads)],
            target: vec![0.0; shape.input_len().max(shape.output_len()).max(shape.weights_len())],
            conv,
        })
    }

    /// Seconds of each direction, with packing the weights.
    fn round(&mut self) -> [f64; 3] {
        let Self { conv, input, output, weights, packed, packed_backward, workspace, target } = self;
        let s = *conv.shape();
        let forward = seconds(|| {
            conv.pack_forward(weights, packed);
            conv.forward(Operand::Plain(input), packed, &mut target[..s.output_len()], workspace);
        });
        let backward = seconds(|| {
            conv.pack_backward(weights, packed_backward);
            conv.backward_input(output, packed_backward, &mut target[..s.input_len()], false, workspace);
        });
        let gradient = seconds(|| conv.backward_weights(input, output, &mut target[..s.weights_len()], workspace));
        [forward, backward, gradient]
    }
}

fn seconds(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}
