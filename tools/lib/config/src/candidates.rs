//! Completion candidates for a command line that is being typed: groups, options, keys and values.
//!
//! Nothing here fails: a wrong setting earlier on the line is ignored, and a broken file gives no candidates.

use crate::{
    comments::{Texts, about_config, choices, comment_at},
    compose::{self, Plan, Sources},
    defaults::GLOBAL,
    error::Result,
    interpolate,
    node::{Node, Value, split_key},
    number,
    overrides::{self, Action, Override},
    resolved,
    search::{self, SearchPath},
};
use std::collections::{BTreeMap, HashSet};

/// A completion candidate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The whole word. After one that ends in `=`, `.` or `/` the user types on.
    pub word: String,
    /// A short description; may be empty.
    pub about: String,
}

impl Candidate {
    /// A word with its description.
    pub fn new(word: impl Into<String>, about: impl Into<String>) -> Self {
        Self { word: word.into(), about: about.into() }
    }

    /// As the value of `key`, or the last of its values.
    fn after(self, key: &str, earlier: &str) -> Self {
        Self { word: format!("{key}={earlier}{}", self.word), ..self }
    }
}

/// The candidates that start with `word`, on a line that has `overrides` too.
///
/// `own` are the groups of the tool, as for [`crate::compose_for`]; None are those of the whole job.
pub fn candidates(own: Option<&[&str]>, sources: &Sources, overrides: &[String], word: &str) -> Vec<Candidate> {
    let job = Job::new(own, sources, overrides);
    let (action, rest) = overrides::action(word);
    let sign = word.strip_suffix(rest).unwrap_or("");
    let found = match rest.split_once('=') {
        Some((key, typed)) => job.values(action, key, typed),
        None => [job.groups(action, rest), job.keys(action, rest)].concat(),
    };
    let mut seen = HashSet::new();
    let found = found.into_iter().filter(|one| one.word.starts_with(rest) && seen.insert(one.word.clone()));
    found.map(|one| Candidate { word: format!("{sign}{}", one.word), ..one }).collect()
}

/// The names of all primary configs: the values of `--config-name`.
pub fn primaries(sources: &Sources) -> Vec<Candidate> {
    let Ok(search) = SearchPath::new(sources.config_path.as_deref(), &sources.config_dirs) else { return Vec::new() };
    search.options("").into_iter().map(|name| Candidate { about: about_config(&search, &name), word: name }).collect()
}

/// The document that the rest of the line composes to.
struct Job<'a> {
    own: Option<&'a [&'a str]>,
    /// None for a resolved document, and where nothing can be composed.
    plan: Option<Plan>,
    /// Where to look for options where there is no plan.
    search: Option<SearchPath>,
    /// The document, with interpolations left as they are.
    root: Option<Node>,
    /// The texts of the files that the document is made of, by name.
    texts: Texts,
}

impl<'a> Job<'a> {
    fn new(own: Option<&'a [&'a str]>, sources: &Sources, overrides: &[String]) -> Self {
        let overrides = overrides.iter().filter_map(|text| Override::parse(text).ok());
        let overrides: Vec<Override> = match own {
            Some(own) => {
                overrides.map(|one| compose::within(own, one)).filter(|one| compose::is_within(own, one)).collect()
            }
            None => overrides.collect(),
        };
        let mut job = Self { own, plan: None, search: None, root: None, texts: Texts::new() };
        if let Some(file) = &sources.file {
            job.root = as_far_as_it_works(&overrides, |overrides| {
                resolved::document(file, sources, overrides, own).map(|(document, _)| document.root)
            });
            job.texts.extend(search::read_file(file).ok().flatten().map(|source| (source.name, source.text)));
            return job;
        }
        let composed = as_far_as_it_works(&overrides, |overrides| {
            let plan = Plan::new(sources, overrides, own)?;
            let root = plan.build(own)?.root;
            Ok((plan, root))
        });
        if let Some((plan, root)) = composed {
            let paths = plan.defaults.chosen().into_iter().map(|one| &one.config_path);
            let files = paths.filter_map(|path| plan.repository.search.read(path).ok()?);
            job.texts.extend(files.map(|source| (source.name, source.text)));
            (job.plan, job.root) = (Some(plan), Some(root));
        } else {
            job.search = SearchPath::new(sources.config_path.as_deref(), &sources.config_dirs).ok();
        }
        job
    }

    fn search(&self) -> Option<&SearchPath> {
        self.plan.as_ref().map(|plan| &plan.repository.search).or(self.search.as_ref())
    }

    /// Whether a group or whole key is one of the tool's own.
    fn is_own(&self, key: &str) -> bool {
        self.own.is_none_or(|own| own.contains(&key.split(['.', '/']).next().unwrap_or("")))
    }

    /// What is left out in front of `key`: `rows` is `data.rows` to a tool with the one group `data`.
    fn left_out(&self, key: &str) -> String {
        match self.own {
            Some([only]) if !(self.is_own(key) && key.len() > only.len()) => format!("{only}."),
            _ => String::new(),
        }
    }

    fn groups(&self, action: Action, word: &str) -> Vec<Candidate> {
        let chosen = |end: &str| {
            let about = |option: Option<String>| format!("now {}", option.as_deref().unwrap_or("nothing"));
            let chosen = self.chosen().into_iter();
            chosen.map(|(key, option)| Candidate::new(key + end, about(option))).collect()
        };
        match action {
            Action::Change => chosen("="),
            Action::Delete => chosen(""),
            Action::Add if self.may_add() => self.more_groups(word),
            Action::Add | Action::Force => Vec::new(),
        }
    }

    /// To a tool with one group, any other name is a key in it.
    fn may_add(&self) -> bool {
        self.own.is_none_or(|own| own.len() > 1)
    }

    /// The groups of which an option is chosen, as overrides name them, and which that is.
    fn chosen(&self) -> BTreeMap<String, Option<String>> {
        let known = self.plan.iter().flat_map(|plan| plan.choices.known());
        let known = known.map(|(key, option)| (key.to_owned(), option.map(str::to_owned)));
        // Where nothing can be composed, a choice may be what is wrong.
        let folders = self.search.iter().flat_map(|search| search.groups("")).map(|group| (group, None));
        let is_own = |key: &str| key.split('@').all(|part| part == GLOBAL || self.is_own(part));
        known.chain(folders).filter(|(key, _)| is_own(key)).collect()
    }

    /// The groups in the folder that `word` is in, of which no option is chosen yet.
    fn more_groups(&self, word: &str) -> Vec<Candidate> {
        let Some(search) = self.search() else { return Vec::new() };
        let folder = word.rsplit_once('/').map_or("", |(folder, _)| folder);
        let mut found = Vec::new();
        for name in search.groups(folder) {
            let group = if folder.is_empty() { name } else { format!("{folder}/{name}") };
            let is_known = self.plan.as_ref().is_some_and(|plan| plan.choices.is_known(&group));
            if !is_known && !search.options(&group).is_empty() {
                found.push(Candidate::new(format!("{group}="), "add an option"));
            }
            if !search.groups(&group).is_empty() {
                found.push(Candidate::new(format!("{group}/"), "more groups"));
            }
        }
        found
    }

    fn keys(&self, action: Action, word: &str) -> Vec<Candidate> {
        if action == Action::Add {
            return Vec::new();
        }
        let left_out = self.left_out(word);
        let whole = format!("{left_out}{word}");
        let parent = whole.rsplit_once('.').map_or("", |(parent, _)| parent);
        let Some(node) = self.node(parent) else { return Vec::new() };
        let mut found = Vec::new();
        for (name, child) in children(&node) {
            let about = comment_at(&self.texts, &name, &child.origin);
            let key = if parent.is_empty() { name } else { format!("{parent}.{name}") };
            // Not every key of a document can be written on the command line.
            if !self.is_own(&key) || Override::parse(&format!("{key}=")).is_err() {
                continue;
            }
            let key = key.strip_prefix(&left_out).unwrap_or(&key);
            match (action, child.as_map()) {
                (Action::Delete, None) => found.push(Candidate::new(key, about)),
                (Action::Delete, Some(_)) => {
                    found.extend([key.to_owned(), format!("{key}.")].map(|word| Candidate::new(word, about)))
                }
                (_, Some(_)) => found.push(Candidate::new(format!("{key}."), about)),
                (_, None) => found.push(Candidate::new(format!("{key}="), about)),
            }
        }
        found
    }

    /// The node at a whole key, interpolations on the way followed.
    fn node(&self, key: &str) -> Option<Node> {
        let root = self.root.as_ref()?;
        let keys: Vec<String> = split_key(key).into_iter().map(str::to_owned).collect();
        if keys.is_empty() { Some(root.clone()) } else { interpolate::select(root, &keys).ok()? }
    }

    fn values(&self, action: Action, key: &str, typed: &str) -> Vec<Candidate> {
        let (known, is_closed) = match self.options(action, key) {
            options if options.is_empty() => self.values_of_setting(action, key),
            options => (options, true),
        };
        // Of several values, as a sweep has them, the last is being typed.
        let earlier = &typed[..typed.rfind(',').filter(|_| is_closed).map_or(0, |comma| comma + 1)];
        let is_new = |one: &Candidate| !earlier.split(',').any(|other| other == one.word);
        known.into_iter().filter(is_new).map(|one| one.after(key, earlier)).collect()
    }

    /// The values of a setting that can be known, the current one first, and whether there are no others.
    fn values_of_setting(&self, action: Action, key: &str) -> (Vec<Candidate>, bool) {
        let whole = format!("{}{key}", self.left_out(key));
        let Some(node) = self.node(&whole) else { return (Vec::new(), false) };
        let mut values: Vec<Candidate> =
            override_text(&node).map(|text| Candidate::new(text, "current value")).into_iter().collect();
        // Only the current value can be deleted.
        if action == Action::Delete {
            return (values, true);
        }
        let choices = match node.value {
            Value::Bool(_) => vec!["true", "false"],
            _ => choices(comment_at(&self.texts, split_key(&whole).last().unwrap_or(&""), &node.origin)),
        };
        for choice in &choices {
            if values.iter().all(|value| value.word != *choice) {
                values.push(Candidate::new(*choice, ""));
            }
        }
        (values, !choices.is_empty())
    }

    /// The options of the group `key`, if it is one.
    fn options(&self, action: Action, key: &str) -> Vec<Candidate> {
        let group = key.split('@').next().unwrap_or(key);
        let is_allowed = self.is_own(group) || (action == Action::Add && self.may_add());
        let Some(search) = self.search().filter(|_| is_allowed) else { return Vec::new() };
        let mut options = search.options(group);
        if action == Action::Delete {
            // Only the chosen option can be deleted.
            let chosen = self.chosen();
            options.retain(|name| chosen.get(key) == Some(&Some(name.clone())));
        }
        let about = |name: &String| about_config(search, &format!("{group}/{name}"));
        options.into_iter().map(|name| Candidate { about: about(&name), word: name }).collect()
    }
}

/// `attempt` with all overrides, or else with those for which it succeeds.
fn as_far_as_it_works<T>(overrides: &[Override], attempt: impl Fn(&[Override]) -> Result<T>) -> Option<T> {
    if let Ok(made) = attempt(overrides) {
        return Some(made);
    }
    let mut kept = Vec::new();
    for one in overrides {
        kept.push(one.clone());
        if attempt(&kept).is_err() {
            kept.pop();
        }
    }
    attempt(&kept).ok()
}

fn children(node: &Node) -> Vec<(String, &Node)> {
    match &node.value {
        Value::Map(map) => map.iter().map(|(key, child)| (key.clone(), child)).collect(),
        Value::Seq(items) => items.iter().enumerate().map(|(index, child)| (index.to_string(), child)).collect(),
        _ => Vec::new(),
    }
}

/// The value as an override has it, if that needs no quotes.
fn override_text(node: &Node) -> Option<String> {
    let text = unquoted(node).filter(|text| !text.is_empty() && !text.contains("${"))?;
    let read = Override::parse(&format!("key={text}")).ok()?.value?.to_node(&node.origin)?;
    (read == *node).then_some(text)
}

fn unquoted(node: &Node) -> Option<String> {
    match &node.value {
        Value::Null => Some("null".into()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Int(value) => Some(value.to_string()),
        Value::Float(value) => Some(number::repr(*value)),
        Value::Str(text) => Some(text.clone()),
        Value::Seq(items) => {
            let items: Vec<String> = items.iter().map(unquoted).collect::<Option<_>>()?;
            Some(format!("[{}]", items.join(",")))
        }
        Value::Map(_) => None,
    }
}
