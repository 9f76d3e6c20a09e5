// What must hold of a graph that runs natively, whatever its bytes: it runs or is refused in one line, fused and node by node,
// on inputs of its shapes and of others; where both run, the outputs agree. Nothing panics.

use executor::{Error, Executor, Options, View};
use onnx::{DataType, Dim, Model, TensorType};

/// Most bytes of a run: few enough that a hostile graph takes no long time.
const MEMORY_BYTES: u64 = 1 << 22;
/// Most elements of an input.
const MOST_ELEMENTS: usize = 1 << 12;
/// How far outputs may differ, relative to the largest magnitude of an output: fused steps round otherwise.
const TOLERANCE: f64 = 1e-3;
/// Outputs beyond it are not compared: their differences may be those of an overflow.
const LARGEST: f64 = 1e6;

/// An input of a run.
pub struct Input {
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Input {
    pub fn view(&self) -> View<'_> {
        View { shape: &self.shape, bytes: &self.bytes }
    }
}

pub fn runs(bytes: &[u8]) {
    let Ok(model) = Model::from_bytes("fuzz.onnx", bytes) else { return };
    let options = Options { threads: 1, memory_bytes: MEMORY_BYTES };
    let shell = model.clone();
    let mut fused = accepted(Executor::new(model.clone(), &options));
    let mut plain = accepted(Executor::plain(model, &options));
    for variant in 0..VARIANTS {
        let Some(inputs) = inputs(&shell, variant) else { continue };
        let fused = fused.as_mut().and_then(|executor| outputs(executor, &inputs));
        let plain = plain.as_mut().and_then(|executor| outputs(executor, &inputs));
        if let (Some(fused), Some(plain)) = (fused, plain) {
            assert_eq!(fused.len(), plain.len());
            fused.iter().zip(&plain).for_each(|(fused, plain)| agree(fused, plain));
        }
    }
}

/// What succeeded; an error must be one line.
fn accepted<T>(result: Result<T, Error>) -> Option<T> {
    let error = match result {
        Ok(value) => return Some(value),
        Err(error) => error.to_string(),
    };
    assert!(!error.is_empty() && !error.contains(['\n', '\r']), "{error:?}");
    None
}

/// Ways to give a graph its inputs.
const VARIANTS: usize = 7;

/// The inputs of a variant; None if one is too large to try.
pub fn inputs(model: &Model, variant: usize) -> Option<Vec<Input>> {
    let types = model.graph.inputs.iter().map(|input| input.tensor_type()).enumerate();
    types.map(|(index, ty)| input(ty.as_ref(), index, variant)).collect()
}

/// An input of a variant: the first ones have the shape that the graph declares, later ones have others; None for a shape
/// that is too large to try.
fn input(ty: Option<&TensorType>, index: usize, variant: usize) -> Option<Input> {
    let dtype = ty.map_or(DataType::Undefined, |ty| ty.dtype);
    // The name of a symbol may end with the size that is meant: `d3`.
    let symbol =
        |name: &str| name.rsplit(|c: char| !c.is_ascii_digit()).next().and_then(|size| size.parse().ok()).unwrap_or(2);
    let size = |dim: &Dim| match dim {
        Dim::Known(size) => *size,
        Dim::Symbol(name) if variant < 2 => symbol(name),
        Dim::Symbol(_) | Dim::Unknown => [2, 1, 1, 0, 3, 5, 2][variant],
    };
    let declared = ty.and_then(|ty| ty.shape.as_ref()).map(|shape| shape.iter().map(size).collect::<Vec<_>>());
    let mut shape =
        declared.unwrap_or_else(|| [&[2, 3][..], &[1, 2, 5, 5], &[], &[0], &[1, 1, 1], &[5], &[4]][variant].to_vec());
    match variant {
        4 => shape.reverse(),
        5 if index == 0 => shape.push(1),
        6 => drop(shape.pop()),
        _ => {}
    }
    let len = shape.iter().try_fold(1usize, |product, &size| product.checked_mul(size))?;
    (len <= MOST_ELEMENTS).then(|| Input { bytes: elements(dtype, len, variant), shape })
}

/// Elements of small magnitude; in the second variant some are at the ends of the type's range.
fn elements(dtype: DataType, len: usize, variant: usize) -> Vec<u8> {
    let extreme = |index: usize| variant == 1 && index % 5 == 3;
    let number = |index: usize| (index * 7 + 3) % 13;
    let float = |index: usize| if extreme(index) { f64::NAN } else { number(index) as f64 / 4.0 - 1.5 };
    let width = onnx::bits(dtype).map_or(1, |bits| (bits / 8).max(1));
    let element = |index: usize| -> Vec<u8> {
        match dtype {
            DataType::Float => (float(index) as f32).to_le_bytes().to_vec(),
            DataType::Double => float(index).to_le_bytes().to_vec(),
            // 1.5 and -2; NaN.
            DataType::Float16 => {
                [0x3e00u16, 0xc000, 0x7e00][if extreme(index) { 2 } else { index % 2 }].to_le_bytes().to_vec()
            }
            DataType::Bfloat16 => {
                [0x3fc0u16, 0xc000, 0x7fc0][if extreme(index) { 2 } else { index % 2 }].to_le_bytes().to_vec()
            }
            DataType::Bool => vec![(index % 2) as u8],
            _ if extreme(index) => [vec![0; width - 1], vec![0x80]].concat(),
            _ => [vec![(number(index) % 3) as u8], vec![0; width - 1]].concat(),
        }
    };
    (0..len).flat_map(element).collect()
}

/// An output.
#[derive(Debug)]
struct Output {
    dtype: DataType,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

fn outputs(executor: &mut Executor, inputs: &[Input]) -> Option<Vec<Output>> {
    let views: Vec<_> = inputs.iter().map(Input::view).collect();
    accepted(executor.run(&views))?;
    let dtypes: Vec<_> = executor.model().graph.outputs.iter().map(|output| output.tensor_type()).collect();
    let output = |(index, ty): (usize, Option<TensorType>)| {
        let View { shape, bytes } = executor.output(index);
        let dtype = ty.map_or(DataType::Undefined, |ty| ty.dtype);
        Output { dtype, shape: shape.to_vec(), bytes: bytes.to_vec() }
    };
    Some(dtypes.into_iter().enumerate().map(output).collect())
}

/// Outputs of the same shape; those of float32 within [`TOLERANCE`], others of as many bytes.
fn agree(fused: &Output, plain: &Output) {
    assert_eq!((&fused.shape, fused.bytes.len()), (&plain.shape, plain.bytes.len()));
    if fused.dtype != DataType::Float {
        return;
    }
    let values = |output: &Output| -> Vec<f64> {
        output.bytes.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes).into()).collect()
    };
    let (fused, plain) = (values(fused), values(plain));
    let largest = fused.iter().chain(&plain).fold(1.0, |largest: f64, value| largest.max(value.abs()));
    let close = |(a, b): (&f64, &f64)| a.is_nan() && b.is_nan() || (a - b).abs() <= TOLERANCE * largest;
    assert!(largest > LARGEST || fused.iter().zip(&plain).all(close), "fused {fused:?}, node by node {plain:?}");
}
