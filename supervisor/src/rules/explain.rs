//! What a rule makes of an event, step by step: for people who ask why.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::criteria::Scope;
use super::engine::{Compiled, RuleSet, is_empty};
use super::store::Store;
use crate::catalog::Criterion;

/// A rule and an event.
#[derive(Clone, Debug)]
pub struct Explained {
    /// Every criterion, also those after the first that fails.
    pub criteria: Vec<Told>,
    /// The rule has criteria and the payload is empty, so that StackStorm never matches.
    pub empty_payload: bool,
    /// What the action would get; why not, where that fails.
    pub parameters: Result<Map<String, Value>, String>,
    /// Names of parameters that nobody may see.
    pub secrets: Vec<String>,
}

/// One criterion and an event.
#[derive(Clone, Debug)]
pub struct Told {
    /// As written.
    pub criterion: Criterion,
    /// What the event has.
    pub actual: Option<Value>,
    /// The pattern, rendered.
    pub wanted: Option<Value>,
    /// It holds.
    pub holds: bool,
    /// What went wrong.
    pub errors: Vec<String>,
}

impl Explained {
    /// True when the rule asks for its action.
    pub fn matches(&self) -> bool {
        !self.empty_payload && self.criteria.iter().all(|one| one.holds)
    }
}

impl RuleSet {
    /// Explains what the rule of this reference makes of an event that its trigger had; none when
    /// there is no such rule in the set.
    pub fn explain(
        &self,
        rule: &str,
        payload: &Value,
        now: Option<Timestamp>,
        store: &Arc<dyn Store>,
    ) -> Option<Explained> {
        let compiled = self.compiled(rule)?;
        let roots = [("trigger", payload)];
        let scope = Scope::new(&roots, now, store);
        let tests = compiled.tests.iter().zip(&compiled.rule.criteria);
        let criteria: Vec<Told> = tests
            .map(|(test, criterion)| {
                let outcome = test.judge(&self.templates, &scope);
                let (actual, wanted) = test.look(&self.templates, &scope);
                Told {
                    criterion: criterion.clone(),
                    actual,
                    wanted,
                    holds: outcome.holds,
                    errors: outcome.errors,
                }
            })
            .collect();
        let secrets = compiled.order.as_ref();
        let order = secrets.map_err(Clone::clone);
        Some(Explained {
            empty_payload: !criteria.is_empty() && is_empty(payload),
            criteria,
            parameters: order.and_then(|order| self.parameters(order, &scope)),
            secrets: secrets.map_or_else(|_| Vec::new(), |order| order.secrets.to_vec()),
        })
    }

    fn compiled(&self, reference: &str) -> Option<&Compiled> {
        let rules = self.slots.values();
        rules
            .flat_map(|slot| slot.standard.iter().chain(&slot.backstop))
            .find(|one| one.rule.reference == reference)
    }
}
