//! A graph that runs on one thread: the same values on every run and machine of a kind.

use crate::{
    rows::{Feed, reals},
    settings::Settings,
};
use half::{bf16, f16};
use runtime::{Data, ElementType, Model, Port, Value};

/// A loaded graph.
pub struct Engine {
    name: String,
    model: Model,
}

/// An output of a run: values of rows, padding excluded.
#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    pub name: String,
    /// Shape, batch axis included.
    pub shape: Vec<usize>,
    /// Whether the elements are floating-point numbers; others are indices, flags or text.
    pub is_real: bool,
    /// Row-major; empty for text.
    pub values: Vec<f64>,
}

impl Engine {
    /// Loads a graph; errors call it `name`.
    ///
    /// # Errors
    /// When no runtime has all operators, or one refuses the graph.
    pub fn new(name: &str, bytes: &[u8], settings: &Settings) -> anyhow::Result<Self> {
        let options = settings.runtime_options(1);
        Ok(Self { name: name.into(), model: Model::from_bytes(name, bytes, &options)? })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Runs rows; the outputs in the graph's order.
    ///
    /// # Errors
    /// When the runtime refuses, or an output has no row for each that went in.
    pub fn run(&mut self, feed: &Feed) -> anyhow::Result<Vec<Output>> {
        let ports: Vec<_> = self.model.outputs().iter().map(|port| (port.name.clone(), port.element)).collect();
        let values = feed.values();
        let batch = batch(&values);
        let halves: Vec<_> = values.iter().zip(self.model.inputs()).map(|(value, port)| halves(value, port)).collect();
        let pairs = values.into_iter().zip(&halves);
        let values: Vec<_> = pairs.map(|(value, halves)| with_bytes(value, halves.as_deref())).collect();
        let results = self.model.run(&values)?;
        let mut outputs = Vec::with_capacity(ports.len());
        for (index, (name, element)) in ports.into_iter().enumerate() {
            let value = results.get(index)?;
            let (shape, bytes) = without_padding(&value, feed.rows, batch);
            let values = numbers(bytes, element);
            let reals = [ElementType::F16, ElementType::Bf16, ElementType::F32, ElementType::F64];
            outputs.push(Output { name, shape, is_real: reals.contains(&element), values });
        }
        Ok(outputs)
    }

    /// Runs rows; the float32 outputs in the graph's order, None of another type. Padding is excluded of outputs with a batch
    /// axis first.
    ///
    /// # Errors
    /// When the runtime refuses.
    pub fn run_f32(&mut self, feed: &Feed) -> anyhow::Result<Vec<Option<Vec<f32>>>> {
        let elements: Vec<_> = self.model.outputs().iter().map(|port| port.element).collect();
        let values = feed.values();
        let batch = batch(&values);
        let results = self.model.run(&values)?;
        let mut outputs = Vec::with_capacity(elements.len());
        for (index, element) in elements.into_iter().enumerate() {
            let value = results.get(index)?;
            let (_, bytes) = without_padding(&value, feed.rows, batch);
            outputs.push((element == ElementType::F32).then(|| bytemuck::pod_collect_to_vec(bytes)));
        }
        Ok(outputs)
    }
}

/// Rows of a run, padding included.
fn batch(inputs: &[Value<'_>]) -> usize {
    inputs.first().and_then(|value| value.shape.first().copied()).unwrap_or_default()
}

/// Shape and bytes of an output of `rows` rows, of which a batch of fixed size has copies of the last behind them. Text has no
/// bytes, and an output without a row for each that went in is one of the whole batch.
fn without_padding<'v>(value: &'v Value<'_>, rows: usize, batch: usize) -> (Vec<usize>, &'v [u8]) {
    let mut shape = value.shape.to_vec();
    let Data::Bytes(bytes) = value.data else { return (shape, &[]) };
    if rows == batch || shape.first() != Some(&batch) {
        return (shape, bytes);
    }
    shape[0] = rows;
    (shape, &bytes[..bytes.len() / batch * rows])
}

/// Float32 rows for a graph whose inputs have become float16; None if the value is of the input's type.
fn halves(value: &Value<'_>, port: &Port) -> Option<Vec<u8>> {
    let Data::Bytes(bytes) = value.data else { return None };
    let elements: usize = value.shape.iter().product();
    let is_single = port.element == ElementType::F16 && elements > 0 && bytes.len() / elements == size_of::<f32>();
    is_single.then(|| reals(ElementType::F16, &bytemuck::pod_collect_to_vec(bytes)))
}

/// The value with other bytes, if there are some.
fn with_bytes<'a>(value: Value<'a>, bytes: Option<&'a [u8]>) -> Value<'a> {
    Value { data: bytes.map_or(value.data, Data::Bytes), ..value }
}

/// The elements of an output as numbers.
fn numbers(bytes: &[u8], element: ElementType) -> Vec<f64> {
    fn of<const N: usize>(bytes: &[u8], value: impl Fn([u8; N]) -> f64) -> Vec<f64> {
        bytes.as_chunks::<N>().0.iter().map(|&bytes| value(bytes)).collect()
    }
    match element {
        ElementType::Bool | ElementType::U8 => of(bytes, |[byte]: [u8; 1]| byte.into()),
        ElementType::I8 => of(bytes, |b| i8::from_le_bytes(b).into()),
        ElementType::U16 => of(bytes, |b| u16::from_le_bytes(b).into()),
        ElementType::I16 => of(bytes, |b| i16::from_le_bytes(b).into()),
        ElementType::F16 => of(bytes, |b| f16::from_le_bytes(b).into()),
        ElementType::Bf16 => of(bytes, |b| bf16::from_le_bytes(b).into()),
        ElementType::U32 => of(bytes, |b| u32::from_le_bytes(b).into()),
        ElementType::I32 => of(bytes, |b| i32::from_le_bytes(b).into()),
        ElementType::F32 => of(bytes, |b| f32::from_le_bytes(b).into()),
        ElementType::F64 => of(bytes, f64::from_le_bytes),
        ElementType::U64 => of(bytes, |b| u64::from_le_bytes(b) as f64),
        ElementType::I64 => of(bytes, |b| i64::from_le_bytes(b) as f64),
        ElementType::String => Vec::new(),
    }
}
