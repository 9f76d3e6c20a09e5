//! The `classification` extension: the classes of highest value in place of a tensor.

use crate::{DataType, Tensor, TensorError};
use std::cmp::Ordering;

/// Why a tensor has no classes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClassificationError {
    /// Elements without an order, or of half precision.
    #[error("output {name:?}: no classification of {data_type}")]
    DataType {
        /// The tensor.
        name: String,
        /// Its type.
        data_type: DataType,
    },
    /// More text than a tensor can hold.
    #[error(transparent)]
    Tensor(#[from] TensorError),
}

/// The `k` classes of highest value, of the whole tensor or, if it is `batched`, of each entry of its first axis: strings
/// `value:index`, or `value:index:label` where `labels` has a label that is not empty. Fewer if there are fewer classes.
///
/// The shape is `[k]`, or `[batch, k]`. Values have six decimals, as Triton writes them. Of equal values the one of lower
/// index comes first; NaN comes last.
///
/// # Errors
/// For `BOOL`, `FP16`, `BF16` and `BYTES`, as in Triton.
pub fn top(tensor: &Tensor, k: usize, labels: Option<&[String]>, batched: bool) -> Result<Tensor, ClassificationError> {
    let batch = tensor.shape().first().copied().filter(|_| batched);
    let classes = match batch {
        Some(_) => tensor.shape()[1..].iter().product(),
        None => tensor.elements(),
    };
    let query = Query { tensor, batch, classes, k: k.min(classes), labels: labels.unwrap_or_default() };
    match tensor.data_type() {
        DataType::Uint8 => query.run(u8::from_le_bytes),
        DataType::Uint16 => query.run(u16::from_le_bytes),
        DataType::Uint32 => query.run(u32::from_le_bytes),
        DataType::Uint64 => query.run(u64::from_le_bytes),
        DataType::Int8 => query.run(i8::from_le_bytes),
        DataType::Int16 => query.run(i16::from_le_bytes),
        DataType::Int32 => query.run(i32::from_le_bytes),
        DataType::Int64 => query.run(i64::from_le_bytes),
        DataType::Fp32 => query.run(f32::from_le_bytes),
        DataType::Fp64 => query.run(f64::from_le_bytes),
        data_type @ (DataType::Bool | DataType::Fp16 | DataType::Bf16 | DataType::Bytes) => {
            Err(ClassificationError::DataType { name: tensor.name().to_owned(), data_type })
        }
    }
}

struct Query<'a> {
    tensor: &'a Tensor,
    batch: Option<usize>,
    /// Classes of each entry.
    classes: usize,
    /// At most `classes`.
    k: usize,
    labels: &'a [String],
}

impl Query<'_> {
    fn run<T: Value, const N: usize>(&self, of: fn([u8; N]) -> T) -> Result<Tensor, ClassificationError> {
        let values: Vec<T> = self.tensor.data().as_chunks().0.iter().map(|chunk| of(*chunk)).collect();
        let mut data = Vec::new();
        // Without classes there is nothing to write for any entry.
        for entry in values.chunks(self.classes.max(1)) {
            for index in highest(entry, self.k) {
                let mut text = format!("{}:{index}", entry[index].text());
                if let Some(label) = self.labels.get(index).filter(|label| !label.is_empty()) {
                    text = format!("{text}:{label}");
                }
                data.extend((text.len() as u32).to_le_bytes());
                data.extend(text.as_bytes());
            }
        }
        let shape = self.batch.into_iter().chain([self.k]).collect();
        Ok(Tensor::new(self.tensor.name().to_owned(), DataType::Bytes, shape, data.into())?)
    }
}

/// Indices of the `k` highest values, highest first.
fn highest<T: Value>(values: &[T], k: usize) -> Vec<usize> {
    let mut indices: Vec<usize> = (0..values.len()).collect();
    let order = |a: &usize, b: &usize| values[*b].compare(&values[*a]).then(a.cmp(b));
    if 0 < k && k < indices.len() {
        indices.select_nth_unstable_by(k - 1, order);
    }
    indices.truncate(k);
    indices.sort_unstable_by(order);
    indices
}

/// An element with an order.
trait Value: Copy {
    /// NaN is below all others.
    fn compare(&self, other: &Self) -> Ordering;

    /// As C++'s `std::to_string` writes it.
    fn text(&self) -> String;
}

macro_rules! integers {
    ($($number:ty),+) => {$(
        impl Value for $number {
            fn compare(&self, other: &Self) -> Ordering {
                self.cmp(other)
            }

            fn text(&self) -> String {
                self.to_string()
            }
        }
    )+};
}

integers!(u8, u16, u32, u64, i8, i16, i32, i64);

macro_rules! floats {
    ($($number:ty),+) => {$(
        impl Value for $number {
            fn compare(&self, other: &Self) -> Ordering {
                self.partial_cmp(other).unwrap_or_else(|| other.is_nan().cmp(&self.is_nan()))
            }

            fn text(&self) -> String {
                if self.is_nan() { "nan".to_owned() } else { format!("{self:.6}") }
            }
        }
    )+};
}

floats!(f32, f64);
