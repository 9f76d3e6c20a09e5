//! The model and its manifest, as files.

use anyhow::ensure;
use files::Output;
use std::path::{Path, PathBuf};

/// The longest message that the format's readers accept: protobuf counts bytes in an int32.
const MAX_BYTES: usize = i32::MAX as usize;

/// Where a model and its manifest are written.
pub struct Destination {
    /// None is standard output.
    model: Option<PathBuf>,
    /// None where the model goes to a stream.
    manifest: Option<PathBuf>,
}

impl Destination {
    /// The model's path, and the manifest's beside it: `x.onnx` and `x.json`.
    ///
    /// # Errors
    /// When both would have one name, or the model's is that of another format.
    pub fn new(model: Option<PathBuf>) -> anyhow::Result<Self> {
        ensure!(model.as_deref().is_none_or(|path| !path.as_os_str().is_empty()), "--out: the path of a file is empty");
        if let Some(model) = model.as_deref().filter(|path| files::promises_another(path, &["json", "onnx"])) {
            let named = model.with_extension("onnx");
            anyhow::bail!("--out {}: the model is ONNX; name it {}", model.display(), named.display())
        }
        let manifest = model.as_deref().filter(|path| is_file_to_be(path)).map(|path| path.with_extension("json"));
        if let (Some(model), true) = (&model, manifest == model) {
            let name = model.display();
            anyhow::bail!(
                "--out {name}: the name of the manifest; name the model {}",
                model.with_extension("onnx").display()
            )
        }
        Ok(Self { model, manifest })
    }

    /// Writes both files; a reader that sees the new manifest sees the new model.
    ///
    /// # Errors
    /// I/O errors; and when the model is longer than the format allows.
    pub fn write(&self, model: &[u8], manifest: &str) -> anyhow::Result<()> {
        ensure!(
            model.len() <= MAX_BYTES,
            "the model has {} bytes; an ONNX file has at most {MAX_BYTES}, and files of weights are not written",
            model.len()
        );
        let mut output = Output::create(self.model.as_deref())?;
        output.write_all(model)?;
        let Some(path) = &self.manifest else { return Ok(output.finish()?) };
        let mut beside = Output::create(Some(path))?;
        beside.write_all(manifest.as_bytes())?;
        output.finish()?;
        Ok(beside.finish()?)
    }
}

/// Whether a path is or becomes a regular file, not a pipe or a device.
fn is_file_to_be(path: &Path) -> bool {
    path.metadata().map_or(true, |metadata| metadata.is_file())
}
