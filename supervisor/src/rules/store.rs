//! The datastore as rules see it: `st2kv.system.key`, `st2kv.user.key`, and `system.key` in
//! criteria.

use std::fmt::Debug;
use std::sync::Arc;

use super::jinja::Value as Jinja;

/// As whom rules, sensors and actions run: whose keys `st2kv.user` has.
pub const USER: &str = "petrel";

/// Whose keys are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// `st2kv.system`: everybody's.
    System,
    /// `st2kv.user`: those of the user as whom rules run.
    User,
}

/// Something that knows the values of keys, as they are at one moment.
pub trait Store: Debug + Send + Sync {
    /// The text of a key that exists; ciphertext where it is encrypted.
    fn get(&self, owner: Owner, key: &str) -> Option<String>;
}

/// A datastore without keys.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoKeys;

impl Store for NoKeys {
    fn get(&self, _: Owner, _: &str) -> Option<String> {
        None
    }
}

/// A place in the datastore, as a template names it: `st2kv.system.a.b` is the key `a.b`, and so
/// is `st2kv.system['a.b']`. It acts as the text of its key. One that is missing is nothing: it
/// is written as no text, is false, and `default` replaces it. (StackStorm's lookup object is
/// true even where there is no key, and `default` never sees that it is missing; nobody can want
/// that.)
#[derive(Clone, Debug)]
pub struct Lookup {
    store: Arc<dyn Store>,
    owner: Owner,
    key: String,
}

impl Lookup {
    /// The root of an owner's keys.
    pub fn new(store: &Arc<dyn Store>, owner: Owner) -> Self {
        Self {
            store: Arc::clone(store),
            owner,
            key: String::new(),
        }
    }

    /// The place one name further.
    pub fn below(&self, name: &str) -> Self {
        let key = match self.key.is_empty() {
            true => name.to_owned(),
            false => format!("{}.{name}", self.key),
        };
        Self {
            key,
            ..self.clone()
        }
    }

    /// The name of the key.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The key's text; empty where there is none.
    pub fn text(&self) -> String {
        self.store.get(self.owner, &self.key).unwrap_or_default()
    }

    /// True where there is no such key.
    pub fn is_missing(&self) -> bool {
        self.store.get(self.owner, &self.key).is_none()
    }

    /// True for a key with text.
    pub fn is_true(&self) -> bool {
        !self.text().is_empty()
    }
}

/// What templates see under the name `st2kv`.
pub fn st2kv(store: &Arc<dyn Store>) -> Jinja {
    let of = |owner| Jinja::Keys(Arc::new(Lookup::new(store, owner)));
    Jinja::map([
        ("system".to_owned(), of(Owner::System)),
        ("user".to_owned(), of(Owner::User)),
    ])
}

/// What templates of criteria see under the name `system`.
pub fn system(store: &Arc<dyn Store>) -> Jinja {
    Jinja::Keys(Arc::new(Lookup::new(store, Owner::System)))
}
