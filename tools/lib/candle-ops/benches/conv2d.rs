//! Times of convolutions on candle's tensors, by `kernels` or by candle.
//!
//!     cargo bench -p candle-ops --bench conv2d -- [kernels|candle IMAGES]
//!
//! Each line read from stdin runs one round of the layers of ResNet-20 on 32 × 32 images, which an empty line ends, so that
//! `scripts/bench/candle_ops/run.py` can take turns. Without arguments: one round of both on 32 images. Prints one line a layer and direction: height, inputs, outputs,
//! kernel, stride, direction, milliseconds. `RAYON_NUM_THREADS` sets the threads of both.

use candle_core::{DType, Device, Result, Tensor, Var};
use candle_ops::conv2d;
use std::{
    io::{self, Write},
    time::Instant,
};

/// (height and width, inputs, outputs, kernel, stride)
const LAYERS: [[usize; 5]; 6] = [
    [32, 3, 16, 3, 1],
    [32, 16, 16, 3, 1],
    [32, 16, 32, 3, 2],
    [16, 32, 32, 3, 1],
    [16, 32, 64, 3, 2],
    [8, 64, 64, 3, 1],
];

/// Input, weight, padding and stride to output.
type Convolve = fn(&Tensor, &Tensor, usize, usize) -> Result<Tensor>;

const KERNELS: Convolve = |x, weight, padding, stride| conv2d(x, weight, padding, stride, 1, 1);
const CANDLE: Convolve = |x, weight, padding, stride| x.conv2d(weight, padding, stride, 1, 1);

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    // cargo appends `--bench`.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let (convolve, images) = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["kernels", images] => (KERNELS, images.parse()?),
        ["candle", images] => (CANDLE, images.parse()?),
        [] => {
            let layers = layers(32)?;
            for (name, convolve) in [("kernels", KERNELS), ("candle", CANDLE)] {
                writeln!(io::stdout(), "{name}:")?;
                print_round(&layers, convolve)?;
            }
            return Ok(());
        }
        _ => return Err("usage: conv2d [kernels|candle IMAGES]".into()),
    };
    let layers = layers(images)?;
    for _ in io::stdin().lines() {
        print_round(&layers, convolve)?;
    }
    Ok(())
}

fn layers(images: usize) -> Result<Vec<Layer>> {
    LAYERS.into_iter().map(|sizes| Layer::new(images, sizes)).collect()
}

fn print_round(layers: &[Layer], convolve: Convolve) -> std::result::Result<(), Box<dyn std::error::Error>> {
    let mut out = io::stdout().lock();
    for (layer, sizes) in layers.iter().zip(LAYERS) {
        let name = sizes.map(|size| size.to_string()).join(" ");
        let [forward, backward] = layer.round(convolve)?;
        writeln!(out, "{name} forward {:.3}", forward * 1e3)?;
        writeln!(out, "{name} backward {:.3}", backward * 1e3)?;
    }
    writeln!(out)?;
    out.flush()?;
    Ok(())
}

struct Layer {
    x: Var,
    weight: Var,
    stride: usize,
}

impl Layer {
    fn new(images: usize, [size, inputs, outputs, kernel, stride]: [usize; 5]) -> Result<Self> {
        let random = |dims: [usize; 4]| Var::randn_f64(0.0, 1.0, &dims[..], DType::F32, &Device::Cpu);
        let (x, weight) = (random([images, inputs, size, size])?, random([outputs, inputs, kernel, kernel])?);
        Ok(Self { x, weight, stride })
    }

    /// Seconds of the forward pass, and of the gradients of input and weight.
    fn round(&self, convolve: Convolve) -> Result<[f64; 2]> {
        let began = Instant::now();
        let y = convolve(&self.x, &self.weight, self.weight.dim(2)? / 2, self.stride)?;
        let forward = began.elapsed().as_secs_f64();
        let sum = y.sum_all()?;
        let began = Instant::now();
        sum.backward()?;
        Ok([forward, began.elapsed().as_secs_f64()])
    }
}
