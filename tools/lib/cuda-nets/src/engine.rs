//! Gradients for parameters that are on the host.

#![allow(unsafe_code, reason = "a call of a kernel")]

use crate::{Activations, Element, Gpu, Network, Precision, Result, calls, loss::LossKernel};
use cudarc::driver::CudaSlice;
use nets::{Batch, Engine, Graph, Loss, Parameters};
use std::sync::Arc;

/// A network on a GPU for parameters and gradients on the host, which it copies in each step: for ranks, and for evaluation.
pub struct GpuEngine {
    gpu: Arc<Gpu>,
    network: Network,
    loss: LossKernel,
    /// `[channels, positions]` of an input row.
    input: [usize; 2],
    buffers: Option<Buffers>,
}

/// Memory of the GPU, for the most rows that there were.
struct Buffers {
    rows: usize,
    parameters: CudaSlice<f32>,
    gradients: CudaSlice<f32>,
    /// NCHW, `f32`.
    raw: CudaSlice<f32>,
    inputs: Activations,
    grad_outputs: CudaSlice<f32>,
    /// Of the batch.
    loss: CudaSlice<f64>,
}

impl GpuEngine {
    /// An engine for a network on `gpu`.
    ///
    /// # Errors
    /// If the GPU's memory has no room for it.
    pub fn new(gpu: &Arc<Gpu>, graph: &Graph, loss: Loss, precision: Precision) -> Result<Self> {
        let network = Network::new(gpu, graph, precision)?;
        let input = match *graph.architecture.input_shape.as_slice() {
            [channels, height, width] => [channels, height * width],
            _ => [graph.architecture.inputs(), 1],
        };
        Ok(Self { gpu: Arc::clone(gpu), network, loss: LossKernel::new(gpu, loss), input, buffers: None })
    }

    /// Copies parameters and `rows` rows of inputs, at least one.
    fn upload(&mut self, parameters: &[f32], inputs: &[f32], rows: usize) -> Result<&mut Buffers> {
        let buffers = match self.buffers.take() {
            Some(buffers) if buffers.rows >= rows => buffers,
            before => {
                // Its memory first: both may not fit.
                drop(before);
                Buffers::new(&self.network, parameters.len(), rows)?
            }
        };
        let buffers = self.buffers.insert(buffers);
        let stream = self.gpu.stream();
        stream.memcpy_htod(parameters, &mut buffers.parameters)?;
        stream.memcpy_htod(inputs, &mut buffers.raw.slice_mut(..inputs.len()))?;
        load(&self.gpu, self.input, rows, &buffers.raw, &mut buffers.inputs)?;
        Ok(buffers)
    }

    /// As [`Engine::gradients`], of at least one row.
    fn step(&mut self, parameters: &mut Parameters, batch: Batch<'_>, gradients: &mut [f32]) -> Result<f64> {
        let rows = batch.inputs.len() / self.network.inputs();
        self.upload(&parameters.values, batch.inputs, rows)?;
        let Self { gpu, network, loss, buffers: Some(buffers), .. } = self else { return Ok(0.0) };
        let shape = (rows, network.outputs());
        let logits = network.forward(&mut buffers.parameters, &buffers.inputs, rows, true)?;
        loss.run(logits, batch, shape, &mut buffers.grad_outputs, (&mut buffers.loss, 0))?;
        network.backward(&buffers.parameters, &buffers.inputs, &buffers.grad_outputs, &mut buffers.gradients)?;
        let (stream, mut found) = (gpu.stream(), [0.0]);
        stream.memcpy_dtoh(&buffers.gradients, gradients)?;
        // For the running statistics; nothing else changed.
        stream.memcpy_dtoh(&buffers.parameters, &mut parameters.values)?;
        stream.memcpy_dtoh(&buffers.loss, &mut found)?;
        stream.synchronize()?;
        Ok(found[0])
    }

    /// As [`Engine::predict`], of `rows` rows, at least one.
    fn outputs(&mut self, parameters: &Parameters, inputs: &[f32], rows: usize) -> Result<Vec<f32>> {
        self.upload(&parameters.values, inputs, rows)?;
        let Self { gpu, network, buffers: Some(buffers), .. } = self else { return Ok(vec![]) };
        let count = rows * network.outputs();
        let logits = network.forward(&mut buffers.parameters, &buffers.inputs, rows, false)?;
        gpu.download(logits, count)
    }
}

impl Buffers {
    fn new(network: &Network, parameters: usize, rows: usize) -> Result<Self> {
        let gpu = network.gpu();
        Ok(Self {
            rows,
            parameters: gpu.zeros("parameters", parameters)?,
            gradients: gpu.zeros("gradients", parameters)?,
            raw: gpu.zeros("inputs", rows * network.inputs())?,
            inputs: Activations::new(gpu, network.element(), rows * network.inputs())?,
            grad_outputs: gpu.zeros("gradients", rows * network.outputs())?,
            loss: gpu.zeros("losses", 1)?,
        })
    }
}

/// NCHW of `f32` to NHWC.
fn load(
    gpu: &Gpu,
    [channels, positions]: [usize; 2],
    rows: usize,
    from: &CudaSlice<f32>,
    to: &mut Activations,
) -> Result<()> {
    let element = to.element();
    let (from, to) = ((Element::F32, gpu.address(from)), (element, gpu.address(to.bytes())));
    // SAFETY: both have room for the rows.
    unsafe { calls::transpose(gpu, from, to, [rows, channels, positions], false) }
}

impl Engine for GpuEngine {
    fn gradients(&mut self, parameters: &mut Parameters, batch: Batch<'_>, gradients: &mut [f32]) -> nets::Result<f64> {
        if batch.inputs.is_empty() {
            gradients.fill(0.0);
            return Ok(0.0);
        }
        Ok(self.step(parameters, batch, gradients)?)
    }

    fn predict(&mut self, parameters: &Parameters, inputs: &[f32], outputs: &mut Vec<f32>) -> nets::Result<()> {
        let rows = inputs.len() / self.network.inputs();
        *outputs = if rows == 0 { vec![] } else { self.outputs(parameters, inputs, rows)? };
        Ok(())
    }
}
