//! Where a model is read from.

use crate::{ModelError, Result, external};
use files::Limit;
use std::{
    borrow::Cow,
    path::{Path, PathBuf},
};

/// A model as bytes, and the file that has them.
pub(crate) struct Source<'a> {
    /// What errors call it.
    pub name: &'a str,
    /// All of the file.
    pub bytes: Cow<'a, [u8]>,
    /// The file, and the limit of it with its files of weights; None for a model from memory.
    pub file: Option<(&'a Path, Limit<'a>)>,
}

impl Source<'_> {
    /// Whether it is in ONNX Runtime's own format.
    pub fn is_ort_format(&self) -> bool {
        external::is_ort_format(&self.bytes)
    }

    /// The absolute path of a model that names files of weights, which are in its folder and within the limit; None of one that
    /// names none.
    ///
    /// # Errors
    /// When there are such files elsewhere, they are too long, or the model is not in a file.
    pub fn file_with_weights(&self) -> Result<Option<PathBuf>> {
        let Some((path, limit)) = self.file else { return Ok(None) };
        let locations = external::locations(&self.bytes).map_err(|problem| problem.of(self.name))?;
        if locations.is_empty() {
            return Ok(None);
        }
        if !path.is_file() {
            return Err(ModelError::WeightsBesidePipe.of(self.name));
        }
        let rest = limit.bytes.saturating_sub(self.bytes.len() as u64);
        let checked = external::check(path, &locations, rest, limit.setting.unwrap_or("limit"));
        let path = checked.and_then(|()| Ok(path.canonicalize()?));
        path.map(Some).map_err(|problem| problem.of(self.name))
    }
}
