//! A run folder for each job, named after its settings.

use config::overrides::{Quote, quoted};

/// The setting that names a run folder.
pub const KEY: &str = "trainer.run_dir";
/// Longest name, in bytes; file systems allow 255, and files beside the folder may append to its name.
const MOST_BYTES: usize = 200;
/// Hexadecimal digits of the hash that replaces what a name cannot contain.
const HASH_DIGITS: usize = 16;
/// Characters besides letters and digits that a name keeps.
const KEPT: &str = "=,.+-_@~[]";

/// The job's overrides with a run folder below `folder`, unless they set one.
pub fn added(mut overrides: Vec<String>, folder: Option<&str>) -> Vec<String> {
    if let Some(folder) = folder
        && of(&overrides).is_none()
    {
        let path = format!("{}/{}", folder.trim_end_matches('/'), name(&overrides));
        overrides.push(format!("{KEY}={}", quoted(&path, Quote::Single)));
    }
    overrides
}

/// The override that sets the run folder.
pub fn of(overrides: &[String]) -> Option<&str> {
    let is_key = |text: &str| text.trim_start_matches('+').strip_prefix(KEY).is_some_and(|rest| rest.starts_with('='));
    overrides.iter().map(String::as_str).find(|text| is_key(text))
}

/// Hydra's `override_dirname`: the settings in alphabetical order. It depends on the job alone, so that a
/// sweep that grows finds its folders again.
fn name(overrides: &[String]) -> String {
    let mut sorted: Vec<&str> = overrides.iter().map(String::as_str).collect();
    sorted.sort_unstable();
    let whole = sorted.join(",");
    let safe: String = whole.chars().map(|c| if c.is_alphanumeric() || KEPT.contains(c) { c } else { '_' }).collect();
    if safe == whole && whole.len() <= MOST_BYTES {
        return whole;
    }
    let hash = &files::sha256(&whole)[..HASH_DIGITS];
    let room = safe.floor_char_boundary(MOST_BYTES - hash.len() - 1);
    format!("{}-{hash}", &safe[..room])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(overrides: &[&str]) -> String {
        name(&overrides.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn a_name_is_the_settings_in_order() {
        let name = named(&["trainer.seed=0", "optimizer.learning_rate=0.001"]);
        assert_eq!(name, "optimizer.learning_rate=0.001,trainer.seed=0");
        assert_eq!(named(&["model.hidden=[64,64]"]), "model.hidden=[64,64]");
    }

    #[test]
    fn what_a_name_cannot_hold_becomes_a_hash() {
        let [slash, space] = [named(&["a=x/y"]), named(&["a=x y"])];
        assert!(slash.starts_with("a=x_y-") && space.starts_with("a=x_y-") && slash != space, "{slash} {space}");
        // The first bytes of the digest, by sha256sum.
        assert_eq!(slash, "a=x_y-68c824e453d5736b");
        let long = |end: &str| named(&[&format!("a={}{end}", "é".repeat(150))]);
        assert!(long("1").len() <= MOST_BYTES && long("1") != long("2") && !long("1").contains('/'));
    }

    #[test]
    fn a_job_with_a_run_folder_keeps_it() {
        let job = |text: &str| vec![text.to_owned()];
        assert_eq!(added(job("a=1"), Some("runs/x/")), ["a=1", "trainer.run_dir='runs/x/a=1'"]);
        assert_eq!(added(job("++trainer.run_dir=y"), Some("runs")), ["++trainer.run_dir=y"]);
        assert_eq!(added(job("a=1"), None), ["a=1"]);
    }
}
