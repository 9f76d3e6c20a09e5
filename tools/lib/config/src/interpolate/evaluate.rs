//! Following references through the tree.

use super::{
    parse::{self, Argument, Part, Reference},
    python, resolvers,
};
use crate::{
    error::{Error, ErrorKind, Origin, Result},
    node::{MISSING, Node, Value, is_index},
    suggest::did_you_mean,
};
use std::cell::{Cell, RefCell};

/// How many references and levels may be followed at once; a longer chain is a mistake.
const MAX_CHAIN: usize = 128;
/// Most paths of a circular reference that an error names.
const MAX_SHOWN: usize = 8;
/// Values and bytes of text that resolving may create: references that double at each level stop here.
const MAX_WORK: usize = 16 << 20;

/// The keys from the root to a node: `["optimizer", "learning_rate"]`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct KeyPath(Vec<String>);

impl KeyPath {
    pub fn root() -> Self {
        Self(Vec::new())
    }

    pub fn child(&self, key: &str) -> Self {
        let mut keys = self.0.clone();
        keys.push(key.to_owned());
        Self(keys)
    }

    /// The path of the container `up` levels above; None above the root.
    pub fn above(&self, up: usize) -> Option<Self> {
        Some(Self(self.0[..self.0.len().checked_sub(up)?].to_vec()))
    }

    pub fn of<'n>(&self, root: &'n Node) -> Option<&'n Node> {
        self.0.iter().try_fold(root, |node, key| node.child(key))
    }

    /// Whether the node is inside `container`.
    fn is_within(&self, container: &Self) -> bool {
        self.0.len() > container.0.len() && self.0.starts_with(&container.0)
    }

    pub fn dotted(&self) -> String {
        self.0.join(".")
    }
}

/// What a reference refers to.
pub(super) enum Located {
    /// A node of the tree, which may contain references itself.
    Node(KeyPath),
    /// A value that a resolver or text computed.
    Value(Node),
    /// A value that the user must still give (`???`), or one computed from such a value.
    Missing,
}

/// Resolves the references of one tree.
pub(super) struct Evaluator<'r> {
    root: &'r Node,
    /// The nodes whose references are being followed, to detect a circle.
    following: RefCell<Vec<KeyPath>>,
    /// The nodes that are being replaced by what they refer to, to detect a container inside itself. The two differ: an
    /// entry of a container may refer to its neighbours.
    filling: RefCell<Vec<KeyPath>>,
    depth: Cell<usize>,
    work: Cell<usize>,
    warnings: RefCell<Vec<String>>,
}

impl<'r> Evaluator<'r> {
    pub fn new(root: &'r Node) -> Self {
        Self {
            root,
            following: RefCell::default(),
            filling: RefCell::default(),
            depth: Cell::new(0),
            work: Cell::new(0),
            warnings: RefCell::default(),
        }
    }

    pub fn warnings(self) -> Vec<String> {
        self.warnings.into_inner()
    }

    pub fn warn(&self, message: String) {
        let mut warnings = self.warnings.borrow_mut();
        if !warnings.contains(&message) {
            warnings.push(message);
        }
    }

    /// `node`, which stands at `path`, without references.
    pub fn node(&self, path: &KeyPath, node: &Node) -> Result<Node> {
        self.deeper(&node.origin, || {
            self.spend(1, &node.origin)?;
            let value = match &node.value {
                Value::Str(text) if node.is_interpolation() => {
                    let resolved = self.follow(path, text, &node.origin)?;
                    return Ok(Node { origin: node.origin.clone(), ..resolved });
                }
                Value::Seq(items) => {
                    let items = items.iter().enumerate();
                    Value::Seq(
                        items
                            .map(|(index, item)| self.node(&path.child(&index.to_string()), item))
                            .collect::<Result<_>>()?,
                    )
                }
                Value::Map(map) => {
                    let entries = map.iter().map(|(key, child)| Ok((key.clone(), self.node(&path.child(key), child)?)));
                    Value::Map(entries.collect::<Result<_>>()?)
                }
                value => value.clone(),
            };
            Ok(Node { value, origin: node.origin.clone() })
        })
    }

    fn deeper<T>(&self, origin: &Origin, work: impl FnOnce() -> Result<T>) -> Result<T> {
        if self.depth.get() >= MAX_CHAIN {
            return Err(Error::at(origin, format!("more than {MAX_CHAIN} references and levels in a row")));
        }
        self.depth.set(self.depth.get() + 1);
        let result = work();
        self.depth.set(self.depth.get() - 1);
        result
    }

    fn spend(&self, amount: usize, origin: &Origin) -> Result<()> {
        self.work.set(self.work.get().saturating_add(amount));
        if self.work.get() > MAX_WORK {
            return Err(Error::at(origin, "interpolations make too large a document"));
        }
        Ok(())
    }

    /// The resolved value of the text at `path`.
    fn follow(&self, path: &KeyPath, text: &str, origin: &Origin) -> Result<Node> {
        match self.locate_text(path, text, origin)? {
            Located::Value(node) => Ok(node),
            Located::Node(target) => guard(&self.filling, path, origin, || match target.of(self.root) {
                Some(node) => self.node(&target, node),
                None => Err(self.not_found(&target, origin)),
            }),
            Located::Missing => Ok(missing(origin)),
        }
    }

    /// Where the text at `path` leads.
    fn locate_text(&self, path: &KeyPath, text: &str, origin: &Origin) -> Result<Located> {
        let parts = parse::text(text)
            .map_err(|error| Error::at(origin, ErrorKind::Interpolation { text: text.to_owned(), error }))?;
        guard(&self.following, path, origin, || self.deeper(origin, || self.parts(path, &parts, origin)))
    }

    /// A lone reference leads somewhere; anything else is put together as text.
    fn parts(&self, path: &KeyPath, parts: &[Part], origin: &Origin) -> Result<Located> {
        if let [Part::Reference(reference)] = parts {
            return self.reference(path, reference, origin);
        }
        let mut text = String::new();
        for part in parts {
            match part {
                Part::Text(plain) => text.push_str(plain),
                Part::Reference(reference) => match self.reference(path, reference, origin)? {
                    Located::Missing => return Ok(Located::Missing),
                    located => text.push_str(&self.shown(&located)),
                },
            }
            self.spend(text.len(), origin)?;
        }
        Ok(Located::Value(Node::new(Value::Str(text), origin)))
    }

    /// What text takes of a path: as in OmegaConf, references inside a container stay as they are.
    fn shown(&self, located: &Located) -> String {
        match located {
            Located::Value(node) => python::str(node),
            Located::Node(path) => path.of(self.root).map(python::str).unwrap_or_default(),
            Located::Missing => MISSING.to_owned(),
        }
    }

    /// The resolved value where a reference leads.
    pub fn value(&self, located: Located, origin: &Origin) -> Result<Node> {
        match located {
            Located::Value(node) => Ok(node),
            Located::Node(path) => match path.of(self.root) {
                Some(node) => self.node(&path, node),
                None => Err(self.not_found(&path, origin)),
            },
            Located::Missing => Ok(missing(origin)),
        }
    }

    /// The node where a reference leads, as it stands; None for a missing one.
    pub fn peek<'n>(&'n self, located: &'n Located) -> Option<&'n Node> {
        match located {
            Located::Node(path) => path.of(self.root),
            Located::Value(node) => Some(node),
            Located::Missing => None,
        }
    }

    fn reference(&self, path: &KeyPath, reference: &Reference, origin: &Origin) -> Result<Located> {
        match reference {
            Reference::Node { up, keys } => {
                let keys =
                    keys.iter().map(|key| self.key(path, key, origin)).collect::<Result<Option<Vec<String>>>>()?;
                let Some(keys) = keys else { return Ok(Located::Missing) };
                let from = self.start(path, *up, origin)?;
                match self.locate(&from, &keys, origin)? {
                    None => Err(self.not_found(&KeyPath(from.0.into_iter().chain(keys).collect()), origin)),
                    Some(Located::Node(target)) if path.is_within(&target) => {
                        Err(circle(&[path.clone(), target], path, origin))
                    }
                    Some(located) => Ok(located),
                }
            }
            Reference::Call { name, arguments } => {
                let Some(name) = self.key(path, name, origin)? else { return Ok(Located::Missing) };
                let arguments = arguments.iter().map(|argument| self.argument(path, argument, origin));
                let Some(arguments) = arguments.collect::<Result<Option<Vec<Node>>>>()? else {
                    return Ok(Located::Missing);
                };
                resolvers::call(self, resolvers::Call { name: &name, arguments, path, origin })
            }
        }
    }

    /// Where a relative path begins: with one dot, the container that the value is in.
    pub fn start(&self, path: &KeyPath, up: usize, origin: &Origin) -> Result<KeyPath> {
        if up == 0 {
            return Ok(KeyPath::root());
        }
        let above = path.above(up);
        above.ok_or_else(|| Error::at(origin, format!("{}: {up} dots lead above the root", path.dotted())))
    }

    /// The text of a key, or of a resolver's name; None where it needs a missing value.
    fn key(&self, path: &KeyPath, parts: &[Part], origin: &Origin) -> Result<Option<String>> {
        let mut text = String::new();
        for part in parts {
            match part {
                Part::Text(plain) => text.push_str(plain),
                Part::Reference(reference) => match self.reference(path, reference, origin)? {
                    Located::Missing => return Ok(None),
                    located => match self.value(located, origin)?.value {
                        Value::Str(key) => text.push_str(&key),
                        _ => return Err(Error::at(origin, "an interpolation within a key must give a string")),
                    },
                },
            }
        }
        Ok(Some(text))
    }

    /// Follows `keys` from `from`; None where there is no such key. Below a missing value all is missing.
    ///
    /// # Errors
    /// Where a reference on the way fails, or a list is asked for what is no index.
    pub fn locate(&self, from: &KeyPath, keys: &[String], origin: &Origin) -> Result<Option<Located>> {
        let mut at = self.dereference(Located::Node(from.clone()))?;
        for key in keys {
            let Some(container) = self.peek(&at) else { return Ok(Some(Located::Missing)) };
            if matches!(container.value, Value::Seq(_)) && !is_index(key) {
                return Err(Error::at(origin, format!("{key:?} is not an index of a list")));
            }
            let Some(child) = container.child(key) else { return Ok(None) };
            at = self.dereference(match &at {
                Located::Node(path) => Located::Node(path.child(key)),
                _ => Located::Value(child.clone()),
            })?;
        }
        Ok(Some(at))
    }

    /// Follows a node that is itself a reference, to where it leads in the end.
    fn dereference(&self, located: Located) -> Result<Located> {
        match (&located, self.peek(&located)) {
            (_, Some(node)) if node.is_missing() => Ok(Located::Missing),
            (Located::Node(path), Some(node)) if node.is_interpolation() => {
                self.locate_text(path, node.as_str().unwrap_or_default(), &node.origin)
            }
            _ => Ok(located),
        }
    }

    /// An argument's value; None where it needs a missing one.
    fn argument(&self, path: &KeyPath, argument: &Argument, origin: &Origin) -> Result<Option<Node>> {
        let value = match argument {
            Argument::Plain(value) => {
                let value = value.to_node(origin).ok_or_else(|| Error::at(origin, "a sweep is no argument"))?;
                return Ok(Some(value));
            }
            Argument::Parts(parts) => match self.parts(path, parts, origin)? {
                Located::Missing => return Ok(None),
                located => return self.value(located, origin).map(Some),
            },
            Argument::Quoted(parts) => match self.parts(path, parts, origin)? {
                Located::Missing => return Ok(None),
                located => Value::Str(self.shown(&located)),
            },
            Argument::List(items) => {
                let items = items.iter().map(|item| self.argument(path, item, origin));
                let Some(items) = items.collect::<Result<Option<_>>>()? else { return Ok(None) };
                Value::Seq(items)
            }
            Argument::Dict(pairs) => {
                let pairs = pairs
                    .iter()
                    .map(|(key, value)| Ok(self.argument(path, value, origin)?.map(|value| (key.clone(), value))));
                let Some(pairs) = pairs.collect::<Result<Option<_>>>()? else { return Ok(None) };
                Value::Map(pairs)
            }
        };
        Ok(Some(Node::new(value, origin)))
    }

    /// The resolved value of an expression, as `oc.decode` wants it.
    pub fn decode(&self, path: &KeyPath, text: &str, origin: &Origin) -> Result<Node> {
        let argument = parse::element(text)
            .map_err(|error| Error::at(origin, ErrorKind::Interpolation { text: text.to_owned(), error }))?;
        Ok(self.argument(path, &argument, origin)?.unwrap_or_else(|| missing(origin)))
    }

    fn not_found(&self, target: &KeyPath, origin: &Origin) -> Error {
        let near = match (target.above(1), target.0.last()) {
            (Some(parent), Some(key)) => parent
                .of(self.root)
                .and_then(Node::as_map)
                .map_or_else(String::new, |map| did_you_mean(key, map.keys().map(String::as_str))),
            _ => String::new(),
        };
        Error::at(origin, format!("${{{}}}: there is no such key{near}", target.dotted()))
    }
}

fn missing(origin: &Origin) -> Node {
    Node::new(Value::Str(MISSING.to_owned()), origin)
}

/// Does `work` unless the path is being worked on already.
fn guard<T>(
    active: &RefCell<Vec<KeyPath>>,
    path: &KeyPath,
    origin: &Origin,
    work: impl FnOnce() -> Result<T>,
) -> Result<T> {
    if let Some(first) = active.borrow().iter().position(|other| other == path) {
        return Err(circle(&active.borrow()[first..], path, origin));
    }
    active.borrow_mut().push(path.clone());
    let result = work();
    active.borrow_mut().pop();
    result
}

/// A circle that leads by `way` to `path` again.
fn circle(way: &[KeyPath], path: &KeyPath, origin: &Origin) -> Error {
    let way: Vec<String> = way.iter().chain([path]).map(KeyPath::dotted).collect();
    let shown = match way.as_slice() {
        [first @ .., _, last] if way.len() > MAX_SHOWN => {
            format!("{} -> ... -> {last}", first[..MAX_SHOWN - 2].join(" -> "))
        }
        all => all.join(" -> "),
    };
    Error::at(origin, format!("{}: an interpolation that leads back to itself: {shown}", path.dotted()))
}
