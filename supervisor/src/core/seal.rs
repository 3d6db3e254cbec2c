//! Secret parameters of executions: encrypted before they reach the disk, read again only to run.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::cause::By;
use super::effect::RunOrder;
use super::progress::{Kept, Progress};
use super::record::{Execution, Outcome};
use super::step::Core;
use crate::catalog::{Action, Pack};

/// The one member of what stands for a secret value.
const SEALED: &str = "$sealed";

/// What the progress of a chain is encrypted as.
const PROGRESS: &str = "progress of a chain";

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

/// Names of the parameters that are sealed.
pub(super) fn sealed(parameters: &Map<String, Value>) -> Vec<String> {
    let sealed = parameters
        .iter()
        .filter(|(_, value)| text_of(value).is_some());
    sealed.map(|(name, _)| name.clone()).collect()
}

fn text_of(value: &Value) -> Option<&str> {
    let map = value.as_object().filter(|map| map.len() == 1)?;
    map.get(SEALED)?.as_str()
}

/// Parameters that nobody may see: those that are sealed, and those that the action says.
pub(super) fn names(action: &Action, execution: &Execution) -> Vec<String> {
    let schemas = action.all_parameters.iter();
    let secret = schemas.filter(|(_, schema)| schema.get("secret") == Some(&json!(true)));
    let names = secret.map(|(name, _)| name.to_owned());
    sealed(&execution.parameters)
        .into_iter()
        .chain(names)
        .collect()
}

/// Shortest text that is looked for anywhere in results: a shorter one, as 42, is in many words, and is
/// hidden only where it is a word of its own.
const LEAST: usize = 4;

/// Masks these texts wherever they occur in a value.
pub(super) fn hide(value: &mut Value, secrets: &[String]) {
    match value {
        Value::String(text) => hide_text(text, secrets),
        Value::Array(items) => items.iter_mut().for_each(|item| hide(item, secrets)),
        Value::Object(map) => map.values_mut().for_each(|value| hide(value, secrets)),
        // A command that prints a secret of digits has a number as its output.
        Value::Number(number) if secrets.contains(&number.to_string()) => *value = json!(MASK),
        _ => {}
    }
}

/// Masks these texts in a text.
pub(super) fn hide_text(text: &mut String, secrets: &[String]) {
    for secret in secrets {
        if text.contains(secret.as_str()) {
            *text = match secret.len() < LEAST {
                true => without_word(text, secret),
                false => text.replace(secret.as_str(), MASK),
            };
        }
    }
}

/// The text with the mask for a word.
fn without_word(text: &str, word: &str) -> String {
    let mut out = String::new();
    let mut last = 0;
    let inside = |c: char| c.is_alphanumeric() || c == '_';
    for (at, _) in text.match_indices(word) {
        let end = at + word.len();
        let before = text[..at].chars().next_back().is_some_and(inside);
        let after = text[end..].chars().next().is_some_and(inside);
        if !before && !after {
            out.push_str(&text[last..at]);
            out.push_str(MASK);
            last = end;
        }
    }
    out + &text[last..]
}

/// Masks the beginning of a secret at the end of a text that was cut.
pub(super) fn hide_end(text: &mut String, secrets: &[String]) {
    let ends_with = |secret: &String| {
        let ends = (LEAST..secret.len()).rev();
        ends.filter(|end| secret.is_char_boundary(*end))
            .find(|end| text.ends_with(&secret[..*end]))
    };
    if let Some(length) = secrets.iter().filter_map(ends_with).max() {
        text.truncate(text.len() - length);
        text.push_str(MASK);
    }
}

/// The texts in a value, the longest first.
pub(super) fn texts_of(value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    texts(value, &mut found);
    longest_first(found)
}

/// The texts in a value, also as they are in JSON; numbers as they are written.
fn texts(value: &Value, out: &mut Vec<String>) {
    match value {
        Value::String(text) if !text.is_empty() => {
            out.push(text.clone());
            let json = json!(text).to_string();
            let escaped = &json[1..json.len() - 1];
            if escaped != text {
                out.push(escaped.to_owned());
                // A key of several lines is one line of a log each.
                let lines = text.lines().map(str::trim);
                out.extend(lines.filter(|line| line.len() >= LEAST).map(str::to_owned));
            }
        }
        Value::Number(number) => out.push(number.to_string()),
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
pub(super) fn longest_first(mut texts: Vec<String>) -> Vec<String> {
    texts.sort_by_key(|text| std::cmp::Reverse(text.len()));
    texts.dedup();
    texts
}

impl Core {
    /// The texts that its result may not show: its own, those of the chains around it, and those
    /// of tasks that are over, where it is a chain.
    pub(super) fn secret_texts(&self, order: &RunOrder) -> Vec<String> {
        let mut found = of_config(self.catalog.packs.get(&order.action.pack), &order.config);
        for name in &order.secrets {
            if let Some(value) = order.parameters.get(name) {
                texts(value, &mut found);
            }
        }
        found.extend(self.of_tasks(order.execution.seq));
        found.extend(self.of_chain_around(&order.execution));
        longest_first(found)
    }

    fn of_tasks(&self, chain: u64) -> Vec<String> {
        let running = self.executions.running.get(&chain);
        let progress = running.and_then(|running| running.chain.as_ref());
        progress.map_or_else(Vec::new, |progress| progress.secrets.clone())
    }

    fn of_chain_around(&self, execution: &Execution) -> Vec<String> {
        let is_task = execution.cause.by == By::Task;
        let chain = execution.cause.parent_seq().filter(|_| is_task);
        let running = chain.and_then(|seq| self.executions.running.get(&seq));
        let order = running.map(|running| self.order(running.execution.clone()));
        match order {
            Some(Ok(order)) => self.secret_texts(&order),
            _ => Vec::new(),
        }
    }

    /// An end that the last supervisor did not see, as people may see it, and as its chain gets it.
    pub(super) fn hidden(
        &self,
        execution: &Execution,
        mut outcome: Outcome,
    ) -> (Outcome, Option<Kept>) {
        let whole = outcome.result.clone();
        let order = self.order(execution.clone());
        let mut secrets = order.map_or_else(|_| Vec::new(), |order| self.secret_texts(&order));
        secrets.extend(self.check_output(execution, &mut outcome));
        hide(&mut outcome.result, &secrets);
        let kept = Kept::of(whole, &outcome, secrets);
        (outcome, kept)
    }

    /// The journal's text of how far a chain is.
    pub(super) fn sealed_progress(&mut self, progress: &Progress) -> String {
        let text = |value: &Progress| serde_json::to_string(value).unwrap_or_default();
        if progress.is_open() {
            return text(progress);
        }
        match self.encrypt(PROGRESS, &text(progress)) {
            Ok(hex) => json!({SEALED: hex}).to_string(),
            Err(_) => text(&progress.without_secrets()),
        }
    }

    /// How far the row of a chain says that it is; none where it has not begun.
    pub(super) fn opened_progress(
        &self,
        execution: &Execution,
    ) -> Result<Option<Progress>, String> {
        let Some(text) = execution.progress.as_deref() else {
            return Ok(None);
        };
        let unread = |why: String| format!("how far the chain is cannot be read: {why}");
        let value: Value = serde_json::from_str(text).map_err(|error| unread(error.to_string()))?;
        let value = match text_of(&value) {
            None => value,
            Some(hex) => {
                let text = self.decrypted(PROGRESS, hex).map_err(unread)?;
                serde_json::from_str(&text).map_err(|error| unread(error.to_string()))?
            }
        };
        let progress = serde_json::from_value(value).map_err(|error| unread(error.to_string()))?;
        Ok(Some(progress))
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

    #[test]
    fn short_secrets_are_hidden_where_they_are_words_and_numbers_are_too() {
        let mut found = Vec::new();
        texts(&json!(["42", 1234567, "tr0ub4dor", ""]), &mut found);
        let mut value = json!({
            "out": "pin 42, not 421 or a42 but (42)", "stdout": 42, "n": 1234567, "m": 12345678,
            "long": "xtr0ub4dorx",
        });
        hide(&mut value, &found);
        let shown = json!({
            "out": "pin ********, not 421 or a42 but (********)", "stdout": MASK, "n": MASK,
            "m": 12345678, "long": "x********x",
        });
        assert_eq!(value, shown);
    }
}
