//! The folder of checkpoints: names, which to keep, and where to go on from.

use crate::{progress::Kept, settings::CheckpointSettings};
use anyhow::{Context, bail, ensure};
use events::Metrics;
use nets::{Checkpoint, Mode};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// The checkpoint that a run is resumed from.
const LAST: &str = "last.safetensors";
const EXTENSION: &str = ".safetensors";

pub struct Checkpoints {
    folder: PathBuf,
    settings: CheckpointSettings,
}

impl Checkpoints {
    /// The checkpoints of a run folder.
    pub fn new(run_dir: &Path, settings: &CheckpointSettings) -> Self {
        Self { folder: run_dir.join("checkpoints"), settings: settings.clone() }
    }

    /// The file that `resume` means: `last`, or a path.
    pub fn find(&self, resume: &str) -> PathBuf {
        if resume == "last" { self.folder.join(LAST) } else { PathBuf::from(resume) }
    }

    /// Removes the checkpoint files that are not among `kept`, and are not `source`.
    pub fn clear(&self, kept: &[Kept], source: Option<&Path>) -> anyhow::Result<()> {
        let entries = match self.folder.read_dir() {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error).with_context(|| self.folder.display().to_string()),
        };
        for entry in entries.flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            let Some(name) = name.to_str().filter(|name| name.ends_with(EXTENSION)) else { continue };
            let is_source = source.is_some_and(|source| same_file(source, &path));
            if !is_source && !kept.iter().any(|kept| kept.file == name) {
                fs::remove_file(&path).with_context(|| path.display().to_string())?;
            }
        }
        Ok(())
    }

    /// Leaves out of `kept` what is no longer there.
    pub fn present(&self, kept: Vec<Kept>) -> Vec<Kept> {
        kept.into_iter().filter(|kept| self.folder.join(&kept.file).is_file()).collect()
    }

    /// Whether the last state is kept at all.
    pub fn saves_last(&self) -> bool {
        self.settings.save_last
    }

    /// Whether the last state is due after `steps` steps, in the middle of an epoch.
    pub fn is_due(&self, steps: usize) -> bool {
        self.saves_last() && self.settings.every_n_steps.is_some_and(|n| (steps as u64).is_multiple_of(n))
    }

    pub fn save_last(&self, checkpoint: &Checkpoint) -> anyhow::Result<PathBuf> {
        self.save(LAST, checkpoint)
    }

    /// Whether a checkpoint of this value is among the best.
    pub fn is_among_best(&self, value: f64, best: &[Kept]) -> bool {
        match self.settings.save_top_k {
            // Not even a NaN is left out where all are kept.
            -1 => true,
            k if (best.len() as i64) < k => !value.is_nan(),
            0 => false,
            _ => best.last().is_some_and(|worst| self.mode().improves(value, worst.value, 0.0)),
        }
    }

    /// Adds a checkpoint to the best, in its place; returns those that are no longer among them.
    pub fn rank(&self, new: Kept, best: &mut Vec<Kept>) -> Vec<Kept> {
        best.retain(|kept| kept.file != new.file);
        let at = best.iter().position(|kept| self.mode().improves(new.value, kept.value, 0.0)).unwrap_or(best.len());
        best.insert(at, new);
        match usize::try_from(self.settings.save_top_k) {
            Ok(k) => best.split_off(k.min(best.len())),
            Err(_) => Vec::new(),
        }
    }

    fn mode(&self) -> Mode {
        self.settings.direction()
    }

    /// Writes a checkpoint whole or not at all.
    pub fn save(&self, file: &str, checkpoint: &Checkpoint) -> anyhow::Result<PathBuf> {
        fs::create_dir_all(&self.folder).with_context(|| self.folder.display().to_string())?;
        let path = self.folder.join(file);
        records::write_file(&path, &checkpoint.to_safetensors()?)?;
        Ok(path)
    }

    pub fn read(&self, kept: &Kept) -> anyhow::Result<Checkpoint> {
        Ok(Checkpoint::read(&self.folder.join(&kept.file))?)
    }

    pub fn remove(&self, kept: &[Kept]) -> anyhow::Result<()> {
        for one in kept {
            let path = self.folder.join(&one.file);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(error).with_context(|| path.display().to_string());
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The name of a checkpoint with these metrics, of which one is monitored.
    pub fn file_name(&self, epoch: usize, step: usize, monitored: f64, metrics: &Metrics) -> anyhow::Result<String> {
        let value = |name: &str| match name {
            "epoch" => Some(Number::Whole(epoch)),
            "step" => Some(Number::Whole(step)),
            "monitor" => Some(Number::Real(monitored)),
            name => metrics.get(name).map(Number::Real),
        };
        let template = &self.settings.filename;
        let name = expand(template, value).map_err(|problem| misnamed(template, &problem))?;
        let file = name + EXTENSION;
        ensure!(file != LAST, "callbacks.checkpoint.filename: {template}: the name last is taken");
        Ok(file)
    }
}

/// # Errors
/// When a checkpoint could not be called by this template, in a run with the metrics `known`.
pub fn check_template(template: &str, known: &[String]) -> anyhow::Result<()> {
    let value = |name: &str| match name {
        "epoch" | "step" => Some(Number::Whole(0)),
        "monitor" => Some(Number::Real(0.0)),
        name => known.iter().any(|known| known == name).then_some(Number::Real(0.0)),
    };
    expand(template, value).map(drop).map_err(|problem| misnamed(template, &problem))
}

fn misnamed(template: &str, problem: &str) -> anyhow::Error {
    anyhow::anyhow!("callbacks.checkpoint.filename: {template}: {problem}")
}

fn same_file(a: &Path, b: &Path) -> bool {
    match (a.canonicalize(), b.canonicalize()) {
        (Ok(a), Ok(b)) => a == b,
        _ => false,
    }
}

enum Number {
    Whole(usize),
    Real(f64),
}

/// Fills in `{name}`, `{name:.4f}` and `{name:.2e}`, as Python's formatting does.
fn expand(template: &str, value: impl Fn(&str) -> Option<Number>) -> Result<String, String> {
    let mut text = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let (field, after) = after.split_once('}').ok_or("a { without a }")?;
        let (name, format) = field.split_once(':').unwrap_or((field, ""));
        let number =
            value(name).ok_or_else(|| format!("{name:?} is neither epoch, step, monitor nor a metric of this run"))?;
        text += before;
        text += &formatted(&number, format)?;
        rest = after;
    }
    Ok(text + rest)
}

fn formatted(number: &Number, format: &str) -> Result<String, String> {
    let (digits, kind) = match (format.strip_prefix('.'), number) {
        (None, Number::Whole(n)) if format.is_empty() => return Ok(n.to_string()),
        (None, Number::Real(x)) if format.is_empty() => return Ok(x.to_string()),
        (Some(rest), _) if rest.is_char_boundary(rest.len().saturating_sub(1)) => {
            rest.split_at(rest.len().saturating_sub(1))
        }
        _ => return Err(format!("{format:?} is no format; write for instance .4f or .2e")),
    };
    let digits: usize = digits.parse().ok().filter(|&digits| digits <= 20).ok_or("a format has up to 20 digits")?;
    let x = match number {
        Number::Whole(n) => *n as f64,
        Number::Real(x) => *x,
    };
    match kind {
        "f" => Ok(format!("{x:.digits$}")),
        "e" => Ok(scientific(x, digits)),
        _ => Err(format!("{format:?} is no format; write for instance .4f or .2e")),
    }
}

/// As C writes it: two digits of exponent at least.
fn scientific(x: f64, digits: usize) -> String {
    let text = format!("{x:.digits$e}");
    match text.split_once('e') {
        Some((mantissa, exponent)) => match exponent.strip_prefix('-') {
            Some(exponent) => format!("{mantissa}e-{exponent:0>2}"),
            None => format!("{mantissa}e+{exponent:0>2}"),
        },
        None => text,
    }
}

/// Reads the checkpoint that a run goes on from.
pub fn resume(path: &Path) -> anyhow::Result<Checkpoint> {
    if !path.exists() {
        bail!("{}: trainer.resume: no such checkpoint", path.display());
    }
    Ok(Checkpoint::read(path)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(template: &str) -> Result<String, String> {
        expand(template, |name| match name {
            "epoch" => Some(Number::Whole(3)),
            "val_loss" => Some(Number::Real(0.001_234_56)),
            "big" => Some(Number::Real(12345.678)),
            _ => None,
        })
    }

    /// Expected: Python's `template.format(epoch=3, val_loss=0.00123456, big=12345.678)`.
    #[test]
    fn names_are_filled_in_as_python_does() {
        assert_eq!(name("{epoch}-{val_loss:.4f}"), Ok("3-0.0012".into()));
        assert_eq!(name("e{epoch:.1f}_{val_loss:.2e}_{big:.1e}"), Ok("e3.0_1.23e-03_1.2e+04".into()));
        assert_eq!(name("plain {val_loss}"), Ok("plain 0.00123456".into()));
        for bad in ["{epoch", "{nope}", "{val_loss:.4g}", "{val_loss:4f}", "{val_loss:.f}", "{val_loss:.99f}", "{:.}"] {
            assert!(name(bad).is_err(), "{bad}");
        }
    }
}
