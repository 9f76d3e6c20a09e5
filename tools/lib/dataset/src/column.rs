//! Columns of rows in memory.

/// The values of a field, row by row.
#[derive(Debug, Clone, PartialEq)]
pub enum Column {
    /// Numbers; a missing one is NaN.
    Numbers {
        /// `[rows, width]`
        values: Vec<f32>,
        /// Elements of one row.
        width: usize,
    },
    /// `[rows]`; a missing text is empty.
    Texts(Texts),
}

/// A field of all rows, as it was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// The field's name.
    pub name: String,
    /// The shape of one row's value.
    pub shape: Vec<usize>,
    /// All rows.
    pub column: Column,
}

/// Texts, concatenated in one buffer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Texts {
    bytes: String,
    ends: Vec<usize>,
}

impl Source {
    /// The field's name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Column {
    /// From `[rows, width]`.
    pub fn numbers(values: Vec<f32>, width: usize) -> Self {
        Self::Numbers { values, width }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        match self {
            Self::Numbers { values, width } => values.len() / width,
            Self::Texts(texts) => texts.len(),
        }
    }

    /// Whether a value of this row is missing.
    pub fn is_missing(&self, row: usize) -> bool {
        match self {
            Self::Numbers { values, width } => values[row * width..(row + 1) * width].iter().any(|x| x.is_nan()),
            Self::Texts(texts) => texts.get(row).is_empty(),
        }
    }
}

impl Texts {
    /// Adds a text.
    pub fn push(&mut self, text: &str) {
        self.bytes.push_str(text);
        self.ends.push(self.bytes.len());
    }

    /// The text of a row.
    pub fn get(&self, row: usize) -> &str {
        let start = if row == 0 { 0 } else { self.ends[row - 1] };
        &self.bytes[start..self.ends[row]]
    }

    /// Number of texts.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The texts in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> + Clone {
        (0..self.len()).map(|row| self.get(row))
    }
}

impl Texts {
    /// The same texts; if all are numbers, or all booleans, in canonical form ([`records::canonical_number`]).
    pub fn canonical(self) -> Self {
        match records::dtype_of_texts(self.iter()) {
            records::DType::Text => self,
            _ => {
                let mut canonical = Self::default();
                self.iter().for_each(|text| match records::canonical_number(text) {
                    Some(number) => canonical.push(&number),
                    None => canonical.push(""),
                });
                canonical
            }
        }
    }
}

impl<'a> FromIterator<&'a str> for Texts {
    fn from_iter<I: IntoIterator<Item = &'a str>>(texts: I) -> Self {
        let mut all = Self::default();
        texts.into_iter().for_each(|text| all.push(text));
        all
    }
}
