//! The configuration of a pack with its dynamic values filled in (`util/config_loader.py`).

use std::sync::Arc;

use serde_json::{Map, Value};

use super::RuleSet;
use super::jinja::Value as Jinja;
use super::store::{Store, st2kv};
use super::template::{Templates, is_template};
use crate::catalog::Pack;
use crate::catalog::pack_config::{ConfigFault, resolve};

impl RuleSet {
    /// The configuration of a pack as it is now.
    ///
    /// # Errors
    /// The first value that cannot be filled in, with its path.
    pub fn config(
        &self,
        pack: &Pack,
        store: &Arc<dyn Store>,
    ) -> Result<Map<String, Value>, ConfigFault> {
        if !pack.is_dynamic {
            return Ok(pack.config.clone());
        }
        let context = Jinja::map([("st2kv".to_owned(), st2kv(store))]);
        resolve(pack, &mut |template, secret| {
            let text = self.templates.render(template, &context)?;
            match (secret && !text.is_empty(), &self.cipher) {
                (false, _) => Ok(text),
                (true, Some(cipher)) => cipher.decrypt(&text).map_err(|why| {
                    format!(
                        "{why}; a secret attribute must name an encrypted item of the datastore"
                    )
                }),
                (true, None) => Err("there is no key to decrypt it with".to_owned()),
            }
        })
    }
}

/// Compiles the templates of a configuration; what is wrong with one is told when it is needed.
pub(super) fn prepare(value: &Value, templates: &mut Templates) {
    match value {
        Value::String(text) if is_template(text) => drop(templates.add(text)),
        Value::Array(items) => items.iter().for_each(|one| prepare(one, templates)),
        Value::Object(map) => map.values().for_each(|one| prepare(one, templates)),
        _ => {}
    }
}
