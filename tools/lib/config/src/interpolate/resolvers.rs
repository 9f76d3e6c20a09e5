//! The resolvers that OmegaConf registers itself, all under `oc.`.

use super::evaluate::{Evaluator, KeyPath, Located};
use super::python;
use crate::{
    error::{Error, Origin, Result},
    node::{Node, Value},
};

const KNOWN: &str = "oc.env, oc.select, oc.decode, oc.create, oc.deprecated, oc.dict.keys, oc.dict.values";
const DEPRECATED: &str = "'$OLD_KEY' is deprecated. Change your code and config to use '$NEW_KEY'";

/// A call of a resolver.
pub(super) struct Call<'c> {
    pub name: &'c str,
    pub arguments: Vec<Node>,
    /// Where the interpolation stands.
    pub path: &'c KeyPath,
    pub origin: &'c Origin,
}

pub(super) fn call(evaluator: &Evaluator<'_>, call: Call<'_>) -> Result<Located> {
    match call.name {
        "oc.env" => call.env().map(Located::Value),
        "oc.select" => call.select(evaluator),
        "oc.decode" => call.decode(evaluator).map(Located::Value),
        "oc.create" => call.create().map(Located::Value),
        "oc.deprecated" => call.deprecated(evaluator),
        "oc.dict.keys" => call.keys(evaluator).map(Located::Value),
        "oc.dict.values" => call.values(evaluator).map(Located::Value),
        name => Err(call.fail(format!("no such resolver: {name}; known: {KNOWN}"))),
    }
}

impl Call<'_> {
    fn fail(&self, message: impl std::fmt::Display) -> Error {
        Error::at(self.origin, format!("{}: {message}", self.path.dotted()))
    }

    /// One argument, and perhaps a second.
    fn one_or_two(&self) -> Result<(&Node, Option<&Node>)> {
        match self.arguments.as_slice() {
            [first] => Ok((first, None)),
            [first, second] => Ok((first, Some(second))),
            _ => Err(self.fail(format_args!("{} takes one or two arguments", self.name))),
        }
    }

    fn one(&self) -> Result<&Node> {
        match self.arguments.as_slice() {
            [only] => Ok(only),
            _ => Err(self.fail(format_args!("{} takes one argument", self.name))),
        }
    }

    fn string<'n>(&self, node: &'n Node) -> Result<&'n str> {
        node.as_str().ok_or_else(|| self.fail(format_args!("{} needs a string, not {}", self.name, node.describe())))
    }

    /// Where `key` leads, relative to the interpolation if it begins with a dot.
    fn locate(&self, evaluator: &Evaluator<'_>, key: &str) -> Result<Option<Located>> {
        let path = key.trim_start_matches('.');
        let from = evaluator.start(self.path, key.len() - path.len(), self.origin)?;
        let keys: Vec<String> = crate::node::split_key(path).into_iter().map(str::to_owned).collect();
        if keys.is_empty() && !path.is_empty() {
            return Err(self.fail(format_args!("{key:?} is not a key")));
        }
        evaluator.locate(&from, &keys, self.origin)
    }

    /// `oc.env:NAME[,default]`; a default becomes a string, except null.
    fn env(&self) -> Result<Node> {
        let (name, default) = self.one_or_two()?;
        let name = self.string(name)?;
        // `var_os` would panic on such a name.
        let valid = !name.is_empty() && !name.contains(['=', '\0']);
        let value = match (valid.then(|| std::env::var_os(name)).flatten(), default) {
            (Some(value), _) => match value.into_string() {
                Ok(text) => Value::Str(text),
                Err(_) => return Err(self.fail(format_args!("environment variable {name} is not UTF-8"))),
            },
            (None, Some(Node { value: Value::Null, .. })) => Value::Null,
            (None, Some(default)) => Value::Str(python::str(default)),
            (None, None) => return Err(self.fail(format_args!("environment variable {name} is not set"))),
        };
        Ok(Node::new(value, self.origin))
    }

    /// `oc.select:key[,default]`
    fn select(&self, evaluator: &Evaluator<'_>) -> Result<Located> {
        let (key, default) = self.one_or_two()?;
        match self.locate(evaluator, self.string(key)?)? {
            Some(Located::Missing) | None => {}
            Some(located) => return Ok(located),
        }
        Ok(Located::Value(default.cloned().unwrap_or_else(|| Node::new(Value::Null, self.origin))))
    }

    /// `oc.decode:text`
    fn decode(&self, evaluator: &Evaluator<'_>) -> Result<Node> {
        let argument = self.one()?;
        match &argument.value {
            Value::Null => Ok(argument.clone()),
            _ => evaluator.decode(self.path, self.string(argument)?, self.origin),
        }
    }

    /// `oc.create:value`
    fn create(&self) -> Result<Node> {
        let argument = self.one()?;
        match &argument.value {
            Value::Seq(_) | Value::Map(_) => Ok(argument.clone()),
            Value::Null => Ok(argument.clone()),
            Value::Str(text) => crate::yaml::parse(&self.origin.to_string().into(), text),
            _ => Err(self.fail(format_args!("oc.create needs a mapping or a list, not {}", argument.describe()))),
        }
    }

    /// `oc.deprecated:key[,message]`
    fn deprecated(&self, evaluator: &Evaluator<'_>) -> Result<Located> {
        let (key, message) = self.one_or_two()?;
        let key = self.string(key)?;
        let message = match message {
            Some(message) => self.string(message)?,
            None => DEPRECATED,
        };
        let located =
            self.locate(evaluator, key)?.ok_or_else(|| self.fail(format_args!("{key}: there is no such key")))?;
        let message = message.replace("$OLD_KEY", &self.path.dotted()).replace("$NEW_KEY", key);
        evaluator.warn(format!("{}: {message}", self.origin));
        Ok(located)
    }

    /// `oc.dict.keys:key`; the values are of no concern, and may refer to the list of keys.
    fn keys(&self, evaluator: &Evaluator<'_>) -> Result<Node> {
        let mapping = self.mapping(evaluator)?;
        let keys = evaluator.peek(&mapping).and_then(Node::as_map).into_iter().flatten();
        let names = keys.map(|(key, _)| Node::new(Value::Str(key.clone()), self.origin));
        Ok(Node::new(Value::Seq(names.collect()), self.origin))
    }

    /// `oc.dict.values:key`
    fn values(&self, evaluator: &Evaluator<'_>) -> Result<Node> {
        let resolved = evaluator.value(self.mapping(evaluator)?, self.origin)?;
        let values = resolved.as_map().into_iter().flatten();
        Ok(Node::new(Value::Seq(values.map(|(_, value)| value.clone()).collect()), self.origin))
    }

    /// The mapping that the one argument names.
    fn mapping(&self, evaluator: &Evaluator<'_>) -> Result<Located> {
        let key = self.string(self.one()?)?;
        let located =
            self.locate(evaluator, key)?.ok_or_else(|| self.fail(format_args!("{key}: there is no such key")))?;
        match evaluator.peek(&located) {
            Some(Node { value: Value::Map(_), .. }) => Ok(located),
            Some(node) => {
                Err(self.fail(format_args!("{} needs a mapping, and {key} is {}", self.name, node.describe())))
            }
            None => Err(self.fail(format_args!("{key} has no value yet (???)"))),
        }
    }
}
