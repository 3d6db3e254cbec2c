//! Action chains: one task after another, each an execution of its own. What is known of a chain is
//! written in the transaction of the task that follows, so that a chain goes on after a crash.
//!
//! Behaviour of StackStorm 3.10's action chain runner: results, errors, what templates may name.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::cause::{By, Cause};
use super::effect::RunOrder;
use super::executions::{abandoned, canceled, failed};
use super::ids;
use super::progress::{Kept, Names, Progress, Rendered};
use super::record::{Execution, ExecutionChange, Outcome, Status};
use super::seal::{MASK, hide, longest_first};
use super::step::Core;
use crate::catalog::chain::{Chain, Task};
use crate::rules::parameters::Given;

impl Core {
    /// Begins a chain, or goes on where the last supervisor left it.
    pub(super) fn start_chain(&mut self, order: &RunOrder, chain: &Arc<Chain>) {
        let seq = order.execution.seq;
        let running = self.executions.running.get(&seq);
        // Its task was already seen to end.
        if running.is_none_or(|running| running.chain.is_some()) {
            return;
        }
        let known = match self.opened_progress(&order.execution) {
            Ok(known) => known,
            Err(why) => return self.action_ended(seq, failed(why, self.now.wall)),
        };
        let resumed = known.is_some();
        let mut progress = known.unwrap_or_default();
        if !resumed {
            let names = self.names_of(order, &progress, Map::new());
            match self.render(&chain.vars, &names) {
                Ok(vars) => progress.set_vars(vars),
                Err(why) => {
                    let why = format!("Failed rendering the chain's vars: {why}");
                    return self.action_ended(seq, failed(why, self.now.wall));
                }
            }
        }
        if let Some(running) = self.executions.running.get_mut(&seq) {
            let secrets = std::mem::take(&mut running.secrets);
            running.secrets = longest_first([secrets, progress.secrets.clone()].concat());
            running.chain = Some(progress);
        }
        if !resumed {
            self.next_task(seq, &chain.tasks[chain.start]);
        }
    }

    /// At start-up: a chain that was under way has its task's row to wait for.
    pub(super) fn resume_chain(&mut self, execution: Execution) {
        let seq = execution.seq;
        // One that cannot be read is told of when it is begun again.
        let known = self.opened_progress(&execution).ok().flatten();
        self.hold_slot(execution);
        if let Some(running) = self.executions.running.get_mut(&seq) {
            running.chain = known;
        }
    }

    /// Renders with what templates get, and once more with what is shown of it: a value that comes
    /// out otherwise took from something hidden.
    fn render(&self, values: &Map<String, Value>, names: &Names) -> Result<Rendered, String> {
        let store = self.store.view().at(self.now.wall);
        let real = self.rules.render(values, &names.real, &store)?;
        let mut shown = Map::new();
        for (name, value) in &real {
            let template = values.get(name).unwrap_or(value);
            let seen = self.seen(template, value, names);
            if seen != *value {
                shown.insert(name.clone(), seen);
            }
        }
        Ok(Rendered { real, shown })
    }

    fn seen(&self, template: &Value, value: &Value, names: &Names) -> Value {
        // Decrypted here and now, the value is the same with either.
        if template.to_string().contains("decrypt_kv") {
            return json!(MASK);
        }
        let mut seen = value.clone();
        if names.real != names.shown {
            let store = self.store.view().at(self.now.wall);
            let one = Map::from_iter([("value".to_owned(), template.clone())]);
            let rendered = self.rules.render(&one, &names.shown, &store);
            let rendered = rendered.ok().and_then(|mut one| one.remove("value"));
            seen = rendered.unwrap_or(json!(MASK));
        }
        hide(&mut seen, &names.secrets);
        seen
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
                    let progress = progress.clone();
                    let progress = self.sealed_progress(&progress);
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
        let names = self.chain_names(&parent).map_err(refused)?;
        let given = self.render(&task.parameters, &names).map_err(refused)?;
        let secret: Vec<String> = given.shown.keys().cloned().collect();
        let asked = self.asked(action, &given.real, Given::Values, &secret, "petrel");
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

    /// What templates of a chain that is under way may name.
    fn chain_names(&self, parent: &Execution) -> Result<Names, String> {
        let order = self.order(parent.clone())?;
        let progress = self.executions.running.get(&parent.seq);
        let progress = progress.and_then(|running| running.chain.clone());
        let config = Value::Object(order.config.clone());
        let more = Map::from_iter([("config_context".to_owned(), config)]);
        Ok(self.names_of(&order, &progress.unwrap_or_default(), more))
    }

    fn names_of(
        &self,
        order: &RunOrder,
        progress: &Progress,
        mut more: Map<String, Value>,
    ) -> Names {
        let context = self.chain_context(&order.execution);
        more.insert("action_context".to_owned(), context);
        let secrets = self.secret_texts(order);
        progress.names(&order.parameters, &order.secrets, &more, secrets)
    }

    fn skips_notify(&self, parent: &Execution, task: &str) -> bool {
        let skipped = parent.parameters.get("skip_notify");
        let skipped = skipped.and_then(Value::as_array);
        skipped.is_some_and(|names| names.iter().any(|name| name == task))
    }

    /// The chain of a task that is over goes on.
    pub(super) fn task_over(&mut self, task: &Execution, outcome: &Outcome, kept: Option<Kept>) {
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
        let name = task.cause.task.clone().unwrap_or_default();
        if let Some(kept) = &kept {
            let secrets = std::mem::take(&mut running.secrets);
            running.secrets = longest_first([secrets, kept.secrets.clone()].concat());
        }
        progress.over(task, outcome, kept);
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
        let names = self.chain_names(parent)?;
        let published = self.render(&task.publish, &names)?;
        let running = self.executions.running.get_mut(&parent.seq);
        if let Some(progress) = running.and_then(|running| running.chain.as_mut()) {
            progress.publish(published);
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
