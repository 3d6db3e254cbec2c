//! Action chains: one task after another, each an execution of its own. What is known of a chain is
//! written in the transaction of the task that follows, so that a chain goes on after a crash.
//!
//! Behaviour of StackStorm 3.10's action chain runner: results, errors, what templates may name.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::cause::{By, Cause};
use super::effect::RunOrder;
use super::executions::{abandoned, canceled, failed};
use super::ids;
use super::record::{Execution, ExecutionChange, Outcome, Status};
use super::step::Core;
use crate::catalog::chain::{Chain, Task};
use crate::rules::parameters::Given;

/// How far a chain is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Progress {
    /// Results of the tasks that are over, in StackStorm's shape.
    tasks: Vec<Value>,
    /// The chain's own variables, rendered.
    vars: Map<String, Value>,
    /// What tasks published.
    published: Map<String, Value>,
    /// The task that is under way, and its execution.
    current: Option<(String, String)>,
}

impl Progress {
    /// Number of the execution of the task that is under way.
    pub fn current(&self) -> Option<u64> {
        let (_, id) = self.current.as_ref()?;
        ids::parse(ids::Kind::Execution, id)
    }

    /// What templates may name beside the parameters: later ones hide earlier ones.
    fn names(&self, parameters: &Map<String, Value>, context: Value) -> Map<String, Value> {
        let mut names = parameters.clone();
        names.extend(self.vars.clone());
        names.extend(self.published.clone());
        let mut results = Map::new();
        for task in &self.tasks {
            let name = task["name"].as_str().unwrap_or_default();
            results.insert(name.to_owned(), task["result"].clone());
        }
        names.extend(results.clone());
        names.insert("__results".to_owned(), Value::Object(results));
        names.insert("action_context".to_owned(), context);
        names
    }

    fn result(&self, error: Option<&str>) -> Value {
        let mut result = json!({"tasks": self.tasks, "published": self.published});
        if let Some(error) = error {
            result["error"] = json!(error);
        }
        result
    }
}

impl Core {
    /// Begins a chain, or goes on where the last supervisor left it.
    pub(super) fn start_chain(&mut self, order: &RunOrder, chain: &Arc<Chain>) {
        let seq = order.execution.seq;
        let running = self.executions.running.get(&seq);
        // Its task was already seen to end.
        if running.is_none_or(|running| running.chain.is_some()) {
            return;
        }
        let known = order.execution.progress.as_deref();
        let known = known.and_then(|text| serde_json::from_str::<Progress>(text).ok());
        let resumed = known.is_some();
        let mut progress = known.unwrap_or_default();
        if !resumed {
            let names = progress.names(&order.parameters, self.chain_context(&order.execution));
            match self.render(&chain.vars, &names) {
                Ok(vars) => progress.vars = vars,
                Err(why) => {
                    let why = format!("Failed rendering the chain's vars: {why}");
                    return self.action_ended(seq, failed(why, self.now.wall));
                }
            }
        }
        if let Some(running) = self.executions.running.get_mut(&seq) {
            running.chain = Some(progress);
        }
        if !resumed {
            self.next_task(seq, &chain.tasks[chain.start]);
        }
    }

    /// At start-up: a chain that was under way has its task's row to wait for.
    pub(super) fn resume_chain(&mut self, execution: Execution) {
        let seq = execution.seq;
        let known = execution.progress.as_deref();
        let known = known.and_then(|text| serde_json::from_str::<Progress>(text).ok());
        self.hold_slot(execution);
        if let Some(running) = self.executions.running.get_mut(&seq) {
            running.chain = known;
        }
    }

    fn render(
        &self,
        values: &Map<String, Value>,
        names: &Map<String, Value>,
    ) -> Result<Map<String, Value>, String> {
        let store = self.store.view().at(self.now.wall);
        self.rules.render(values, names, &store)
    }

    fn chain_context(&self, execution: &Execution) -> Value {
        let id = execution.id();
        json!({"user": "petrel", "execution_id": id, "parent": {"execution_id": id}})
    }

    fn next_task(&mut self, seq: u64, task: &Task) {
        match self.request_task(seq, task) {
            Ok(id) => {
                let Some(running) = self.executions.running.get_mut(&seq) else {
                    return;
                };
                if let Some(progress) = &mut running.chain {
                    progress.current = Some((task.name.clone(), id));
                    let progress = serde_json::to_string(progress).unwrap_or_default();
                    let change = ExecutionChange::Progress { seq, progress };
                    self.batch.changes.push(change);
                }
            }
            Err(why) => self.end_chain(seq, Status::Failed, Some(&why)),
        }
    }

    /// Asks for the execution of a task; its identifier.
    fn request_task(&mut self, seq: u64, task: &Task) -> Result<String, String> {
        let (name, action) = (&task.name, &task.action);
        let Some(running) = self.executions.running.get(&seq) else {
            return Err("the chain is over".to_owned());
        };
        let parent = running.execution.clone();
        if !self.catalog.actions.contains_key(action) {
            return Err(format!(
                "Failed to run task \"{name}\". Action with reference \"{action}\" doesn't exist."
            ));
        }
        let refused = |why: String| {
            format!("Failed to run task \"{name}\". Parameter rendering failed. {why}")
        };
        let (names, secret) = self.chain_names(&parent).map_err(refused)?;
        let given = self.render(&task.parameters, &names).map_err(refused)?;
        let secret = tainted(&task.parameters, &secret);
        let asked = self.asked(action, &given, Given::Values, &secret, "petrel");
        let asked = asked.map_err(|why| format!("Failed to run task \"{name}\". {why}"))?;
        let mut trail = parent.cause.trail.clone();
        trail.push(format!("{} ({name}) > {action}", parent.action));
        let cause = Cause {
            by: By::Task,
            parent: Some(parent.id()),
            task: Some(name.clone()),
            trail,
            quiet: self.skips_notify(&parent, name),
            ..Cause::default()
        };
        let child = self.start(action, asked, cause);
        Ok(ids::format(ids::Kind::Execution, self.now.wall, child))
    }

    /// What templates of a chain may name, and which of its parameters are secret.
    fn chain_names(&self, parent: &Execution) -> Result<(Map<String, Value>, Vec<String>), String> {
        let order = self.order(parent.clone())?;
        let secret = order.secrets;
        let progress = self.executions.running.get(&parent.seq);
        let progress = progress.and_then(|running| running.chain.clone());
        let context = self.chain_context(parent);
        let mut names = progress
            .unwrap_or_default()
            .names(&order.parameters, context);
        names.insert("config_context".to_owned(), Value::Object(order.config));
        Ok((names, secret))
    }

    fn skips_notify(&self, parent: &Execution, task: &str) -> bool {
        let skipped = parent.parameters.get("skip_notify");
        let skipped = skipped.and_then(Value::as_array);
        skipped.is_some_and(|names| names.iter().any(|name| name == task))
    }

    /// The chain of a task that is over goes on.
    pub(super) fn task_over(&mut self, task: &Execution, outcome: &Outcome) {
        let parent = task
            .cause
            .parent_seq()
            .filter(|_| task.cause.by == By::Task);
        let Some(seq) = parent else { return };
        let Some(running) = self.executions.running.get_mut(&seq) else {
            return;
        };
        let user = running.canceled.clone();
        let Some(progress) = &mut running.chain else {
            return;
        };
        progress.current = None;
        let name = task.cause.task.clone().unwrap_or_default();
        progress.tasks.push(shown(task, &name, outcome));
        if let Some(user) = user {
            let outcome = Outcome {
                result: progress.result(None),
                ..canceled(&user, self.now.wall)
            };
            return self.action_ended(seq, outcome);
        }
        let parent = running.execution.clone();
        self.go_on(&parent, &name, outcome.status);
    }

    fn go_on(&mut self, parent: &Execution, name: &str, status: Status) {
        let seq = parent.seq;
        let chain = self.catalog.actions.get(&parent.action);
        let chain = chain.and_then(|action| action.chain.clone());
        let found = chain.as_ref().and_then(|chain| {
            let task = chain.tasks.iter().find(|task| task.name == name)?;
            Some((chain, task))
        });
        let Some((chain, task)) = found else {
            let why = format!("the chain has no task \"{name}\" any more");
            return self.end_chain(seq, Status::Failed, Some(&why));
        };
        let ok = status == Status::Succeeded;
        if let Err(why) = self.publish(parent, task)
            && ok
        {
            let why = format!("Failed rendering value for publish in task \"{name}\": {why}");
            return self.end_chain(seq, Status::Failed, Some(&why));
        }
        match if ok { task.on_success } else { task.on_failure } {
            Some(next) => self.next_task(seq, &chain.tasks[next]),
            None => self.end_chain(seq, status, None),
        }
    }

    fn publish(&mut self, parent: &Execution, task: &Task) -> Result<(), String> {
        if task.publish.is_empty() {
            return Ok(());
        }
        let (names, _) = self.chain_names(parent)?;
        let published = self.render(&task.publish, &names)?;
        let running = self.executions.running.get_mut(&parent.seq);
        if let Some(progress) = running.and_then(|running| running.chain.as_mut()) {
            progress.published.extend(published);
        }
        Ok(())
    }

    fn end_chain(&mut self, seq: u64, status: Status, error: Option<&str>) {
        let progress = self.executions.running.get(&seq);
        let progress = progress.and_then(|running| running.chain.clone());
        let outcome = Outcome {
            status,
            result: progress.unwrap_or_default().result(error),
            ..abandoned(self.now.wall)
        };
        self.action_ended(seq, outcome);
    }
}

/// Parameters of a task whose templates take from what is secret in the chain.
fn tainted(parameters: &Map<String, Value>, secret: &[String]) -> Vec<String> {
    let takes = |value: &Value| {
        let text = value.to_string();
        text.contains("decrypt_kv") || secret.iter().any(|name| text.contains(name.as_str()))
    };
    let some = parameters.iter().filter(|(_, value)| takes(value));
    some.map(|(name, _)| name.clone()).collect()
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
