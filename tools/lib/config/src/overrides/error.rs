//! What can be wrong with the text of an override.

use crate::node::MAX_DEPTH;
use std::borrow::Cow;

/// What in the text of an override is outside Hydra's grammar, or cannot be computed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GrammarError {
    /// `key` alone, which only `~key` can be.
    #[error("no value; write key=value")]
    NoValue,
    /// What stands before the `=` is neither a dotted path nor a group.
    #[error("{0:?} is not a key; write it as a.b or group/sub")]
    Key(String),
    /// What stands behind the `@` is no dotted path.
    #[error("what follows @ is not a package; write it as a.b")]
    Package,
    /// A quote that nothing closes.
    #[error("quote {0} is not closed")]
    UnclosedQuote(char),
    /// A character that begins no token.
    #[error("{0:?} must be quoted, e.g. key='a {0} b'")]
    Character(char),
    /// A token that cannot stand where it does.
    #[error("unexpected {0:?}")]
    Unexpected(String),
    /// A token or value that is required before the named one, or at the end.
    #[error("{what} is missing {}", match .before { Some(token) => format!("before {token:?}"), None => "at the end".into() })]
    Missing {
        /// What is missing, for instance `]`.
        what: &'static str,
        /// The token found instead; none at the end of the text.
        before: Option<String>,
    },
    /// Lists and dicts within each other, too many.
    #[error("nests deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// A key of a dict that is a number, a boolean, null or nothing.
    #[error("a key of a dict must be a string")]
    DictKey,
    /// Spaces without quotes.
    #[error("a value of spaces alone must be quoted")]
    OnlySpaces,
    /// A sweep as one value of a sweep.
    #[error("a sweep cannot be one value of another")]
    NestedSweep,
    /// `f(name=a, b)`
    #[error("{0}(): a plain argument follows a named one")]
    PositionalAfterNamed(String),
    /// A function that the grammar does not have.
    #[error("unknown function {0}(); known: int, float, str, bool, choice, range, interval, glob, tag, sort, shuffle")]
    UnknownFunction(String),
    /// Arguments that a function does not take.
    #[error("{function}() {problem}")]
    Arguments {
        /// The function's name.
        function: String,
        /// What it takes, or what is wrong.
        problem: Cow<'static, str>,
    },
    /// NaN among the values that `sort()` is to order.
    #[error("nan has no place in an order")]
    UnorderedNan,
    /// Text that `int()` cannot read.
    #[error("{0:?} is not an integer of at most 127 bits")]
    Integer(String),
    /// Text that `float()` cannot read.
    #[error("{0:?} is not a number")]
    Float(String),
}

impl GrammarError {
    /// The error of the function `function`; `problem` goes on from `function() `.
    pub(super) fn arguments(function: &str, problem: impl Into<Cow<'static, str>>) -> Self {
        Self::Arguments { function: function.to_owned(), problem: problem.into() }
    }
}

/// What the functions of this module return.
pub(super) type Result<T> = std::result::Result<T, GrammarError>;
