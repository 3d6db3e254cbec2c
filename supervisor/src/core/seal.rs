//! Secret parameters of executions: encrypted before they reach the disk, read again only to run.

use serde_json::{Map, Value, json};

use super::step::Core;

/// The one member of what stands for a secret value.
const SEALED: &str = "$sealed";

/// What is shown of a secret.
pub const MASK: &str = "********";

/// The parameters as people may see them.
pub fn masked(parameters: &Map<String, Value>) -> Map<String, Value> {
    let shown = |(name, value): (&String, &Value)| {
        let value = match text_of(value) {
            Some(_) => json!(MASK),
            None => value.clone(),
        };
        (name.clone(), value)
    };
    parameters.iter().map(shown).collect()
}

fn text_of(value: &Value) -> Option<&str> {
    let map = value.as_object().filter(|map| map.len() == 1)?;
    map.get(SEALED)?.as_str()
}

impl Core {
    /// Encrypts the parameters of these names; without a key there is nothing to do it with.
    pub(super) fn seal_parameters(
        &mut self,
        mut parameters: Map<String, Value>,
        secret: &[String],
    ) -> Map<String, Value> {
        for name in secret {
            if let Some(value) = parameters.get_mut(name).filter(|value| !value.is_null())
                && let Ok(hex) = self.encrypt(name, &value.to_string())
            {
                *value = json!({SEALED: hex});
            }
        }
        parameters
    }

    /// The parameters as the action is to get them.
    pub(super) fn open_parameters(
        &self,
        parameters: &Map<String, Value>,
    ) -> Result<Map<String, Value>, String> {
        let open = |(name, value): (&String, &Value)| {
            let Some(hex) = text_of(value) else {
                return Ok((name.clone(), value.clone()));
            };
            let text = self.decrypted(name, hex)?;
            let value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
            Ok((name.clone(), value))
        };
        let opened: Result<_, String> = parameters.iter().map(open).collect();
        opened.map_err(|why| format!("a secret parameter cannot be read: {why}"))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::core::step::Boot;
    use crate::rules::cipher::Cipher;

    #[test]
    fn what_is_sealed_is_not_in_sight_and_comes_back_as_it_was() {
        let (cipher, _) = Cipher::generate([7; 64]);
        let mut core = Core::new(Boot {
            cipher: Some(Arc::new(cipher)),
            ..Boot::default()
        });
        let given = json!({"password": {"of": ["hunter2", 5]}, "name": "x", "none": null});
        let given = given.as_object().expect("a map").clone();
        let names = ["password", "none", "other"].map(str::to_owned);
        let sealed = core.seal_parameters(given.clone(), &names);
        assert!(!json!(sealed).to_string().contains("hunter2"));
        assert_eq!(core.open_parameters(&sealed), Ok(given));
        let shown = json!({"password": MASK, "name": "x", "none": null});
        assert_eq!(json!(masked(&sealed)), shown);
        let keyless = Core::new(Boot::default());
        assert!(keyless.open_parameters(&sealed).is_err());
    }
}
