//! Hydra's own settings: a job's config may hold them, but of those only the search path has a meaning here.

use crate::{
    error::{Error, Result},
    overrides::Override,
    searchpath,
};

/// The key, or group, that holds them.
pub(crate) const KEY: &str = "hydra";

/// Settings that have a counterpart, and what that is.
const COUNTERPARTS: [(&str, &str); 4] = [
    ("hydra.run", "a run's folder is a setting of the job, as trainer.run_dir=..."),
    ("hydra.sweep", "sweep --run-dir gives each job a folder"),
    ("hydra.sweeper", "sweep turns several values into jobs"),
    ("hydra.searchpath", "write hydra.searchpath=[...], without a sign"),
];
const OTHERWISE: &str = "only hydra.searchpath=[...] and --config-dir have one";

/// # Errors
/// When `one` is a setting of Hydra itself.
pub(crate) fn refuse(one: &Override) -> Result<()> {
    let is_hydras = one.key.split(['.', '/']).next() == Some(KEY) && !searchpath::is_override(one);
    if !is_hydras {
        return Ok(());
    }
    let section =
        |known: &str| one.key.strip_prefix(known).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    let hint = COUNTERPARTS.iter().find(|(known, _)| section(known)).map_or(OTHERWISE, |(_, hint)| hint);
    Err(Error::at(&one.origin(), format!("{}: Hydra's own settings have no meaning here; {hint}", one.key)))
}
