//! The datastore: core state, written through to the journal, so that it is read without I/O.
//!
//! It is a persistent map: a [`View`] of it costs nothing and never changes, so that the rules read
//! it on their own thread.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use imbl::OrdMap;
use petrel_sdk::protocol;
use serde_json::Value;

use super::clock::Wall;
use super::record::{KvItem, KvWrite};
pub use crate::rules::store::USER;
use crate::rules::store::{Owner, Store};

/// Most bytes of keys and values together.
const MOST_BYTES: usize = 64 << 20;

/// The name of an item in its scope, such as `pack.Class:name` or, of a user, `user:name`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Arc<str>);

impl Key {
    /// The key of everybody's item `name`.
    pub fn system(name: &str) -> Self {
        Self::new(Owner::System, name)
    }

    /// The key of a user's item.
    pub fn user(user: &str, name: &str) -> Self {
        Self::new(Owner::User, &format!("{user}:{name}"))
    }

    /// The key in a scope, by its whole name there.
    pub fn new(owner: Owner, name: &str) -> Self {
        let letter = match owner {
            Owner::System => 's',
            Owner::User => 'u',
        };
        Self(format!("{letter}:{name}").into())
    }

    /// The key that the journal has under these two words.
    pub fn stored(scope: &str, name: &str) -> Self {
        let owner = match scope {
            "st2kv.user" => Owner::User,
            _ => Owner::System,
        };
        Self::new(owner, name)
    }

    /// The key that a sensor means: `pack.Class:name` for its own, `pack:name` for its pack's.
    pub fn of_sensor(scope: protocol::Scope, sensor: &str, name: &str) -> Self {
        match scope {
            protocol::Scope::Sensor => Self::system(&format!("{sensor}:{name}")),
            protocol::Scope::Pack => {
                let pack = sensor.split('.').next().unwrap_or(sensor);
                Self::system(&format!("{pack}:{name}"))
            }
            protocol::Scope::System => Self::system(name),
        }
    }

    /// Whose it is.
    pub fn owner(&self) -> Owner {
        match self.0.starts_with('u') {
            true => Owner::User,
            false => Owner::System,
        }
    }

    /// The whole name in its scope.
    pub fn name(&self) -> &str {
        &self.0[2..]
    }

    /// StackStorm's word for the scope.
    pub fn scope(&self) -> &'static str {
        match self.owner() {
            Owner::System => "st2kv.system",
            Owner::User => "st2kv.user",
        }
    }
}

/// All items.
#[derive(Debug, Default)]
pub struct Datastore {
    items: OrdMap<Key, Arc<KvItem>>,
    expiries: BTreeSet<(Wall, Key)>,
    bytes: usize,
    version: u64,
}

/// What a write changed.
#[derive(Clone, Debug)]
pub struct Change {
    /// The key.
    pub key: Key,
    /// What it was.
    pub before: Option<Arc<KvItem>>,
    /// What it is.
    pub after: Option<Arc<KvItem>>,
}

impl Change {
    /// The same for the journal.
    pub fn write(&self) -> KvWrite {
        KvWrite {
            key: self.key.clone(),
            item: self.after.as_deref().cloned(),
        }
    }
}

impl Datastore {
    /// The items that the journal had.
    pub fn new(items: Vec<(Key, KvItem)>) -> Self {
        let mut store = Self::default();
        for (key, item) in items {
            store.put(key, Some(Arc::new(item)));
        }
        store
    }

    /// Rises with every change.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// It as it is now, for who reads it later.
    pub fn view(&self) -> View {
        View {
            items: self.items.clone(),
            version: self.version,
            now: Wall(i64::MIN),
        }
    }

    /// An item that exists at `now`.
    pub fn get(&self, key: &Key, now: Wall) -> Option<&KvItem> {
        let item = self.items.get(key)?;
        is_alive(item, now).then_some(item)
    }

    /// Sets an item.
    ///
    /// # Errors
    /// What is wrong, when the datastore is full.
    pub fn set(&mut self, key: Key, item: KvItem, now: Wall) -> Result<Change, String> {
        let one = [(key, item)];
        self.has_room(&one)?;
        let [(key, item)] = one;
        Ok(self.change(key, Some(Arc::new(item)), now))
    }

    /// Whether all of these can be set.
    ///
    /// # Errors
    /// When the datastore would be too full.
    pub fn has_room(&self, items: &[(Key, KvItem)]) -> Result<(), String> {
        let freed = |key| self.items.get(key).map_or(0, |old| size(key, old));
        let kept = self.bytes
            - items
                .iter()
                .map(|(key, _)| key)
                .collect::<BTreeSet<_>>()
                .into_iter()
                .map(freed)
                .sum::<usize>();
        let added: usize = items.iter().map(|(key, item)| size(key, item)).sum();
        match kept + added > MOST_BYTES {
            true => Err(format!("the datastore is full ({MOST_BYTES} bytes)")),
            false => Ok(()),
        }
    }

    /// Removes an item; none if it did not exist.
    pub fn delete(&mut self, key: &Key, now: Wall) -> Option<Change> {
        self.get(key, now)?;
        Some(self.change(key.clone(), None, now))
    }

    /// Removes the items whose life is over.
    pub fn expire(&mut self, now: Wall) -> Vec<KvWrite> {
        let mut gone = Vec::new();
        while let Some((at, key)) = self.expiries.first().cloned()
            && at <= now
        {
            self.put(key.clone(), None);
            gone.push(KvWrite { key, item: None });
        }
        gone
    }

    /// When the next item's life is over.
    pub fn next_expiry(&self) -> Option<Wall> {
        self.expiries.first().map(|(at, _)| *at)
    }

    /// Items of a scope whose name begins with `prefix`, in order of their names.
    pub fn list(
        &self,
        owner: Owner,
        prefix: &str,
        now: Wall,
    ) -> impl Iterator<Item = (&Key, &KvItem)> {
        let from = Key::new(owner, prefix);
        let start = from.clone();
        self.items
            .range(start..)
            .take_while(move |(key, _)| key.0.starts_with(&*from.0))
            .filter(move |(_, item)| is_alive(item, now))
            .map(|(key, item)| (key, &**item))
    }

    fn change(&mut self, key: Key, after: Option<Arc<KvItem>>, now: Wall) -> Change {
        let before = self.put(key.clone(), after.clone());
        Change {
            key,
            before: before.filter(|item| is_alive(item, now)),
            after,
        }
    }

    fn put(&mut self, key: Key, item: Option<Arc<KvItem>>) -> Option<Arc<KvItem>> {
        self.version += 1;
        let before = match &item {
            Some(item) => self.items.insert(key.clone(), Arc::clone(item)),
            None => self.items.remove(&key),
        };
        if let Some(old) = &before {
            self.bytes -= size(&key, old);
            if let Some(at) = old.expires {
                self.expiries.remove(&(at, key.clone()));
            }
        }
        if let Some(new) = item {
            self.bytes += size(&key, &new);
            self.expiries.extend(new.expires.map(|at| (at, key)));
        }
        before
    }
}

/// The datastore as it was at one moment.
#[derive(Clone, Debug, Default)]
pub struct View {
    items: OrdMap<Key, Arc<KvItem>>,
    version: u64,
    now: Wall,
}

impl View {
    /// See [`Datastore::version`].
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The same for a reader at `now`: what expired by then is not there.
    pub fn at(&self, now: Wall) -> Arc<dyn Store> {
        Arc::new(Self {
            now,
            ..self.clone()
        })
    }
}

impl Store for View {
    fn get(&self, owner: Owner, key: &str) -> Option<String> {
        let key = match owner {
            Owner::System => Key::system(key),
            Owner::User => Key::user(USER, key),
        };
        let item = self.items.get(&key)?;
        is_alive(item, self.now).then(|| item.value.clone())
    }
}

/// The end of a life of `ttl` seconds from `now`.
pub fn expiry(ttl: u64, now: Wall) -> Wall {
    let micros = Duration::from_secs(ttl).as_micros();
    Wall(
        now.0
            .saturating_add_unsigned(u64::try_from(micros).unwrap_or(u64::MAX)),
    )
}

fn size(key: &Key, item: &KvItem) -> usize {
    key.0.len() + item.value.len()
}

fn is_alive(item: &KvItem, now: Wall) -> bool {
    item.expires.is_none_or(|expires| now < expires)
}

/// The text that is stored for a JSON value: text as it is, anything else as JSON.
pub fn stored_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    fn item(value: &str, expires: Option<Wall>) -> KvItem {
        KvItem {
            value: value.to_owned(),
            expires,
            secret: false,
        }
    }

    #[test]
    fn an_item_lives_as_long_as_it_was_given() {
        let mut store = Datastore::default();
        let (key, end) = (Key::system("k"), expiry(2, Wall(0)));
        store
            .set(key.clone(), item("v", Some(end)), Wall(0))
            .expect("there is room");
        let (before, view) = (Wall(2 * SECOND - 1), store.view());
        assert_eq!(store.get(&key, before).map(|i| &*i.value), Some("v"));
        assert_eq!(view.at(before).get(Owner::System, "k"), Some("v".into()));
        assert!(store.get(&key, end).is_none() && store.delete(&key, end).is_none());
        assert_eq!(view.at(end).get(Owner::System, "k"), None);
        assert_eq!(store.next_expiry(), Some(end));
        assert_eq!(store.expire(before).len(), 0);
        assert_eq!(store.expire(end).len(), 1);
        assert_eq!((store.next_expiry(), store.bytes), (None, 0));
    }

    #[test]
    fn a_rewrite_without_a_life_lives_on() {
        let mut store = Datastore::default();
        let key = Key::system("k");
        for expires in [Some(Wall(5)), None] {
            store
                .set(key.clone(), item("v", expires), Wall(0))
                .expect("there is room");
        }
        assert!(store.expire(Wall(9)).is_empty());
        assert!(store.get(&key, Wall(9)).is_some());
    }

    #[test]
    fn lists_show_the_scope_that_was_asked_for() {
        let mut store = Datastore::default();
        for name in ["p.S:b", "p.S:a", "z"] {
            store
                .set(Key::system(name), item(name, None), Wall(0))
                .expect("there is room");
        }
        store
            .set(Key::user("p.S", "u"), item("u", None), Wall(0))
            .expect("there is room");
        let names = |owner, prefix| -> Vec<&str> {
            let listed = store.list(owner, prefix, Wall(0));
            listed.map(|(key, _)| key.name()).collect()
        };
        assert_eq!(names(Owner::System, "p.S:"), ["p.S:a", "p.S:b"]);
        assert_eq!(names(Owner::User, ""), ["p.S:u"]);
    }

    #[test]
    fn a_view_does_not_change() {
        let mut store = Datastore::default();
        let view = store.view();
        let write = store.set(Key::user(USER, "k"), item("v", None), Wall(0));
        let change = write.expect("there is room");
        assert!(change.before.is_none() && change.after.is_some());
        assert_eq!(view.at(Wall(0)).get(Owner::User, "k"), None);
        assert_eq!(
            store.view().at(Wall(0)).get(Owner::User, "k"),
            Some("v".into())
        );
        assert!(store.version() > view.version());
    }

    #[test]
    fn a_full_datastore_refuses_and_keeps_what_it_has() {
        let mut store = Datastore::default();
        let big = "x".repeat(MOST_BYTES - 3);
        let mut set = |name: &str, value: &str| {
            store
                .set(Key::system(name), item(value, None), Wall(0))
                .is_ok()
        };
        assert!(set("a", &big));
        assert!(!set("b", "y"));
        assert!(set("a", "small") && set("b", "y"));
    }
}
