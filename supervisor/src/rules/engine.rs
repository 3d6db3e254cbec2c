//! A rule set, and its judgement of an event. Pure: what it needs of the world is given to it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::cipher::Cipher;
use super::compile::Host;
use super::criteria::{Scope, Test};
use super::order::Order;
use super::store::Store;
use super::template::Templates;
use super::timer::Timer;
use super::trigger::Trigger;
use super::verdict::{Miss, Verdict};
use crate::catalog::{Action, Catalog, Diagnostic, Rule, WhenMissed};

/// The enabled rules of one catalog, compiled, by the trigger that they wait for.
#[derive(Debug, Default)]
pub struct RuleSet {
    /// By the reference of the trigger.
    pub(super) slots: HashMap<String, Slot>,
    /// Those that are a type with parameters, by reference.
    triggers: BTreeMap<String, Arc<Trigger>>,
    timers: Vec<TimerRule>,
    pub(super) templates: Templates,
    pub(super) cipher: Option<Arc<Cipher>>,
    text: String,
    hash: String,
}

/// The rules of one trigger.
#[derive(Debug, Default)]
pub struct Slot {
    /// One of them reads the datastore.
    pub reads_store: bool,
    /// In the order of their references.
    pub standard: Vec<Compiled>,
    /// Likewise; considered when no standard rule matched.
    pub backstop: Vec<Compiled>,
}

/// A timer that rules wait for.
#[derive(Clone, Debug)]
pub struct TimerRule {
    /// The trigger.
    pub trigger: Arc<Trigger>,
    /// When it fires.
    pub timer: Timer,
    /// What becomes of the moments that nobody was there for.
    pub missed: WhenMissed,
}

/// One rule, ready for events.
#[derive(Debug)]
pub struct Compiled {
    /// The rule.
    pub rule: Arc<Rule>,
    /// The timer that it waits for.
    pub timer: Option<Timer>,
    /// Its criteria.
    pub tests: Vec<Test>,
    /// What it asks for; why every event fails, where its action cannot be used.
    pub order: Result<Order, String>,
    /// Which of its executions begin one after the other.
    pub turn: Turn,
}

/// See [`Compiled::turn`].
#[derive(Clone, Debug)]
pub enum Turn {
    /// None.
    Free,
    /// All of them.
    All,
    /// Those for which this template gives the same text.
    By(String),
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
    /// Names of those that nobody may see.
    pub secrets: Arc<[String]>,
    /// Executions of the rule with the same turn begin one after the other.
    pub turn: Option<String>,
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
    /// JSON text of [`verdict`](Self::verdict), which no rule makes any longer.
    pub fn verdict_text(&self) -> String {
        match self.matched.is_empty() && self.missed.is_empty() && self.failed.is_empty() {
            true => "{}".to_owned(),
            false => self.verdict().to_string(),
        }
    }

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
    pub fn compile(catalog: Arc<Catalog>, host: &Host) -> (Self, Vec<Diagnostic>) {
        super::compile::compile(catalog, host)
    }

    pub(super) fn new(
        slots: HashMap<String, Slot>,
        triggers: BTreeMap<String, Arc<Trigger>>,
        timers: Vec<TimerRule>,
        templates: Templates,
        cipher: Option<Arc<Cipher>>,
        lines: Vec<String>,
    ) -> Self {
        let text = lines.join("\n");
        Self {
            slots,
            triggers,
            timers,
            templates,
            cipher,
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

    /// True when a rule waits for this trigger.
    pub fn waits_for(&self, trigger: &str) -> bool {
        self.slots.contains_key(trigger)
    }

    /// True when what the rules say of an event of this trigger may depend on the datastore.
    pub fn reads_store(&self, trigger: &str) -> bool {
        self.slots.get(trigger).is_some_and(|slot| slot.reads_store)
    }

    /// The triggers that are a type with parameters, in the order of their references.
    pub fn triggers(&self) -> impl Iterator<Item = &Arc<Trigger>> {
        self.triggers.values()
    }

    /// The timers, each once.
    pub fn timers(&self) -> impl Iterator<Item = &TimerRule> {
        self.timers.iter()
    }

    /// The trigger of this reference, where it is a type with parameters.
    pub fn trigger(&self, reference: &str) -> Option<&Arc<Trigger>> {
        self.triggers.get(reference)
    }

    /// Judges an event of the trigger of this reference; without its time, criteria on ages fail.
    pub fn judge(
        &self,
        trigger: &str,
        payload: &Value,
        now: Option<Timestamp>,
        store: &Arc<dyn Store>,
    ) -> Judgement {
        let mut judgement = Judgement::default();
        let Some(slot) = self.slots.get(trigger) else {
            return judgement;
        };
        let roots = [("trigger", payload)];
        let scope = Scope::new(&roots, now, store);
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
        let order = compiled.order.as_ref().map_err(Clone::clone);
        let requested = order.and_then(|order| {
            Ok(Requested {
                rule: Arc::clone(rule),
                action: Arc::clone(&order.action),
                parameters: self.parameters(order, scope)?,
                turn: self.turn(&compiled.turn, order, scope)?,
                secrets: Arc::clone(&order.secrets),
            })
        });
        match requested {
            Ok(requested) => judgement.matched.push(requested),
            Err(reason) => fail(judgement, reason),
        }
        true
    }
}

/// What is false in Python.
pub(super) fn is_empty(payload: &Value) -> bool {
    match payload {
        Value::Null | Value::Bool(false) => true,
        Value::Object(map) => map.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::String(text) => text.is_empty(),
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::Bool(true) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::build;
    use crate::catalog::sources::testing::{pack, sources};
    use crate::config::Settings;
    use crate::rules::store::NoKeys;
    use serde_json::json;

    fn judge(set: &RuleSet, trigger: &str, payload: &Value) -> Judgement {
        let store: Arc<dyn Store> = Arc::new(NoKeys);
        set.judge(trigger, payload, None, &store)
    }

    const TRIGGER: (&str, &str) = ("triggers/t.yaml", "name: t\n");
    const ACTION: (&str, &str) = (
        "actions/act.yaml",
        "name: act\nrunner_type: noop\nparameters:\n  text: {type: string, required: true}\n  n: {type: integer, default: 3}\n",
    );

    fn rule(name: &str, rest: &str) -> String {
        format!(
            "name: {name}\nenabled: true\ntrigger: {{type: p.t}}\naction: {{ref: p.act, parameters: {{text: 'x{{{{trigger.x}}}}'}}}}\n{rest}"
        )
    }

    fn compiled(rules: &[String]) -> (RuleSet, Vec<Diagnostic>) {
        let names: Vec<String> = (0..rules.len())
            .map(|at| format!("rules/r{at}.yaml"))
            .collect();
        let mut files = vec![TRIGGER, ACTION];
        files.extend(
            names
                .iter()
                .zip(rules)
                .map(|(name, text)| (name.as_str(), text.as_str())),
        );
        let built = build(&sources(vec![pack("p", &files)]), &Settings::default());
        assert!(built.diagnostics.is_empty(), "{:?}", built.diagnostics);
        RuleSet::compile(Arc::new(built.catalog), &Host::default())
    }

    fn verdict(set: &RuleSet, payload: Value) -> String {
        judge(set, "p.t", &payload).verdict().to_string()
    }

    #[test]
    fn criteria_are_anded_and_the_first_that_fails_is_told() {
        let criteria = "criteria:\n  trigger.x: {type: eq, pattern: 1}\n  trigger.y: {type: exists, pattern: true}\n";
        let (set, faults) = compiled(&[rule("a", criteria), rule("b", "")]);
        assert!(faults.is_empty(), "{faults:?}");
        assert_eq!(
            verdict(&set, json!({"x": 1, "y": 2})),
            r#"{"m":["p.a","p.b"]}"#
        );
        assert_eq!(
            verdict(&set, json!({"x": 1})),
            r#"{"m":["p.b"],"x":{"p.a":{"criterion":1}}}"#
        );
        assert!(
            judge(&set, "p.other", &json!({}))
                .verdict()
                .matched
                .is_empty()
        );
        let judged = judge(&set, "p.t", &json!({"x": 1, "y": 2}));
        assert_eq!(json!(judged.matched[0].parameters), json!({"text": "x1"}));
    }

    #[test]
    fn an_empty_payload_matches_only_without_criteria() {
        let criteria = "criteria:\n  trigger.x: {type: nexists, pattern: true}\n";
        let literal = rule("b", "").replace("x{{trigger.x}}", "plain");
        let (set, _) = compiled(&[rule("a", criteria), literal]);
        let text = verdict(&set, json!({}));
        assert_eq!(text, r#"{"m":["p.b"],"x":{"p.a":"empty_payload"}}"#);
    }

    #[test]
    fn a_backstop_fires_only_where_no_standard_rule_did() {
        let criteria = "criteria:\n  trigger.x: {type: eq, pattern: 1}\n";
        let (set, _) = compiled(&[rule("a", criteria), rule("z", "type: {ref: backstop}\n")]);
        assert_eq!(
            verdict(&set, json!({"x": 1})),
            r#"{"m":["p.a"],"x":{"p.z":"not_needed"}}"#
        );
        assert_eq!(
            verdict(&set, json!({"x": 2})),
            r#"{"m":["p.z"],"x":{"p.a":{"criterion":0}}}"#
        );
    }

    #[test]
    fn a_rule_that_fails_on_an_event_says_why_and_stops_no_other() {
        let criteria = "criteria:\n  trigger.x: {type: gt, pattern: 1}\n";
        let (set, _) = compiled(&[rule("a", criteria), rule("b", "")]);
        let judged = judge(&set, "p.t", &json!({"x": "text"}));
        assert_eq!(judged.matched.len(), 1);
        assert!(
            judged.failed[0].reason.contains("trigger.x"),
            "{:?}",
            judged.failed
        );
        let judged = judge(&set, "p.t", &json!({"y": 1}));
        assert_eq!(judged.failed.len(), 2);
        assert!(
            judged.failed[1].reason.contains("trigger.x is undefined"),
            "{:?}",
            judged.failed
        );
    }

    #[test]
    fn what_cannot_work_is_refused_with_its_place_and_a_hint() {
        for (text, line, message, help) in [
            (
                rule(
                    "a",
                    "criteria:\n  trigger.x: {type: greater_than, pattern: 1}\n",
                ),
                6,
                "unknown operator",
                "greaterthan",
            ),
            (
                rule("a", "").replace("p.t}", "p.tt}"),
                3,
                "unknown trigger",
                "p.t",
            ),
            (
                rule("a", "").replace("p.t}", "gone.trigger}"),
                3,
                "unknown trigger",
                "no pack",
            ),
        ] {
            let (set, faults) = compiled(&[text, rule("b", "")]);
            assert_eq!(faults.len(), 1, "{faults:?}");
            let fault = &faults[0];
            assert!(
                fault.is_error() && fault.message.contains(message),
                "{fault:?}"
            );
            assert_eq!(
                (fault.file.as_str(), fault.place.line),
                ("packs/p/rules/r0.yaml", line)
            );
            assert!(fault.help.as_deref().unwrap().contains(help), "{fault:?}");
            assert_eq!(set.text().lines().count(), 1);
        }
    }

    #[test]
    fn an_action_that_is_not_there_is_missed_when_an_event_comes() {
        let (set, warned) = compiled(&[rule("a", "").replace("p.act", "p.atc"), rule("b", "")]);
        assert!(warned[0].is_error() && warned[0].message.contains("unknown action"));
        assert!(warned[0].help.as_deref().unwrap().contains("p.act"));
        let judged = judge(&set, "p.t", &json!({"x": 1}));
        assert_eq!(judged.matched.len(), 1);
        assert_eq!(judged.failed[0].reason, "Action \"p.atc\" doesn't exist");
    }

    #[test]
    fn parameters_are_checked_by_the_schemas_of_the_action() {
        let number = rule("a", "").replace("text:", "n: '{{trigger.n}}', text:");
        let (set, _) = compiled(&[number]);
        let judged = judge(&set, "p.t", &json!({"x": "", "n": "5"}));
        assert_eq!(judged.matched[0].parameters["n"], json!(5));
        let judged = judge(&set, "p.t", &json!({"x": "", "n": "five"}));
        assert!(
            judged.failed[0].reason.contains("invalid literal"),
            "{:?}",
            judged.failed
        );
        let unknown = rule("a", "").replace("text:", "txet: 1, text:");
        let (set, warned) = compiled(&[unknown]);
        assert!(
            warned[0].message.contains("'txet' was unexpected"),
            "{warned:?}"
        );
        assert_eq!(judge(&set, "p.t", &json!({"x": 1})).failed.len(), 1);
    }

    #[test]
    fn a_rule_set_is_known_by_what_it_does() {
        let (one, _) = compiled(&[rule("a", "description: x\n")]);
        let (same, _) = compiled(&[rule("a", "description: y\n")]);
        let (other, _) = compiled(&[rule("a", "criteria: {trigger.x: {type: eq, pattern: 1}}\n")]);
        assert_eq!(one.hash(), same.hash());
        assert_ne!(one.hash(), other.hash());
        let shared = |_: &(dyn Send + Sync)| ();
        shared(&one);
    }
}
