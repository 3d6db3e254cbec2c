//! Rules to a rule set: each resolved against the catalog, and what cannot work refused.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::cipher::Cipher;
use super::criteria::{Fault, Test};
use super::engine::{Compiled, Slot, TimerRule, Turn};
use super::jinja::Value as Jinja;
use super::operators::known_operators;
use super::order::{self, Order};
use super::parameters::{self, Check, Given, Plan};
use super::store::USER;
use super::template::Templates;
use super::timer::Timer;
use super::trigger::Trigger;
use super::{RuleSet, config, shell_risk};
use crate::catalog::diagnostics::{Diagnostic, Severity, Span, did_you_mean};
use crate::catalog::sources::SourceFile;
use crate::catalog::{Action, Catalog, Mark, Rule, RuleKind, RuleOrder};

/// Trigger types of StackStorm itself whose events nothing in this version makes.
const NEVER_FIRED: &[&str] = &[
    "core.st2.webhook",
    "core.st2.generic.inquiry",
    "core.st2.action.file_written",
];

/// Compiles the enabled rules of a catalog.
pub fn compile(catalog: Arc<Catalog>, host: &Host) -> (RuleSet, Vec<Diagnostic>) {
    let mut compiler = Compiler {
        catalog: &catalog,
        host,
        templates: Templates::new(host.cipher.clone()),
        checks: HashMap::new(),
        out: Vec::new(),
    };
    let instances = catalog
        .sensors
        .values()
        .filter_map(|one| one.instance.as_ref());
    let packs = catalog.packs.values();
    for pack in packs
        .chain(instances.map(|one| &one.pack))
        .filter(|pack| pack.is_dynamic)
    {
        let written = Value::Object(pack.written_config.clone());
        config::prepare(&written, &mut compiler.templates);
    }
    let mut slots: HashMap<String, Slot> = HashMap::new();
    let mut triggers = BTreeMap::new();
    let mut timers: BTreeMap<String, TimerRule> = BTreeMap::new();
    let mut lines = Vec::new();
    for rule in catalog.rules.values().filter(|rule| rule.enabled) {
        let Some(compiled) = compiler.rule(rule) else {
            continue;
        };
        lines.push(format!("{} {}", rule.reference, rule.version));
        let trigger = Arc::new(match compiled.timer {
            Some(_) => Trigger::of_timer(rule),
            None => Trigger::of(rule),
        });
        let name = trigger.reference.clone();
        let slot = slots.entry(name.clone()).or_default();
        slot.reads_store |= order::reads_store(rule, compiled.order.as_ref().ok());
        if name != rule.trigger_type {
            triggers.insert(name.clone(), Arc::clone(&trigger));
        }
        if let Some(timer) = compiled.timer.clone() {
            let missed = rule.missed;
            timers.insert(
                name,
                TimerRule {
                    trigger,
                    timer,
                    missed,
                },
            );
        }
        match rule.kind {
            RuleKind::Standard => slot.standard.push(compiled),
            RuleKind::Backstop => slot.backstop.push(compiled),
        }
    }
    let Compiler { templates, out, .. } = compiler;
    let timers = timers.into_values().collect();
    (
        RuleSet::new(
            slots,
            triggers,
            timers,
            templates,
            host.cipher.clone(),
            lines,
        ),
        out,
    )
}

/// What rules need to know of the place where they run.
#[derive(Clone, Debug)]
pub struct Host {
    /// The zone of timers that name none.
    pub zone: TimeZone,
    /// The datastore's key, for `decrypt_kv`.
    pub cipher: Option<Arc<Cipher>>,
}

impl Default for Host {
    fn default() -> Self {
        Self {
            zone: TimeZone::UTC,
            cipher: None,
        }
    }
}

struct Compiler<'c> {
    catalog: &'c Catalog,
    host: &'c Host,
    templates: Templates,
    checks: HashMap<String, Arc<Check>>,
    out: Vec<Diagnostic>,
}

impl Compiler<'_> {
    fn rule(&mut self, rule: &Arc<Rule>) -> Option<Compiled> {
        let known = self.trigger(rule);
        let timer = self.timer(rule);
        let order = self.order(rule);
        let turn = self.turn(rule);
        let tests = self.criteria(rule);
        Some(Compiled {
            timer: timer.filter(|_| known)?,
            tests: tests?,
            turn: turn?,
            order,
            rule: Arc::clone(rule),
        })
    }

    /// What the rule asks for. An action that is not there is missed when an event comes, as in
    /// StackStorm: its pack may come later.
    fn order(&mut self, rule: &Rule) -> Result<Order, String> {
        let action = self.action(rule)?;
        let plan = self.plan(rule, &action);
        let config = self.catalog.packs.get(&action.pack).cloned();
        let config = config.filter(|_| order::asks_for_config(&rule.parameters, &action));
        let check = self.checks.entry(action.reference.clone()).or_default();
        Ok(Order {
            plan,
            secrets: order::secrets(&[], &rule.parameters, &action, config.as_deref()).into(),
            check: Arc::clone(check),
            config,
            context: Jinja::from(&json!({
                "rule": {"id": rule.reference, "ref": rule.reference, "name": rule.name},
                "user": USER,
                "pack": action.pack,
            })),
            action,
        })
    }

    /// Which of its executions begin one after the other; none where its template cannot be used.
    fn turn(&mut self, rule: &Rule) -> Option<Turn> {
        let template = match &rule.order {
            RuleOrder::Any => return Some(Turn::Free),
            RuleOrder::Strict => return Some(Turn::All),
            RuleOrder::By(template) => template,
        };
        let why = match self.templates.add(template) {
            // It is kept in clear.
            Ok(()) if template.contains("decrypt_kv") => "it must not decrypt".to_owned(),
            Ok(()) => return Some(Turn::By(template.clone())),
            Err(why) => why,
        };
        let message = format!("\"order_by\" cannot be used: {why}: rule left out");
        let mark = rule.source.order_by;
        self.out
            .push(at(rule, mark, template, Severity::Error, message));
        None
    }

    fn trigger(&mut self, rule: &Rule) -> bool {
        let (name, types) = (rule.trigger_type.as_str(), &self.catalog.trigger_types);
        if types.contains_key(name) {
            if NEVER_FIRED.contains(&name) {
                let message =
                    format!("nothing in this version fires {name}: this rule waits in vain");
                let found = at(rule, rule.source.trigger, name, Severity::Warning, message);
                self.out.push(found);
            }
            return true;
        }
        // StackStorm takes such a rule when it has parameters: its pack may come later.
        let kept = !rule.trigger_parameters.is_empty();
        let (severity, what) = match kept {
            true => (Severity::Warning, "nothing fires it"),
            false => (Severity::Error, "rule left out"),
        };
        let message = format!("unknown trigger type \"{name}\": {what}");
        let near = did_you_mean(name, types.keys().map(String::as_str));
        let help = near.unwrap_or_else(|| self.pack_hint(name, "trigger types", types.keys()));
        let mark = rule.source.trigger;
        self.out
            .push(at(rule, mark, name, severity, message).help(help));
        kept
    }

    /// The timer that the rule waits for, if it is one; none where it cannot be one.
    fn timer(&mut self, rule: &Rule) -> Option<Option<Timer>> {
        match Timer::parse(
            &rule.trigger_type,
            &rule.trigger_parameters,
            &self.host.zone,
        ) {
            Ok(timer) => Some(timer),
            Err(fault) => {
                let name = rule.trigger_type.as_str();
                let message = format!("{fault}: rule left out");
                let mark = rule.source.trigger;
                let found = at(rule, mark, name, Severity::Error, message);
                self.out.push(found.maybe_help(fault.help));
                None
            }
        }
    }

    fn action(&mut self, rule: &Rule) -> Result<Arc<Action>, String> {
        let (name, actions) = (rule.action.as_str(), &self.catalog.actions);
        if let Some(action) = actions.get(name) {
            return Ok(Arc::clone(action));
        }
        let near = did_you_mean(name, actions.keys().map(String::as_str));
        let (what, severity, help) = match (self.catalog.left_out.get(name), near) {
            (Some(why), _) => {
                let what = format!("action {name} was left out ({why})");
                (what, Severity::Warning, None)
            }
            // So near to one that is there, it is a slip.
            (None, Some(near)) => {
                let what = format!("unknown action \"{name}\"");
                (what, Severity::Error, Some(near))
            }
            (None, None) => {
                let help = self.pack_hint(name, "actions", actions.keys());
                let what = format!("unknown action \"{name}\"");
                (what, Severity::Warning, Some(help))
            }
        };
        let message = format!("{what}: every event that matches will fail here");
        let found = at(rule, rule.source.action, name, severity, message);
        self.out.push(found.maybe_help(help));
        Err(format!("Action \"{name}\" doesn't exist"))
    }

    /// What the pack of an unknown reference has, or that there is no such pack.
    fn pack_hint<'k>(
        &self,
        reference: &str,
        what: &str,
        all: impl Iterator<Item = &'k String>,
    ) -> String {
        let pack = reference.split('.').next().unwrap_or_default();
        if !reference.contains('.') {
            return "write it with its pack: pack.name".to_owned();
        }
        if !self.catalog.packs.contains_key(pack) {
            return format!("there is no pack \"{pack}\" in the packs folders");
        }
        let prefix = format!("{pack}.");
        let names: Vec<&str> = all
            .filter_map(|name| name.strip_prefix(&prefix))
            .take(8)
            .collect();
        match names.is_empty() {
            true => format!("pack \"{pack}\" has no {what}"),
            false => format!("pack \"{pack}\" has {}", names.join(", ")),
        }
    }

    fn criteria(&mut self, rule: &Rule) -> Option<Vec<Test>> {
        let mut tests = Vec::new();
        for criterion in &rule.criteria {
            let mut faults = Vec::new();
            let test = Test::compile(
                &criterion.key,
                &criterion.operator,
                &criterion.pattern,
                criterion.condition.as_deref(),
                &mut self.templates,
                &mut |fault| faults.push(fault),
            );
            for fault in faults {
                self.out.push(match fault {
                    Fault::Operator(name) => unknown_operator(rule, criterion, &name),
                    Fault::Hopeless(why) => {
                        let message = format!("this criterion can never hold: {why}");
                        let (mark, key) = (criterion.mark, criterion.key.as_str());
                        at(rule, mark, key, Severity::Warning, message)
                    }
                });
            }
            tests.push(test);
        }
        tests.into_iter().collect()
    }

    fn plan(&mut self, rule: &Rule, action: &Action) -> Result<Plan, String> {
        let mut remarks = Vec::new();
        let plan = Plan::compile(
            action,
            &rule.parameters,
            Given::Templates,
            &mut self.templates,
            |name, why| {
                remarks.push((
                    name.to_owned(),
                    format!("not a valid template, so it is taken literally: {why}"),
                ));
            },
        );
        let fails = |why: &String| (String::new(), format!("every event will fail here: {why}"));
        remarks.extend(plan.as_ref().err().map(fails));
        remarks.extend(unfitting(rule, action));
        for (name, message) in remarks {
            let mark = rule.source.parameters.get(&name).copied();
            let (mark, name) = match mark {
                Some(mark) => (mark, name.as_str()),
                None => (rule.source.action, rule.action.as_str()),
            };
            self.out
                .push(at(rule, mark, name, Severity::Warning, message));
        }
        self.out.extend(shell_risk::warnings(rule, action));
        plan
    }
}

/// Parameters that the action does not have, and those it needs and does not get.
fn unfitting(rule: &Rule, action: &Action) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for name in rule.parameters.keys() {
        let one = [(name.clone(), Value::Null)].into_iter().collect();
        if let Err(why) = parameters::names(action, &one) {
            found.push((name.clone(), format!("every event will fail here: {why}")));
        }
    }
    let missing: Vec<&str> = parameters::required(action)
        .filter(|name| !rule.parameters.contains_key(*name))
        .collect();
    if !missing.is_empty() {
        let message = format!(
            "{} needs the parameter {}",
            action.reference,
            missing.join(", ")
        );
        found.push((String::new(), message));
    }
    found
}

fn unknown_operator(rule: &Rule, criterion: &crate::catalog::Criterion, name: &str) -> Diagnostic {
    let names = known_operators();
    let message = format!("unknown operator \"{name}\": rule left out");
    let help = did_you_mean(name, names.iter().copied())
        .unwrap_or_else(|| format!("operators are {}", names.join(", ")));
    // Within a search, the place of the child is not known; the search is near it.
    let (mark, text) = match name == criterion.operator {
        true => (criterion.operator_mark, name),
        false => (criterion.mark, criterion.key.as_str()),
    };
    at(rule, mark, text, Severity::Error, message).help(help)
}

/// A diagnostic at a piece of text in a rule's file.
fn at(rule: &Rule, mark: Mark, text: &str, severity: Severity, message: String) -> Diagnostic {
    let file = SourceFile {
        shown: rule.source.file.clone(),
        relative: rule.metadata_file.clone(),
        text: Arc::clone(&rule.source.text),
        document: None,
        diagnostics: Vec::new(),
    };
    let line = file.line(mark.line).unwrap_or("");
    let quoted = matches!(
        line.chars().nth(mark.column.saturating_sub(1)),
        Some('\'' | '"')
    );
    let width = text.chars().count() + if quoted { 2 } else { 0 };
    Diagnostic::at(severity, &file, Span { start: mark, width }, message)
}
