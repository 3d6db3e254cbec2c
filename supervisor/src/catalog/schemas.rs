//! Schemas by name, in written order. An action has them twice, as it says them and overlaid on those
//! of its runner: what is the same is one thing in memory, for catalogs have ten thousands of them.

use std::ops::Index;
use std::slice;
use std::sync::Arc;

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Map, Value};

/// See the module.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Schemas(Box<[Shared]>);

type Shared = (Arc<str>, Arc<Value>);

impl Schemas {
    /// The schema of this name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        let mut all = self.iter();
        all.find(|(known, _)| *known == name).map(|(_, one)| one)
    }

    /// True where there is a schema of this name.
    pub fn contains_key(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// All of them.
    pub fn iter(&self) -> <&Self as IntoIterator>::IntoIter {
        self.into_iter()
    }

    /// The schemas alone.
    pub fn values(&self) -> impl Iterator<Item = &Value> {
        self.0.iter().map(|(_, schema)| &**schema)
    }

    /// These, with `own` laid over them, key by key of each schema.
    pub fn overlaid(&self, own: &Self) -> Self {
        let mut all = self.0.to_vec();
        for (name, schema) in &own.0 {
            match all.iter_mut().find(|(known, _)| known == name) {
                Some((_, base)) => *base = over(base, schema),
                None => all.push((Arc::clone(name), Arc::clone(schema))),
            }
        }
        Self(all.into())
    }
}

fn over(base: &Arc<Value>, own: &Arc<Value>) -> Arc<Value> {
    match (&**base, &**own) {
        (Value::Object(base), Value::Object(own)) => {
            let mut all = base.clone();
            all.extend(own.clone());
            Arc::new(Value::Object(all))
        }
        _ => Arc::clone(own),
    }
}

impl From<Map<String, Value>> for Schemas {
    fn from(map: Map<String, Value>) -> Self {
        let all = map.into_iter();
        Self(
            all.map(|(name, one)| (name.into(), Arc::new(one)))
                .collect(),
        )
    }
}

impl<'a> IntoIterator for &'a Schemas {
    type Item = (&'a str, &'a Value);
    type IntoIter = std::iter::Map<slice::Iter<'a, Shared>, fn(&'a Shared) -> (&'a str, &'a Value)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter().map(|(name, schema)| (&**name, &**schema))
    }
}

impl Serialize for Schemas {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, schema) in self.iter() {
            map.serialize_entry(name, schema)?;
        }
        map.end()
    }
}

impl Index<&str> for Schemas {
    type Output = Value;

    fn index(&self, name: &str) -> &Value {
        self.get(name).unwrap_or(&Value::Null)
    }
}
