//! Static int8 quantization: QuantizeLinear and DequantizeLinear around what a runtime computes on integers.
//!
//! The caller runs the float32 model over a calibration set, with [`observed`] values as extra outputs, and shows a [`Calibrator`]
//! what they are; [`quantize`] rewrites the model by the ranges. Batch norms are folded into convolutions first
//! (`simplify::fold_batch_norms`): one that is left stays in float32, and its convolution is not computed on integers.
//!
//! Scales, zero points and integers equal those of onnxruntime.quantization's `quantize_static` in its Q/DQ format. Weights are
//! symmetric int8, stored as integers. [`Target`] says what differs between the runtimes that read the result:
//!
//! | | ONNX Runtime | TensorRT |
//! |---|---|---|
//! | activations | uint8 or int8 with zero points | int8, zero point 0 |
//! | quantized | inputs and outputs of all nodes with integer kernels | inputs of layers and pools |
//! | residual addition | both inputs and the output | the shortcut |
//! | bias | int32 | float32 |

mod affine;
mod calibrate;
mod constants;
mod divergence;
mod histogram;
mod insert;
mod layer;
mod plan;
mod report;
mod residual;
mod weights;

pub use calibrate::{Calibrator, Method, Ranges};
pub use report::{Left, Report};

use crate::{DataType, Model, Problem, Tensor};
use affine::Affine;
use plan::Plan;
use std::collections::HashMap;

/// The runtime that the quantized model is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// ONNX Runtime's CPU kernels: QLinearConv and its like.
    OnnxRuntime,
    /// TensorRT, explicit quantization.
    TensorRt,
}

/// Type of quantized activations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activations {
    /// 0 to 255.
    Uint8,
    /// -128 to 127.
    Int8,
    /// -127 to 127, zero point 0.
    SymmetricInt8,
}

/// What to quantize, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// The runtime.
    pub target: Target,
    /// Type of activations; TensorRT reads [`Activations::SymmetricInt8`] only.
    pub activations: Activations,
    /// Whether weights have a scale for each output channel.
    pub per_channel: bool,
    /// Whether weights have 7 bits: without VNNI, sums of two products of 8 bits saturate on x86.
    pub reduce_range: bool,
    /// Names of nodes that stay in float32.
    pub exclude_nodes: Vec<String>,
    /// Operators that stay in float32.
    pub exclude_ops: Vec<String>,
    /// Whether the first layer stays in float32.
    pub keep_first: bool,
    /// Whether the last layer stays in float32.
    pub keep_last: bool,
}

impl Options {
    /// Options for a target: weights per channel, 8 bits, everything quantized.
    pub fn new(target: Target) -> Self {
        let activations = match target {
            Target::OnnxRuntime => Activations::Uint8,
            Target::TensorRt => Activations::SymmetricInt8,
        };
        Self {
            target,
            activations,
            per_channel: true,
            reduce_range: false,
            exclude_nodes: Vec::new(),
            exclude_ops: Vec::new(),
            keep_first: false,
            keep_last: false,
        }
    }

    fn check(&self) -> Result<(), Problem> {
        if self.target == Target::TensorRt && self.activations != Activations::SymmetricInt8 {
            return Err(Problem::graph("TensorRT reads symmetric int8 activations only"));
        }
        Ok(())
    }
}

impl Activations {
    /// Scale and zero point for a range.
    fn affine(self, range: (f32, f32)) -> Affine {
        match self {
            Self::Uint8 => Affine::new(range, 0, 255),
            Self::Int8 => Affine::new(range, -128, 127),
            Self::SymmetricInt8 => Affine::symmetric(range, 127),
        }
    }

    /// The least and the greatest integer.
    fn limits(self) -> (i32, i32) {
        match self {
            Self::Uint8 => (0, 255),
            Self::Int8 | Self::SymmetricInt8 => (-128, 127),
        }
    }

    /// A tensor of integers within the limits, as many as `dims` say.
    fn tensor(self, dims: &[usize], integers: impl Iterator<Item = i32>) -> Tensor {
        let dtype = if self == Self::Uint8 { DataType::Uint8 } else { DataType::Int8 };
        Tensor::new(dtype, dims, integers.map(|integer| integer as u8).collect()).expect("one byte an element")
    }
}

/// Names of the values whose ranges [`quantize`] needs, all float32, in the order of the graph.
///
/// # Errors
/// As [`quantize`].
pub fn observed(model: &Model, options: &Options) -> Result<Vec<String>, Problem> {
    Ok(Plan::new(model, options)?.observed().cloned().collect())
}

/// Quantizes `model` in place.
///
/// # Errors
/// When the opset is older than 13, the model is quantized already, options do not fit it or each other, a range is missing, or
/// weights are not finite; the model is then unchanged.
pub fn quantize(model: &mut Model, ranges: &Ranges, options: &Options) -> Result<Report, Problem> {
    let plan = Plan::new(model, options)?;
    let affines = affines(&plan, ranges, options.activations)?;
    let constants = constants::integer_constants(&model.graph, &plan, &affines, options)?;
    let mut report = Report::new(&model.graph, &plan);
    insert::insert(&mut model.graph, &plan, &affines, constants, options.activations);
    report.count_after(&model.graph);
    Ok(report)
}

/// Scales and zero points of the activations.
fn affines(plan: &Plan, ranges: &Ranges, activations: Activations) -> Result<HashMap<String, Affine>, Problem> {
    let affine = |value: &String| {
        let source = plan.source(value);
        let range = ranges.get(source);
        let range = range.ok_or_else(|| Problem::tensor(source, "no range: calibration did not observe it"))?;
        Ok((value.clone(), activations.affine(range)))
    };
    plan.activations.keys().map(affine).collect()
}
