//! What runs models.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What runs a model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// The native executor where it has all operators and element types of the model, otherwise ONNX Runtime.
    #[default]
    Auto,
    /// The native executor.
    Native,
    /// ONNX Runtime.
    Ort,
}

/// As the settings have it.
impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Native => "native",
            Self::Ort => "ort",
        })
    }
}
