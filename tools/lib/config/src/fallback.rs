//! The option of a group that a tool reads and no defaults list names.

use crate::{
    compose::PRIMARY,
    defaults::{Branch, Choice, Choices, Entry, Target},
    error::{Origin, Result},
    node::Node,
    repository::Repository,
    search::SearchPath,
    settings::selector,
};

/// The option that a group has when nothing names another.
const DEFAULT_OPTION: &str = "default";

/// Entries for the groups of `own` that the defaults list, expanded to `defaults`, does not name.
///
/// A group has its only option, or `default`, or the option that the built-in primary config chooses. One whose values
/// stand in a config's body, as `optimizer: {name: sgd}`, has the option of that name; without one the values are all.
pub(crate) fn entries(
    repository: &Repository,
    own: &[&str],
    choices: &Choices,
    defaults: &Branch,
) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for group in own.iter().filter(|group| !choices.is_known(group)) {
        let body = match values(repository, group, defaults)? {
            Values::Config => continue,
            Values::Body(body) => Some(body),
            Values::None => None,
        };
        if let Some(option) = option(repository, group, body.as_ref())? {
            let origin = Origin::Override(format!("{group}={option}").into());
            entries.push(Entry::new(Target::Group((*group).to_owned(), Choice::One(option)), None, &origin));
        }
    }
    Ok(entries)
}

/// The groups that tools read: those of the built-in primary config, and of `named` those with a default option.
pub(crate) fn groups_of_tools<'n>(named: impl Iterator<Item = &'n str>) -> Result<Vec<String>> {
    let builtin = Repository::new(SearchPath::builtin());
    let primary = builtin.load(PRIMARY)?;
    let defaults = primary.iter().flat_map(|config| &config.defaults);
    let mut groups: Vec<String> = defaults
        .filter_map(|entry| match &entry.target {
            Target::Group(name, _) => Some(name.clone()),
            _ => None,
        })
        .collect();
    for name in named {
        if !groups.iter().any(|group| group == name) && builtin.search.options(name).contains(DEFAULT_OPTION) {
            groups.push(name.to_owned());
        }
    }
    Ok(groups)
}

/// Where the values of a group come from.
enum Values {
    /// From a config that is merged there, by another name: `model_a@model`.
    Config,
    /// From the body of a config above.
    Body(Node),
    None,
}

fn values(repository: &Repository, group: &str, defaults: &Branch) -> Result<Values> {
    let mut found = Values::None;
    for one in defaults.chosen() {
        if one.package == group {
            return Ok(Values::Config);
        }
        if one.package.is_empty()
            && let Some(config) = repository.load(&one.config_path)?
            && let Some(body) = config.body.get(group)
        {
            found = Values::Body(body.clone());
        }
    }
    Ok(found)
}

/// The option of `group` that goes with the values in `body`.
pub(crate) fn option(repository: &Repository, group: &str, body: Option<&Node>) -> Result<Option<String>> {
    let options = repository.search.options(group);
    let named = body.and_then(selector).and_then(|(key, value)| Some((key, value.as_str()?)));
    if let Some((key, name)) = named {
        let has_name = |option: &String| -> Result<bool> {
            let config = repository.load(&format!("{group}/{option}"))?;
            Ok(config.is_some_and(|config| config.body.get(key).and_then(Node::as_str) == Some(name)))
        };
        // The option of the same name first: `sgd` before `sgd_nesterov`, which is an sgd as well.
        let same = options.iter().filter(|option| *option == name);
        for option in same.chain(&options) {
            if has_name(option)? {
                return Ok(Some(option.clone()));
            }
        }
        return Ok(None);
    }
    Ok(match (options.first(), options.get(DEFAULT_OPTION)) {
        (Some(only), _) if options.len() == 1 => Some(only.clone()),
        (_, Some(default)) => Some(default.clone()),
        _ => builtin_choice(group).filter(|option| options.contains(option)),
    })
}

/// The option that the built-in primary config chooses.
fn builtin_choice(group: &str) -> Option<String> {
    let builtin = Repository::new(SearchPath::builtin());
    let config = builtin.load(PRIMARY).ok()??;
    config.defaults.iter().find_map(|entry| match &entry.target {
        Target::Group(name, Choice::One(option)) if name == group => Some(option.clone()),
        _ => None,
    })
}
