//! Gradients for parameters that are on the host.

#![allow(unsafe_code, reason = "a call of a kernel")]

use crate::{Activations, Element, Gpu, Network, Precision, Result, calls};
use cudarc::driver::CudaSlice;
use nets::{Batch, Engine, Graph, Loss, Parameters};
use std::sync::Arc;

/// A network on a GPU for parameters and gradients on the host, which it copies in each step: for ranks, and for evaluation. The
/// loss is computed on the host.
pub struct GpuEngine {
    gpu: Arc<Gpu>,
    network: Network,
    loss: Loss,
    /// `[channels, positions]` of an input row.
    input: [usize; 2],
    buffers: Option<Buffers>,
    /// `[rows, outputs]`
    outputs: Vec<f32>,
    grad_outputs: Vec<f32>,
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
        let (gpu, outputs, grad_outputs) = (Arc::clone(gpu), vec![], vec![]);
        Ok(Self { gpu, network, loss, input, buffers: None, outputs, grad_outputs })
    }

    /// Copies parameters and inputs, and computes the outputs; returns the number of rows.
    fn forward(&mut self, parameters: &[f32], inputs: &[f32], training: bool) -> Result<usize> {
        let rows = inputs.len() / self.network.inputs();
        self.outputs.resize(rows * self.network.outputs(), 0.0);
        if rows == 0 {
            return Ok(0);
        }
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
        let logits = self.network.forward(&mut buffers.parameters, &buffers.inputs, rows, training)?;
        stream.memcpy_dtoh(&logits.slice(..self.outputs.len()), &mut self.outputs)?;
        stream.synchronize()?;
        Ok(rows)
    }

    fn backward(&mut self, parameters: &mut Parameters, gradients: &mut [f32]) -> Result<()> {
        let Some(Buffers { parameters: on_gpu, gradients: gradients_on_gpu, inputs, grad_outputs, .. }) =
            &mut self.buffers
        else {
            return Ok(());
        };
        let stream = self.gpu.stream();
        stream.memcpy_htod(&self.grad_outputs, &mut grad_outputs.slice_mut(..self.grad_outputs.len()))?;
        self.network.backward(on_gpu, inputs, grad_outputs, gradients_on_gpu)?;
        stream.memcpy_dtoh(gradients_on_gpu, gradients)?;
        // For the running statistics; nothing else changed.
        stream.memcpy_dtoh(on_gpu, &mut parameters.values)?;
        Ok(stream.synchronize()?)
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
        let rows = self.forward(&parameters.values, batch.inputs, true)?;
        self.grad_outputs.resize(self.outputs.len(), 0.0);
        let total_weight = self.loss.total_weight(batch, rows);
        let width = self.network.outputs();
        let loss = self.loss.add(&self.outputs, batch, width, total_weight, &mut self.grad_outputs);
        if rows == 0 {
            gradients.fill(0.0);
        } else {
            self.backward(parameters, gradients)?;
        }
        Ok(loss)
    }

    fn predict(&mut self, parameters: &Parameters, inputs: &[f32], outputs: &mut Vec<f32>) -> nets::Result<()> {
        self.forward(&parameters.values, inputs, false)?;
        outputs.clone_from(&self.outputs);
        Ok(())
    }
}
