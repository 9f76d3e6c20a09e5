//! Arrays whose shape the text itself says.

use super::{
    RequestError,
    data::{Aligned, Sink, Strings, Target, arrays},
    error::{Problem, Result},
    json::Cursor,
    number::{Boolean, FieldNumber, Number},
};
use crate::{DataType, Limits};
use bytes::Bytes;

/// Values of one shape: scalars, or nested arrays of equal lengths. An error says what is wrong with the text.
pub struct Nested {
    elements: Box<dyn Elements>,
    limits: Limits,
    /// Shape of a value; None before the first.
    shape: Option<Vec<usize>>,
    values: usize,
}

impl Nested {
    /// No values yet. `limits` are those of all of them together.
    ///
    /// # Errors
    /// When the type has no JSON form.
    pub fn new(data_type: DataType, limits: Limits) -> std::result::Result<Self, Box<RequestError>> {
        let elements: Box<dyn Elements> = match data_type {
            DataType::Bool => Box::new(Vec::<Boolean>::new()),
            DataType::Uint8 => Box::new(Vec::<u8>::new()),
            DataType::Uint16 => Box::new(Vec::<u16>::new()),
            DataType::Uint32 => Box::new(Vec::<u32>::new()),
            DataType::Uint64 => Box::new(Vec::<u64>::new()),
            DataType::Int8 => Box::new(Vec::<i8>::new()),
            DataType::Int16 => Box::new(Vec::<i16>::new()),
            DataType::Int32 => Box::new(Vec::<i32>::new()),
            DataType::Int64 => Box::new(Vec::<i64>::new()),
            DataType::Fp32 => Box::new(Vec::<f32>::new()),
            DataType::Fp64 => Box::new(Vec::<f64>::new()),
            DataType::Bytes => Box::new(Strings::default()),
            DataType::Fp16 | DataType::Bf16 => return Err(Problem::NoJsonForm(data_type).into()),
        };
        Ok(Self::of(elements, limits))
    }

    /// As [`Nested::new`] of `FP64`, for the numbers of records: booleans are 1 and 0.
    pub fn of_fields(limits: Limits) -> Self {
        Self::of(Box::new(Vec::<FieldNumber>::new()), limits)
    }

    fn of(elements: Box<dyn Elements>, limits: Limits) -> Self {
        Self { elements, limits, shape: None, values: 0 }
    }

    /// Parses a value and appends it.
    ///
    /// # Errors
    /// When it has another shape than those before, is no element of the type, or exceeds a limit.
    pub fn push(&mut self, cursor: &mut Cursor<'_>) -> std::result::Result<(), Box<RequestError>> {
        let target = Target { shape: None, depth: self.limits.dimensions, elements: self.limits.elements };
        let shape = match cursor.peek() {
            Some(b'[') => self.elements.arrays(cursor, &target)?,
            _ => {
                self.elements.scalar(cursor, &target)?;
                Vec::new()
            }
        };
        self.values += 1;
        if *self.shape.get_or_insert_with(|| shape.clone()) == shape { Ok(()) } else { Err(Problem::Ragged.into()) }
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        self.values
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.values == 0
    }

    /// The shape of a value, and all of them `[values, shape…]` as a [`Tensor`](crate::Tensor) holds them, aligned for their
    /// type.
    pub fn finish(self) -> (Vec<usize>, Bytes) {
        (self.shape.unwrap_or_default(), self.elements.into_bytes())
    }
}

/// The elements of any type.
trait Elements: Send {
    fn arrays(&mut self, cursor: &mut Cursor<'_>, target: &Target<'_>) -> Result<Vec<usize>>;

    fn scalar(&mut self, cursor: &mut Cursor<'_>, target: &Target<'_>) -> Result<()>;

    fn into_bytes(self: Box<Self>) -> Bytes;
}

impl<T: Number> Elements for Vec<T> {
    fn arrays(&mut self, cursor: &mut Cursor<'_>, target: &Target<'_>) -> Result<Vec<usize>> {
        arrays(cursor, target, self)
    }

    fn scalar(&mut self, cursor: &mut Cursor<'_>, target: &Target<'_>) -> Result<()> {
        scalar(cursor, target, self)
    }

    fn into_bytes(self: Box<Self>) -> Bytes {
        Bytes::from_owner(Aligned(*self))
    }
}

impl Elements for Strings {
    fn arrays(&mut self, cursor: &mut Cursor<'_>, target: &Target<'_>) -> Result<Vec<usize>> {
        arrays(cursor, target, self)
    }

    fn scalar(&mut self, cursor: &mut Cursor<'_>, target: &Target<'_>) -> Result<()> {
        scalar(cursor, target, self)
    }

    fn into_bytes(self: Box<Self>) -> Bytes {
        Strings::into_bytes(*self)
    }
}

fn scalar(cursor: &mut Cursor<'_>, target: &Target<'_>, sink: &mut impl Sink) -> Result<()> {
    if sink.len() == target.elements {
        return Err(target.wrong_number(target.elements, true));
    }
    sink.element(cursor)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { tensors: 1, dimensions: 3, elements: 6 };

    fn parse(data_type: DataType, texts: &[&str]) -> std::result::Result<(Vec<usize>, Bytes), String> {
        let mut nested = Nested::new(data_type, LIMITS).map_err(|e| e.to_string())?;
        for text in texts {
            let mut cursor = Cursor::of_python(text.as_bytes());
            nested.push(&mut cursor).map_err(|e| e.to_string())?;
            assert_eq!(cursor.peek(), None, "{text}");
        }
        Ok(nested.finish())
    }

    fn floats(texts: &[&str]) -> (Vec<usize>, Vec<f32>) {
        let (shape, bytes) = parse(DataType::Fp32, texts).expect("values");
        (shape, bytemuck::pod_collect_to_vec(&bytes))
    }

    #[test]
    fn booleans_are_numbers_of_records_only() {
        let mut fields = Nested::of_fields(LIMITS);
        for text in ["true", " false", "2.5"] {
            fields.push(&mut Cursor::of_python(text.as_bytes())).expect("a number");
        }
        let mut whole = Nested::of_fields(LIMITS);
        whole.push(&mut Cursor::of_python(b"[1, true,false]")).expect("numbers");
        let values = |nested: Nested| bytemuck::pod_collect_to_vec::<u8, f64>(&nested.finish().1);
        assert_eq!(values(fields), [1.0, 0.0, 2.5]);
        assert_eq!(values(whole), [1.0, 1.0, 0.0]);
        assert_eq!(parse(DataType::Fp64, &["true"]).expect_err("a tensor"), "expected a number, found a boolean");
        let mut cursor = Cursor::of_python(b"\"true\"");
        assert!(Nested::of_fields(LIMITS).push(&mut cursor).is_err());
    }

    #[test]
    fn the_text_says_the_shape() {
        assert_eq!(floats(&["[[1, 2.5],[3,4]]"]), (vec![2, 2], vec![1.0, 2.5, 3.0, 4.0]));
        assert_eq!(floats(&["[1,2]", "[3 ,4]"]), (vec![2], vec![1.0, 2.0, 3.0, 4.0]));
        assert_eq!(floats(&["1", " -2e1"]), (vec![], vec![1.0, -20.0]));
        assert_eq!(floats(&["[]"]), (vec![0], vec![]));
        assert_eq!(floats(&["[[],[]]"]), (vec![2, 0], vec![]));
        assert_eq!(floats(&[]), (vec![], vec![]));
        let (shape, bytes) = parse(DataType::Bytes, &["[\"a\",\"\u{e9}\"]"]).expect("texts");
        assert_eq!((shape, bytes.as_ref()), (vec![2], b"\x01\0\0\0a\x02\0\0\0\xc3\xa9".as_slice()));
    }

    #[test]
    fn floats_of_python_may_be_none() {
        let (shape, values) = floats(&["[NaN, null,Infinity,-Infinity, 1]"]);
        assert_eq!(shape, [5]);
        assert!(values[0].is_nan() && values[1].is_nan());
        assert_eq!(values[2..], [f32::INFINITY, f32::NEG_INFINITY, 1.0]);
        let mut cursor = Cursor::of_python(b"{\"a\": [NaN, {\"b\": -Infinity}], \"c\": null} ");
        cursor.skip_value().expect("skipped");
        assert_eq!(cursor.peek(), None);
        for text in [b"NaN".as_slice(), b"[1,-Infinity]"] {
            assert!(Nested::new(DataType::Fp32, LIMITS).expect("floats").push(&mut Cursor::new(text)).is_err());
            assert!(Cursor::new(text).skip_value().is_err());
        }
    }

    #[test]
    fn what_has_no_shape_or_is_too_much_is_refused() {
        for (texts, expected) in [
            (&["[[1,2],[3]]"][..], "arrays of unequal length or depth"),
            (&["[1,[2]]"], "[1]: expected a number, found an array"),
            (&["[[1],2]"], "arrays of unequal length or depth"),
            (&["1", "[1]"], "arrays of unequal length or depth"),
            (&["[\"a\"]"], "[0]: expected a number, found a string"),
            (&["[1,2,3,4,5,6,7]"], "7 elements, at most 6 are allowed (serve.max_elements)"),
            (&["[1,2,3]", "[1,2,3]", "1"], "7 elements, at most 6 are allowed (serve.max_elements)"),
            (&["[[[[1]]]]"], "4 dimensions, at most 3 are allowed (serve.max_dimensions)"),
            (&["[1"], "the request is not JSON: it ends where ',' or ']' is expected"),
        ] {
            assert_eq!(parse(DataType::Fp32, texts).err().as_deref(), Some(expected), "{texts:?}");
        }
        assert!(parse(DataType::Int64, &["NaN"]).is_err());
        assert!(parse(DataType::Fp16, &["1"]).is_err());
    }
}
