//! Secret parameters of executions: encrypted before they reach the disk, read again only to run.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::effect::RunOrder;
use super::record::{Execution, Outcome};
use super::step::Core;
use crate::catalog::{Action, Pack};

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

/// Parameters that nobody may see: those that are sealed, and those that the action says.
pub(super) fn names(action: &Action, execution: &Execution) -> Vec<String> {
    let rows = execution.parameters.iter();
    let sealed = rows.filter(|(_, value)| text_of(value).is_some());
    let schemas = action.all_parameters.iter();
    let secret = schemas.filter(|(_, schema)| schema.get("secret") == Some(&json!(true)));
    let names = sealed.map(|(name, _)| name);
    names.chain(secret.map(|(name, _)| name)).cloned().collect()
}

/// Shortest text that is looked for in results: shorter ones are everywhere.
const LEAST: usize = 4;

/// Masks these texts wherever they occur in a value.
pub(super) fn hide(value: &mut Value, secrets: &[String]) {
    match value {
        Value::String(text) => hide_text(text, secrets),
        Value::Array(items) => items.iter_mut().for_each(|item| hide(item, secrets)),
        Value::Object(map) => map.values_mut().for_each(|value| hide(value, secrets)),
        _ => {}
    }
}

/// Masks these texts in a text.
pub(super) fn hide_text(text: &mut String, secrets: &[String]) {
    for secret in secrets {
        if text.contains(secret.as_str()) {
            *text = text.replace(secret.as_str(), MASK);
        }
    }
}

/// The texts in a value that are long enough to be looked for, also as they are in JSON.
fn texts(value: &Value, out: &mut Vec<String>) {
    match value {
        Value::String(text) if text.len() >= LEAST => {
            out.push(text.clone());
            let json = json!(text).to_string();
            let escaped = &json[1..json.len() - 1];
            if escaped != text {
                out.push(escaped.to_owned());
            }
        }
        Value::Array(items) => items.iter().for_each(|item| texts(item, out)),
        Value::Object(map) => map.values().for_each(|value| texts(value, out)),
        _ => {}
    }
}

/// What lies at a dotted path; numbers lead into lists.
fn at_path<'v>(config: &'v Map<String, Value>, path: &str) -> Option<&'v Value> {
    let mut steps = path.split('.');
    let first = config.get(steps.next()?)?;
    steps.try_fold(first, |value, step| match value {
        Value::Array(items) => items.get(step.parse::<usize>().ok()?),
        other => other.get(step),
    })
}

/// The secret texts of a pack's configuration.
pub(super) fn of_config(pack: Option<&Arc<Pack>>, config: &Map<String, Value>) -> Vec<String> {
    let mut found = Vec::new();
    for path in pack.map_or(&[][..], |pack| &pack.secrets) {
        if let Some(value) = at_path(config, path) {
            texts(value, &mut found);
        }
    }
    longest_first(found)
}

/// So that no part of one is left when a shorter one was replaced.
fn longest_first(mut texts: Vec<String>) -> Vec<String> {
    texts.sort_by_key(|text| std::cmp::Reverse(text.len()));
    texts.dedup();
    texts
}

impl Core {
    /// The texts that its result may not show.
    pub(super) fn secret_texts(&self, order: &RunOrder) -> Vec<String> {
        let mut found = of_config(self.catalog.packs.get(&order.action.pack), &order.config);
        for name in &order.secrets {
            if let Some(value) = order.parameters.get(name) {
                texts(value, &mut found);
            }
        }
        longest_first(found)
    }

    /// An end that the last supervisor did not see, as people may see it.
    pub(super) fn hidden(&self, execution: &Execution, mut outcome: Outcome) -> Outcome {
        if let Ok(order) = self.order(execution.clone()) {
            hide(&mut outcome.result, &self.secret_texts(&order));
        }
        outcome
    }

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
