//! What is parsed of rows of text.

use crate::{DType, schema::no_field};

/// Which fields a tool wants parsed, and how.
pub(crate) struct Wanted {
    /// Fields that must be there and are numbers: floating-point also where they look like integers.
    pub floats: Vec<String>,
    /// Fields that must be there and are numbers, likewise, or text.
    pub any: Vec<String>,
    /// Fields that must be there and are read as text, as they are written.
    pub texts: Vec<String>,
    /// Every other scalar too, likewise, where it is there.
    pub others: bool,
    /// Every other field too, as it looks.
    pub all: bool,
    /// Whether integers and booleans that no tool computes with are needed as such: for NPY.
    pub exact: bool,
    /// Bytes of the first rows that say the types, at least.
    pub first_block: usize,
    /// The element type of floating-point numbers, which JSON does not say.
    pub float: DType,
    /// The fields that the tool will add, which must not be there yet, each with what gives it another name.
    pub adds: Vec<(String, String)>,
    /// What a person does about a field that is not there.
    pub remedies: Vec<(String, String)>,
    /// Whether a value of `floats` and `any` may be missing: null is NaN, or the empty text.
    pub missing: bool,
}

impl Wanted {
    /// The fields that must be there.
    pub fn needed(&self) -> impl Iterator<Item = &String> {
        self.floats.iter().chain(&self.any).chain(&self.texts)
    }

    /// The message that one of the fields that must be there is not among `names`.
    pub fn lacks<'n>(&self, missing: &str, names: impl ExactSizeIterator<Item = &'n str>) -> String {
        let remedy = self.remedies.iter().find(|(field, _)| field == missing);
        no_field(missing, names) + &remedy.map_or(String::new(), |(_, remedy)| format!("; {remedy}"))
    }

    /// Whether types are read off the first rows: then these are waited for, so that it does not matter how the bytes
    /// arrive.
    pub fn infers(&self) -> bool {
        self.all || self.others || !self.any.is_empty()
    }

    pub fn has(&self, name: &str) -> bool {
        self.all || self.others || self.computes(name)
    }

    /// Whether a field is read as text, as it is written.
    pub fn is_literal(&self, name: &str) -> bool {
        let typed = || self.floats.iter().chain(&self.any).any(|typed| typed == name);
        self.texts.iter().any(|text| text == name) || (self.others && !typed())
    }

    pub fn is_float(&self, name: &str) -> bool {
        self.floats.iter().any(|float| float == name)
    }

    /// Whether the tool computes with a field, rather than hands it on.
    pub fn computes(&self, name: &str) -> bool {
        self.needed().any(|needed| needed == name)
    }

    pub fn takes_null(&self, name: &str) -> bool {
        self.missing || !self.computes(name)
    }
}
