//! A small convolutional network in candle, on the kernels: tensors in, `backward`, candle-nn's AdamW.
//!
//!     cargo run --release --example candle_ops
//!
//! Tells images with a bright left half from those with a bright right half, and prints the loss of every tenth step.

use candle_core::{DType, Device, Module, ModuleT, Result, Tensor};
use candle_nn::{AdamW, Conv2dConfig, Linear, Optimizer, VarBuilder, VarMap, loss::cross_entropy};
use candle_ops::{BatchNorm, Conv2d, avg_pool2d};
use random::Random;
use std::io::{self, Write};

const IMAGES: usize = 64;
const SIDE: usize = 16;

struct Network {
    conv: Conv2d,
    norm: BatchNorm,
    linear: Linear,
}

impl Network {
    fn new(variables: VarBuilder) -> Result<Self> {
        let config = Conv2dConfig { padding: 1, ..Default::default() };
        Ok(Self {
            conv: Conv2d::from(candle_nn::conv2d_no_bias(1, 16, 3, config, variables.pp("conv"))?),
            norm: BatchNorm::new(16, 1e-5, variables.pp("norm"))?.then_relu(),
            linear: candle_nn::linear(16 * 4, 2, variables.pp("linear"))?,
        })
    }
}

impl ModuleT for Network {
    fn forward_t(&self, images: &Tensor, train: bool) -> Result<Tensor> {
        let x = self.norm.forward_t(&self.conv.forward(images)?, train)?; // [rows, 16, SIDE, SIDE]
        let x = avg_pool2d(&x, SIDE / 2)?; // [rows, 16, 2, 2]
        self.linear.forward(&x.flatten_from(1)?)
    }
}

/// Noise `[IMAGES, 1, SIDE, SIDE]`, brighter on one side, and which side it is.
fn images() -> Result<(Tensor, Tensor)> {
    let mut random = Random::new(0, 0);
    let mut pixel = |i: usize| {
        let (left, wanted) = (i % SIDE < SIDE / 2, (i / (SIDE * SIDE)).is_multiple_of(2));
        random.normal() as f32 + f32::from(u8::from(left == wanted))
    };
    let pixels = (0..IMAGES * SIDE * SIDE).map(&mut pixel).collect::<Vec<_>>();
    let sides = Tensor::from_iter((0..IMAGES as u32).map(|i| i % 2), &Device::Cpu)?;
    Ok((Tensor::from_vec(pixels, (IMAGES, 1, SIDE, SIDE), &Device::Cpu)?, sides))
}

fn main() -> Result<()> {
    let variables = VarMap::new();
    let network = Network::new(VarBuilder::from_varmap(&variables, DType::F32, &Device::Cpu))?;
    let mut optimizer = AdamW::new_lr(variables.all_vars(), 1e-2)?;
    let (images, sides) = images()?;
    for step in 1..=50 {
        let loss = cross_entropy(&network.forward_t(&images, true)?, &sides)?;
        optimizer.backward_step(&loss)?;
        if step % 10 == 0 {
            writeln!(io::stdout(), "step {step}: loss {:.4}", loss.to_scalar::<f32>()?)?;
        }
    }
    let right = network.forward_t(&images, false)?.argmax(1)?.eq(&sides)?.to_dtype(DType::U32)?.sum_all()?;
    writeln!(io::stdout(), "{} of {IMAGES} told apart", right.to_scalar::<u32>()?)?;
    Ok(())
}
