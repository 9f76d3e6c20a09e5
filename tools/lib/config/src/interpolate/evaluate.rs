//! Following references through the tree.

use super::{
    parse::{self, Argument, Part, Reference},
    python, resolvers,
};
use crate::{
    error::{Error, Origin, Result, did_you_mean},
    node::{Node, Value},
};
use std::cell::{Cell, RefCell};

/// How many references and levels may be followed at once; a longer chain is a mistake.
const MAX_CHAIN: usize = 128;
/// Values and bytes of text that resolving may make, so that references that double stop.
const MAX_WORK: usize = 16 << 20;

/// The keys from the root to a node.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Place(Vec<String>);

impl Place {
    pub fn root() -> Self {
        Self(Vec::new())
    }

    pub fn child(&self, key: &str) -> Self {
        let mut keys = self.0.clone();
        keys.push(key.to_owned());
        Self(keys)
    }

    /// The place `up` levels above; None above the root.
    pub fn above(&self, up: usize) -> Option<Self> {
        Some(Self(self.0[..self.0.len().checked_sub(up)?].to_vec()))
    }

    pub fn of<'n>(&self, root: &'n Node) -> Option<&'n Node> {
        self.0.iter().try_fold(root, |node, key| node.child(key))
    }

    /// Whether this place lies inside `container`.
    fn is_within(&self, container: &Self) -> bool {
        self.0.len() > container.0.len() && self.0.starts_with(&container.0)
    }

    pub fn path(&self) -> String {
        self.0.join(".")
    }
}

/// Where a reference leads.
pub(super) enum Located {
    /// To a node of the tree, which may hold references itself.
    Tree(Place),
    /// To a value that a resolver or text made.
    Made(Node),
}

/// Resolves the references of one tree.
pub(super) struct Evaluator<'r> {
    root: &'r Node,
    /// The places whose references are being followed, to notice a circle.
    following: RefCell<Vec<Place>>,
    /// The places that are being filled with what their references lead to: a circle again, of
    /// content. The two differ: what is inside a container may refer to its neighbours.
    filling: RefCell<Vec<Place>>,
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

    /// `node`, which stands at `place`, without references.
    pub fn node(&self, place: &Place, node: &Node) -> Result<Node> {
        self.deeper(&node.origin, || {
            self.spend(1, &node.origin)?;
            let value = match &node.value {
                Value::Str(text) if node.is_interpolation() => {
                    let resolved = self.follow(place, text, &node.origin)?;
                    return Ok(Node { origin: node.origin.clone(), ..resolved });
                }
                Value::Seq(items) => {
                    let items = items.iter().enumerate();
                    Value::Seq(
                        items
                            .map(|(index, item)| self.node(&place.child(&index.to_string()), item))
                            .collect::<Result<_>>()?,
                    )
                }
                Value::Map(map) => {
                    let entries =
                        map.iter().map(|(key, child)| Ok((key.clone(), self.node(&place.child(key), child)?)));
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

    /// The resolved value of the text at `place`.
    fn follow(&self, place: &Place, text: &str, origin: &Origin) -> Result<Node> {
        match self.locate_text(place, text, origin)? {
            Some(Located::Made(node)) => Ok(node),
            Some(Located::Tree(target)) => guard(&self.filling, place, origin, || match target.of(self.root) {
                Some(node) => self.node(&target, node),
                None => Err(self.not_found(&target, origin)),
            }),
            None => Ok(Node::new(Value::Str(crate::node::MISSING.into()), origin)),
        }
    }

    /// Where the text at `place` leads; None where that is a missing value.
    fn locate_text(&self, place: &Place, text: &str, origin: &Origin) -> Result<Option<Located>> {
        let parts = parse::text(text).map_err(|message| Error::at(origin, format!("{text}: {message}")))?;
        guard(&self.following, place, origin, || self.deeper(origin, || self.parts(place, &parts, origin)))
    }

    /// A lone reference leads somewhere; anything else is put together as text.
    fn parts(&self, place: &Place, parts: &[Part], origin: &Origin) -> Result<Option<Located>> {
        if let [Part::Reference(reference)] = parts {
            return self.reference(place, reference, origin);
        }
        let mut text = String::new();
        for part in parts {
            match part {
                Part::Text(plain) => text.push_str(plain),
                Part::Reference(reference) => match self.reference(place, reference, origin)? {
                    Some(located) => text.push_str(&self.shown(&located)),
                    None => return Ok(None),
                },
            }
            self.spend(text.len(), origin)?;
        }
        Ok(Some(Located::Made(Node::new(Value::Str(text), origin))))
    }

    /// What text takes of a place: as in OmegaConf, references inside a container stay as they are.
    fn shown(&self, located: &Located) -> String {
        match located {
            Located::Made(node) => python::str(node),
            Located::Tree(place) => place.of(self.root).map(python::str).unwrap_or_default(),
        }
    }

    /// The resolved value where a reference leads.
    pub fn value(&self, located: Located, origin: &Origin) -> Result<Node> {
        match located {
            Located::Made(node) => Ok(node),
            Located::Tree(place) => match place.of(self.root) {
                Some(node) => self.node(&place, node),
                None => Err(self.not_found(&place, origin)),
            },
        }
    }

    fn reference(&self, place: &Place, reference: &Reference, origin: &Origin) -> Result<Option<Located>> {
        match reference {
            Reference::Node { up, keys } => {
                let keys: Vec<String> = keys.iter().map(|key| self.key(place, key, origin)).collect::<Result<_>>()?;
                let from = self.start(place, *up, origin)?;
                let located = self.locate(&from, &keys)?;
                let target = || Place(from.0.iter().chain(&keys).cloned().collect());
                match located {
                    None => Err(self.not_found(&target(), origin)),
                    Some(Located::Tree(target)) if place.is_within(&target) => Err(circle(place, origin)),
                    Some(Located::Tree(target)) if self.is_missing(&target) => Ok(None),
                    Some(Located::Made(node)) if node.is_missing() => Ok(None),
                    located => Ok(located),
                }
            }
            Reference::Call { name, arguments } => {
                let name = self.key(place, name, origin)?;
                let arguments = arguments
                    .iter()
                    .map(|argument| self.argument(place, argument, origin))
                    .collect::<Result<Vec<_>>>()?;
                let call = resolvers::Call { name: &name, arguments, place, origin };
                resolvers::call(self, call).map(Some)
            }
        }
    }

    /// Where a relative path begins: with one dot, the container that the value is in.
    pub fn start(&self, place: &Place, up: usize, origin: &Origin) -> Result<Place> {
        if up == 0 {
            return Ok(Place::root());
        }
        let above = place.above(up);
        above.ok_or_else(|| Error::at(origin, format!("{}: {up} dots lead above the root", place.path())))
    }

    /// The text of a key, or of a resolver's name.
    fn key(&self, place: &Place, parts: &[Part], origin: &Origin) -> Result<String> {
        let mut text = String::new();
        for part in parts {
            match part {
                Part::Text(plain) => text.push_str(plain),
                Part::Reference(reference) => match self.reference(place, reference, origin)? {
                    Some(located) => match self.value(located, origin)?.value {
                        Value::Str(key) => text.push_str(&key),
                        _ => return Err(Error::at(origin, "an interpolation within a key must give a string")),
                    },
                    None => return Err(Error::at(origin, "an interpolation within a key has no value yet (???)")),
                },
            }
        }
        Ok(text)
    }

    /// Follows `keys` from `from`; None where there is no such key.
    pub fn locate(&self, from: &Place, keys: &[String]) -> Result<Option<Located>> {
        let mut at = Located::Tree(from.clone());
        for key in keys {
            let Some(reached) = self.dereference(at)? else { return Ok(None) };
            at = match reached {
                Located::Tree(place) => {
                    let child = place.child(key);
                    if child.of(self.root).is_none() {
                        return Ok(None);
                    }
                    Located::Tree(child)
                }
                Located::Made(node) => match node.child(key) {
                    Some(child) => Located::Made(child.clone()),
                    None => return Ok(None),
                },
            };
        }
        self.dereference(at)
    }

    /// Follows a node that is itself a reference, to where it leads in the end.
    fn dereference(&self, located: Located) -> Result<Option<Located>> {
        let Located::Tree(place) = &located else { return Ok(Some(located)) };
        match place.of(self.root) {
            Some(node) if node.is_interpolation() => {
                self.locate_text(place, node.as_str().unwrap_or_default(), &node.origin)
            }
            Some(_) => Ok(Some(located)),
            None => Ok(None),
        }
    }

    pub fn is_missing(&self, place: &Place) -> bool {
        place.of(self.root).is_some_and(Node::is_missing)
    }

    fn argument(&self, place: &Place, argument: &Argument, origin: &Origin) -> Result<Node> {
        let value = match argument {
            Argument::Plain(value) => {
                return value.to_node(origin).ok_or_else(|| Error::at(origin, "a sweep is no argument"));
            }
            Argument::Parts(parts) => match self.parts(place, parts, origin)? {
                Some(located) => return self.value(located, origin),
                None => return Err(Error::at(origin, "an argument has no value yet (???)")),
            },
            Argument::Quoted(parts) => match self.parts(place, parts, origin)? {
                Some(located) => Value::Str(self.shown(&located)),
                None => return Err(Error::at(origin, "an argument has no value yet (???)")),
            },
            Argument::List(items) => {
                Value::Seq(items.iter().map(|item| self.argument(place, item, origin)).collect::<Result<_>>()?)
            }
            Argument::Dict(pairs) => {
                let pairs = pairs.iter().map(|(key, value)| Ok((key.clone(), self.argument(place, value, origin)?)));
                Value::Map(pairs.collect::<Result<_>>()?)
            }
        };
        Ok(Node::new(value, origin))
    }

    /// The resolved value of an expression, as `oc.decode` wants it.
    pub fn decode(&self, place: &Place, text: &str, origin: &Origin) -> Result<Node> {
        let argument = parse::element(text).map_err(|message| Error::at(origin, format!("{text}: {message}")))?;
        self.argument(place, &argument, origin)
    }

    fn not_found(&self, target: &Place, origin: &Origin) -> Error {
        let near = match (target.above(1), target.0.last()) {
            (Some(parent), Some(key)) => parent
                .of(self.root)
                .and_then(Node::as_map)
                .map_or_else(String::new, |map| did_you_mean(key, map.keys().map(String::as_str))),
            _ => String::new(),
        };
        Error::at(origin, format!("${{{}}}: there is no such key{near}", target.path()))
    }
}

/// Does `work` unless the place is being worked on already.
fn guard<T>(
    active: &RefCell<Vec<Place>>,
    place: &Place,
    origin: &Origin,
    work: impl FnOnce() -> Result<T>,
) -> Result<T> {
    if active.borrow().contains(place) {
        return Err(circle(place, origin));
    }
    active.borrow_mut().push(place.clone());
    let result = work();
    active.borrow_mut().pop();
    result
}

fn circle(place: &Place, origin: &Origin) -> Error {
    Error::at(origin, format!("{}: an interpolation that leads back to itself", place.path()))
}
