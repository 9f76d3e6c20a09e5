//! What the columns of a request are to a model.

use super::{Error, Result};
use crate::model::Model;
use dataset::Input;

/// What columns are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    /// The graph's inputs, by name.
    Tensors,
    /// The fields of the model's features, by name.
    Rows,
    /// The columns of the graph's only input, in this order; their names mean nothing.
    Matrix,
}

impl Plan {
    /// For columns of these names. A data frame whose only field has the name of the graph's input is rows if the model
    /// names classes: rows are answered with them.
    ///
    /// # Errors
    /// When the columns are nothing of the model's.
    pub fn of(model: &Model, names: &[&str], is_frame: bool) -> Result<Self> {
        let has = |name: &str| names.contains(&name);
        let inputs = &model.spec.inputs;
        let names_classes = model.features.as_ref().is_some_and(|features| features.target.classes.is_some());
        if inputs.iter().all(|input| has(&input.name)) && !(is_frame && names_classes) {
            return Ok(Self::Tensors);
        }
        let fields = model.features.as_ref().map(|features| features.inputs.as_slice()).unwrap_or_default();
        if fields.iter().any(|field| has(field.name())) {
            return Ok(Self::Rows);
        }
        if is_frame && inputs.len() == 1 && fields.is_empty() {
            return Ok(Self::Matrix);
        }
        let missing = match fields {
            [] => list(inputs.iter().map(|input| input.name.as_str())),
            fields => list(fields.iter().map(Input::name)),
        };
        Err(Error::Misfit(format!(
            "Model '{}' is missing inputs [{missing}]; there is [{}]",
            model.name,
            list(names.iter().copied())
        )))
    }
}

/// Names in quotes; of many, the first.
pub fn list<'n>(names: impl Iterator<Item = &'n str>) -> String {
    const LISTED: usize = 20;
    let mut quoted: Vec<String> = names.take(LISTED + 1).map(|name| format!("'{}'", name.escape_debug())).collect();
    if quoted.len() > LISTED {
        quoted[LISTED] = "…".into();
    }
    quoted.join(", ")
}
