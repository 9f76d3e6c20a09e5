//! Composing a document: defaults list, overrides, interpolations.

use crate::{
    apply,
    defaults::{Branch, Choices, Expansion},
    document::Document,
    error::{Error, Origin, Result},
    explain::Explanation,
    fallback, hydra, interpolate,
    merge::merge_config,
    node::{Map, Node, Value, split_key},
    overrides::{Action, Override},
    repository::Repository,
    resolved::{self, Ignored},
    search::SearchPath,
    searchpath,
    settings::History,
    shadow::Shadow,
    unknown::{self, Known},
};
use std::path::PathBuf;

/// The primary config that is composed from when none is named.
pub(crate) const PRIMARY: &str = "entropy";

/// Where settings come from. The default is the primary config `entropy` of `./configs` or the embedded copy.
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
    /// Settings that a tool's own flags give, applied after every override.
    pub flags: Vec<Override>,
}

/// Composes the document of a whole job: all groups of the primary config's defaults list, interpolations resolved.
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
    tree(sources, &parse(sources, overrides)?, None).map(|composed| composed.document)
}

/// Composes the whole job of whichever tools read it: a group that no defaults list names is as [`compose_for`] has it.
///
/// # Errors
/// One line that names the file and line, or the override, at fault.
pub fn compose_for_tools(sources: &Sources, overrides: &[String]) -> Result<Document> {
    let parsed = parse(sources, overrides)?;
    let changed = parsed.iter().filter(|one| one.action != Action::Add).map(|one| first(&one.key));
    let groups = fallback::groups_of_tools(changed)?;
    let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
    if sources.file.is_some() {
        return compose_for(&groups, sources, overrides);
    }
    let search = SearchPath::new(sources.config_path.as_deref(), &sources.config_dirs)?;
    let plan = Plan::with_groups(search, sources, &parsed, None, &groups)?;
    plan.build(None)?.resolved()
}

/// How the document of a whole job is composed: its defaults list and tree, and the search path.
///
/// # Errors
/// As [`compose_raw`]; a resolved document has none of them.
pub fn explain(sources: &Sources, overrides: &[String]) -> Result<Explanation> {
    if let Some(file) = &sources.file {
        return Err(Error::new(format!("{}: a resolved document has no defaults list", file.display())));
    }
    let plan = Plan::new(sources, &parse(sources, overrides)?, None)?;
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
    let (root, Composed { document, ignored }) = tool(own, sources, overrides)?;
    let resolved = interpolate::resolve(&root, Some(own))?;
    let ignored = ignored.iter().filter_map(|one| one.warning(&resolved.node)).collect();
    let warnings = [document.warnings, resolved.warnings, ignored].concat();
    Ok(Document { root: resolved.node, warnings, history: document.history, is_resolved: true })
}

/// As [`compose_for`], with interpolations left as they are, and the groups that they refer to.
pub(crate) fn compose_for_raw(own: &[&str], sources: &Sources, overrides: &[String]) -> Result<Document> {
    tool(own, sources, overrides).map(|(root, composed)| Document { root, ..composed.document })
}

/// The tree of a tool's groups, and the same or, where these refer to others, that of the whole job.
fn tool(own: &[&str], sources: &Sources, overrides: &[String]) -> Result<(Node, Composed)> {
    let overrides = given(Some(own), sources, overrides)?;
    let (overrides, stray): (Vec<_>, Vec<_>) = overrides.into_iter().partition(|one| is_within(own, one));
    if let Some(stray) = stray.first() {
        return Err(stray_key(stray, own, sources, &overrides));
    }
    let composed = tree(sources, &overrides, Some(own))?;
    match interpolate::resolve(&composed.document.root, Some(own)) {
        // A reference to another group, perhaps: try with all of them, but report what failed first
        // where that is of no help.
        Err(error) if sources.file.is_none() => {
            let whole = tree(sources, &overrides, None);
            let root = whole.map(|whole| whole.document.root);
            let root = root.and_then(|root| interpolate::resolve(&root, Some(own)).map(|_| root)).map_err(|_| error)?;
            Ok((root, composed))
        }
        Err(error) => Err(error),
        Ok(_) => Ok((composed.document.root.clone(), composed)),
    }
}

/// The overrides, parsed, and the flags' settings; of a tool, with their whole keys.
pub(crate) fn given(own: Option<&[&str]>, sources: &Sources, overrides: &[String]) -> Result<Vec<Override>> {
    let parsed = parse(sources, overrides)?.into_iter();
    Ok(parsed.map(|one| own.map_or_else(|| one.clone(), |own| within(own, one.clone()))).collect())
}

/// The overrides of the command line, then the settings that flags give.
fn parse(sources: &Sources, texts: &[String]) -> Result<Vec<Override>> {
    let parsed = texts.iter().map(|text| Override::parse(text));
    let allowed = parsed.map(|one| one.and_then(|one| hydra::refuse(&one).map(|()| one)));
    allowed.chain(sources.flags.iter().cloned().map(Ok)).collect()
}

/// Puts the key of an override into the tool's only group, unless it is in there already.
pub(crate) fn within(own: &[&str], mut one: Override) -> Override {
    match own {
        [only] if !is_within(own, &one) => one.key = format!("{only}.{}", one.key),
        // `+experiment=x` adds a group whose configs may set anything.
        _ => {}
    }
    one
}

/// Whether an override concerns one of the tool's groups.
pub(crate) fn is_within(own: &[&str], one: &Override) -> bool {
    own.contains(&first(&one.key))
        || searchpath::is_override(one)
        || (own.len() > 1 && one.action == Action::Add && !one.key.contains('.'))
}

/// The group that a key is in.
pub(crate) fn first(key: &str) -> &str {
    key.split(['.', '/']).next().unwrap_or("")
}

/// The error of a key outside the tool's groups; what it is meant as is looked for in what the rest composes to.
fn stray_key(stray: &Override, own: &[&str], sources: &Sources, overrides: &[Override]) -> Error {
    let error = |root: &Node, known: &Known<'_>| unknown::stray(root, stray, own, known);
    for overrides in [overrides, &[]] {
        if sources.file.is_some() {
            if let Ok(tree) = tree(sources, overrides, Some(own)) {
                return error(&tree.document.root, &Known { own: Some(own), ..Known::default() });
            }
        } else if let Ok(plan) = Plan::new(sources, overrides, Some(own))
            && let Ok(document) = plan.build(Some(own))
        {
            return error(&document.root, &plan.known(Some(own), &document.history.shadows));
        }
    }
    error(&Node::map(&stray.origin()), &Known { own: Some(own), ..Known::default() })
}

/// A tree with overrides, before interpolation.
struct Composed {
    document: Document,
    /// Machine settings of a run's `config.yaml` that are not used.
    ignored: Vec<Ignored>,
}

fn tree(sources: &Sources, overrides: &[Override], own: Option<&[&str]>) -> Result<Composed> {
    let (document, ignored) = match &sources.file {
        Some(file) => resolved::document(file, sources, overrides, own)?,
        None => (Plan::new(sources, overrides, own)?.build(own)?, Vec::new()),
    };
    Ok(Composed { document, ignored })
}

pub(crate) fn deletions(overrides: &[Override]) -> Vec<Override> {
    overrides.iter().filter(|one| one.action == Action::Delete).cloned().collect()
}

/// Which configs make up a document, and what is changed in it.
pub(crate) struct Plan {
    pub repository: Repository,
    pub choices: Choices,
    pub defaults: Branch,
    pub primary: String,
    /// Whether it is a whole job for tools.
    for_tools: bool,
    warnings: Vec<String>,
}

impl Plan {
    pub fn new(sources: &Sources, overrides: &[Override], own: Option<&[&str]>) -> Result<Self> {
        let search = SearchPath::new(sources.config_path.as_deref(), &sources.config_dirs)?;
        Self::of(search, sources, overrides, own)
    }

    /// As [`Plan::new`], from the configs on a search path.
    pub fn of(search: SearchPath, sources: &Sources, overrides: &[Override], own: Option<&[&str]>) -> Result<Self> {
        Self::with_groups(search, sources, overrides, own, own.unwrap_or_default())
    }

    /// As [`Plan::of`]; the `needed` groups are there even if no defaults list names them.
    fn with_groups(
        search: SearchPath,
        sources: &Sources,
        overrides: &[Override],
        own: Option<&[&str]>,
        needed: &[&str],
    ) -> Result<Self> {
        let (searchpath, overrides): (Vec<_>, Vec<_>) = overrides.iter().cloned().partition(searchpath::is_override);
        let (repository, primary, warnings) = extended(search, sources, searchpath.first())?;
        let mut choices = Choices::new(&repository.search, &overrides)?;
        let mut defaults = Expansion::new(&repository, &mut choices, own).primary(&primary)?;
        let unnamed = fallback::entries(&repository, needed, &choices, &defaults)?;
        if !unnamed.is_empty() {
            choices = Choices::new(&repository.search, &overrides)?;
            choices.prepended = unnamed;
            defaults = Expansion::new(&repository, &mut choices, own).primary(&primary)?;
        }
        choices.ensure_used()?;
        let for_tools = own.is_none() && !needed.is_empty();
        Ok(Self { repository, choices, defaults, primary, for_tools, warnings })
    }

    /// Merges the configs and applies the overrides; `own` are the groups that the plan is for.
    pub fn build(&self, own: Option<&[&str]>) -> Result<Document> {
        let mut root = self.merged()?;
        if let Value::Map(map) = &mut root.value {
            map.shift_remove(hydra::KEY);
        }
        let shadows = self.shadows();
        let known = self.known(own, &shadows);
        for one in &self.choices.values {
            apply::apply(&mut root, one, &known)?;
        }
        let history = History { deletions: deletions(&self.choices.values), shadows };
        Ok(Document { root, warnings: self.warnings.clone(), history, is_resolved: false })
    }

    /// What is known besides a tree.
    pub fn known<'a>(&'a self, own: Option<&'a [&'a str]>, shadows: &'a [Shadow]) -> Known<'a> {
        Known { own, for_tools: self.for_tools, configs: Some((&self.repository, &self.choices)), shadows }
    }

    /// The chosen files that stand in front of built-in ones.
    fn shadows(&self) -> Vec<Shadow> {
        let chosen = self.defaults.chosen().into_iter();
        let shadows = chosen.filter_map(|one| {
            let config = self.repository.load(&one.config_path).ok()??;
            let file = config.shadows.clone()?;
            Some(Shadow { file, path: one.config_path.clone(), package: one.package.clone() })
        });
        shadows.collect()
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
        // Every config may have been deleted, or belong to another tool.
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
    extended(SearchPath::new(sources.config_path.as_deref(), &sources.config_dirs)?, sources, searchpath)
}

fn extended(
    search: SearchPath,
    sources: &Sources,
    searchpath: Option<&Override>,
) -> Result<(Repository, String, Vec<String>)> {
    let mut repository = Repository::new(search);
    let name = sources.config_name.as_deref().unwrap_or(PRIMARY);
    let primary = name.strip_suffix(".yaml").unwrap_or(name).to_owned();
    let warnings = searchpath::extend(&mut repository, &primary, searchpath)?;
    Ok((repository, primary, warnings))
}

/// `body` below the keys of `package`.
fn embedded(body: Node, package: &str) -> Node {
    split_key(package).into_iter().rev().fold(body, |node, key| {
        let origin = node.origin.clone();
        Node::new(Value::Map(Map::from([(key.to_owned(), node)])), &origin)
    })
}
