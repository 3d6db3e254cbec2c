//! The datastore: core state, written through to the journal, so that it is read without I/O.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::clock::Wall;
use super::record::{KvItem, KvWrite};

/// Most bytes of keys and values together.
const MOST_BYTES: usize = 64 << 20;

/// Longest list in one answer when the caller names no limit; StackStorm's page size.
const PAGE: usize = 100;

/// Whose key it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Of one sensor: `pack.Class:name`, StackStorm's `local=True`.
    Sensor,
    /// Of a pack: `pack:name`.
    Pack,
    /// Of everybody: the name as it is, StackStorm's `local=False`.
    System,
}

impl Scope {
    /// The scope that `word` names; the sensor's own when there is none.
    ///
    /// # Errors
    /// What is wrong, for an unknown word.
    pub fn parse(word: Option<&str>) -> Result<Self, String> {
        match word {
            None | Some("sensor") => Ok(Self::Sensor),
            Some("pack") => Ok(Self::Pack),
            Some("system") => Ok(Self::System),
            Some(other) => Err(format!(
                "scope \"{other}\" is not one of sensor, pack, system"
            )),
        }
    }

    /// The full key of `name` for a sensor, by its reference.
    pub fn full_key(self, sensor: &str, name: &str) -> String {
        match self {
            Self::Sensor => format!("{sensor}:{name}"),
            Self::Pack => format!("{}:{name}", sensor.split('.').next().unwrap_or(sensor)),
            Self::System => name.to_owned(),
        }
    }
}

/// All items, by full key.
#[derive(Debug, Default)]
pub struct Datastore {
    items: BTreeMap<String, KvItem>,
    bytes: usize,
}

impl Datastore {
    /// The items that the journal had.
    pub fn new(items: BTreeMap<String, KvItem>) -> Self {
        let bytes = items.iter().map(|(key, item)| size(key, item)).sum();
        Self { items, bytes }
    }

    /// The value of a key that exists at `now`.
    pub fn get(&self, key: &str, now: Wall) -> Option<&str> {
        self.items
            .get(key)
            .filter(|item| is_alive(item, now))
            .map(|item| item.value.as_str())
    }

    /// Sets a key; `ttl` is its life in seconds.
    ///
    /// # Errors
    /// What is wrong, when the datastore is full.
    pub fn set(
        &mut self,
        key: String,
        value: String,
        ttl: Option<u64>,
        now: Wall,
    ) -> Result<KvWrite, String> {
        let expires = ttl.map(|seconds| Wall(now.0.saturating_add_unsigned(micros(seconds))));
        let item = KvItem { value, expires };
        let freed = self.items.get(&key).map_or(0, |old| size(&key, old));
        let bytes = self.bytes - freed + size(&key, &item);
        if bytes > MOST_BYTES {
            return Err(format!("the datastore is full ({MOST_BYTES} bytes)"));
        }
        self.bytes = bytes;
        self.items.insert(key.clone(), item.clone());
        Ok(KvWrite {
            key,
            item: Some(item),
        })
    }

    /// Removes a key; none if it did not exist.
    pub fn delete(&mut self, key: &str, now: Wall) -> Option<KvWrite> {
        let item = self.items.remove(key)?;
        self.bytes -= size(key, &item);
        is_alive(&item, now).then(|| KvWrite {
            key: key.to_owned(),
            item: None,
        })
    }

    /// Items whose full key begins with `prefix`, in order, as the protocol lists them: the key
    /// without its first `cut` bytes.
    pub fn list(
        &self,
        prefix: &str,
        cut: usize,
        limit: Option<u64>,
        offset: Option<u64>,
        now: Wall,
    ) -> Value {
        let to_usize = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        self.items
            .range(prefix.to_owned()..)
            .take_while(|(key, _)| key.starts_with(prefix))
            .filter(|(_, item)| is_alive(item, now))
            .skip(offset.map_or(0, to_usize))
            .take(limit.map_or(PAGE, to_usize))
            .map(|(key, item)| {
                let expires = item.expires.map(Wall::rfc3339);
                json!({"key": &key[cut.min(key.len())..], "value": item.value, "expires": expires})
            })
            .collect()
    }
}

fn micros(seconds: u64) -> u64 {
    u64::try_from(Duration::from_secs(seconds).as_micros()).unwrap_or(u64::MAX)
}

fn size(key: &str, item: &KvItem) -> usize {
    key.len() + item.value.len()
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

    #[test]
    fn an_item_lives_as_long_as_it_was_given() {
        let mut store = Datastore::default();
        store
            .set("k".into(), "v".into(), Some(2), Wall(0))
            .expect("there is room");
        assert_eq!(store.get("k", Wall(2 * SECOND - 1)), Some("v"));
        assert_eq!(store.get("k", Wall(2 * SECOND)), None);
        assert!(store.delete("k", Wall(2 * SECOND)).is_none());
    }

    #[test]
    fn lists_show_the_scope_that_was_asked_for() {
        let mut store = Datastore::default();
        for name in ["b", "a", "c"] {
            let key = Scope::Sensor.full_key("p.S", name);
            store
                .set(key, name.to_uppercase(), None, Wall(0))
                .expect("there is room");
        }
        store
            .set("z".into(), "other".into(), None, Wall(0))
            .expect("there is room");
        let listed = store.list("p.S:", 4, Some(2), Some(1), Wall(0));
        let expected = json!([
            {"key": "b", "value": "B", "expires": null},
            {"key": "c", "value": "C", "expires": null},
        ]);
        assert_eq!(listed, expected);
    }

    #[test]
    fn a_full_datastore_refuses_and_keeps_what_it_has() {
        let mut store = Datastore::default();
        let big = "x".repeat(MOST_BYTES - 1);
        store
            .set("a".into(), big, None, Wall(0))
            .expect("it just fits");
        assert!(store.set("b".into(), "y".into(), None, Wall(0)).is_err());
        assert_eq!(store.get("b", Wall(0)), None);
        store
            .set("a".into(), "small".into(), None, Wall(0))
            .expect("an overwrite frees room");
    }
}
