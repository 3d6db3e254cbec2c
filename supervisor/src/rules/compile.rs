//! Rules to a rule set: each resolved against the catalog, and what cannot work refused.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::json;

use super::RuleSet;
use super::criteria::{Fault, Test};
use super::engine::{Compiled, Slot};
use super::jinja::Value as Jinja;
use super::operators::known_operators;
use super::parameters::{self, Check, Plan};
use super::template::Templates;
use crate::catalog::diagnostics::{Diagnostic, Severity, Span, did_you_mean};
use crate::catalog::sources::SourceFile;
use crate::catalog::{Action, Catalog, Mark, Rule, RuleKind};

/// Trigger types of StackStorm itself that nothing in this version fires.
const NOT_YET: &[&str] = &[
    "core.st2.webhook",
    "core.st2.IntervalTimer",
    "core.st2.DateTimer",
    "core.st2.CronTimer",
    "core.st2.generic.actiontrigger",
    "core.st2.generic.notifytrigger",
    "core.st2.generic.inquiry",
    "core.st2.action.file_written",
    "core.st2.action.file_writen",
    "core.st2.sensor.process_spawn",
    "core.st2.sensor.process_exit",
    "core.st2.key_value_pair.create",
    "core.st2.key_value_pair.update",
    "core.st2.key_value_pair.delete",
    "core.st2.key_value_pair.value_change",
];

/// Compiles the enabled rules of a catalog.
pub fn compile(catalog: Arc<Catalog>) -> (RuleSet, Vec<Diagnostic>) {
    let mut compiler = Compiler {
        catalog: &catalog,
        templates: Templates::default(),
        checks: HashMap::new(),
        configs: HashMap::new(),
        out: Vec::new(),
    };
    let mut slots: HashMap<String, Slot> = HashMap::new();
    let mut lines = Vec::new();
    for rule in catalog.rules.values().filter(|rule| rule.enabled) {
        let Some(compiled) = compiler.rule(rule) else {
            continue;
        };
        lines.push(format!("{} {}", rule.reference, rule.version));
        let slot = slots.entry(rule.trigger_type.clone()).or_default();
        match rule.kind {
            RuleKind::Standard => slot.standard.push(compiled),
            RuleKind::Backstop => slot.backstop.push(compiled),
        }
    }
    let Compiler { templates, out, .. } = compiler;
    (RuleSet::new(slots, templates, lines), out)
}

struct Compiler<'c> {
    catalog: &'c Catalog,
    templates: Templates,
    checks: HashMap<String, Arc<Check>>,
    configs: HashMap<String, Jinja>,
    out: Vec<Diagnostic>,
}

impl Compiler<'_> {
    fn rule(&mut self, rule: &Arc<Rule>) -> Option<Compiled> {
        let known = self.trigger(rule);
        let action = self.action(rule);
        let tests = self.criteria(rule);
        let action = action.filter(|_| known)?;
        let plan = self.plan(rule, &action);
        let check = self.checks.entry(action.reference.clone()).or_default();
        Some(Compiled {
            tests: tests?,
            plan,
            check: Arc::clone(check),
            config: self.config(&action),
            context: Jinja::from(&json!({
                "rule": {"id": rule.reference, "ref": rule.reference, "name": rule.name},
                "user": "stanley",
                "pack": action.pack,
            })),
            rule: Arc::clone(rule),
            action,
        })
    }

    fn trigger(&mut self, rule: &Rule) -> bool {
        let (name, types) = (rule.trigger_type.as_str(), &self.catalog.trigger_types);
        if types.contains_key(name) {
            return true;
        }
        let found = match NOT_YET.contains(&name) {
            true => {
                let message =
                    format!("trigger {name} is not supported yet by this version: rule left out");
                at(rule, rule.source.trigger, name, Severity::Warning, message)
            }
            false => {
                let message = format!("unknown trigger type \"{name}\": rule left out");
                let near = did_you_mean(name, types.keys().map(String::as_str));
                let help =
                    near.unwrap_or_else(|| self.pack_hint(name, "trigger types", types.keys()));
                at(rule, rule.source.trigger, name, Severity::Error, message).help(help)
            }
        };
        self.out.push(found);
        false
    }

    fn action(&mut self, rule: &Rule) -> Option<Arc<Action>> {
        let (name, actions) = (rule.action.as_str(), &self.catalog.actions);
        if let Some(action) = actions.get(name) {
            return Some(Arc::clone(action));
        }
        let found = match self.catalog.left_out.get(name) {
            Some(why) => {
                let message = format!("action {name} was left out ({why}): rule left out");
                at(rule, rule.source.action, name, Severity::Warning, message)
            }
            None => {
                let message = format!("unknown action \"{name}\": rule left out");
                let near = did_you_mean(name, actions.keys().map(String::as_str));
                let help = near.unwrap_or_else(|| self.pack_hint(name, "actions", actions.keys()));
                at(rule, rule.source.action, name, Severity::Error, message).help(help)
            }
        };
        self.out.push(found);
        None
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
        plan
    }

    fn config(&mut self, action: &Action) -> Jinja {
        let packs = &self.catalog.packs;
        let config = self.configs.entry(action.pack.clone()).or_insert_with(|| {
            let pack = packs.get(&action.pack);
            pack.map_or_else(|| Jinja::from(&json!({})), |pack| Jinja::from(&pack.config))
        });
        config.clone()
    }
}

/// Parameters that the action does not have, and those it needs and does not get.
fn unfitting(rule: &Rule, action: &Action) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for name in rule.parameters.keys() {
        let one = [(name.clone(), serde_json::Value::Null)]
            .into_iter()
            .collect();
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
