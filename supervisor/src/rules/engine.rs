//! A rule set, and its judgement of an event. Pure: what it needs of the world is given to it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use minijinja::Value as Jinja;
use serde_json::{Map, Value};

use super::criteria::{Scope, Test};
use super::parameters::{Check, Plan};
use super::template::Templates;
use super::verdict::{Miss, Verdict};
use crate::catalog::{Action, Catalog, Diagnostic, Rule};

/// The enabled rules of one catalog, compiled, by the trigger type that they wait for.
#[derive(Debug)]
pub struct RuleSet {
    slots: HashMap<String, Slot>,
    templates: Templates,
    text: String,
    hash: String,
}

/// The rules of one trigger type.
#[derive(Debug, Default)]
pub struct Slot {
    /// In the order of their references.
    pub standard: Vec<Compiled>,
    /// Likewise; considered when no standard rule matched.
    pub backstop: Vec<Compiled>,
}

/// One rule, ready for events.
#[derive(Debug)]
pub struct Compiled {
    /// The rule.
    pub rule: Arc<Rule>,
    /// Its action.
    pub action: Arc<Action>,
    /// Its criteria.
    pub tests: Vec<Test>,
    /// Its parameters, or why every event fails.
    pub plan: Result<Plan, String>,
    /// The check of the action's parameters.
    pub check: Arc<Check>,
    /// `config_context`.
    pub config: Jinja,
    /// `action_context`.
    pub context: Jinja,
}

/// A rule that matched, with the action that it asks for.
#[derive(Clone, Debug)]
pub struct Requested {
    /// The rule.
    pub rule: Arc<Rule>,
    /// Its action.
    pub action: Arc<Action>,
    /// Rendered and cast; defaults of the action are not among them.
    pub parameters: Map<String, Value>,
}

/// A rule that did not match.
#[derive(Clone, Debug)]
pub struct Missed {
    /// The rule.
    pub rule: Arc<Rule>,
    /// What stopped it.
    pub by: Miss,
}

/// A rule that could not be applied to the event.
#[derive(Clone, Debug)]
pub struct Failed {
    /// The rule.
    pub rule: Arc<Rule>,
    /// Why.
    pub reason: String,
}

/// What the rules say of one event. A rule with a failed search item may be in `matched` and in
/// `failed`.
#[derive(Clone, Debug, Default)]
pub struct Judgement {
    /// Rules that ask for their action.
    pub matched: Vec<Requested>,
    /// Rules that do not.
    pub missed: Vec<Missed>,
    /// Rules that could not be applied.
    pub failed: Vec<Failed>,
}

impl Judgement {
    /// What the journal keeps of it.
    pub fn verdict(&self) -> Verdict {
        let name = |rule: &Arc<Rule>| rule.reference.clone();
        Verdict {
            matched: self.matched.iter().map(|one| name(&one.rule)).collect(),
            missed: self
                .missed
                .iter()
                .map(|one| (name(&one.rule), one.by))
                .collect(),
            failed: self
                .failed
                .iter()
                .map(|one| (name(&one.rule), one.reason.clone()))
                .collect(),
        }
    }
}

impl RuleSet {
    /// Compiles the enabled rules of a catalog; a rule that cannot work is refused with a
    /// diagnostic.
    pub fn compile(catalog: Arc<Catalog>) -> (Self, Vec<Diagnostic>) {
        super::compile::compile(catalog)
    }

    pub(super) fn new(
        slots: HashMap<String, Slot>,
        templates: Templates,
        lines: Vec<String>,
    ) -> Self {
        let text = lines.join("\n");
        Self {
            slots,
            templates,
            hash: blake3::hash(text.as_bytes()).to_hex()[..32].to_owned(),
            text,
        }
    }

    /// Equal for rule sets that judge alike.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// One line `reference version` for each rule, in the order of the references.
    pub fn text(&self) -> String {
        self.text.clone()
    }

    /// Judges an event without knowing its time: criteria on ages fail.
    pub fn judge(&self, trigger: &str, payload: &Value) -> Judgement {
        self.judged(trigger, payload, None)
    }

    /// Judges an event of a time.
    pub fn judge_at(&self, trigger: &str, payload: &Value, now: Timestamp) -> Judgement {
        self.judged(trigger, payload, Some(now))
    }

    fn judged(&self, trigger: &str, payload: &Value, now: Option<Timestamp>) -> Judgement {
        let mut judgement = Judgement::default();
        let Some(slot) = self.slots.get(trigger) else {
            return judgement;
        };
        let roots = [("trigger", payload)];
        let scope = Scope::new(&roots, now);
        let mut fired = false;
        for compiled in &slot.standard {
            fired |= self.apply(compiled, payload, &scope, &mut judgement);
        }
        for compiled in &slot.backstop {
            if fired {
                let rule = Arc::clone(&compiled.rule);
                let by = Miss::NotNeeded;
                judgement.missed.push(Missed { rule, by });
            } else {
                self.apply(compiled, payload, &scope, &mut judgement);
            }
        }
        judgement
    }

    /// Applies one rule; true when its criteria hold, whatever becomes of its parameters.
    fn apply(
        &self,
        compiled: &Compiled,
        payload: &Value,
        scope: &Scope<'_>,
        judgement: &mut Judgement,
    ) -> bool {
        let rule = &compiled.rule;
        let fail = |judgement: &mut Judgement, reason| {
            let rule = Arc::clone(rule);
            judgement.failed.push(Failed { rule, reason });
        };
        if !compiled.tests.is_empty() && is_empty(payload) {
            let (rule, by) = (Arc::clone(rule), Miss::EmptyPayload);
            judgement.missed.push(Missed { rule, by });
            return false;
        }
        for (at, test) in compiled.tests.iter().enumerate() {
            let outcome = test.judge(&self.templates, scope);
            let failed = !outcome.errors.is_empty();
            for reason in outcome.errors {
                fail(judgement, reason);
            }
            if !outcome.holds {
                if !failed {
                    let (rule, by) = (Arc::clone(rule), Miss::Criterion(at));
                    judgement.missed.push(Missed { rule, by });
                }
                return false;
            }
        }
        match self.parameters(compiled, scope) {
            Ok(parameters) => judgement.matched.push(Requested {
                rule: Arc::clone(rule),
                action: Arc::clone(&compiled.action),
                parameters,
            }),
            Err(reason) => fail(judgement, reason),
        }
        true
    }

    fn parameters(
        &self,
        compiled: &Compiled,
        scope: &Scope<'_>,
    ) -> Result<Map<String, Value>, String> {
        let action = &compiled.action;
        if !action.enabled {
            let reference = &action.reference;
            return Err(format!(
                "Unable to execute. Action \"{reference}\" is disabled."
            ));
        }
        let plan = compiled.plan.as_ref().map_err(Clone::clone)?;
        let base = plan.needs_context().then(|| {
            let trigger = scope.context().get_attr("trigger").unwrap_or_default();
            BTreeMap::from([
                ("trigger".to_owned(), trigger),
                ("action_context".to_owned(), compiled.context.clone()),
                ("config_context".to_owned(), compiled.config.clone()),
            ])
        });
        let parameters = plan.fill(action, &self.templates, &base.unwrap_or_default())?;
        compiled.check.check(action, &parameters)?;
        Ok(parameters)
    }
}

/// What is false in Python.
fn is_empty(payload: &Value) -> bool {
    match payload {
        Value::Null | Value::Bool(false) => true,
        Value::Object(map) => map.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::String(text) => text.is_empty(),
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::Bool(true) => false,
    }
}
