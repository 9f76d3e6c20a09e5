//! A node as serde's data model.

use super::{
    failure::Failure,
    variant::{Name, SELECTORS, Variant, beside, selector},
};
use crate::node::{Map, Node, Value};
use serde::de::{self, DeserializeSeed, Unexpected, Visitor};

type Result<T> = std::result::Result<T, Failure>;

/// Largest float whose neighbours are a whole number away at most.
const MAX_WHOLE_FLOAT: f64 = (1u64 << 53) as f64;

#[derive(Clone, Copy)]
pub(super) struct Reader<'de> {
    pub node: &'de Node,
}

impl<'de> Reader<'de> {
    fn visit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
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
    fn visit_whole<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.node.value {
            Value::Float(value) if value.fract() == 0.0 && value.abs() < MAX_WHOLE_FLOAT => {
                visit_int(value as i128, visitor).map_err(|failure: Failure| failure.within(self.node))
            }
            _ => self.visit(visitor),
        }
    }
}

/// Visitors of 64-bit integers take no larger ones.
fn visit_int<'de, V: Visitor<'de>>(value: i128, visitor: V) -> Result<V::Value> {
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
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
            self.visit_whole(visitor)
        })*
    };
}

impl<'de> de::Deserializer<'de> for Reader<'de> {
    type Error = Failure;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.visit(visitor)
    }

    whole! {
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.node.value {
            Value::Int(value) => visitor.visit_f64(value as f64),
            _ => self.visit(visitor),
        }
    }

    /// What is ignored need not even have a value.
    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_unit()
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.node.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _name: &'static str, visitor: V) -> Result<V::Value> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
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

/// The elements of a sequence.
struct Items<'de> {
    items: std::iter::Enumerate<std::slice::Iter<'de, Node>>,
}

impl<'de> de::SeqAccess<'de> for Items<'de> {
    type Error = Failure;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        let Some((index, node)) = self.items.next() else { return Ok(None) };
        seed.deserialize(Reader { node }).map(Some).map_err(|failure| failure.within(node).under(&index.to_string()))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

/// The entries of a mapping.
pub(super) struct Entries<'de> {
    entries: indexmap::map::Iter<'de, String, Node>,
    value: Option<(&'de str, &'de Node)>,
    /// A key that is left out.
    but: Option<&'static str>,
}

impl<'de> Entries<'de> {
    pub fn of(map: &'de Map) -> Self {
        Self { entries: map.iter(), value: None, but: None }
    }

    /// All but `key`.
    pub fn without(key: &'static str, map: &'de Map) -> Self {
        Self { but: Some(key), ..Self::of(map) }
    }
}

impl<'de> de::MapAccess<'de> for Entries<'de> {
    type Error = Failure;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>> {
        let Some((key, node)) = self.entries.by_ref().find(|(key, _)| self.but != Some(key)) else { return Ok(None) };
        self.value = Some((key, node));
        let key = de::value::BorrowedStrDeserializer::<Failure>::new(key);
        seed.deserialize(key).map(Some).map_err(|mut failure| {
            failure.origin.get_or_insert_with(|| node.origin.clone());
            failure
        })
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value> {
        let Some((key, node)) = self.value.take() else {
            return Err(de::Error::custom("a value was asked for before its key"));
        };
        seed.deserialize(Reader { node }).map_err(|failure| failure.within(node).under(key))
    }
}
