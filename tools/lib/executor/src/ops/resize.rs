//! Resizing by interpolation.

use super::{
    Call, Operator, Outcome, real,
    select::{Along, pick},
};
use crate::{
    element::{Element, Number, Real},
    tensor::each,
};
use ndarray::ArrayD;
use onnx::{Node, Problem};

/// Until this operator set Resize is an Upsample.
const RESIZE_AS_UPSAMPLE: i64 = 10;

/// The module's operators.
pub(super) fn find(node: &Node) -> Option<Operator> {
    let mode = Mode::of(node)?;
    Some(match node.op_type.as_str() {
        "Resize" if Coordinates::of(node).is_some() && node.int("antialias", 0).ok()? == 0 => resize,
        "Upsample" if mode != Mode::Cubic => resize,
        _ => return None,
    })
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Mode {
    Nearest,
    Linear,
    Cubic,
}

impl Mode {
    fn of(node: &Node) -> Option<Self> {
        match node.string("mode").ok()? {
            None | Some("nearest") => Some(Self::Nearest),
            Some("linear") => Some(Self::Linear),
            Some("cubic") => Some(Self::Cubic),
            _ => None,
        }
    }
}

/// Where an element of the output lies in the input.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Coordinates {
    HalfPixel,
    HalfPixelSymmetric,
    PytorchHalfPixel,
    AlignCorners,
    Asymmetric,
    TfHalfPixelForNn,
    TfCropAndResize,
}

impl Coordinates {
    fn of(node: &Node) -> Option<Self> {
        match node.string("coordinate_transformation_mode").ok()? {
            None | Some("half_pixel") => Some(Self::HalfPixel),
            Some("half_pixel_symmetric") => Some(Self::HalfPixelSymmetric),
            Some("pytorch_half_pixel") => Some(Self::PytorchHalfPixel),
            Some("align_corners") => Some(Self::AlignCorners),
            Some("asymmetric") => Some(Self::Asymmetric),
            Some("tf_half_pixel_for_nn") => Some(Self::TfHalfPixelForNn),
            Some("tf_crop_and_resize") => Some(Self::TfCropAndResize),
            _ => None,
        }
    }
}

/// One axis.
#[derive(Debug, Clone, Copy)]
struct Axis {
    input: usize,
    output: usize,
    scale: f64,
    /// Of the region of interest, as fractions.
    roi: (f64, f64),
}

impl Axis {
    /// The coordinate in the input of an index of the output.
    fn coordinate(&self, index: usize, coordinates: Coordinates) -> f64 {
        let (x, input, output) = (index as f64, self.input as f64, self.output as f64);
        let half_pixel = (x + 0.5) / self.scale - 0.5;
        match coordinates {
            Coordinates::HalfPixel => half_pixel,
            Coordinates::HalfPixelSymmetric => input / 2.0 * (1.0 - output / (self.scale * input)) + half_pixel,
            Coordinates::PytorchHalfPixel => {
                if self.output > 1 {
                    half_pixel
                } else {
                    0.0
                }
            }
            Coordinates::AlignCorners => {
                if self.output > 1 {
                    x * (input - 1.0) / (output - 1.0)
                } else {
                    0.0
                }
            }
            Coordinates::Asymmetric => x / self.scale,
            Coordinates::TfHalfPixelForNn => (x + 0.5) / self.scale,
            Coordinates::TfCropAndResize if self.output > 1 => {
                self.roi.0 * (input - 1.0) + x * (self.roi.1 - self.roi.0) * (input - 1.0) / (output - 1.0)
            }
            Coordinates::TfCropAndResize => 0.5 * (self.roi.0 + self.roi.1) * (input - 1.0),
        }
    }

    /// The index of the input at or beyond an end, which is repeated.
    fn clamped(&self, index: f64) -> usize {
        index.clamp(0.0, self.input.saturating_sub(1) as f64) as usize
    }

    fn within(&self, x: f64) -> bool {
        (0.0..=self.input.saturating_sub(1) as f64).contains(&x)
    }
}

/// How the nearest index of a coordinate is found.
fn nearest(call: &Call<'_>, axis: &Axis, x: f64) -> Result<f64, Problem> {
    let older = is_upsample(call);
    Ok(match call.node.string("nearest_mode")? {
        _ if older => {
            if axis.scale < 1.0 {
                x.ceil()
            } else {
                x.floor()
            }
        }
        None | Some("round_prefer_floor") => (x - 0.5).ceil(),
        Some("round_prefer_ceil") => (x + 0.5).floor(),
        Some("floor") => x.floor(),
        Some("ceil") => x.ceil(),
        Some(other) => return Err(call.problem(format!("a nearest_mode {other:?}"))),
    })
}

fn is_upsample(call: &Call<'_>) -> bool {
    call.node.is("Upsample") || call.opset <= RESIZE_AS_UPSAMPLE
}

/// Elements of the input and their weights in one of the output, along an axis.
fn taps(call: &Call<'_>, axis: &Axis, mode: Mode, x: f64) -> Result<Vec<(usize, f64)>, Problem> {
    let (floor, fraction) = (x.floor(), x - x.floor());
    Ok(match mode {
        Mode::Nearest => vec![(axis.clamped(nearest(call, axis, x)?), 1.0)],
        Mode::Linear => vec![(axis.clamped(floor), 1.0 - fraction), (axis.clamped(floor + 1.0), fraction)],
        Mode::Cubic => {
            let a = call.node.float("cubic_coeff_a", -0.75)?;
            let exclude = call.flag("exclude_outside", false)?;
            let offsets = [-1.0, 0.0, 1.0, 2.0];
            let weights = offsets.map(|offset| match exclude && !axis.within(floor + offset) {
                true => 0.0,
                false => cubic((fraction - offset).abs(), a.into()),
            });
            // They add to 1 if none is excluded.
            let sum = if exclude { weights.iter().sum() } else { 1.0 };
            let tap = |(offset, weight): (f64, f64)| (axis.clamped(floor + offset), weight / sum);
            offsets.into_iter().zip(weights).map(tap).collect()
        }
    })
}

/// The kernel of cubic convolution (Keys), at a distance of at most 2.
fn cubic(x: f64, a: f64) -> f64 {
    match x {
        x if x <= 1.0 => ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0,
        x => ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a,
    }
}

fn resize(call: &Call<'_>) -> Outcome {
    let input = call.input(0)?;
    let axes = axes(call, input.shape())?;
    let shape: Vec<_> = axes.iter().map(|axis| axis.output).collect();
    // What is kept of each index of an axis.
    shape.iter().try_for_each(|&size| call.elements::<[f64; 8]>(&[size]).map(drop))?;
    if input.shape().contains(&0) && !shape.contains(&0) {
        return Err(call.problem("an input without elements"));
    }
    let mode = Mode::of(call.node).ok_or_else(|| call.problem("a mode that is not supported"))?;
    let coordinates = match is_upsample(call) {
        true => Coordinates::Asymmetric,
        false => Coordinates::of(call.node).ok_or_else(|| call.problem("coordinates that are not supported"))?,
    };
    let along =
        |axis: &Axis| -> Vec<f64> { (0..axis.output).map(|index| axis.coordinate(index, coordinates)).collect() };
    let coordinates_of: Vec<_> = axes.iter().map(along).collect();
    let fill = (coordinates == Coordinates::TfCropAndResize)
        .then(|| call.node.float("extrapolation_value", 0.0))
        .transpose()?;
    let mut all = Vec::with_capacity(axes.len());
    for (axis, coordinates) in axes.iter().zip(&coordinates_of) {
        // Where nothing is resized, nothing is interpolated.
        let same = axis.input == axis.output && axis.scale == 1.0 && fill.is_none();
        let taps = |(index, &x): (usize, &f64)| if same { Ok(vec![(index, 1.0)]) } else { taps(call, axis, mode, x) };
        all.push(coordinates.iter().enumerate().map(taps).collect::<Result<Vec<_>, _>>()?);
    }
    let outside = |position: &[usize]| {
        fill.is_some()
            && position.iter().enumerate().any(|(axis, &index)| !axes[axis].within(coordinates_of[axis][index]))
    };
    if mode == Mode::Nearest {
        let index = |taps: &Vec<(usize, f64)>| taps.first().map(|&(index, _)| index);
        let indices: Vec<_> = all.iter().map(|taps| Along::At(taps.iter().map(index).collect())).collect();
        let filled = super::cast::cast(&ndarray::arr0(fill.unwrap_or(0.0)).into_dyn().into(), input.dtype());
        return each!(input, x => {
            let mut out = pick(call, x, &indices, Default::default())?;
            fill_outside(&mut out, outside, first(&filled));
            Ok(vec![out.into()])
        });
    }
    real!(call, input, T => interpolated::<T>(call, &all).map(|mut out| {
        fill_outside(&mut out, outside, T::from_f64(fill.unwrap_or(0.0).into()));
        out
    }))
}

/// The only element of a tensor of type `T`.
fn first<T: Element>(tensor: &crate::Tensor) -> T {
    T::array(tensor).and_then(|array| array.first().copied()).unwrap_or_default()
}

fn fill_outside<T: Element>(out: &mut ArrayD<T>, outside: impl Fn(&[usize]) -> bool, fill: T) {
    use ndarray::Dimension;
    for (position, x) in out.indexed_iter_mut() {
        if outside(position.as_array_view().as_slice().unwrap_or_default()) {
            *x = fill;
        }
    }
}

/// Sizes and scales of all axes.
fn axes(call: &Call<'_>, shape: &[usize]) -> Result<Vec<Axis>, Problem> {
    let named = match call.node.ints("axes")? {
        Some(axes) => call.axes(axes, shape.len())?,
        None => (0..shape.len()).collect(),
    };
    let mut all: Vec<_> =
        shape.iter().map(|&size| Axis { input: size, output: size, scale: 1.0, roi: (0.0, 1.0) }).collect();
    let (roi_index, scales_index) = if is_upsample(call) { (usize::MAX, 1) } else { (1, 2) };
    let scales = match call.node.attribute("scales") {
        Some(attribute) => attribute.floats.clone(),
        None => call
            .optional_numbers::<f32>(scales_index)?
            .map(|scales| scales.iter().copied().collect())
            .unwrap_or_default(),
    };
    let sizes = if is_upsample(call) { None } else { call.ints(3)? }.filter(|sizes| !sizes.is_empty());
    match sizes {
        Some(sizes) if sizes.len() == named.len() => resize_to(call, &mut all, &named, &sizes)?,
        None if scales.len() == named.len() => {
            for (&axis, &scale) in named.iter().zip(&scales) {
                if !(scale.is_finite() && scale > 0.0) {
                    return Err(call.problem(format!("a scale of {scale}")));
                }
                all[axis].output = (all[axis].input as f32 * scale).floor() as usize;
                all[axis].scale = scale.into();
            }
        }
        _ => return Err(call.problem(format!("as many scales or sizes as axes expected: {}", named.len()))),
    }
    if let Some(roi) = call
        .optional_numbers::<f64>(roi_index)
        .or_else(|_| call.optional_numbers::<f32>(roi_index).map(|roi| roi.map(|roi| roi.mapv(f64::from).into())))?
        .filter(|roi| roi.len() == 2 * named.len())
    {
        let values: Vec<_> = roi.iter().copied().collect();
        for (position, &axis) in named.iter().enumerate() {
            all[axis].roi = (values[position], values[named.len() + position]);
        }
    }
    Ok(all)
}

/// Sizes of the output; with a policy, those that keep the ratio of the axes.
fn resize_to(call: &Call<'_>, all: &mut [Axis], named: &[usize], sizes: &[i64]) -> Result<(), Problem> {
    let sizes = sizes.iter().map(|&size| call.size(size)).collect::<Result<Vec<_>, _>>()?;
    let ratios = named.iter().zip(&sizes).map(|(&axis, &size)| size as f64 / all[axis].input as f64);
    let common = match call.node.string("keep_aspect_ratio_policy")? {
        None | Some("stretch") => None,
        Some("not_larger") => Some(ratios.fold(f64::INFINITY, f64::min)),
        Some("not_smaller") => Some(ratios.fold(0.0, f64::max)),
        Some(other) => return Err(call.problem(format!("a keep_aspect_ratio_policy {other:?}"))),
    };
    for (&axis, size) in named.iter().zip(sizes) {
        let axis = &mut all[axis];
        (axis.output, axis.scale) = match common {
            Some(scale) => ((scale * axis.input as f64 + 0.5).floor() as usize, scale),
            None => (size, size as f64 / axis.input as f64),
        };
    }
    Ok(())
}

/// The weighted sums along one axis after the other.
fn interpolated<T: Real>(call: &Call<'_>, axes: &[Vec<Vec<(usize, f64)>>]) -> Result<ArrayD<T>, Problem> {
    let mut x = call.numbers::<T>(0)?.into_owned();
    for (axis, taps) in axes.iter().enumerate() {
        let unchanged =
            taps.len() == x.shape()[axis] && taps.iter().enumerate().all(|(index, taps)| taps[..] == [(index, 1.0)]);
        if unchanged {
            continue;
        }
        let mut shape = x.shape().to_vec();
        shape[axis] = taps.len();
        let (size, block) = (x.shape()[axis], x.shape()[axis + 1..].iter().product::<usize>());
        let values = x.as_slice().unwrap_or_default();
        let mut out = call.reserve(&shape)?;
        for outer in 0..shape[..axis].iter().product() {
            for taps in taps {
                let element = |inner: usize| {
                    let term = |&(index, weight): &(usize, f64)| {
                        values[(outer * size + index) * block + inner].to_f64() * weight
                    };
                    T::from_f64(taps.iter().map(term).fold(0.0, |sum, term| sum + term))
                };
                out.extend((0..block).map(element));
            }
        }
        x = call.array(&shape, out)?;
    }
    Ok(x)
}
