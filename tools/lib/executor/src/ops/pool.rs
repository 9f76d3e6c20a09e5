//! Pooling.

use super::{Call, Operator, number, real, window::Window};
use crate::element::{Number, Real};
use ndarray::ArrayD;
use onnx::{Node, Problem};

/// The module's operators.
pub(super) fn find(node: &Node) -> Option<Operator> {
    Some(match node.op_type.as_str() {
        // The second output is the indices, in an order that an attribute says.
        "MaxPool" if node.output(1).is_none() => |call| number!(call, call.input(0)?, T => pool::<T>(call, &maximum)),
        "AveragePool" => |call| real!(call, call.input(0)?, T => average_pool::<T>(call)),
        "GlobalMaxPool" => |call| {
            real!(call, call.input(0)?, T => global::<T>(call, &|plane| {
                plane.iter().fold(T::LOWEST, |maximum, &x| maximum.max_or_nan(x))
            }))
        },
        "GlobalAveragePool" => |call| real!(call, call.input(0)?, T => global::<T>(call, &mean)),
        _ => return None,
    })
}

/// A function of each window of each channel.
fn pool<T: Number>(call: &Call<'_>, f: &dyn Fn(&[T], &Window, usize) -> T) -> Result<ArrayD<T>, Problem> {
    let x = call.numbers::<T>(0)?;
    let kernel = call.node.ints("kernel_shape")?.ok_or_else(|| call.problem("no kernel_shape"))?;
    let kernel = kernel.iter().map(|&size| call.size(size)).collect::<Result<Vec<_>, _>>()?;
    let window = Window::new(call, x.shape(), &kernel)?;
    let shape = window.output_shape([x.shape()[0], x.shape()[1]]);
    let planes = x.shape()[0] * x.shape()[1];
    let (input, output) = (window.input_len(), window.output_len());
    call.elements::<T>(&shape)?;
    let values = x.as_slice().unwrap_or_default();
    let plane = |index: usize| &values[index * input..][..input];
    let elements = (0..planes).flat_map(|index| (0..output).map(move |position| (index, position)));
    call.collect(&shape, elements.map(|(index, position)| f(plane(index), &window, position)))
}

fn maximum<T: Number>(plane: &[T], window: &Window, position: usize) -> T {
    window.taps(position).fold(T::LOWEST, |maximum, (_, offset)| maximum.max_or_nan(plane[offset]))
}

fn average_pool<T: Real>(call: &Call<'_>) -> Result<ArrayD<T>, Problem> {
    let include_padding = call.flag("count_include_pad", false)?;
    pool(call, &|plane: &[T], window, position| {
        let taps = window.taps(position).map(|(_, offset)| plane[offset].to_f64());
        let (sum, count) = taps.fold((0.0, 0.0), |(sum, count), x| (sum + x, count + 1.0));
        T::from_f64(sum / if include_padding { window.padded_taps(position) } else { count })
    })
}

fn mean<T: Real>(plane: &[T]) -> T {
    T::from_f64(plane.iter().fold(0.0, |sum, x| sum + x.to_f64()) / plane.len() as f64)
}

/// A function of all spatial axes, which stay with size 1.
fn global<T: Number>(call: &Call<'_>, f: &dyn Fn(&[T]) -> T) -> Result<ArrayD<T>, Problem> {
    let x = call.numbers::<T>(0)?;
    let [images, channels, spatial @ ..] = x.shape() else {
        return Err(call.problem(format!("an input of shape {:?}, expected [N, C, …]", x.shape())));
    };
    let shape = [&[*images, *channels], &vec![1; spatial.len()][..]].concat();
    let (len, values) = (spatial.iter().product::<usize>(), x.as_slice().unwrap_or_default());
    call.collect(&shape, (0..images * channels).map(|index| f(&values[index * len..][..len])))
}
