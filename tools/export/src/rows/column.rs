//! A field of rows as the bytes of a graph's input.

use anyhow::bail;
use half::{bf16, f16};
use records::Batch;
use runtime::{ElementType, Port};

/// The values of an input.
pub struct Column {
    /// Shape of one row.
    pub shape: Vec<usize>,
    /// `[rows, shape…]`, little-endian, of the input's element type.
    pub bytes: Vec<u8>,
}

impl Column {
    /// The field that has the name of an input, converted to the input's element type.
    ///
    /// # Errors
    /// When there is none, its shape is another, or a value is none of that type; with the location of the row.
    pub fn read(batch: &Batch, port: &Port) -> anyhow::Result<Self> {
        let field = batch.field(&port.name)?;
        let expected = port.shape.get(1..).unwrap_or_default();
        let fits = field.shape.len() == expected.len()
            && expected.iter().zip(&field.shape).all(|(want, &dim)| want.is_none_or(|want| want == dim));
        if !fits {
            let expected = expected.iter().map(|dim| dim.map_or("any".into(), |dim| dim.to_string()));
            let expected = format!("[{}] by the model", expected.collect::<Vec<_>>().join(","));
            return Err(batch.wrong_shape(field, &expected).into());
        }
        Ok(Self { shape: field.shape.clone(), bytes: values(batch, port)? })
    }

    /// Bytes of a row.
    pub fn row_bytes(&self, rows: usize) -> usize {
        self.bytes.len() / rows.max(1)
    }
}

fn values(batch: &Batch, port: &Port) -> anyhow::Result<Vec<u8>> {
    let name = &port.name;
    let mut values = Vec::new();
    Ok(match port.element {
        ElementType::F32 | ElementType::F16 | ElementType::Bf16 => {
            batch.column_f32(name, &mut values)?;
            finite(batch, name, &values)?;
            reals(port.element, &values)
        }
        ElementType::F64 => {
            let mut values = Vec::new();
            batch.column_f64(name, &mut values)?;
            finite(batch, name, &values)?;
            bytemuck::cast_slice(&values).to_vec()
        }
        ElementType::U8 => {
            let mut bytes = Vec::new();
            batch.column_u8(name, &mut bytes)?;
            bytes
        }
        ElementType::I8 => integers(batch, name, |x| x as i8)?,
        ElementType::I16 => integers(batch, name, |x| x as i16)?,
        ElementType::I32 => integers(batch, name, |x| x as i32)?,
        ElementType::I64 => integers(batch, name, |x| x as i64)?,
        ElementType::U16 => integers(batch, name, |x| x as u16)?,
        ElementType::U32 => integers(batch, name, |x| x as u32)?,
        ElementType::U64 => integers(batch, name, |x| x as u64)?,
        // A boolean is the byte 0 or 1.
        ElementType::Bool => integers(batch, name, |x| u8::from(x != 0.0))?,
        ElementType::String => bail!("input {name:?} is text; rows for it cannot be read here"),
    })
}

/// Values of a floating-point type of at most 32 bits.
pub fn reals(element: ElementType, values: &[f32]) -> Vec<u8> {
    match element {
        ElementType::F16 => values.iter().flat_map(|&x| f16::from_f32(x).to_le_bytes()).collect(),
        ElementType::Bf16 => values.iter().flat_map(|&x| bf16::from_f32(x).to_le_bytes()).collect(),
        _ => bytemuck::cast_slice(values).to_vec(),
    }
}

/// Refuses NaN and infinities, which tell nothing of a model.
fn finite<T: Copy + Into<f64>>(batch: &Batch, name: &str, values: &[T]) -> anyhow::Result<()> {
    let Some(bad) = values.iter().position(|&x| !f64::is_finite(x.into())) else { return Ok(()) };
    let value: f64 = values[bad].into();
    let problem = format!("field {name:?} is {value}, which tells nothing of the model");
    let row = bad / batch.field(name)?.elements().max(1);
    Err(batch.location(row).error(problem).into())
}

/// Integers of the type that `cast` gives, which must keep their value.
fn integers<T>(batch: &Batch, name: &str, cast: impl Fn(f64) -> T) -> anyhow::Result<Vec<u8>>
where
    T: bytemuck::NoUninit + records::Element,
{
    let mut values = Vec::new();
    batch.column_f64(name, &mut values)?;
    let casts: Vec<T> = values.iter().map(|&x| cast(x)).collect();
    if let Some(bad) = casts.iter().zip(&values).position(|(cast, value)| cast.to_f64() != *value) {
        let problem = format!("field {name:?} has {}; expected whole numbers of {}", values[bad], T::DTYPE.long_name());
        let row = bad / batch.field(name)?.elements().max(1);
        return Err(batch.location(row).error(problem).into());
    }
    Ok(bytemuck::cast_slice(&casts).to_vec())
}
