//! What a convolution takes in candle, with the kernels and with candle's own.
//!
//!     cargo run --release --example candle_ops_speed -- <kernels|candle> <images>
//!
//! Each line read from stdin runs one round of the layers of ResNet-20 on 32 × 32 images, which an empty line ends, so that
//! `scripts/bench/candle_ops/run.py` can take turns. Prints one line a layer and direction: height, inputs, outputs,
//! kernel, stride, direction, milliseconds. `RAYON_NUM_THREADS` sets the threads of both.

use candle_core::{DType, Device, Result, Tensor, Var};
use nets::candle_ops::conv2d;
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

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (convolve, images): (Convolve, usize) = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["kernels", images] => (|x, weight, padding, stride| conv2d(x, weight, padding, stride, 1, 1), images.parse()?),
        ["candle", images] => (|x, weight, padding, stride| x.conv2d(weight, padding, stride, 1, 1), images.parse()?),
        _ => return Err("usage: candle_ops_speed <kernels|candle> <images>".into()),
    };
    let layers = LAYERS.map(|sizes| Layer::new(images, sizes)).into_iter().collect::<Result<Vec<_>>>()?;
    let mut out = io::stdout().lock();
    for _ in io::stdin().lines() {
        for (layer, sizes) in layers.iter().zip(LAYERS) {
            let name = sizes.map(|size| size.to_string()).join(" ");
            let [forward, backward] = layer.round(convolve)?;
            writeln!(out, "{name} forward {:.3}", forward * 1e3)?;
            writeln!(out, "{name} backward {:.3}", backward * 1e3)?;
        }
        writeln!(out)?;
        out.flush()?;
    }
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
