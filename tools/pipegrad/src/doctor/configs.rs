//! The configs of the working folder.

use super::Check;
use config::Sources;
use std::{fs, path::Path};

/// The folder that tools look in.
const FOLDER: &str = "configs";

/// Whether the folder's primary configs compose: one line for those that do, and one for each of the others.
pub fn configs() -> Vec<Check> {
    let names = primaries();
    if names.is_empty() {
        let builtin =
            config::primaries(&Sources::default()).into_iter().map(|one| one.word).collect::<Vec<_>>().join(", ");
        let folder = if Path::new(FOLDER).is_dir() { "configs/ has options only" } else { "no folder configs/" };
        return vec![Check::ok("configs").about(format!("{folder}; built in: {builtin}"))];
    }
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for name in names {
        let sources = Sources { config_name: Some(name.clone()), ..Sources::default() };
        match config::compose(&sources, &[]) {
            Ok(_) => good.push(name),
            Err(error) => bad
                .push(Check::wrong("configs", format!("{name}: {error}"), "correct it, or remove the file").at(FOLDER)),
        }
    }
    let composed =
        (!good.is_empty()).then(|| Check::ok("configs").at(FOLDER).about(format!("composed: {}", good.join(", "))));
    composed.into_iter().chain(bad).collect()
}

/// The names of the files right in the folder, sorted.
fn primaries() -> Vec<String> {
    let entries = fs::read_dir(FOLDER).into_iter().flatten().flatten().filter(|entry| entry.path().is_file());
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.file_name().to_string_lossy().strip_suffix(".yaml").map(str::to_owned))
        .collect();
    names.sort();
    names
}
