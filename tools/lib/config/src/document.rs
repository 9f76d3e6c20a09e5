//! A composed document.

use crate::{
    comments::Comments,
    emit,
    error::{Error, Result, list},
    interpolate,
    node::{Node, Value, split_key},
    settings::{self, History},
    suggest::nearest,
    yaml,
};
use serde::de::DeserializeOwned;
use std::borrow::Cow;

/// A composed document: a tree of nodes, each with its origin.
#[derive(Debug, Clone)]
pub struct Document {
    pub(crate) root: Node,
    pub(crate) warnings: Vec<String>,
    pub(crate) history: History,
    /// Whether what looks like an interpolation is text.
    pub(crate) is_resolved: bool,
}

impl Document {
    /// The document that a YAML text holds, its interpolations left as they are. Errors call it `name`.
    ///
    /// # Errors
    /// Names the line where the text is not YAML, nests too deeply, or is not a mapping.
    pub fn from_yaml(name: &str, text: &str) -> Result<Self> {
        let root = yaml::parse(&name.into(), text)?;
        match root.value {
            Value::Map(_) => Ok(Self { root, warnings: Vec::new(), history: History::default(), is_resolved: false }),
            _ => Err(Error::at(&root.origin, format!("a document is a mapping, not {}", root.describe()))),
        }
    }

    /// The document with each interpolation replaced by its value.
    ///
    /// # Errors
    /// Names the first reference to a missing key, to itself, or through too many others.
    pub fn resolved(&self) -> Result<Self> {
        let resolved = interpolate::resolve(&self.root, None)?;
        let warnings = [self.warnings.clone(), resolved.warnings].concat();
        Ok(Self { root: resolved.node, warnings, history: self.history.clone(), is_resolved: true })
    }

    /// The document with a text, which may hold interpolations, at the top-level `key`.
    pub fn with_text(&self, key: &str, text: &str) -> Self {
        let mut changed = self.clone();
        if let Value::Map(map) = &mut changed.root.value {
            let node = Node::new(Value::Str(text.to_owned()), &self.root.origin);
            map.insert(key.to_owned(), node);
        }
        changed
    }

    /// The typed settings at a dotted `path`, for instance `trainer` or `data.rows`; the empty path
    /// is the whole document.
    ///
    /// # Errors
    /// Names the file and line, or the override, of an unknown key, a wrong type or value, or a
    /// missing key.
    pub fn section<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let node = self.get(path).ok_or_else(|| self.no_section(path))?;
        settings::from_node(node, path, &self.history)
    }

    /// The node at a dotted `path`; the empty path is the whole document.
    pub fn get(&self, path: &str) -> Option<&Node> {
        self.root.get(path)
    }

    /// The sub-tree at `path` as a document of its own; a single value without interpolation.
    ///
    /// # Errors
    /// When the path does not exist, or its interpolation cannot be resolved.
    pub fn package(&self, path: &str) -> Result<Self> {
        let mut root = self.get(path).ok_or_else(|| self.no_section(path))?.clone();
        if !root.is_container() {
            let keys: Vec<String> = split_key(path).into_iter().map(str::to_owned).collect();
            root = interpolate::select(&self.root, &keys)?.unwrap_or(root);
        }
        Ok(Self { root, warnings: self.warnings.clone(), history: History::default(), is_resolved: self.is_resolved })
    }

    /// The document without the group or key at its top level, if it has it.
    pub fn without(&self, key: &str) -> Self {
        let mut rest = self.clone();
        if let Value::Map(map) = &mut rest.root.value {
            map.shift_remove(key);
        }
        rest
    }

    /// The document with null at a dotted `path`, if it has something there.
    pub fn cleared(&self, path: &str) -> Self {
        let mut changed = self.clone();
        if let Some(node) = split_key(path).into_iter().try_fold(&mut changed.root, |node, key| node.child_mut(key)) {
            node.value = Value::Null;
        }
        changed
    }

    /// The document as YAML, which reads back as the same document: a text of a resolved document that looks like an
    /// interpolation is escaped.
    pub fn to_yaml(&self) -> String {
        emit::yaml(&self.written())
    }

    /// The tree as files have it.
    fn written(&self) -> Cow<'_, Node> {
        let escaped = self.is_resolved.then(|| interpolate::escaped(&self.root)).flatten();
        escaped.map_or(Cow::Borrowed(&self.root), Cow::Owned)
    }

    /// The document as a JSON value.
    ///
    /// # Errors
    /// When it holds a number that JSON cannot represent: NaN, infinity, an integer beyond 64 bits.
    pub fn to_json_value(&self) -> Result<serde_json::Value> {
        emit::json(&self.root)
    }

    /// The document as JSON, indented.
    ///
    /// # Errors
    /// As [`Self::to_json_value`].
    pub fn to_json(&self) -> Result<String> {
        Ok(format!("{:#}\n", self.to_json_value()?))
    }

    /// As YAML, each setting with its comment.
    pub fn to_commented_yaml(&self, comments: &Comments) -> String {
        emit::yaml_about(&self.written(), &|path| comments.get(path))
    }

    /// Warnings for the user, one line each: uses of deprecated keys, ignored machine settings.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    fn no_section(&self, path: &str) -> Error {
        let keys = split_key(path);
        let (mut parent, mut depth) = (&self.root, 0);
        while let Some(child) = keys.get(depth).and_then(|key| parent.child(key)) {
            (parent, depth) = (child, depth + 1);
        }
        let known: Vec<&str> = parent.as_map().into_iter().flatten().map(|(key, _)| key.as_str()).collect();
        let within = |key: &str| [&keys[..depth], &[key]].concat().join(".");
        let hint = match keys.get(depth).and_then(|key| nearest(key, known.iter().copied())) {
            Some(near) => format!("did you mean {}?", within(near)),
            None if depth == 0 => format!("there are {}", list(known)),
            None => format!("{} has {}", keys[..depth].join("."), list(known)),
        };
        Error::new(format!("no section {path}; {hint}"))
    }
}
