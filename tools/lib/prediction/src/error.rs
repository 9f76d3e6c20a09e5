//! Why rows do not go through a model.

/// What this library's fallible functions return.
pub type Result<T> = std::result::Result<T, Error>;

/// Why rows do not go through a model. Displays as one line.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The features of the metadata are not those of the graph.
    #[error("its features come to {joined:?} a row, and its input to {shape:?}")]
    Misfit {
        /// What the features are joined to.
        joined: Vec<usize>,
        /// What the graph's input takes; None for a dimension of any size.
        shape: Vec<Option<usize>>,
    },
    /// A row that the model cannot take, or a field that cannot be added.
    #[error(transparent)]
    Records(#[from] records::Error),
    /// An empty name of a field.
    #[error("{0}: empty; name a field")]
    NoName(String),
    /// The label and the prediction have one name.
    #[error("{option}: {name:?} is also {other}")]
    SameName {
        /// The option that names the label.
        option: String,
        /// The name.
        name: String,
        /// The option that names the prediction.
        other: String,
    },
    /// Probabilities are asked for, and the model does not name its classes.
    #[error("{0}: the model has no names of classes (its target was no text); set it to false")]
    NoClasses(String),
    /// A field has the name of a class's probability.
    #[error("{option}: {name:?} is also a class's probability")]
    Probability {
        /// The option that names the field.
        option: String,
        /// The name.
        name: String,
    },
    /// Probabilities are asked for, and the model gives scores.
    #[error("the model gives {value}, which is no probability; export it with export.softmax=true")]
    NotProbabilities {
        /// The first such value.
        value: f32,
    },
    /// The outputs are not one a class.
    #[error("the model gives {width} values a row, and names {classes} classes")]
    Classes {
        /// Values of a row of the output.
        width: usize,
        /// Names in the metadata.
        classes: usize,
    },
}
