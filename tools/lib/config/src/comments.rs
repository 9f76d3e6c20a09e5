//! The comments of configs: what stands behind the `#` of a key's line.

use crate::{
    compose::{self, Plan, Sources},
    error::{Origin, Result},
    node::Node,
    search::{self, SearchPath},
    yaml,
};
use std::{collections::HashMap, sync::Arc};

/// The texts of files by their names.
pub(crate) type Texts = HashMap<Arc<str>, String>;

/// The comments of settings by their whole keys.
#[derive(Debug, Clone, Default)]
pub struct Comments(HashMap<String, String>);

impl Comments {
    /// Those of the settings that a tool with the groups `own` composes, or the whole job, from the files that they are
    /// from; of a resolved document, those of the built-in options.
    ///
    /// # Errors
    /// As composing has them.
    pub fn new(own: Option<&[&str]>, sources: &Sources, overrides: &[String]) -> Result<Self> {
        let mut found = Self::default();
        if let Some(file) = &sources.file {
            found.add_builtin(own);
            if let Some(source) = search::read_file(file)? {
                found.add(&source, "");
            }
            return Ok(found);
        }
        let plan = Plan::new(sources, &compose::given(own, sources, overrides)?, own)?;
        for one in plan.defaults.chosen() {
            if let Some(source) = plan.repository.search.read(&one.config_path)? {
                found.add(&source, &one.package);
            }
        }
        Ok(found)
    }

    /// The comment of the setting at the dotted `path`.
    pub fn get(&self, path: &str) -> Option<&str> {
        self.0.get(path).map(String::as_str)
    }

    fn add_builtin(&mut self, own: Option<&[&str]>) {
        let search = SearchPath::builtin();
        let groups = search.groups("");
        for group in groups.iter().filter(|group| own.is_none_or(|own| own.contains(&group.as_str()))) {
            for option in search.options(group) {
                if let Some(source) = SearchPath::read_builtin(&format!("{group}/{option}")) {
                    self.add(&source, group);
                }
            }
        }
    }

    /// Adds those of a file whose values go to `package`.
    fn add(&mut self, source: &search::Source, package: &str) {
        let Ok(body) = yaml::parse(&source.name, &source.text) else { return };
        let texts = Texts::from([(Arc::clone(&source.name), source.text.clone())]);
        self.add_below(&body, package, &texts);
    }

    fn add_below(&mut self, node: &Node, path: &str, texts: &Texts) {
        for (key, child) in node.as_map().into_iter().flatten() {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            let comment = comment_at(texts, key, &child.origin);
            if !comment.is_empty() && !comment.contains(char::is_control) {
                self.0.insert(path.clone(), comment.to_owned());
            }
            self.add_below(child, &path, texts);
        }
    }
}

/// The comment on the line of the key `name` at `origin`; empty if the key has no line of its own.
pub(crate) fn comment_at<'t>(texts: &'t Texts, name: &str, origin: &Origin) -> &'t str {
    line_at(texts, name, origin).map_or("", comment)
}

/// The line of its own that the key `name` at `origin` stands on.
pub(crate) fn line_at<'t>(texts: &'t Texts, name: &str, origin: &Origin) -> Option<&'t str> {
    let Origin::File { file, line } = origin else { return None };
    let text = texts.get(file).and_then(|text| text.lines().nth(line.checked_sub(1)?))?;
    // The origin of a whole config is that of its first key.
    text.trim_start().starts_with(&format!("{name}:")).then_some(text)
}

/// The choices that a comment names, with bars between them: `a|b|c`.
pub(crate) fn choices(comment: &str) -> Vec<&str> {
    let is_name = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c));
    let words = comment.split([' ', ',', ':', ';', '(', ')']);
    let mut listed = words.map(|word| word.split('|').collect::<Vec<_>>());
    listed.find(|names| names.len() > 1 && names.iter().all(|name| is_name(name))).unwrap_or_default()
}

/// The first line of the comment that a config begins with.
pub(crate) fn about_config(search: &SearchPath, path: &str) -> String {
    let Ok(Some(source)) = search.read(path) else { return String::new() };
    let comments = source.text.lines().map_while(|line| line.strip_prefix('#')).map(str::trim);
    comments.into_iter().find(|line| !line.is_empty() && !line.starts_with("@package")).unwrap_or("").to_owned()
}

/// What stands behind the `#` of a line that begins with a key.
pub(crate) fn comment(line: &str) -> &str {
    let (mut quote, mut before) = (None, ' ');
    for (at, c) in line.char_indices() {
        match quote {
            None if c == '#' && before.is_whitespace() => return line[at + 1..].trim(),
            None if "'\"".contains(c) && (before.is_whitespace() || "[{,".contains(before)) => quote = Some(c),
            Some(open) if c == open => quote = None,
            _ => {}
        }
        before = c;
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_have_bars_between_them() {
        assert_eq!(choices("min|max: which is better"), ["min", "max"]);
        assert_eq!(choices("where to go on: last|null, or a file|s"), ["last", "null"]);
        assert_eq!(choices("a | b, c||d, |e|, f|<g>, 2|1.5"), ["2", "1.5"]);
        assert_eq!(choices("min or max"), [""; 0]);
    }

    #[test]
    fn a_comment_is_told_from_a_number_sign_in_a_value() {
        assert_eq!(comment("rows: 10 # rows to write"), "rows to write");
        assert_eq!(comment("color: '#fff' # in hexadecimal"), "in hexadecimal");
        assert_eq!(comment("color: a#b"), "");
        assert_eq!(comment("name: it's # an apostrophe"), "an apostrophe");
        assert_eq!(comment("names: [\"a # b\", 'c'] # two"), "two");
    }
}
