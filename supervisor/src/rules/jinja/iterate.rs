//! Going through the items of a value.

use std::sync::Arc;

use super::cells::{Dict, List, Stream};
use super::error::{Error, Result, type_error};
use super::objects::Loop;
use super::value::{Value, View};

/// `len(range(start, stop, step))`.
pub fn range_len(start: i64, stop: i64, step: i64) -> usize {
    let (start, stop, step) = (i128::from(start), i128::from(stop), i128::from(step));
    let distance = if step > 0 { stop - start } else { start - stop };
    let step = step.abs().max(1);
    usize::try_from((distance.max(0) + step - 1) / step).unwrap_or(usize::MAX)
}

/// `iter(value)`.
pub enum Items {
    /// Items that are known.
    Known(std::vec::IntoIter<Value>),
    /// A list, which may grow on the way.
    List(Arc<List>, usize),
    /// A dict, which may not.
    Dict(Arc<Dict>, std::vec::IntoIter<Value>, usize),
    /// Something that gives its items once.
    Stream(Arc<Stream>),
    /// A loop, which gives its own items and so ends itself.
    Loop(Arc<Loop>),
}

/// `iter(value)`.
///
/// # Errors
/// For what has no items.
pub fn iterate(value: &Value) -> Result<Items> {
    value.defined()?;
    let known = |items: Vec<Value>| Ok(Items::Known(items.into_iter()));
    match value {
        Value::Undefined(_) => known(Vec::new()),
        Value::List(list) => Ok(Items::List(Arc::clone(list), 0)),
        Value::Tuple(tuple) => known(tuple.items.clone()),
        Value::Str(text) | Value::Markup(text) => {
            let mut buffer = [0; 4];
            let letter = |c: char| Value::str(&*c.encode_utf8(&mut buffer));
            known(text.chars().map(letter).collect())
        }
        Value::Bytes(bytes) => known(bytes.iter().map(|b| Value::Int(i64::from(*b))).collect()),
        Value::Dict(dict) | Value::View(View::Keys, dict) => {
            let keys = dict.keys();
            let length = keys.len();
            Ok(Items::Dict(Arc::clone(dict), keys.into_iter(), length))
        }
        Value::View(view, dict) => {
            let pairs = dict.pairs().into_iter();
            let items: Vec<Value> = match view {
                View::Items => pairs.map(|(k, v)| Value::tuple(vec![k, v])).collect(),
                _ => pairs.map(|(_, v)| v).collect(),
            };
            let length = items.len();
            Ok(Items::Dict(Arc::clone(dict), items.into_iter(), length))
        }
        Value::Range(start, stop, step) => {
            let count = range_len(*start, *stop, *step) as i64;
            known((0..count).map(|at| Value::Int(start + at * step)).collect())
        }
        Value::Stream(stream) => Ok(Items::Stream(Arc::clone(stream))),
        Value::Loop(of) => Ok(Items::Loop(Arc::clone(of))),
        other => Err(type_error(format!(
            "'{}' object is not iterable",
            other.type_name()
        ))),
    }
}

impl Items {
    /// The next item.
    ///
    /// # Errors
    /// When a dict has changed, or the source fails.
    pub fn advance(&mut self) -> Result<Option<Value>> {
        match self {
            Self::Known(items) => Ok(items.next()),
            Self::List(list, at) => {
                let item = list.lock().get(*at).cloned();
                *at += 1;
                Ok(item)
            }
            Self::Dict(dict, items, length) => match items.next() {
                Some(_) if dict.lock().len() != *length => {
                    let message = "dictionary changed size during iteration";
                    Err(Error::new("RuntimeError", message))
                }
                item => Ok(item),
            },
            Self::Stream(stream) => stream.next(),
            Self::Loop(_) => Err(type_error("a loop cannot be gone through by itself")),
        }
    }
}

/// `list(value)`.
///
/// # Errors
/// For what has no items.
pub fn all_of(value: &Value) -> Result<Vec<Value>> {
    let mut all = Vec::new();
    let mut items = iterate(value)?;
    while let Some(item) = items.advance()? {
        all.push(item);
    }
    Ok(all)
}
