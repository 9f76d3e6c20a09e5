//! Typed settings from a tree: a serde deserializer whose errors know the file and line.

use crate::{
    error::{Error, Origin, Result, list},
    node::{Map, Node, Value},
    overrides::Override,
    reference::reference,
    shadow::{self, Shadow},
    slips::{self, did_you_mean},
};
use serde::de::{self, DeserializeOwned, DeserializeSeed, Expected, Unexpected, Visitor};
use std::fmt;

/// Largest float whose neighbours are a whole number away at most.
const MAX_WHOLE_FLOAT: f64 = (1u64 << 53) as f64;

/// Keys whose value says what the other keys of their mapping are for. An enum whose variants have fields is read
/// from such a mapping (unlike serde's own `tag`, that keeps the place of each value), or from `variant: {fields}`.
const SELECTORS: [&str; 3] = ["name", "kind", "task"];

/// The settings at `node`, which stands at `path`.
pub(crate) fn from_node<T: DeserializeOwned>(node: &Node, path: &str, history: &History) -> Result<T> {
    T::deserialize(Reader { node }).map_err(|failure| failure.within(node).into_error(path, node, history))
}

/// What composing did that may be why a key is missing, or is there.
#[derive(Debug, Clone, Default)]
pub(crate) struct History {
    /// The overrides that took keys away.
    pub taken_away: Vec<Override>,
    /// Files in the place of built-in ones.
    pub shadows: Vec<Shadow>,
}

/// The key of `node` that says what the others are for, and its value.
pub(crate) fn selector(node: &Node) -> Option<(&'static str, &Node)> {
    SELECTORS.iter().find_map(|key| Some((*key, node.child(key)?)))
}

/// What went wrong while reading, and where once a level that knows has been passed.
#[derive(Debug)]
struct Failure {
    origin: Option<Origin>,
    /// Keys from the innermost outwards.
    path: Vec<String>,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    UnknownField { field: String, known: &'static [&'static str] },
    MissingField(&'static str),
    Other(String),
}

impl Failure {
    fn new(kind: Kind) -> Self {
        Self { origin: None, path: Vec::new(), kind }
    }

    fn other(node: &Node, message: impl Into<String>) -> Self {
        Self { origin: Some(node.origin.clone()), ..Self::new(Kind::Other(message.into())) }
    }

    /// Fills in the place from the node that was being read.
    fn within(mut self, node: &Node) -> Self {
        if self.origin.is_none() {
            let at = match &self.kind {
                Kind::UnknownField { field, .. } => node.child(field).unwrap_or(node),
                _ => node,
            };
            self.origin = Some(at.origin.clone());
        }
        self
    }

    fn under(mut self, key: &str) -> Self {
        self.path.push(key.to_owned());
        self
    }

    fn into_error(self, base: &str, node: &Node, history: &History) -> Error {
        let keys = std::iter::once(base).filter(|base| !base.is_empty());
        let path: Vec<_> = keys.chain(self.path.iter().rev().map(String::as_str)).collect();
        if let Some(error) = self.caused_by_override(&path.join("."), node, &history.taken_away) {
            return error;
        }
        let join = |last: &str| path.iter().copied().chain([last]).collect::<Vec<_>>().join(".");
        let origin = self.origin.as_ref().unwrap_or(&node.origin);
        let shadow = |key: &str| shadow::note_at(&history.shadows, key, origin);
        let message = match &self.kind {
            Kind::UnknownField { field, known } => {
                let known: Vec<String> = known.iter().map(|known| join(known)).collect();
                unknown(&join(field), &known, || shadow(&join(field)))
            }
            Kind::MissingField(field) => {
                let key = join(field);
                // What is not there is added; a whole group is chosen.
                let sign = if key.contains('.') { "+" } else { "" };
                format!("{key}: missing; give it as {sign}{key}=...{}", shadow(&key))
            }
            Kind::Other(message) if path.is_empty() => message.clone(),
            Kind::Other(message) => format!("{}: {message}", path.join(".")),
        };
        Error::at(origin, message)
    }

    /// The error of the override that took a key away, or that said what all keys are for and changed none of them;
    /// the place where the keys stand, below `path`, is not at fault.
    fn caused_by_override(&self, path: &str, node: &Node, taken_away: &[Override]) -> Option<Error> {
        let parent = self.path.iter().rev().try_fold(node, |node, key| node.child(key))?;
        match &self.kind {
            Kind::MissingField(field) => {
                let missing = [path, field].join(".");
                if let Some(one) = taken_away.iter().find(|one| one.key == missing) {
                    return Some(Error::at(&one.origin(), format!("{missing}: is needed; change it, or leave it")));
                }
            }
            Kind::UnknownField { field, .. } => {
                let node = parent.child(field).filter(|node| matches!(node.origin, Origin::File { .. }))?;
                if let Some(error) = between_files(path, parent, field, node) {
                    return Some(error);
                }
            }
            Kind::Other(_) => return None,
        }
        let (key, selected) = selector(parent).filter(|(_, node)| matches!(node.origin, Origin::Override(_)))?;
        let (option, group) = (selected.as_str()?, path.replace('.', "/"));
        let message =
            format!("{path}.{key}: the other settings are not {option}'s; to choose it, write {group}={option}");
        Some(Error::at(&selected.origin, message))
    }
}

/// The error of a file that says what all keys are for, where another file, an option of the group, has a key of
/// something else.
fn between_files(path: &str, parent: &Node, field: &str, node: &Node) -> Option<Error> {
    let (key, selected) = selector(parent)?;
    let (Origin::File { file, .. }, Origin::File { file: other, .. }) = (&selected.origin, &node.origin) else {
        return None;
    };
    let (option, group) = (selected.as_str()?, path.replace('.', "/"));
    let is_of_option =
        other.trim_end_matches(".yaml").rsplit_once('/').is_some_and(|(folder, _)| folder.ends_with(&group));
    if file == other || path.is_empty() || !is_of_option {
        return None;
    }
    let message = format!(
        "{path}.{key}: is {option} here, which has no {field} ({}); choose {group}={option}, or take the line \
         away",
        node.origin
    );
    Some(Error::at(&selected.origin, message))
}

/// `known` are whole keys beside the one at `path`.
fn unknown(path: &str, known: &[String], shadow: impl Fn() -> String) -> String {
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    let hint = match slips::hint(path, &known, "") {
        hint if hint.is_empty() => of_another_group(path),
        hint => hint,
    };
    match hint {
        hint if hint.is_empty() => {
            let names = known.iter().map(|key| key.rsplit('.').next().unwrap_or(key));
            format!("{path}: unknown key; known: {}{}", list(names), shadow())
        }
        hint => format!("{path}: unknown key{hint}{}", shadow()),
    }
}

/// A hint at the built-in setting of another group that the key at `path` is called by.
fn of_another_group(path: &str) -> String {
    let groups = reference(None);
    let (group, word) = path.split_once('.').unwrap_or(("", path));
    if !groups.iter().any(|one| one.name == group) {
        return String::new();
    }
    let keys = groups.iter().flat_map(|group| &group.settings).map(|setting| setting.key.as_str());
    let called = slips::called(word, &keys.collect::<Vec<_>>());
    slips::ask(called.into_iter().filter(|key| *key != path).map(str::to_owned))
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::UnknownField { field, .. } => write!(f, "unknown key {field}"),
            Kind::MissingField(field) => write!(f, "missing key {field}"),
            Kind::Other(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for Failure {}

impl de::Error for Failure {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(Kind::Other(message.to_string()))
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::custom(format_args!("expected {}, found {}", plain(expected), found_text(&found)))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(found, expected)
    }

    fn invalid_length(length: usize, expected: &dyn Expected) -> Self {
        Self::custom(format_args!("expected {}, found one of length {length}", plain(expected)))
    }

    fn unknown_variant(variant: &str, known: &'static [&'static str]) -> Self {
        let near = did_you_mean(variant, known.iter().copied());
        Self::custom(format_args!("{variant:?} is not one of {}{near}", list(known.iter().copied())))
    }

    fn unknown_field(field: &str, known: &'static [&'static str]) -> Self {
        Self::new(Kind::UnknownField { field: field.to_owned(), known })
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(Kind::MissingField(field))
    }
}

/// Rust's type names in plain words.
fn plain(expected: &dyn Expected) -> String {
    let text = expected.to_string();
    match text.as_str() {
        "u8" | "u16" | "u32" | "u64" | "u128" | "usize" => "a non-negative integer".into(),
        "i8" | "i16" | "i32" | "i64" | "i128" | "isize" => "an integer".into(),
        "f32" | "f64" => "a number".into(),
        "a boolean" => "true or false".into(),
        "path string" => "a path".into(),
        text if text.starts_with("a nonzero u") => "a positive integer".into(),
        text if text.starts_with("struct ") => "a mapping".into(),
        text if text.starts_with("an array of") => text.replace("an array of", "a list of"),
        "a sequence" => "a list".into(),
        _ => text,
    }
}

fn found_text(found: &Unexpected<'_>) -> String {
    match found {
        Unexpected::Str(text) => format!("{text:?}"),
        Unexpected::Unsigned(value) => value.to_string(),
        Unexpected::Signed(value) => value.to_string(),
        Unexpected::Float(value) => crate::number::format(*value),
        Unexpected::Bool(value) => value.to_string(),
        Unexpected::Unit | Unexpected::Option => "null".into(),
        Unexpected::Seq => "a list".into(),
        Unexpected::Map => "a mapping".into(),
        Unexpected::UnitVariant => "a name alone".into(),
        other => other.to_string(),
    }
}

#[derive(Clone, Copy)]
struct Reader<'de> {
    node: &'de Node,
}

impl<'de> Reader<'de> {
    fn visit<V: Visitor<'de>>(self, visitor: V) -> std::result::Result<V::Value, Failure> {
        let node = self.node;
        if node.is_missing() {
            return Err(Failure::other(node, "has no value yet (???); give one"));
        }
        let result = match &node.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Int(value) => visit_int(*value, visitor),
            Value::Float(value) => visitor.visit_f64(*value),
            Value::Str(text) => visitor.visit_borrowed_str(text),
            Value::Seq(items) => visitor.visit_seq(Items { items: items.iter().enumerate() }),
            Value::Map(map) => visitor.visit_map(Entries::of(map)),
        };
        result.map_err(|failure| failure.within(node))
    }

    /// `1e6` is a float to YAML; where an integer is wanted, a whole float is one.
    fn visit_whole<V: Visitor<'de>>(self, visitor: V) -> std::result::Result<V::Value, Failure> {
        match self.node.value {
            Value::Float(value) if value.fract() == 0.0 && value.abs() < MAX_WHOLE_FLOAT => {
                visit_int(value as i128, visitor).map_err(|failure: Failure| failure.within(self.node))
            }
            _ => self.visit(visitor),
        }
    }
}

/// Visitors of 64-bit integers take no larger ones.
fn visit_int<'de, V: Visitor<'de>>(value: i128, visitor: V) -> std::result::Result<V::Value, Failure> {
    if let Ok(value) = u64::try_from(value) {
        visitor.visit_u64(value)
    } else if let Ok(value) = i64::try_from(value) {
        visitor.visit_i64(value)
    } else {
        let found = format!("{value}, which has more than 64 bits");
        Err(de::Error::invalid_type(Unexpected::Other(&found), &visitor))
    }
}

macro_rules! whole {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> std::result::Result<V::Value, Failure> {
            self.visit_whole(visitor)
        })*
    };
}

impl<'de> de::Deserializer<'de> for Reader<'de> {
    type Error = Failure;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> std::result::Result<V::Value, Failure> {
        self.visit(visitor)
    }

    whole! {
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> std::result::Result<V::Value, Failure> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> std::result::Result<V::Value, Failure> {
        match self.node.value {
            Value::Int(value) => visitor.visit_f64(value as f64),
            _ => self.visit(visitor),
        }
    }

    /// What is ignored need not even have a value.
    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> std::result::Result<V::Value, Failure> {
        visitor.visit_unit()
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> std::result::Result<V::Value, Failure> {
        match self.node.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> std::result::Result<V::Value, Failure> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> std::result::Result<V::Value, Failure> {
        let node = self.node;
        let result = match &node.value {
            Value::Str(_) if node.is_missing() => return self.visit(visitor),
            Value::Str(text) => visitor.visit_enum(Name(text)),
            Value::Map(entries) => match selector(node) {
                Some((key, node)) => visitor.visit_enum(Variant { key, node, entries }),
                None if entries.len() == 1 => {
                    visitor.visit_enum(de::value::MapAccessDeserializer::new(Entries::of(entries)))
                }
                None => match entries.keys().find(|key| variants.contains(&key.as_str())) {
                    Some(name) => Err(de::Error::custom(beside(name, entries))),
                    None => Err(de::Error::missing_field(SELECTORS[0])),
                },
            },
            _ => Err(de::Error::custom(format_args!("expected a name, found {}", node.describe()))),
        };
        result.map_err(|failure: Failure| failure.within(node))
    }

    serde::forward_to_deserialize_any! {
        bool char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier
    }
}

/// What is wrong with a mapping that should have the name of a variant alone.
fn beside(name: &str, entries: &Map) -> String {
    let others: Vec<&str> = entries.keys().map(String::as_str).filter(|key| *key != name).collect();
    format!("expected {name} with its settings below it, found {} beside it", others.join(", "))
}

/// A name as a variant without fields.
struct Name<'de>(&'de str);

impl<'de> de::EnumAccess<'de> for Name<'de> {
    type Error = Failure;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> std::result::Result<(V::Value, Self), Failure> {
        let name = de::value::BorrowedStrDeserializer::<Failure>::new(self.0);
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de> de::VariantAccess<'de> for Name<'de> {
    type Error = Failure;

    fn unit_variant(self) -> std::result::Result<(), Failure> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, _seed: T) -> std::result::Result<T::Value, Failure> {
        Err(de::Error::custom(format_args!("found the name alone; expected its settings too, {}: ...", self.0)))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, visitor: V) -> std::result::Result<V::Value, Failure> {
        Err(de::Error::invalid_type(Unexpected::UnitVariant, &visitor))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> std::result::Result<V::Value, Failure> {
        Err(de::Error::invalid_type(Unexpected::UnitVariant, &visitor))
    }
}

/// A mapping as a variant with fields.
struct Variant<'de> {
    /// The selector, and the name of the variant.
    key: &'static str,
    node: &'de Node,
    entries: &'de Map,
}

impl<'de> de::EnumAccess<'de> for Variant<'de> {
    type Error = Failure;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> std::result::Result<(V::Value, Self), Failure> {
        let variant = seed.deserialize(Reader { node: self.node });
        let variant = variant.map_err(|failure: Failure| failure.within(self.node).under(self.key))?;
        Ok((variant, self))
    }
}

impl<'de> de::VariantAccess<'de> for Variant<'de> {
    type Error = Failure;

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> std::result::Result<V::Value, Failure> {
        visitor.visit_map(Entries { but: Some(self.key), ..Entries::of(self.entries) })
    }

    fn unit_variant(self) -> std::result::Result<(), Failure> {
        Err(de::Error::custom("expected a name, found a mapping"))
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, _seed: T) -> std::result::Result<T::Value, Failure> {
        Err(de::Error::custom("expected another form than a mapping"))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, _visitor: V) -> std::result::Result<V::Value, Failure> {
        Err(de::Error::custom("expected another form than a mapping"))
    }
}

struct Items<'de> {
    items: std::iter::Enumerate<std::slice::Iter<'de, Node>>,
}

impl<'de> de::SeqAccess<'de> for Items<'de> {
    type Error = Failure;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> std::result::Result<Option<T::Value>, Failure> {
        let Some((index, node)) = self.items.next() else { return Ok(None) };
        seed.deserialize(Reader { node }).map(Some).map_err(|failure| failure.within(node).under(&index.to_string()))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

struct Entries<'de> {
    entries: indexmap::map::Iter<'de, String, Node>,
    value: Option<(&'de str, &'de Node)>,
    /// A key that is left out.
    but: Option<&'static str>,
}

impl<'de> Entries<'de> {
    fn of(map: &'de Map) -> Self {
        Self { entries: map.iter(), value: None, but: None }
    }
}

impl<'de> de::MapAccess<'de> for Entries<'de> {
    type Error = Failure;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> std::result::Result<Option<K::Value>, Failure> {
        let Some((key, node)) = self.entries.by_ref().find(|(key, _)| self.but != Some(key)) else { return Ok(None) };
        self.value = Some((key, node));
        let key = de::value::BorrowedStrDeserializer::<Failure>::new(key);
        seed.deserialize(key).map(Some).map_err(|mut failure| {
            failure.origin.get_or_insert_with(|| node.origin.clone());
            failure
        })
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> std::result::Result<T::Value, Failure> {
        let Some((key, node)) = self.value.take() else {
            return Err(de::Error::custom("a value was asked for before its key"));
        };
        seed.deserialize(Reader { node }).map_err(|failure| failure.within(node).under(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Trainer {
        learning_rate: f64,
        batch_size: usize,
        split: [f64; 3],
        activation: Activation,
        run_dir: Option<PathBuf>,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "lowercase")]
    enum Activation {
        Relu,
        Tanh,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "lowercase", deny_unknown_fields)]
    enum Data {
        Line { slope: f64 },
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "lowercase")]
    enum Layer {
        Norm(BTreeMap<String, f64>),
        Scale(f64),
    }

    const GOOD: &str = "learning_rate: 1\nbatch_size: 1e3\nsplit: [0.8, 0.1, 0.1]\nactivation: relu\nrun_dir: null\n";

    fn read<T: DeserializeOwned>(text: &str) -> Result<T> {
        from_node(&crate::yaml::parse(&Arc::from("a.yaml"), text).expect("valid YAML"), "trainer", &History::default())
    }

    fn error(text: &str) -> String {
        read::<Trainer>(text).expect_err("must be refused").to_string()
    }

    #[test]
    fn settings_are_read_into_types() {
        let trainer: Trainer = read(GOOD).expect("valid");
        assert_eq!((trainer.learning_rate, trainer.batch_size), (1.0, 1000));
        assert_eq!((trainer.activation, trainer.run_dir), (Activation::Relu, None));
        let map: BTreeMap<String, u64> = read("a: 1\nb: 18446744073709551615\n").expect("valid");
        assert_eq!(map["b"], u64::MAX);
        assert_eq!(read::<Data>("kind: line\nslope: 2\n").expect("valid"), Data::Line { slope: 2.0 });
    }

    #[test]
    fn errors_name_the_line_and_the_key() {
        assert_eq!(
            error(&GOOD.replace("learning_rate", "learning_rte")),
            "a.yaml:1: trainer.learning_rte: unknown key; did you mean trainer.learning_rate?"
        );
        assert_eq!(
            error(&(GOOD.to_owned() + "colour: red\n")),
            "a.yaml:6: trainer.colour: unknown key; known: learning_rate, batch_size, split, activation, run_dir"
        );
        assert_eq!(
            error(&GOOD.replace("1e3", "abc")),
            "a.yaml:2: trainer.batch_size: expected a non-negative integer, found \"abc\""
        );
        assert_eq!(
            error(&GOOD.replace("1e3", "-5")),
            "a.yaml:2: trainer.batch_size: expected a non-negative integer, found -5"
        );
        assert_eq!(
            error(&GOOD.replace("1e3", "1.5")),
            "a.yaml:2: trainer.batch_size: expected a non-negative integer, found 1.5"
        );
        assert_eq!(error(&GOOD.replace("0.8", "x")), "a.yaml:3: trainer.split.0: expected a number, found \"x\"");
        assert_eq!(
            error(&GOOD.replace("relu", "rely")),
            "a.yaml:4: trainer.activation: \"rely\" is not one of relu, tanh; did you mean relu?"
        );
        assert_eq!(
            error(&GOOD.replace("batch_size: 1e3\n", "")),
            "a.yaml:1: trainer.batch_size: missing; give it as +trainer.batch_size=..."
        );
        assert!(error(&GOOD.replace("1e3", "???")).contains("batch_size: has no value yet"));
        assert!(error(&GOOD.replace("relu", "[relu]")).contains("activation: expected a name"));
        assert!(error("3").contains("expected a mapping, found 3"));
        let data = read::<Data>("kind: line\nslope: 2\nslop: 3\n").expect_err("unknown").to_string();
        assert_eq!(data, "a.yaml:3: trainer.slop: unknown key; did you mean trainer.slope?");
        assert_eq!(
            error(&GOOD.replace(", 0.1]", "]")),
            "a.yaml:3: trainer.split: expected a list of length 3, found one of length 2"
        );
    }

    #[test]
    fn a_variant_is_read_as_carefully_as_a_struct() {
        let error = |text: &str| read::<Data>(text).expect_err("must be refused").to_string();
        assert_eq!(error("kind: line\nslope: x\n"), "a.yaml:2: trainer.slope: expected a number, found \"x\"");
        assert_eq!(
            error("slope: 2\nkind: lime\n"),
            "a.yaml:2: trainer.kind: \"lime\" is not one of line; did you mean line?"
        );
        assert_eq!(error("kind: line\n"), "a.yaml:1: trainer.slope: missing; give it as +trainer.slope=...");
        assert_eq!(error("slope: 2\nx: 1\n"), "a.yaml:1: trainer.name: missing; give it as +trainer.name=...");
        assert_eq!(read::<Data>("line: {slope: 2}\n").expect("valid"), Data::Line { slope: 2.0 });
        assert_eq!(
            error("line:\n  slop: 2\n"),
            "a.yaml:2: trainer.line.slop: unknown key; did you mean trainer.line.slope?"
        );
        assert_eq!(error("line"), "a.yaml:1: trainer: expected a mapping, found a name alone");
        assert!(
            super::tests::error(&GOOD.replace("relu", "{name: relu}"))
                .contains("activation: expected a name, found a mapping")
        );
    }

    #[test]
    fn a_variant_stands_alone_with_its_settings() {
        let error = |text: &str| read::<Vec<Layer>>(text).expect_err("must be refused").to_string();
        assert_eq!(read::<Vec<Layer>>("- scale: 2\n").expect("valid"), [Layer::Scale(2.0)]);
        assert_eq!(
            error("- scale: 2\n- norm: {}\n  scale: 1\n"),
            "a.yaml:2: trainer.1: expected norm with its settings below it, found scale beside it"
        );
        assert_eq!(
            error("- norm\n"),
            "a.yaml:1: trainer.0: found the name alone; expected its settings too, norm: ..."
        );
    }

    #[test]
    fn numbers_beyond_64_bits_are_floats_or_refused() {
        let large = "123456789012345678901234567890";
        assert_eq!(read::<f64>(large).expect("a number"), 123456789012345678901234567890.0);
        assert_eq!(
            error(&GOOD.replace("1e3", large)),
            format!(
                "a.yaml:2: trainer.batch_size: expected a non-negative integer, found {large}, which has more than 64 bits"
            )
        );
        assert!(read::<BTreeMap<String, de::IgnoredAny>>(&format!("a: {large}\nb: ???\n")).is_ok());
    }
}
