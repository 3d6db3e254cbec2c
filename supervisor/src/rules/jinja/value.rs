//! A value in a template: what Python would have in its place.

use std::sync::Arc;

use num_bigint::BigInt;
use num_traits::ToPrimitive;

use super::cells::{Dict, Entries, Key, List, Stream, Tuple};
use super::error::{Error, Result, type_error};
use super::objects::{Cycler, Joiner, Loop, Macro, Method};
use crate::rules::store::Lookup;

/// A value.
#[derive(Clone, Debug)]
pub enum Value {
    /// Something that is not there.
    Undefined(Arc<Missing>),
    /// `None`.
    None,
    /// `True`, `False`.
    Bool(bool),
    /// An `int` that fits.
    Int(i64),
    /// An `int` that does not.
    Big(Arc<BigInt>),
    /// A `float`.
    Float(f64),
    /// A `str`.
    Str(Arc<str>),
    /// `markupsafe.Markup`: text that is HTML already.
    Markup(Arc<str>),
    /// `bytes`.
    Bytes(Arc<[u8]>),
    /// A date or time of YAML, as Python writes it.
    Time(Arc<str>),
    /// A `list`.
    List(Arc<List>),
    /// A `tuple`.
    Tuple(Arc<Tuple>),
    /// A `dict`.
    Dict(Arc<Dict>),
    /// `dict.keys()` and its like.
    View(View, Arc<Dict>),
    /// `range(start, stop, step)`.
    Range(i64, i64, i64),
    /// A generator or iterator.
    Stream(Arc<Stream>),
    /// A method of a value.
    Method(Arc<Method>),
    /// A global function.
    Function(&'static str),
    /// A macro.
    Macro(Arc<Macro>),
    /// `loop`.
    Loop(Arc<Loop>),
    /// `namespace()`.
    Namespace(Arc<Dict>),
    /// `cycler()`.
    Cycler(Arc<Cycler>),
    /// `joiner()`.
    Joiner(Arc<Joiner>),
    /// A place in the datastore.
    Keys(Arc<Lookup>),
}

/// A view of a dict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// `dict.keys()`.
    Keys,
    /// `dict.values()`.
    Values,
    /// `dict.items()`.
    Items,
}

/// What is known of something that is not there.
#[derive(Debug)]
pub struct Missing {
    /// The error of whoever uses it.
    pub kind: &'static str,
    /// Its words.
    pub message: String,
    /// Only an inline `if` without `else` gives one that may be written, as nothing.
    pub lenient: bool,
}

impl Value {
    /// A `str`.
    pub fn str(text: impl Into<Arc<str>>) -> Self {
        Self::Str(text.into())
    }

    /// An `int`.
    pub fn int(int: BigInt) -> Self {
        match int.to_i64() {
            Some(small) => Self::Int(small),
            None => Self::Big(Arc::new(int)),
        }
    }

    /// The `int` of a length.
    pub fn count(count: usize) -> Self {
        Self::Int(count as i64)
    }

    /// A new `list`.
    pub fn list(items: Vec<Self>) -> Self {
        Self::List(Arc::new(List::new(items, false)))
    }

    /// A `tuple`.
    pub fn tuple(items: Vec<Self>) -> Self {
        let grouped = false;
        Self::Tuple(Arc::new(Tuple { items, grouped }))
    }

    /// A new `dict`.
    pub fn dict(entries: Entries) -> Self {
        Self::Dict(Arc::new(Dict::new(entries, false)))
    }

    /// A dict with text for keys; shared ones cannot be changed by templates.
    pub fn map(pairs: impl IntoIterator<Item = (String, Self)>) -> Self {
        let pairs = pairs.into_iter();
        let entries = pairs.map(|(key, value)| (Key::from(key.as_str()), value));
        Self::Dict(Arc::new(Dict::new(entries.collect(), true)))
    }

    /// Something that gives its items once.
    pub fn stream(kind: &'static str, items: Vec<Self>) -> Self {
        Self::Stream(Arc::new(Stream::new(kind, items, None)))
    }

    /// Something that is not there.
    pub fn missing(message: impl Into<String>) -> Self {
        Self::Undefined(Arc::new(Missing {
            kind: "UndefinedError",
            message: message.into(),
            lenient: false,
        }))
    }

    /// The value of a name in a dict.
    pub fn get(&self, name: &str) -> Option<Self> {
        match self {
            Self::Dict(dict) | Self::Namespace(dict) => dict.get(name),
            _ => None,
        }
    }

    /// The text of a `str` or of markup.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(text) | Self::Markup(text) => Some(text),
            _ => None,
        }
    }

    /// An `int` that fits, or a boolean.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(int) => Some(*int),
            Self::Bool(flag) => Some(i64::from(*flag)),
            _ => None,
        }
    }

    /// True unless it is not there.
    pub fn is_defined(&self) -> bool {
        !matches!(self, Self::Undefined(_))
    }

    /// True for `None`.
    pub fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    /// The name of its Python type.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Undefined(missing) if missing.lenient => "Undefined",
            Self::Undefined(_) => "StrictUndefined",
            Self::None => "NoneType",
            Self::Bool(_) => "bool",
            Self::Int(_) | Self::Big(_) => "int",
            Self::Float(_) => "float",
            Self::Str(_) => "str",
            Self::Markup(_) => "Markup",
            Self::Bytes(_) => "bytes",
            Self::Time(_) => "datetime.datetime",
            Self::List(_) => "list",
            Self::Tuple(tuple) if tuple.grouped => "_GroupTuple",
            Self::Tuple(_) => "tuple",
            Self::Dict(_) => "dict",
            Self::View(View::Keys, _) => "dict_keys",
            Self::View(View::Values, _) => "dict_values",
            Self::View(View::Items, _) => "dict_items",
            Self::Range(..) => "range",
            Self::Stream(stream) => stream.kind,
            Self::Method(_) => "builtin_function_or_method",
            Self::Function("dict" | "cycler" | "joiner" | "namespace") => "type",
            Self::Function(_) => "function",
            Self::Macro(_) => "Macro",
            Self::Loop(_) => "LoopContext",
            Self::Namespace(_) => "Namespace",
            Self::Cycler(_) => "Cycler",
            Self::Joiner(_) => "Joiner",
            Self::Keys(_) => "KeyValueLookup",
        }
    }

    /// An error when it is not there.
    ///
    /// # Errors
    /// `UndefinedError`, for strict ones also where lenient ones are nothing.
    pub fn defined(&self) -> Result<()> {
        match self {
            Self::Undefined(missing) if !missing.lenient => Err(missing.error()),
            _ => Ok(()),
        }
    }

    /// `bool(value)`.
    ///
    /// # Errors
    /// When it is not there.
    pub fn is_true(&self) -> Result<bool> {
        self.defined()?;
        Ok(match self {
            Self::Undefined(_) | Self::None => false,
            Self::Bool(flag) => *flag,
            Self::Int(int) => *int != 0,
            Self::Float(float) => *float != 0.0,
            Self::Str(text) | Self::Markup(text) => !text.is_empty(),
            Self::Bytes(bytes) => !bytes.is_empty(),
            Self::List(list) => !list.lock().is_empty(),
            Self::Tuple(tuple) => !tuple.items.is_empty(),
            Self::Dict(dict) | Self::View(_, dict) => !dict.lock().is_empty(),
            Self::Range(..) => self.length()? != 0,
            Self::Keys(keys) => keys.is_true(),
            _ => true,
        })
    }

    /// `len(value)`.
    ///
    /// # Errors
    /// For what has none.
    pub fn length(&self) -> Result<usize> {
        self.defined()?;
        Ok(match self {
            Self::Undefined(_) => 0,
            Self::Str(text) | Self::Markup(text) => text.chars().count(),
            Self::Bytes(bytes) => bytes.len(),
            Self::List(list) => list.lock().len(),
            Self::Tuple(tuple) => tuple.items.len(),
            Self::Dict(dict) | Self::View(_, dict) => dict.lock().len(),
            Self::Range(start, stop, step) => super::iterate::range_len(*start, *stop, *step),
            Self::Loop(of) => of.items.len(),
            other => {
                let kind = other.type_name();
                return Err(type_error(format!("object of type '{kind}' has no len()")));
            }
        })
    }

    /// As a key of a dict.
    ///
    /// # Errors
    /// For what cannot be one.
    pub fn key(&self) -> Result<Key> {
        self.key_at(0)
    }

    fn key_at(&self, depth: usize) -> Result<Key> {
        self.defined()?;
        if depth > super::budget::MAX_VALUE_DEPTH {
            return Err(super::error::limit("a key is nested too deeply"));
        }
        match self {
            Self::List(_) | Self::Dict(_) | Self::View(View::Keys | View::Items, _) => Err(
                type_error(format!("unhashable type: '{}'", self.type_name())),
            ),
            Self::Tuple(tuple) => {
                let mut all = tuple.items.iter();
                all.try_for_each(|item| item.key_at(depth + 1).map(drop))?;
                Ok(Key(self.clone()))
            }
            _ => Ok(Key(self.clone())),
        }
    }
}

impl Missing {
    /// What happens to whoever uses it.
    pub fn error(&self) -> Error {
        Error::new(self.kind, self.message.clone())
    }
}

impl Default for Value {
    fn default() -> Self {
        Self::missing("this is not defined")
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::str(text)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::str(text)
    }
}
