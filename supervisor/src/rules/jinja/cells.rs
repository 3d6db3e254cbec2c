//! The containers of values: lists and dicts that can change, as Python's can.

use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use indexmap::{Equivalent, IndexMap};

use super::compare::equal_keys;
use super::error::Result;
use super::value::Value;

/// Entries of a dict, in the order of insertion.
pub type Entries = IndexMap<Key, Value>;

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A list.
#[derive(Debug, Default)]
pub struct List {
    items: Mutex<Vec<Value>>,
    /// Part of an event or a configuration, which other rules see too.
    pub shared: bool,
}

/// A dict; also a namespace.
#[derive(Debug, Default)]
pub struct Dict {
    entries: Mutex<Entries>,
    /// As for [`List`].
    pub shared: bool,
}

/// A tuple.
#[derive(Debug)]
pub struct Tuple {
    /// What it holds.
    pub items: Vec<Value>,
    /// One of `groupby`, with the names `grouper` and `list`.
    pub grouped: bool,
}

/// Something that gives its items once.
#[derive(Debug)]
pub struct Stream {
    /// The name of its Python type.
    pub kind: &'static str,
    items: Mutex<Feed>,
}

/// Items that are left, and what ends them.
#[derive(Debug)]
struct Feed {
    items: std::collections::VecDeque<Value>,
    error: Option<super::error::Error>,
}

impl List {
    /// A new list.
    pub fn new(items: Vec<Value>, shared: bool) -> Self {
        Self {
            items: Mutex::new(items),
            shared,
        }
    }

    /// Its items, locked: hold no second one meanwhile.
    pub fn lock(&self) -> MutexGuard<'_, Vec<Value>> {
        locked(&self.items)
    }

    /// A copy of its items.
    pub fn items(&self) -> Vec<Value> {
        self.lock().clone()
    }

    /// Its items, to change them.
    ///
    /// # Errors
    /// When others see it too.
    pub fn change(&self) -> Result<MutexGuard<'_, Vec<Value>>> {
        match self.shared {
            true => Err(unchangeable("list")),
            false => Ok(self.lock()),
        }
    }
}

fn unchangeable(kind: &str) -> super::error::Error {
    let message = format!("this {kind} belongs to the event and cannot be changed");
    super::error::Error::new(super::error::SHARED, message)
}

impl Dict {
    /// A new dict.
    pub fn new(entries: Entries, shared: bool) -> Self {
        Self {
            entries: Mutex::new(entries),
            shared,
        }
    }

    /// Its entries, locked: hold no second one meanwhile.
    pub fn lock(&self) -> MutexGuard<'_, Entries> {
        locked(&self.entries)
    }

    /// The value of a name.
    pub fn get(&self, name: &str) -> Option<Value> {
        self.lock().get(&Name(name)).cloned()
    }

    /// The value of a key.
    pub fn find(&self, key: &Key) -> Option<Value> {
        self.lock().get(key).cloned()
    }

    /// A copy of its entries.
    pub fn pairs(&self) -> Vec<(Value, Value)> {
        let entries = self.lock();
        let pairs = entries.iter();
        pairs.map(|(k, v)| (k.0.clone(), v.clone())).collect()
    }

    /// A copy of its keys.
    pub fn keys(&self) -> Vec<Value> {
        self.lock().keys().map(|key| key.0.clone()).collect()
    }

    /// Its entries, to change them.
    ///
    /// # Errors
    /// When others see it too.
    pub fn change(&self) -> Result<MutexGuard<'_, Entries>> {
        match self.shared {
            true => Err(unchangeable("dict")),
            false => Ok(self.lock()),
        }
    }
}

impl Stream {
    /// One with these items, and then, maybe, an error.
    pub fn new(kind: &'static str, items: Vec<Value>, error: Option<super::error::Error>) -> Self {
        Self {
            kind,
            items: Mutex::new(Feed {
                items: items.into(),
                error,
            }),
        }
    }

    /// The next item.
    ///
    /// # Errors
    /// The one at its end.
    pub fn next(&self) -> Result<Option<Value>> {
        let mut feed = locked(&self.items);
        match feed.items.pop_front() {
            Some(item) => Ok(Some(item)),
            None => feed.error.take().map_or(Ok(None), Err),
        }
    }
}

/// A value that can be a key: 1, 1.0 and True are the same one.
#[derive(Clone, Debug)]
pub struct Key(pub(super) Value);

/// The key of a text, for looking up.
struct Name<'t>(&'t str);

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        equal_keys(&self.0, &other.0)
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash(&self.0, state);
    }
}

impl Hash for Name<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash_text(self.0, state);
    }
}

impl Equivalent<Key> for Name<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        key.0.as_str() == Some(self.0)
    }
}

fn hash_text<H: Hasher>(text: &str, state: &mut H) {
    state.write_u8(3);
    text.hash(state);
}

fn hash<H: Hasher>(value: &Value, state: &mut H) {
    match value {
        Value::Str(text) | Value::Markup(text) => hash_text(text, state),
        Value::Bool(flag) => hash_int(i128::from(*flag), state),
        Value::Int(int) => hash_int(i128::from(*int), state),
        Value::Float(float) if float.fract() == 0.0 && float.abs() < 1e18 => {
            hash_int(*float as i128, state);
        }
        // Large floats and large ints may be equal.
        Value::Float(_) | Value::Big(_) => state.write_u8(4),
        Value::Tuple(tuple) => {
            state.write_u8(5);
            tuple.items.iter().for_each(|item| hash(item, state));
        }
        Value::None => state.write_u8(6),
        _ => state.write_u8(7),
    }
}

fn hash_int<H: Hasher>(int: i128, state: &mut H) {
    state.write_u8(2);
    int.hash(state);
}

impl From<&str> for Key {
    fn from(text: &str) -> Self {
        Self(Value::Str(text.into()))
    }
}

/// Values nested very deeply must not exhaust the stack when they are dropped.
fn unwind(mut waiting: Vec<Value>) {
    while let Some(value) = waiting.pop() {
        match value {
            Value::List(list) => {
                if let Some(list) = Arc::into_inner(list) {
                    waiting.append(&mut list.lock());
                }
            }
            Value::Dict(dict) | Value::Namespace(dict) => {
                if let Some(dict) = Arc::into_inner(dict) {
                    waiting.extend(std::mem::take(&mut *dict.lock()).into_values());
                }
            }
            Value::Tuple(tuple) => {
                if let Some(mut tuple) = Arc::into_inner(tuple) {
                    waiting.append(&mut tuple.items);
                }
            }
            _ => {}
        }
    }
}

impl Drop for List {
    fn drop(&mut self) {
        unwind(std::mem::take(&mut *self.lock()));
    }
}

impl Drop for Dict {
    fn drop(&mut self) {
        unwind(std::mem::take(&mut *self.lock()).into_values().collect());
    }
}

impl Drop for Tuple {
    fn drop(&mut self) {
        unwind(std::mem::take(&mut self.items));
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let items = std::mem::take(&mut locked(&self.items).items);
        unwind(items.into_iter().collect());
    }
}
