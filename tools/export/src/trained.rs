//! Reads the trained model of a run folder or a checkpoint.

use anyhow::{Context, bail, ensure};
use nets::{Checkpoint, Model};
use std::path::{Path, PathBuf};

/// Files of a run folder; which of them exist says how far the run came.
const MODEL: &str = "model.safetensors";
const CONFIG: &str = "config.yaml";
const FINDER: &str = "finder.csv";
const LAST_CHECKPOINT: &str = "checkpoints/last.safetensors";
const EXTENSION: &str = "safetensors";

/// A trained model and its paths.
pub struct Trained {
    pub model: Model,
    /// The file of weights that was read.
    pub file: PathBuf,
    /// The run folder, which may have held-out rows.
    pub folder: PathBuf,
}

impl Trained {
    /// Reads the final model of a run folder, or a file of weights: the model's or a checkpoint.
    ///
    /// # Errors
    /// When there is no model; says which command makes one.
    pub fn find(path: &Path) -> anyhow::Result<Self> {
        if path.is_dir() {
            let file = path.join(MODEL);
            ensure!(file.is_file(), "{}", without_model(path));
            let model = Model::read(&file)?;
            return Ok(Self { model, file, folder: path.into() });
        }
        let name = path.display();
        let is_weights = path.extension().is_some_and(|kind| kind == EXTENSION);
        let is_onnx = path.extension().is_some_and(|kind| kind == "onnx");
        ensure!(!is_onnx, "{name}: no run folder; an ONNX model is read with --from {name}");
        if !path.exists() {
            ensure!(is_weights, "{name}: no such run folder; train -o {name} makes one");
            bail!("{name}: no such file; name a run folder{}", weights_beside(path));
        }
        ensure!(is_weights, "{name}: neither a run folder nor a .{EXTENSION} file of one");
        let parent = path.parent().context("the file's folder")?;
        let folder = if parent.ends_with("checkpoints") { parent.parent().unwrap_or(parent) } else { parent };
        Ok(Self { model: weights(path)?, file: path.into(), folder: folder.into() })
    }
}

/// The model of a file; of a checkpoint, the evaluated one (the moving average, where the run keeps one).
fn weights(path: &Path) -> anyhow::Result<Model> {
    let model = Model::read(path)?;
    match Checkpoint::read(path) {
        Ok(checkpoint) => Ok(checkpoint.measured()),
        // A model file, without the state of its training.
        Err(_) => Ok(model),
    }
}

/// ` or one of its .safetensors files`, with those in the folder of `path`, if there are some.
fn weights_beside(path: &Path) -> String {
    let folder = path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
    let paths = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let weights = paths.filter(|path| path.extension().is_some_and(|kind| kind == EXTENSION));
    let mut names: Vec<_> = weights.filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned())).collect();
    names.sort_unstable();
    let there = if names.is_empty() { String::new() } else { format!("; beside it there are {}", names.join(", ")) };
    format!(" or one of its .{EXTENSION} files{there}")
}

/// Why a folder has no model, and what to do.
fn without_model(folder: &Path) -> String {
    let name = folder.display();
    let has = |file: &str| folder.join(file).is_file();
    let config = folder.join(CONFIG);
    let again = format!("train ROWS --config {} -o {name}", config.display());
    if has(LAST_CHECKPOINT) {
        let checkpoint = folder.join(LAST_CHECKPOINT);
        return format!(
            "{name}: no {MODEL}: the run did not finish. To finish it: {again} trainer.resume=last; to export it as \
             it stands: pipegrad export {}",
            checkpoint.display()
        );
    }
    if has(CONFIG) {
        return format!("{name}: no {MODEL}: the run ended before its first checkpoint. To train it: {again}");
    }
    if has(FINDER) {
        return format!("{name}: no {MODEL}: --find-learning-rate trains none; train -o {name} without it does");
    }
    format!("{name}: no run folder: there is no {MODEL}; train -o {name} makes one")
}
