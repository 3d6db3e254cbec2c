//! The datastore as rules see it: `st2kv.system.key`, `st2kv.user.key`, and `system.key` in
//! criteria.

use std::fmt::Debug;
use std::sync::Arc;

use minijinja::Value as Jinja;

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

/// What templates see under the name `st2kv`.
pub fn st2kv(_store: &Arc<dyn Store>) -> Jinja {
    Jinja::from_pairs([("system", Jinja::default())])
}
