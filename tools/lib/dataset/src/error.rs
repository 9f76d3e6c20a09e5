//! Why rows do not fit a model, or the description of a dataset cannot be read.

use std::path::Path;

/// What this library's fallible functions return.
pub type Result<T> = std::result::Result<T, Error>;

/// Displays as one line: what, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A description cannot be read.
    #[error(transparent)]
    File(#[from] files::Error),
    /// What is in a description is wrong.
    #[error("{path}: {error}")]
    Description {
        /// The file.
        path: String,
        /// What is wrong.
        error: Box<Error>,
    },
    /// A file is neither of the two descriptions that name classes, or damaged.
    #[error("expected the dataset.json that fetch-data writes, or the features.json of a run: {0}")]
    NoDescription(String),
    /// A description is not text.
    #[error("not UTF-8")]
    NotUtf8,
    /// A description names the classes of other fields only.
    #[error("no classes of field {field:?}{known}")]
    NoClasses {
        /// The field.
        field: String,
        /// The fields whose classes it names, with a leading `; there are those of `.
        known: String,
    },
    /// The classes of the target are numbers.
    #[error("field {0:?} was no text, and its classes have no names")]
    UnnamedClasses(String),
    /// Two classes have one name.
    #[error("two classes are called {0:?}")]
    DuplicateClass(String),
    /// A label is no index of a class.
    #[error("target {label} is no class from 0 to {}", classes.saturating_sub(1))]
    Label {
        /// The label.
        label: f64,
        /// Number of classes.
        classes: usize,
    },
    /// Values are missing in the training rows, and the settings do not fill them. The text counts them by field.
    #[error(
        "{0}; features.missing=mean, median or constant fills them, and features.indicator=true tells the model where"
    )]
    Missing(String),
    /// No training row has a value of this field.
    #[error("field {0:?} has no value in any training row; leave it out of trainer.input_field")]
    Empty(String),
    /// A field of text has more categories than the settings allow.
    #[error(
        "field {name:?} has {found} different texts in the training rows, more than features.max_categories={most}: if it \
         is an id or free text, leave it out of trainer.input_field"
    )]
    Categories {
        /// The field.
        name: String,
        /// Categories in the training rows.
        found: usize,
        /// The setting.
        most: usize,
    },
    /// A value is missing, and the model has no fill for it.
    #[error(
        "field {0:?} is missing; the model knows no value for it (train with features.missing=mean, median or constant)"
    )]
    MissingValue(String),
    /// A text is none of the categories of the training rows.
    #[error(
        "field {name:?} is {text:?}, which no training row has: {known} (train with features.unseen=zero, in a DVC project in params.yaml, to take others)"
    )]
    UnknownCategory {
        /// The field.
        name: String,
        /// The first 40 characters of the text.
        text: String,
        /// The first categories.
        known: String,
    },
    /// A field is text, and the model takes numbers.
    #[error("field {0:?} holds text, expected numbers")]
    NotNumeric(String),
    /// A field is numbers, and the model takes text.
    #[error("field {0:?} holds numbers, expected text")]
    NotText(String),
    /// The matrix of all rows is larger than memory.
    #[error("{rows} rows of {width} numbers each do not fit in memory (features.max_categories?)")]
    TooLarge {
        /// Number of rows.
        rows: usize,
        /// Elements of one row.
        width: usize,
    },
    /// A text is not the JSON of [`crate::Features`].
    #[error("no features of a model: {0}")]
    NotFeatures(String),
    /// Features of a newer format.
    #[error("features of version {0}; this program reads version {known}", known = crate::VERSION)]
    Version(u32),
    /// Features that contradict themselves, or have other keys.
    #[error("damaged features: {0}")]
    Damaged(String),
    /// Features without an input.
    #[error("no inputs")]
    NoInputs,
    /// An input has no elements, or more than memory has.
    #[error("field {0:?} has a shape of no numbers")]
    EmptyShape(String),
    /// All inputs together have more elements than memory has.
    #[error("too many inputs")]
    TooManyInputs,
    /// An input has a fill of another length or none of its categories, or categories that are not distinct.
    #[error("field {0:?} has a fill or categories that do not fit")]
    Misfit(String),
    /// A field is an input twice.
    #[error("a field goes in twice")]
    DuplicateInput,
}

impl Error {
    /// The error, in the description at `path`.
    pub(crate) fn at(self, path: &Path) -> Self {
        Self::Description { path: path.display().to_string(), error: Box::new(self) }
    }
}

/// An error in one row.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct RowError {
    /// The row, counted from 0.
    pub row: usize,
    /// What is wrong with it.
    pub error: Error,
}
