//! From records to the inputs of a model.

use anyhow::{bail, ensure};
use dataset::Features;
use indexmap::IndexMap;
use prediction::{Encoder, FEATURES_KEY, Values};
use records::{Batch, Element, ReadOptions};
use runtime::{ElementType, Model, Port};
use std::borrow::Cow;

/// Where the inputs of a model come from.
pub enum Inputs {
    /// The only one, of float32 or uint8: from the fields that the metadata name, or the one of its name.
    Encoded(Box<Encoder>),
    /// Each from a field.
    Fields(Vec<InputField>),
}

/// An input and its field.
pub struct InputField {
    field: String,
    port: Port,
}

/// The values of an input for the rows of a batch.
pub struct Column {
    /// Shape of one row.
    pub shape: Vec<usize>,
    elements: Elements,
}

/// `[rows, shape…]`
enum Elements {
    F32(Vec<f32>),
    F64(Vec<f64>),
    I64(Vec<i64>),
    I32(Vec<i32>),
    /// Bytes, or booleans.
    U8(Vec<u8>),
}

impl Inputs {
    /// Of `model`; `fields` names the field of an input, which otherwise has its name.
    ///
    /// # Errors
    /// When `fields` names an input that there is not, or the metadata name fields already; or an input cannot come from
    /// records.
    pub fn new(model: &Model, fields: Option<&IndexMap<String, String>>) -> anyhow::Result<Self> {
        let features = model.metadata(FEATURES_KEY).map(|text| Features::from_json(&text)).transpose()?;
        ensure!(
            features.is_none() || fields.is_none(),
            "infer.inputs: its metadata name the fields of its input; leave infer.inputs out"
        );
        let encoded = || matches!(model.inputs(), [input] if encodes(input.element));
        if features.is_some() || (fields.is_none() && encoded()) {
            return Ok(Self::Encoded(Box::new(Encoder::new(features, model.only_input()?)?)));
        }
        let known = model.inputs();
        ensure!(!known.is_empty(), "it has no inputs, so rows have nothing to give");
        for name in fields.iter().flat_map(|fields| fields.keys()) {
            ensure!(
                known.iter().any(|port| port.name == *name),
                "infer.inputs: no input is called {name:?}; there are {}",
                listed(known)
            );
        }
        let field = |port: &Port| {
            check(port)?;
            let field = fields.and_then(|fields| fields.get(&port.name)).unwrap_or(&port.name);
            Ok(InputField { field: field.clone(), port: port.clone() })
        };
        Ok(Self::Fields(known.iter().map(field).collect::<anyhow::Result<_>>()?))
    }

    /// The encoder of the only input, where there is one.
    pub fn encoder(&self) -> Option<&Encoder> {
        match self {
            Self::Encoded(encoder) => Some(encoder),
            Self::Fields(_) => None,
        }
    }

    /// How rows are read: the fields of the inputs.
    pub fn read_options(&self) -> ReadOptions<'_> {
        match self {
            Self::Encoded(encoder) => encoder.read_options(),
            Self::Fields(fields) => {
                let mut names: Vec<&str> = Vec::new();
                for input in fields {
                    if !names.contains(&input.field.as_str()) {
                        names.push(&input.field);
                    }
                }
                let remedy = "infer.inputs={input: field} names another";
                let remedies = names.iter().map(|name| (*name, remedy.to_owned())).collect();
                ReadOptions { remedies, ..ReadOptions::floats(&names) }
            }
        }
    }

    /// The values of all inputs, in the graph's order.
    ///
    /// # Errors
    /// When a field is missing or does not fit its input.
    pub fn columns(&self, batch: &Batch) -> anyhow::Result<Vec<Column>> {
        match self {
            Self::Encoded(encoder) => {
                let rows = encoder.encode(batch)?;
                let elements = match rows.values {
                    Values::F32(values) => Elements::F32(values),
                    Values::U8(values) => Elements::U8(values),
                };
                Ok(vec![Column { shape: rows.shape, elements }])
            }
            Self::Fields(fields) => fields.iter().map(|input| input.column(batch)).collect(),
        }
    }
}

impl InputField {
    fn column(&self, batch: &Batch) -> anyhow::Result<Column> {
        let (name, field) = (self.field.as_str(), batch.field(&self.field)?);
        let expected = self.port.shape.get(1..).unwrap_or_default();
        let fits = field.shape.len() == expected.len()
            && expected.iter().zip(&field.shape).all(|(want, &dim)| want.is_none_or(|want| want == dim));
        if !fits {
            let dims = expected.iter().map(|dim| dim.map_or("any".into(), |dim| dim.to_string()));
            let expected = format!("[{}] by the model's {:?}", dims.collect::<Vec<_>>().join(","), self.port.name);
            return Err(batch.wrong_shape(field, &expected).into());
        }
        let shape = field.shape.clone();
        let elements = match self.port.element {
            ElementType::F64 => Elements::F64(read(|values| batch.column_f64(name, values))?),
            ElementType::I64 => Elements::I64(integers(batch, name, |x| x as i64)?),
            ElementType::I32 => Elements::I32(integers(batch, name, |x| x as i32)?),
            ElementType::U8 => Elements::U8(read(|values| batch.column_u8(name, values))?),
            ElementType::Bool => Elements::U8(booleans(batch, name)?),
            // Float32: `check` lets no other pass.
            _ => Elements::F32(read(|values| batch.column_f32(name, values))?),
        };
        Ok(Column { shape, elements })
    }
}

impl Column {
    /// The elements of `count` rows from `begin`; with copies of the last behind them, if they are to be `size` rows.
    pub fn block(&self, begin: usize, count: usize, size: usize) -> Cow<'_, [u8]> {
        let (bytes, width) = self.bytes();
        let width = self.shape.iter().product::<usize>() * width;
        let block = &bytes[begin * width..(begin + count) * width];
        if size == count {
            return block.into();
        }
        let mut full = block.to_vec();
        (count..size).for_each(|_| full.extend_from_slice(&block[(count - 1) * width..]));
        full.into()
    }

    /// All elements, and the bytes of one.
    fn bytes(&self) -> (&[u8], usize) {
        match &self.elements {
            Elements::F32(values) => (bytemuck::cast_slice(values), size_of::<f32>()),
            Elements::F64(values) => (bytemuck::cast_slice(values), size_of::<f64>()),
            Elements::I64(values) => (bytemuck::cast_slice(values), size_of::<i64>()),
            Elements::I32(values) => (bytemuck::cast_slice(values), size_of::<i32>()),
            Elements::U8(values) => (values, size_of::<u8>()),
        }
    }
}

/// Whether the encoder makes such elements.
fn encodes(element: ElementType) -> bool {
    matches!(element, ElementType::F32 | ElementType::U8)
}

/// Refuses an input that no field can be.
fn check(port: &Port) -> anyhow::Result<()> {
    use ElementType::{Bool, F32, F64, I32, I64, U8};
    let fits = matches!(port.element, F32 | F64 | I64 | I32 | U8 | Bool) && !port.shape.is_empty();
    ensure!(
        fits,
        "input {:?} is {port}, expected a float32, float64, int64, int32, uint8 or bool tensor with a batch axis",
        port.name
    );
    Ok(())
}

/// `"a", "b"`
pub fn listed(ports: &[Port]) -> String {
    ports.iter().map(|port| format!("{:?}", port.name)).collect::<Vec<_>>().join(", ")
}

fn read<T>(column: impl FnOnce(&mut Vec<T>) -> records::Result<()>) -> records::Result<Vec<T>> {
    let mut values = Vec::new();
    column(&mut values)?;
    Ok(values)
}

/// Integers up to this are exact as `f64`, and different from their neighbours.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// A field of integers; `cast` truncates and saturates.
fn integers<T: Element>(batch: &Batch, name: &str, cast: fn(f64) -> T) -> anyhow::Result<Vec<T>> {
    let field = batch.field(name)?;
    if field.dtype == T::DTYPE {
        return Ok(read(|values| batch.column(name, values))?);
    }
    let reals = read(|values| batch.column_f64(name, values))?;
    let bad = |x: &f64| cast(*x).to_f64() != *x || x.abs() >= EXACT;
    if let Some(bad) = reals.iter().position(bad) {
        let (location, type_name) = (batch.location(bad / field.elements()), T::DTYPE.long_name());
        bail!(
            "{location}: field {name:?} has {}; expected whole numbers that {type_name} holds, below 2^53",
            reals[bad]
        );
    }
    Ok(reals.into_iter().map(cast).collect())
}

/// A field of booleans, as bytes.
fn booleans(batch: &Batch, name: &str) -> anyhow::Result<Vec<u8>> {
    let bytes = read(|values| batch.column_u8(name, values))?;
    let elements = batch.field(name)?.elements();
    if let Some(bad) = bytes.iter().position(|byte| *byte > 1) {
        let location = batch.location(bad / elements);
        bail!("{location}: field {name:?} has {}; expected true, false, 1 or 0", bytes[bad]);
    }
    Ok(bytes)
}

/// The rows that the inputs have at once, where the graph fixes that; None for any number.
///
/// # Errors
/// When it fixes none, or different numbers.
pub fn fixed_batch(model: &Model) -> anyhow::Result<Option<usize>> {
    let mut fixed: Option<(usize, &Port)> = None;
    for port in model.inputs() {
        let Some(size) = port.shape.first().copied().flatten() else { continue };
        match fixed {
            _ if size == 0 => bail!("input {:?} has no rows", port.name),
            Some((other, before)) => {
                ensure!(size == other, "inputs {:?} and {:?} have {other} and {size} rows", before.name, port.name)
            }
            None => fixed = Some((size, port)),
        }
    }
    Ok(fixed.map(|(size, _)| size))
}
