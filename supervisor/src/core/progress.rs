//! How far a chain is, twice over: what its templates get, and what people may see of that. They
//! differ where a secret of the chain or of a task is in a value.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::ids;
use super::record::{Execution, Outcome};
use super::seal::{MASK, hide};

/// How far a chain is. With anything secret in it, it reaches the journal sealed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Tasks that are over, in StackStorm's shape, with results as they are shown.
    pub(super) tasks: Vec<Value>,
    /// Results as they are, of the executions for which something else is shown.
    #[serde(default)]
    results: Map<String, Value>,
    /// The chain's own variables, rendered.
    vars: Map<String, Value>,
    /// What is shown instead.
    #[serde(default)]
    shown_vars: Map<String, Value>,
    /// What tasks published.
    published: Map<String, Value>,
    /// What is shown instead.
    #[serde(default)]
    shown_published: Map<String, Value>,
    /// Texts that the results of tasks did not show.
    #[serde(default)]
    pub(super) secrets: Vec<String>,
    /// The task that is under way, and its execution.
    pub(super) current: Option<(String, String)>,
}

/// What an execution's result was before anything of it was hidden: for the chain around it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Kept {
    /// The result.
    pub result: Value,
    /// Texts that it may not show.
    pub secrets: Vec<String>,
}

impl Kept {
    /// None where all of it is shown.
    pub fn of(result: Value, outcome: &Outcome, secrets: Vec<String>) -> Option<Self> {
        (result != outcome.result).then_some(Self { result, secrets })
    }
}

/// What templates of a chain may name, and what people may see of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    pub real: Map<String, Value>,
    pub shown: Map<String, Value>,
    /// Texts that nobody may see.
    pub secrets: Vec<String>,
}

/// Rendered templates, and what is shown of those that took from something hidden.
#[derive(Debug)]
pub(super) struct Rendered {
    pub real: Map<String, Value>,
    pub shown: Map<String, Value>,
}

impl Progress {
    /// Number of the execution of the task that is under way.
    pub fn current(&self) -> Option<u64> {
        let (_, id) = self.current.as_ref()?;
        ids::parse(ids::Kind::Execution, id)
    }

    /// What templates may name: later ones hide earlier ones. `parameters` and `config` are the
    /// chain's, `secret` names parameters among them.
    pub(super) fn names(
        &self,
        parameters: &Map<String, Value>,
        secret: &[String],
        more: &Map<String, Value>,
        secrets: Vec<String>,
    ) -> Names {
        let mut covered = parameters.clone();
        for (_, value) in covered.iter_mut().filter(|(name, _)| secret.contains(name)) {
            if !value.is_null() {
                *value = json!(MASK);
            }
        }
        let mut shown = more.clone();
        shown.values_mut().for_each(|value| hide(value, &secrets));
        Names {
            real: self.named(parameters, more, false),
            shown: self.named(&covered, &shown, true),
            secrets,
        }
    }

    fn named(
        &self,
        parameters: &Map<String, Value>,
        more: &Map<String, Value>,
        shown: bool,
    ) -> Map<String, Value> {
        let mut names = parameters.clone();
        names.extend(self.vars.clone());
        if shown {
            names.extend(self.shown_vars.clone());
        }
        names.extend(self.published.clone());
        if shown {
            names.extend(self.shown_published.clone());
        }
        let mut results = Map::new();
        for task in &self.tasks {
            let name = task["name"].as_str().unwrap_or_default();
            let result = if shown {
                &task["result"]
            } else {
                self.result_of(task)
            };
            results.insert(name.to_owned(), result.clone());
        }
        names.extend(results.clone());
        names.insert("__results".to_owned(), Value::Object(results));
        names.extend(more.clone());
        names
    }

    fn result_of<'p>(&'p self, task: &'p Value) -> &'p Value {
        let id = task["execution_id"].as_str().unwrap_or_default();
        self.results.get(id).unwrap_or(&task["result"])
    }

    pub(super) fn set_vars(&mut self, vars: Rendered) {
        (self.vars, self.shown_vars) = (vars.real, vars.shown);
    }

    pub(super) fn publish(&mut self, published: Rendered) {
        self.shown_published
            .retain(|name, _| !published.real.contains_key(name));
        self.published.extend(published.real);
        self.shown_published.extend(published.shown);
    }

    /// A task is over.
    pub(super) fn over(&mut self, task: &Execution, outcome: &Outcome, kept: Option<Kept>) {
        self.current = None;
        let name = task.cause.task.as_deref().unwrap_or_default();
        self.tasks.push(shown(task, name, outcome));
        if let Some(kept) = kept {
            self.results.insert(task.id(), kept.result);
            for secret in kept.secrets {
                if !self.secrets.contains(&secret) {
                    self.secrets.push(secret);
                }
            }
        }
    }

    /// The chain's result, as people may see it.
    pub(super) fn result(&self, error: Option<&str>) -> Value {
        let mut published = self.published.clone();
        published.extend(self.shown_published.clone());
        let mut result = json!({"tasks": self.tasks, "published": published});
        if let Some(error) = error {
            result["error"] = json!(error);
        }
        result
    }

    /// The same result, for a chain around this one.
    pub(super) fn whole(&self, mut shown: Value) -> Value {
        let tasks = shown.get_mut("tasks").and_then(Value::as_array_mut);
        for task in tasks.into_iter().flatten() {
            let result = self.result_of(task).clone();
            task["result"] = result;
        }
        if let Some(published) = shown.get_mut("published") {
            *published = json!(self.published);
        }
        shown
    }

    /// Nothing of it has to be sealed.
    pub(super) fn is_open(&self) -> bool {
        self.results.is_empty()
            && self.shown_vars.is_empty()
            && self.shown_published.is_empty()
            && self.secrets.is_empty()
    }

    /// What may lie in the journal where nothing can be sealed.
    pub(super) fn without_secrets(&self) -> Self {
        let mut open = self.clone();
        open.vars.extend(std::mem::take(&mut open.shown_vars));
        open.published
            .extend(std::mem::take(&mut open.shown_published));
        open.results.clear();
        open.secrets.clear();
        open
    }
}

/// A task that is over, as StackStorm's result shows it.
fn shown(task: &Execution, name: &str, outcome: &Outcome) -> Value {
    let id = task.id();
    json!({
        "id": name,
        "name": name,
        "execution_id": id,
        "liveaction_id": id,
        "workflow": null,
        "created_at": task.requested.rfc3339(),
        "updated_at": outcome.ended.rfc3339(),
        "state": outcome.status.word(),
        "result": outcome.result,
    })
}
