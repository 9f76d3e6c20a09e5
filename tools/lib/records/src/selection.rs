//! Which fields of rows of text are parsed, and how.

use crate::{DType, Error, schema::no_field};

/// The fields that a tool needs, and how they are parsed.
pub(crate) struct Selection {
    /// Required, of numbers: floating-point also where they look like integers.
    pub floats: Vec<String>,
    /// Required, of numbers, likewise, or of text.
    pub any: Vec<String>,
    /// Required, parsed as text whatever they look like.
    pub texts: Vec<String>,
    /// Whether every other scalar is parsed as text too.
    pub others: bool,
    /// Whether every other field is parsed too, with the type that it looks like.
    pub all: bool,
    /// Whether integers and booleans that no tool computes with are needed as such: for NPY.
    pub exact: bool,
    /// Bytes of the first rows, at least, that types are inferred from.
    pub first_block: usize,
    /// [`crate::ReadOptions::delimiter_option`]
    pub delimiter_option: fn(u8) -> String,
    /// [`crate::ReadOptions::max_row_bytes`]
    pub max_row_bytes: Option<usize>,
    /// The element type of floating-point numbers, which text does not say.
    pub float: DType,
    /// The fields that the tool will add, each with the option that gives it another name. An input that has one of them is
    /// an error.
    pub adds: Vec<(String, String)>,
    /// What to do about a field that is missing, by field.
    pub remedies: Vec<(String, String)>,
    /// Whether values of required fields may be missing: null is NaN, or the empty text.
    pub missing: bool,
}

impl Selection {
    /// The required fields.
    pub fn required(&self) -> impl Iterator<Item = &String> {
        self.floats.iter().chain(&self.any).chain(&self.texts)
    }

    /// The error that a required field is none of `names`.
    pub fn no_field<'n>(&self, name: &str, names: impl ExactSizeIterator<Item = &'n str>) -> Error {
        let remedy = self.remedies.iter().find(|(field, _)| field == name);
        no_field(name, names).with_remedy(&remedy.map_or(String::new(), |(_, remedy)| format!("; {remedy}")))
    }

    /// Whether types are inferred from the first rows. Then a whole block of them is waited for, so that the types do not
    /// depend on how the bytes arrive.
    pub fn infers(&self) -> bool {
        self.all || self.others || !self.any.is_empty()
    }

    /// Whether a field is parsed at all.
    pub fn contains(&self, name: &str) -> bool {
        self.all || self.others || self.requires(name)
    }

    /// Whether a field is parsed as text, whatever it looks like.
    pub fn is_verbatim(&self, name: &str) -> bool {
        let typed = || self.floats.iter().chain(&self.any).any(|typed| typed == name);
        self.texts.iter().any(|text| text == name) || (self.others && !typed())
    }

    /// Whether a field must be of numbers.
    pub fn is_float(&self, name: &str) -> bool {
        self.floats.iter().any(|float| float == name)
    }

    /// Whether the tool computes with a field, rather than passes it through.
    pub fn requires(&self, name: &str) -> bool {
        self.required().any(|required| required == name)
    }

    /// Whether a value of a field may be missing.
    pub fn allows_missing(&self, name: &str) -> bool {
        self.missing || !self.requires(name)
    }
}
