//! The configuration of a pack: `configs/<pack>.yaml` under `config.schema.yaml`, as StackStorm's
//! `util/config_loader.py` has it (reference st2.md 1.3 to 1.5), with the gaps closed: a dynamic
//! value is cast to the type that the schema declares, and the outcome is checked.
//!
//! [`load`] reads both files. What is left to do when a sensor or action starts, for the values
//! that the datastore gives, is [`resolve`].

mod check;
mod fill;
mod instance;
mod load;
mod resolve;
mod shape;

use serde_json::{Map, Value};

pub use instance::of_instance;
pub use load::{Loaded, load};
pub use resolve::{ConfigFault, resolve};
pub use shape::at;

use super::model::Pack;

/// True for text that the datastore has to fill in.
pub fn is_template(text: &str) -> bool {
    text.contains("{{") || text.contains("{%")
}

/// True where a template is anywhere in a value.
pub fn is_dynamic(value: &Value) -> bool {
    match value {
        Value::String(text) => is_template(text),
        Value::Array(items) => items.iter().any(is_dynamic),
        Value::Object(map) => map.values().any(is_dynamic),
        _ => false,
    }
}

impl Pack {
    /// The configuration without what the schema calls secret.
    pub fn public_config(&self) -> Map<String, Value> {
        self.public_of(&self.config)
    }

    /// The same of a configuration that [`resolve`] made for this pack. A secret in a list leaves
    /// `null`, so that the others keep their places.
    pub fn public_of(&self, config: &Map<String, Value>) -> Map<String, Value> {
        shape::public(&self.config_schema, config)
    }

    /// Dotted path and value of what the schema calls secret in a configuration of this pack.
    pub fn secrets_of<'c>(&self, config: &'c Map<String, Value>) -> Vec<(String, &'c Value)> {
        shape::secrets(&self.config_schema, config)
    }
}
