//! Reading YAML into a tree of nodes that know their lines.

use crate::{
    error::{Error, Origin, Result},
    node::{MAX_DEPTH, Map, Node, Value},
    scalar,
};
use indexmap::map::Entry;
use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, Tag};
use std::{collections::HashMap, sync::Arc};

/// Nodes a document may hold once its aliases are expanded; a config holds hundreds.
const MAX_NODES: usize = 200_000;

/// What is wrong with a YAML text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum YamlError {
    /// The parser's own words.
    #[error("not YAML: {0}")]
    Syntax(String),
    /// `---` between two documents.
    #[error("a second document; a config is one")]
    SecondDocument,
    /// Sequences and mappings within each other, too many.
    #[error("nests deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// Too many nodes: aliases that multiply.
    #[error("more than {MAX_NODES} values, aliases expanded")]
    TooLarge,
    /// An alias that would contain itself.
    #[error("an alias inside the node that it names")]
    RecursiveAlias,
    /// A sequence or mapping as a key.
    #[error("a key must be a string")]
    KeyOfNodes,
    /// A number, boolean or null as a key.
    #[error("key {0} is not a string; quote it")]
    Key(String),
    /// A key that a mapping has twice.
    #[error("key {key:?} is here a second time (first: {first})")]
    RepeatedKey {
        /// The key.
        key: String,
        /// Where it is the first time.
        first: Origin,
    },
    /// `<<` with something other than mappings.
    #[error("<< merges a mapping or a list of mappings")]
    Merge,
    /// An integer of more bits than a value holds.
    #[error("{0}: not an integer of at most 127 bits")]
    Integer(String),
    /// A scalar that is not what its tag says.
    #[error("{text:?} does not suit its tag {tag}")]
    TagOfScalar {
        /// The scalar.
        text: String,
        /// Its tag, for instance `!!int`.
        tag: String,
    },
    /// A tag that is not of YAML's core schema.
    #[error("tag {0} is not supported")]
    UnknownTag(String),
    /// A tag on a sequence or mapping that is for something else.
    #[error("tag {0} is not supported here")]
    TagOfCollection(String),
    /// A comment at the top of a file that is no header as Hydra reads it.
    #[error("header {0:?}: write it as # @package NAME")]
    Header(String),
}

/// Reads the one document of `text`; an empty text is null.
///
/// # Errors
/// Names `file` and the line of what cannot be read: bad syntax, a repeated key, a key that is not
/// a string, a second document, nesting or aliases beyond the limits.
pub fn parse(file: &Arc<str>, text: &str) -> Result<Node> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut parser = Parser::new_from_str(text);
    let mut builder = Builder::new(file);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| builder.syntax(&error))?;
        builder.event(event, span)?;
    }
    Ok(builder.document.unwrap_or_else(|| Node::new(Value::Null, &Origin::start(file))))
}

/// Turns the parser's events into a tree, without recursion.
struct Builder<'a> {
    file: &'a Arc<str>,
    open: Vec<Open>,
    anchors: HashMap<usize, Anchored>,
    nodes: usize,
    documents: usize,
    document: Option<Node>,
}

/// A node that an alias may repeat.
struct Anchored {
    node: Node,
    size: usize,
}

/// A collection whose end has not come yet.
struct Open {
    origin: Origin,
    anchor: usize,
    /// The number of nodes before this one.
    nodes_before: usize,
    kind: Kind,
}

enum Kind {
    Seq(Vec<Node>),
    Map { entries: Map, merged: Map, key: Option<Key> },
}

/// A mapping's key that waits for its value.
enum Key {
    Plain {
        name: String,
        origin: Origin,
    },
    /// `<<`, whose value's entries become the mapping's.
    Merge,
}

impl<'a> Builder<'a> {
    fn new(file: &'a Arc<str>) -> Self {
        Self { file, open: Vec::new(), anchors: HashMap::new(), nodes: 0, documents: 0, document: None }
    }

    fn origin(&self, line: usize) -> Origin {
        Origin::File { file: Arc::clone(self.file), line }
    }

    fn syntax(&self, error: &ScanError) -> Error {
        Error::at(&self.origin(error.marker().line()), YamlError::Syntax(error.info().to_owned()))
    }

    fn event(&mut self, event: Event<'_>, span: Span) -> Result<()> {
        let origin = self.origin(span.start.line());
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(Error::at(&origin, YamlError::SecondDocument));
                }
                Ok(())
            }
            Event::Scalar(text, style, anchor, tag) => {
                let size_before = self.nodes;
                if self.is_merge_key(&text, style, tag.as_deref()) {
                    self.set_merge_key();
                    return Ok(());
                }
                let value = scalar_value(&text, style, tag.as_deref()).map_err(|error| Error::at(&origin, error))?;
                self.finish(Node { value, origin }, anchor, size_before)
            }
            Event::SequenceStart(anchor, tag) => self.start(origin, anchor, tag.as_deref(), Kind::Seq(Vec::new())),
            Event::MappingStart(anchor, tag) => {
                let kind = Kind::Map { entries: Map::new(), merged: Map::new(), key: None };
                self.start(origin, anchor, tag.as_deref(), kind)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(anchor) => self.alias(anchor, &origin),
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
        }
    }

    fn start(&mut self, origin: Origin, anchor: usize, tag: Option<&Tag>, kind: Kind) -> Result<()> {
        if self.open.len() >= MAX_DEPTH {
            return Err(Error::at(&origin, YamlError::TooDeep));
        }
        if matches!(self.open.last(), Some(Open { kind: Kind::Map { key: None, .. }, .. })) {
            return Err(Error::at(&origin, YamlError::KeyOfNodes));
        }
        check_collection_tag(tag, &kind).map_err(|error| Error::at(&origin, error))?;
        self.open.push(Open { origin, anchor, nodes_before: self.nodes, kind });
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        let Some(Open { origin, anchor, nodes_before, kind }) = self.open.pop() else { return Ok(()) };
        let value = match kind {
            Kind::Seq(items) => Value::Seq(items),
            Kind::Map { entries, mut merged, .. } => {
                // As in PyYAML, merged entries come first and the mapping's own replace them in place.
                merged.extend(entries);
                Value::Map(merged)
            }
        };
        self.finish(Node { value, origin }, anchor, nodes_before)
    }

    fn alias(&mut self, anchor: usize, origin: &Origin) -> Result<()> {
        let Some(Anchored { node, size }) = self.anchors.get(&anchor) else {
            return Err(Error::at(origin, YamlError::RecursiveAlias));
        };
        node.check_depth(self.open.len())?;
        self.nodes += size;
        // Check before the copy: an alias bomb must not be built first.
        self.check_size(origin)?;
        let mut node = node.clone();
        node.origin = origin.clone();
        self.place(node)
    }

    fn finish(&mut self, node: Node, anchor: usize, nodes_before: usize) -> Result<()> {
        self.nodes += 1;
        self.check_size(&node.origin)?;
        if anchor > 0 {
            self.anchors.insert(anchor, Anchored { node: node.clone(), size: self.nodes - nodes_before });
        }
        self.place(node)
    }

    fn check_size(&self, origin: &Origin) -> Result<()> {
        if self.nodes > MAX_NODES {
            return Err(Error::at(origin, YamlError::TooLarge));
        }
        Ok(())
    }

    /// Puts a finished node where it belongs: the document, a sequence, or a mapping's key or value.
    fn place(&mut self, node: Node) -> Result<()> {
        let Some(parent) = self.open.last_mut() else {
            self.document = Some(node);
            return Ok(());
        };
        match &mut parent.kind {
            Kind::Seq(items) => {
                items.push(node);
                Ok(())
            }
            Kind::Map { key, entries, merged } => match key.take() {
                Some(Key::Merge) => merge_into(merged, node),
                Some(Key::Plain { name, origin }) => insert(entries, name, node.value, origin),
                None => {
                    let text = node.describe();
                    let Value::Str(name) = node.value else {
                        return Err(Error::at(&node.origin, YamlError::Key(text)));
                    };
                    *key = Some(Key::Plain { name, origin: node.origin });
                    Ok(())
                }
            },
        }
    }

    /// Whether a scalar is the plain key `<<`.
    fn is_merge_key(&self, text: &str, style: ScalarStyle, tag: Option<&Tag>) -> bool {
        let awaits_key = matches!(self.open.last(), Some(Open { kind: Kind::Map { key: None, .. }, .. }));
        awaits_key && text == "<<" && style == ScalarStyle::Plain && tag.is_none()
    }

    fn set_merge_key(&mut self) {
        if let Some(Open { kind: Kind::Map { key, .. }, .. }) = self.open.last_mut() {
            *key = Some(Key::Merge);
        }
    }
}

fn insert(entries: &mut Map, name: String, value: Value, origin: Origin) -> Result<()> {
    match entries.entry(name) {
        Entry::Occupied(first) => {
            let (key, first) = (first.key().clone(), first.get().origin.clone());
            Err(Error::at(&origin, YamlError::RepeatedKey { key, first }))
        }
        Entry::Vacant(slot) => {
            slot.insert(Node { value, origin });
            Ok(())
        }
    }
}

/// `<<: mapping` or `<<: [mapping, ...]`; of several, the first that has a key wins.
fn merge_into(merged: &mut Map, node: Node) -> Result<()> {
    let Node { value, origin } = node;
    match value {
        Value::Map(map) => merged.extend(map),
        Value::Seq(items) => {
            for item in items.into_iter().rev() {
                let Value::Map(map) = item.value else { return Err(not_a_mapping(&item.origin)) };
                merged.extend(map);
            }
        }
        _ => return Err(not_a_mapping(&origin)),
    }
    Ok(())
}

fn not_a_mapping(origin: &Origin) -> Error {
    Error::at(origin, YamlError::Merge)
}

/// Tags of the YAML core schema; `None` for any other.
fn core_tag(tag: &Tag) -> Option<&str> {
    match (tag.handle.as_str(), tag.suffix.as_str()) {
        ("tag:yaml.org,2002:", suffix) => Some(suffix),
        ("" | "!", "") | ("", "!") => Some("!"),
        _ => None,
    }
}

fn scalar_value(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> std::result::Result<Value, YamlError> {
    let Some(tag) = tag else {
        return match style {
            ScalarStyle::Plain => scalar::resolve(text),
            _ => Ok(Value::Str(text.to_owned())),
        };
    };
    let name = core_tag(tag);
    if matches!(name, Some("str" | "!")) {
        return Ok(Value::Str(text.to_owned()));
    }
    let value = scalar::resolve(text)?;
    match (name, value) {
        (Some("null"), _) => Ok(Value::Null),
        (Some("bool"), value @ Value::Bool(_)) | (Some("int"), value @ Value::Int(_)) => Ok(value),
        (Some("float"), value @ Value::Float(_)) => Ok(value),
        // The conversion rounds as reading the text as a float would.
        (Some("float"), Value::Int(value)) => Ok(Value::Float(value as f64)),
        (Some("bool" | "int" | "float"), _) => {
            Err(YamlError::TagOfScalar { text: text.to_owned(), tag: tag.to_string() })
        }
        _ => Err(YamlError::UnknownTag(tag.to_string())),
    }
}

fn check_collection_tag(tag: Option<&Tag>, kind: &Kind) -> std::result::Result<(), YamlError> {
    let Some(tag) = tag else { return Ok(()) };
    match (core_tag(tag), kind) {
        (Some("seq" | "!"), Kind::Seq(_)) | (Some("map" | "!"), Kind::Map { .. }) => Ok(()),
        _ => Err(YamlError::TagOfCollection(tag.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Node> {
        parse(&Arc::from("a.yaml"), text)
    }

    fn error(text: &str) -> String {
        read(text).expect_err("must be refused").to_string()
    }

    #[test]
    fn values_know_the_lines_of_their_keys() {
        let node = read("a: 1\nb:\n  c: [x, 1e-3]\n").expect("valid");
        assert_eq!(node.get("b.c").expect("there").origin.to_string(), "a.yaml:3");
        assert_eq!(node.get("b.c.1").expect("there").value, Value::Float(1e-3));
        assert_eq!(node.get("b.c[0]").and_then(Node::as_str), Some("x"));
    }

    #[test]
    fn quotes_and_tags_make_strings() {
        let node = read("a: '1'\nb: !!str 1\nc: !!float 1\nd: |\n  x\n").expect("valid");
        assert_eq!(node.get("a").and_then(Node::as_str), Some("1"));
        assert_eq!(node.get("b").and_then(Node::as_str), Some("1"));
        assert_eq!(node.get("c").expect("there").value, Value::Float(1.0));
        assert_eq!(node.get("d").and_then(Node::as_str), Some("x\n"));
    }

    #[test]
    fn merge_keys_come_first_and_give_way() {
        let node = read("base: &b {x: 1, y: 2}\nuse:\n  y: 3\n  <<: *b\n  z: 4\n").expect("valid");
        let used = node.get("use").and_then(Node::as_map).expect("a mapping");
        let pairs: Vec<_> = used.iter().map(|(key, node)| (key.as_str(), node.value.clone())).collect();
        assert_eq!(pairs, [("x", Value::Int(1)), ("y", Value::Int(3)), ("z", Value::Int(4))]);
    }

    #[test]
    fn an_empty_text_is_null() {
        for text in ["", "# only a comment\n", "\u{feff}"] {
            assert_eq!(read(text).expect("valid").value, Value::Null);
        }
    }

    #[test]
    fn what_a_config_cannot_be_is_refused_with_its_line() {
        assert_eq!(error("a: 1\nb: 2\na: 3\n"), "a.yaml:3: key \"a\" is here a second time (first: a.yaml:1)");
        assert_eq!(error("a: 1\n---\nb: 2\n"), "a.yaml:2: a second document; a config is one");
        assert_eq!(error("a:\n  1: x\n"), "a.yaml:2: key 1 is not a string; quote it");
        assert!(error("x: 1\n? [a]\n: 1\n").starts_with("a.yaml:2: a key must be a string"));
        assert!(error("a: !thing 1\n").contains("!thing is not supported"));
        assert!(error("a: [1, 2\nb: 3\n").starts_with("a.yaml:"));
        assert!(error("a: &x [*x]\n").contains("alias"));
        assert!(error("a: *nowhere\n").starts_with("a.yaml:1: not YAML"));
        assert!(error("a: !!int x\n").contains("does not suit"));
    }

    #[test]
    fn nesting_is_limited() {
        let deep = |n: usize| "[".repeat(n) + &"]".repeat(n);
        assert!(read(&deep(MAX_DEPTH)).is_ok());
        assert!(error(&deep(MAX_DEPTH + 1)).contains("nests deeper"));
        assert!(error(&deep(100_000)).contains("a.yaml:1"));
        let block: String = (0..100_000).map(|_| "- ").collect();
        assert!(error(&block).contains("a.yaml:1"));
        let half = MAX_DEPTH / 2 + 1;
        let by_alias = format!("- &a {}\n- {}*a{}\n", deep(half), "[".repeat(half), "]".repeat(half));
        assert!(error(&by_alias).contains("nests deeper"));
    }

    #[test]
    fn an_alias_bomb_is_refused_before_it_is_built() {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..40 {
            let row = vec![format!("*a{}", level - 1); 10].join(", ");
            text += &format!("a{level}: &a{level} [{row}]\n");
        }
        assert!(error(&text).contains("aliases expanded"));
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in "[\\[\\]{}:,&*!|>'\"%@`#a-c0-9 \n\t?~<.-]{0,60}") {
            let _ = read(&text);
        }
    }
}
