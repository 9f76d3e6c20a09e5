//! The settings of a tool, for `--help` and hints: built-in groups with their options, keys, defaults and comments.

use crate::{
    comments::{Texts, about_config, choices, comment, line_at},
    compose::{Plan, Sources},
    node::{Node, Value},
    search::SearchPath,
    suggest,
    unknown::is_read,
};
use std::sync::Arc;

/// A group of settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its name, `optimizer`.
    pub name: String,
    /// The default option, and the first line of its file's comment.
    pub default: Option<(String, String)>,
    /// The names of all options.
    pub options: Vec<String>,
    /// The settings of the default option.
    pub settings: Vec<Setting>,
}

/// A setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Its whole key, `optimizer.learning_rate`.
    pub key: String,
    /// Its default, as the file writes it; empty for a mapping, whose keys follow.
    pub value: String,
    /// The comment behind it in the file.
    pub comment: String,
    /// The values that its comment lists (`a|b|c`); may be empty.
    pub choices: Vec<String>,
}

/// The built-in groups of the tool that reads `own`, or all that the built-in primary config chooses from.
pub fn reference(own: Option<&[&str]>) -> Vec<Group> {
    let search = SearchPath::builtin();
    // The embedded configs compose; the tests see to it.
    let Ok(plan) = Plan::of(search, &Sources::default(), &[], own) else { return Vec::new() };
    let chosen: Vec<(String, Option<String>)> =
        plan.choices.known().map(|(name, option)| (name.to_owned(), option.map(str::to_owned))).collect();
    let names: Vec<String> = match own {
        Some(own) => own.iter().map(ToString::to_string).collect(),
        None => plan.defaults.chosen().into_iter().filter_map(|one| one.override_key.clone()).collect(),
    };
    names.into_iter().map(|name| group(&plan, name, &chosen)).collect()
}

/// `; did you mean KEY=VALUE?` for a `word` that a tool that reads `own` does not know, and its value; or another hint,
/// or nothing. Of built-in settings; a group is only given one of its options.
pub fn hint_at_setting(own: Option<&[&str]>, word: &str, value: Option<&str>) -> String {
    let groups = reference(own);
    let names = groups.iter().map(|group| group.name.as_str());
    let settings = groups.iter().flat_map(|group| &group.settings);
    let keys = settings.clone().map(|setting| setting.key.as_str());
    let known: Vec<&str> = names.chain(keys).filter(|key| is_read(own, key)).collect();
    if let Some(hint) = value.and_then(|value| suggest::hint_by_value(word, value, &known)) {
        return hint;
    }
    let meant = match known.iter().find(|key| **key == word) {
        Some(key) => vec![*key],
        None => suggest::meant(word, &known),
    };
    let takes_value = |key: &&str| match groups.iter().find(|group| group.name == **key) {
        Some(group) => value.is_none_or(|value| group.options.iter().any(|option| option == value)),
        // A mapping has none.
        None => settings.clone().any(|setting| setting.key == **key && !setting.value.is_empty()),
    };
    let value = value.unwrap_or("VALUE");
    suggest::ask(meant.into_iter().filter(takes_value).map(|key| format!("{key}={value}")))
}

fn group(plan: &Plan, name: String, chosen: &[(String, Option<String>)]) -> Group {
    let search = &plan.repository.search;
    let default = chosen.iter().find(|(group, _)| *group == name).and_then(|(_, option)| option.clone());
    let default = default.map(|option| {
        let about = about_config(search, &format!("{name}/{option}"));
        (option, about)
    });
    let mut settings = Vec::new();
    // An option may be made of another: dataset/default is dataset/cifar10.
    for one in plan.defaults.chosen().into_iter().filter(|one| one.package == name) {
        let source = search.read(&one.config_path).ok().flatten();
        let config = plan.repository.load(&one.config_path).ok().flatten();
        if let Some((source, config)) = source.zip(config) {
            let texts = Texts::from([(Arc::clone(&source.name), source.text)]);
            list(&config.body, &name, &texts, &mut settings);
        }
    }
    Group { options: search.options(&name).into_iter().collect(), name, default, settings }
}

fn list(node: &Node, path: &str, texts: &Texts, found: &mut Vec<Setting>) {
    for (key, child) in node.as_map().into_iter().flatten() {
        let path = format!("{path}.{key}");
        let line = line_at(texts, key, &child.origin).unwrap_or("");
        let about = comment(line);
        let is_mapping = child.as_map().is_some_and(|map| !map.is_empty());
        let value = if is_mapping { String::new() } else { as_written(line, about, child) };
        let choices = choices(about).into_iter().map(str::to_owned).collect();
        found.push(Setting { key: path.clone(), value, comment: about.to_owned(), choices });
        if is_mapping {
            list(child, &path, texts, found);
        }
    }
}

/// The value as written in the file, `1e-3` and not `0.001`, without blanks; `[...]` for a list on lines of its own.
fn as_written(line: &str, comment: &str, node: &Node) -> String {
    let text = line.split_once(':').map_or("", |(_, value)| value);
    let text = text.strip_suffix(comment).filter(|_| !comment.is_empty()).unwrap_or(text).trim_end();
    let text = text.strip_suffix('#').unwrap_or(text).trim();
    match (&node.value, text) {
        (Value::Seq(_), "") => "[...]".to_owned(),
        (Value::Seq(_), text) => text.replace(", ", ","),
        (_, text) => text.to_owned(),
    }
}
