//! The datastore. A write waits until the events before it are answered.

use serde_json::{Value, json};

use super::{CallError, SensorService, parsed};
use crate::protocol::{KvEntry, Scope};

impl SensorService {
    /// A value of the datastore; `None` if there is none, or if it is `null`.
    ///
    /// # Errors
    /// When the host refuses, or is gone.
    pub fn kv_get(&self, scope: Scope, key: &str) -> Result<Option<Value>, CallError> {
        let value = self.call("kv.get", json!({"key": key, "scope": scope}))?;
        Ok(Some(value).filter(|v| !v.is_null()))
    }

    /// Stores a value, after every event before it. `ttl` in seconds.
    ///
    /// # Errors
    /// When the host refuses, or is gone.
    pub fn kv_set(
        &self,
        scope: Scope,
        key: &str,
        value: Value,
        ttl: Option<f64>,
    ) -> Result<(), CallError> {
        self.flush()?;
        let mut params = json!({"key": key, "scope": scope, "value": value});
        if let Some(ttl) = ttl {
            params["ttl"] = json!(ttl);
        }
        self.call("kv.set", params).map(drop)
    }

    /// Deletes a value, after every event before; says whether there was one.
    ///
    /// # Errors
    /// When the host refuses, or is gone.
    pub fn kv_delete(&self, scope: Scope, key: &str) -> Result<bool, CallError> {
        self.flush()?;
        let was = self.call("kv.delete", json!({"key": key, "scope": scope}))?;
        Ok(was != Value::Bool(false))
    }

    /// The entries whose key begins with `prefix`.
    ///
    /// # Errors
    /// When the host refuses, or is gone.
    pub fn kv_list(&self, scope: Scope, prefix: &str) -> Result<Vec<KvEntry>, CallError> {
        let result = self.call("kv.list", json!({"prefix": prefix, "scope": scope}))?;
        parsed(result)
    }
}
