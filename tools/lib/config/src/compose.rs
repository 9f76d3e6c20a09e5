//! Composing a document: defaults list, overrides, interpolations.

use crate::{
    apply,
    defaults::{Branch, Choice, Choices, Entry, Expansion, Target},
    document::Document,
    error::{Error, Origin, Result, did_you_mean, list},
    explain::Explanation,
    hydra, interpolate,
    merge::merge_config,
    node::{Map, Node, Value, split_key},
    overrides::{self, Action, Override},
    repository::Repository,
    search::{self, SearchPath},
    searchpath,
};
use std::path::{Path, PathBuf};

/// The primary config that is composed from when none is named.
const PRIMARY: &str = "entropy";
/// The option that a group has when no defaults list names one.
const DEFAULT_OPTION: &str = "default";

/// Where settings come from.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The primary config; `entropy` if none is named.
    pub config_name: Option<String>,
    /// The folder that is searched first, in place of `./configs`.
    pub config_path: Option<PathBuf>,
    /// Folders that are searched next, before the embedded copy.
    pub config_dirs: Vec<PathBuf>,
    /// A resolved document that is taken as it is, instead of composing one.
    pub file: Option<PathBuf>,
}

/// Composes the document of a whole job.
///
/// # Errors
/// One line that names the file and line, or the override, at fault.
pub fn compose(sources: &Sources, overrides: &[String]) -> Result<Document> {
    compose_raw(sources, overrides)?.resolved()
}

/// As [`compose`], with interpolations left as they are.
///
/// # Errors
/// One line that names the file and line, or the override, at fault.
pub fn compose_raw(sources: &Sources, overrides: &[String]) -> Result<Document> {
    tree(sources, &parse(overrides)?, None)
}

/// How the document of a whole job comes about: its defaults list and tree, and the search path.
///
/// # Errors
/// As [`compose_raw`]; a resolved document has none of them.
pub fn explain(sources: &Sources, overrides: &[String]) -> Result<Explanation> {
    if let Some(file) = &sources.file {
        return Err(Error::new(format!("{}: a resolved document has no defaults list", file.display())));
    }
    let plan = Plan::new(sources, &parse(overrides)?, None)?;
    Ok(Explanation::new(&plan.defaults, &plan.repository.search))
}

/// Composes the groups of one tool. Options of other groups are not read, unless an interpolation
/// refers to one: then the whole job is composed, and the tool's groups are taken from it.
///
/// With one own group, keys are within it (`rows=10` is `data.rows=10`, `data=line` chooses its
/// option, and `data.rows=10` works as well). With several, keys are whole paths.
///
/// A group that no defaults list names has its option `default`, or the only one there is.
///
/// # Errors
/// One line that names the file and line, or the override, at fault.
pub fn compose_for(own: &[&str], sources: &Sources, overrides: &[String]) -> Result<Document> {
    let overrides = parse(overrides)?.into_iter().map(|one| within(own, one)).collect::<Result<Vec<_>>>()?;
    let Document { root, warnings, taken_away } = tree(sources, &overrides, Some(own))?;
    let resolved = match interpolate::resolve(&root, Some(own)) {
        Ok(resolved) => resolved,
        // A reference to another group, perhaps: try with all of them, but report what failed first
        // where that is of no help.
        Err(error) if sources.file.is_none() => tree(sources, &overrides, None)
            .and_then(|whole| interpolate::resolve(&whole.root, Some(own)))
            .map_err(|_| error)?,
        Err(error) => return Err(error),
    };
    Ok(Document { root: resolved.node, warnings: [warnings, resolved.warnings].concat(), taken_away })
}

fn parse(texts: &[String]) -> Result<Vec<Override>> {
    let parsed = texts.iter().map(|text| Override::parse(text));
    parsed.map(|one| one.and_then(|one| hydra::refuse(&one).map(|()| one))).collect()
}

/// Puts the key of an override into the tool's only group, or checks that it is in one of them.
pub(crate) fn within(own: &[&str], mut one: Override) -> Result<Override> {
    let first = one.key.split(['.', '/']).next().unwrap_or("");
    match own {
        _ if own.contains(&first) || searchpath::is_override(&one) => {}
        [only] => one.key = format!("{only}.{}", one.key),
        // `+experiment=x` adds a group whose configs may set anything.
        _ if one.action == Action::Add && !one.key.contains('.') => {}
        _ => {
            let near = did_you_mean(first, own.iter().copied());
            let own = list(own.iter().copied());
            return Err(Error::at(
                &one.origin(),
                format!("{}: not a setting of this tool{near}; its groups are {own}", one.key),
            ));
        }
    }
    Ok(one)
}

/// The tree with overrides, before interpolation.
fn tree(sources: &Sources, overrides: &[Override], own: Option<&[&str]>) -> Result<Document> {
    match &sources.file {
        Some(file) => {
            let root = from_file(file, overrides, own)?;
            Ok(Document { root, warnings: Vec::new(), taken_away: taken_away(overrides) })
        }
        None => Plan::new(sources, overrides, own)?.build(own),
    }
}

fn taken_away(overrides: &[Override]) -> Vec<Override> {
    overrides.iter().filter(|one| one.action == Action::Delete).cloned().collect()
}

/// Which configs make up a document, and what is changed in it.
pub(crate) struct Plan {
    pub repository: Repository,
    pub choices: Choices,
    pub defaults: Branch,
    primary: String,
    warnings: Vec<String>,
}

impl Plan {
    pub fn new(sources: &Sources, overrides: &[Override], own: Option<&[&str]>) -> Result<Self> {
        let (searchpath, overrides): (Vec<_>, Vec<_>) = overrides.iter().cloned().partition(searchpath::is_override);
        let (repository, primary, warnings) = repository(sources, searchpath.first())?;
        let mut choices = Choices::new(&repository.search, &overrides)?;
        let mut defaults = Expansion::new(&repository, &mut choices, own).primary(&primary)?;
        if let Some(own) = own {
            let unnamed = unnamed_groups(&repository, own, &choices)?;
            if !unnamed.is_empty() {
                choices = Choices::new(&repository.search, &overrides)?;
                choices.prepended = unnamed;
                defaults = Expansion::new(&repository, &mut choices, Some(own)).primary(&primary)?;
            }
        }
        choices.ensure_used()?;
        Ok(Self { repository, choices, defaults, primary, warnings })
    }

    /// Merges the configs and applies the overrides; `own` are the groups that the plan is for.
    pub fn build(&self, own: Option<&[&str]>) -> Result<Document> {
        let mut root = self.merged()?;
        if let Value::Map(map) = &mut root.value {
            map.shift_remove(hydra::KEY);
        }
        for one in &self.choices.values {
            apply::apply(&mut root, one, own)?;
        }
        Ok(Document { root, warnings: self.warnings.clone(), taken_away: taken_away(&self.choices.values) })
    }

    /// The chosen configs, each merged at its package.
    fn merged(&self) -> Result<Node> {
        let mut root: Option<Node> = None;
        for one in self.defaults.chosen() {
            let Some(config) = self.repository.load(&one.config_path)? else { continue };
            if one.config_path != self.primary {
                searchpath::refuse(&config.body)?;
            }
            let root = root.get_or_insert_with(|| Node::map(&config.body.origin));
            merge_config(root, embedded(config.body.clone(), &one.package))
                .map_err(|error| error.or_at(&one.origin))?;
        }
        // Every part may have been taken away or belong to another tool.
        let root = root.unwrap_or_else(|| Node::map(&Origin::Override("nothing chosen".into())));
        root.check_depth(0)?;
        Ok(root)
    }
}

/// The configs to choose from, the name of the primary one, and warnings; `searchpath` is the
/// override of `hydra.searchpath`.
pub(crate) fn repository(
    sources: &Sources,
    searchpath: Option<&Override>,
) -> Result<(Repository, String, Vec<String>)> {
    let mut repository = Repository::new(SearchPath::new(sources.config_path.as_deref(), &sources.config_dirs)?);
    let name = sources.config_name.as_deref().unwrap_or(PRIMARY);
    let primary = name.strip_suffix(".yaml").unwrap_or(name).to_owned();
    let warnings = searchpath::extend(&mut repository, &primary, searchpath)?;
    Ok((repository, primary, warnings))
}

/// Entries for the groups of `own` that the defaults list does not name.
fn unnamed_groups(repository: &Repository, own: &[&str], choices: &Choices) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for group in own.iter().filter(|group| !choices.is_known(group)) {
        let options = repository.search.options(group);
        let option = if options.len() == 1 { options.first() } else { options.get(DEFAULT_OPTION) };
        if let Some(option) = option {
            let origin = Origin::Override(format!("{group}={option}").into());
            entries.push(Entry::new(Target::Group((*group).to_owned(), Choice::One(option.clone())), None, &origin));
        }
    }
    Ok(entries)
}

/// `body` below the keys of `package`.
fn embedded(body: Node, package: &str) -> Node {
    split_key(package).into_iter().rev().fold(body, |node, key| {
        let origin = node.origin.clone();
        Node::new(Value::Map(Map::from([(key.to_owned(), node)])), &origin)
    })
}

/// A resolved document, with overrides of its values.
pub(crate) fn from_file(path: &Path, overrides: &[Override], own: Option<&[&str]>) -> Result<Node> {
    let Some(source) = search::read_file(path)? else {
        return Err(Error::new(format!("{}: no such file", path.display())));
    };
    let Document { mut root, .. } = Document::from_yaml(&source.name, &source.text)?;
    for one in overrides {
        refuse_choice(&root, one, path)?;
        apply::apply(&mut root, one, own)?;
    }
    Ok(root)
}

/// A resolved document has no groups to choose from.
fn refuse_choice(root: &Node, one: &Override, path: &Path) -> Result<()> {
    let names_option =
        one.value.as_ref().is_some_and(|value| value.as_str().is_some() || matches!(value, overrides::Value::List(_)));
    let on_mapping = root.get(&one.key).is_some_and(|node| node.as_map().is_some());
    if one.key.contains('/') || one.package.is_some() || (names_option && on_mapping) {
        let message = format!(
            "chooses an option of a group, but {} is a resolved document; change its values, e.g. {}.key=value",
            path.display(),
            one.key
        );
        return Err(Error::at(&one.origin(), message));
    }
    Ok(())
}
