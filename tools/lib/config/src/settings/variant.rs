//! Enums: `name`, `{variant: {fields}}`, or a mapping of which one key says the variant.

use super::{
    failure::Failure,
    reader::{Entries, Reader},
};
use crate::node::{Map, Node};
use serde::de::{self, DeserializeSeed, Unexpected, Visitor};

type Result<T> = std::result::Result<T, Failure>;

/// Keys whose value selects a variant; the other keys of the mapping are its fields. An enum whose variants have fields is read
/// from such a mapping (unlike serde's own `tag`, that keeps the origin of each value), or from `variant: {fields}`.
pub(super) const SELECTORS: [&str; 3] = ["name", "kind", "task"];

/// The key of `node` that selects a variant, and its value.
pub(crate) fn selector(node: &Node) -> Option<(&'static str, &Node)> {
    SELECTORS.iter().find_map(|key| Some((*key, node.child(key)?)))
}

/// What is wrong with a mapping that should have the name of a variant alone.
pub(super) fn beside(name: &str, entries: &Map) -> String {
    let others: Vec<&str> = entries.keys().map(String::as_str).filter(|key| *key != name).collect();
    format!("expected {name} with its settings below it, found {} beside it", others.join(", "))
}

/// A name as a variant without fields.
pub(super) struct Name<'de>(pub &'de str);

impl<'de> de::EnumAccess<'de> for Name<'de> {
    type Error = Failure;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self)> {
        let name = de::value::BorrowedStrDeserializer::<Failure>::new(self.0);
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de> de::VariantAccess<'de> for Name<'de> {
    type Error = Failure;

    fn unit_variant(self) -> Result<()> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, _seed: T) -> Result<T::Value> {
        Err(de::Error::custom(format_args!("found the name alone; expected its settings too, {}: ...", self.0)))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value> {
        Err(de::Error::invalid_type(Unexpected::UnitVariant, &visitor))
    }

    fn struct_variant<V: Visitor<'de>>(self, _fields: &'static [&'static str], visitor: V) -> Result<V::Value> {
        Err(de::Error::invalid_type(Unexpected::UnitVariant, &visitor))
    }
}

/// A mapping as a variant with fields.
pub(super) struct Variant<'de> {
    /// The selector, and the name of the variant.
    pub key: &'static str,
    pub node: &'de Node,
    pub entries: &'de Map,
}

impl<'de> de::EnumAccess<'de> for Variant<'de> {
    type Error = Failure;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self)> {
        let variant = seed.deserialize(Reader { node: self.node });
        let variant = variant.map_err(|failure: Failure| failure.within(self.node).under(self.key))?;
        Ok((variant, self))
    }
}

impl<'de> de::VariantAccess<'de> for Variant<'de> {
    type Error = Failure;

    fn struct_variant<V: Visitor<'de>>(self, _fields: &'static [&'static str], visitor: V) -> Result<V::Value> {
        visitor.visit_map(Entries::without(self.key, self.entries))
    }

    fn unit_variant(self) -> Result<()> {
        Err(de::Error::custom("expected a name, found a mapping"))
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, _seed: T) -> Result<T::Value> {
        Err(de::Error::custom("expected another form than a mapping"))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, _visitor: V) -> Result<V::Value> {
        Err(de::Error::custom("expected another form than a mapping"))
    }
}
