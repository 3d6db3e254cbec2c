//! `rules/*.yaml`.

use std::sync::Arc;

use serde_json::{Value, json};

use super::diagnostics::{Diagnostic, Severity, Span, did_you_mean};
use super::fields::Fields;
use super::model::{Criterion, Mark, Rule, RuleKind, RuleOrder, RuleSource, WhenMissed};
use super::sensor_file::own_pack;
use super::sources::SourceFile;
use super::system;
use super::yaml::Node;

const KEYS: &[&str] = &[
    "name",
    "pack",
    "description",
    "enabled",
    "type",
    "trigger",
    "criteria",
    "action",
    "order",
    "order_by",
    "tags",
    "context",
    "id",
    "ref",
    "uid",
    "metadata_file",
];

/// Reads one rule, and where its name stands.
pub fn rule(pack: &str, file: &SourceFile, out: &mut Vec<Diagnostic>) -> Option<(Rule, Span)> {
    let mut fields = Fields::of(file.document.as_ref()?, file, "a rule", out)?;
    fields.only(KEYS, Severity::Warning, "a rule");
    own_pack(&mut fields, pack);
    tags(&mut fields);
    fields.map("context");
    let name = fields.required_text("name", "the rule");
    let mut rule = Rule {
        reference: String::new(),
        pack: pack.to_owned(),
        name: String::new(),
        description: fields.text("description"),
        enabled: fields.flag("enabled", false),
        enabled_source: None,
        kind: kind(&mut fields),
        trigger_type: String::new(),
        trigger_parameters: Default::default(),
        missed: WhenMissed::default(),
        order: RuleOrder::default(),
        criteria: criteria(&mut fields),
        action: String::new(),
        parameters: Default::default(),
        version: String::new(),
        metadata_file: file.relative.clone(),
        source: RuleSource {
            file: file.shown.clone(),
            text: Arc::clone(&file.text),
            ..RuleSource::default()
        },
    };
    trigger(&mut fields, &mut rule);
    action(&mut fields, &mut rule);
    order(&mut fields, &mut rule);
    let (name, span) = name?;
    rule.reference = format!("{pack}.{name}");
    rule.name = name;
    rule.version = version(&rule);
    (!fields.faulty).then_some((rule, span))
}

/// `type: {ref: backstop}`; the short `type: backstop`, which StackStorm refuses, means the same.
fn kind(fields: &mut Fields<'_, '_>) -> RuleKind {
    let Some(node) = fields.get("type") else {
        return RuleKind::Standard;
    };
    if node.as_map().is_some()
        && let Some(mut inner) = Fields::of(node, fields.file, "\"type\"", fields.out)
    {
        inner.only(&["ref", "parameters"], Severity::Warning, "\"type\"");
        inner.map("parameters");
        fields.faulty |= inner.faulty;
    }
    let written = node.get("ref").unwrap_or(node);
    match written.as_text() {
        Some("standard") => RuleKind::Standard,
        Some("backstop") => RuleKind::Backstop,
        _ => {
            let help = Some("write  type: {ref: standard}  or  type: {ref: backstop}".to_owned());
            fields.error(written.span, "unknown type of rule", help);
            RuleKind::Standard
        }
    }
}

/// What users attach to a rule; nothing here depends on it.
fn tags(fields: &mut Fields<'_, '_>) {
    for tag in fields
        .list("tags")
        .and_then(Node::as_list)
        .unwrap_or_default()
    {
        if tag.as_map().is_none() {
            let help = Some("write  {name: …, value: …}".to_owned());
            fields.error(tag.span, "a tag must be a map", help);
        }
    }
}

/// The map under a key that must be there. Text in its place is told how to be written.
fn part<'a>(fields: &mut Fields<'a, '_>, key: &str, inner: &str) -> Option<&'a Node> {
    let Some(node) = fields.get(key) else {
        fields.missing(key, "the rule");
        return None;
    };
    if let Some(text) = node.as_text() {
        let message = format!("\"{key}\" must be a map");
        fields.error(
            node.span,
            message,
            Some(format!("write  {key}: {{{inner}: {text}}}")),
        );
        return None;
    }
    fields.map(key)
}

fn trigger(fields: &mut Fields<'_, '_>, rule: &mut Rule) {
    let Some(node) = part(fields, "trigger", "type") else {
        return;
    };
    let Some(mut inner) = Fields::of(node, fields.file, "\"trigger\"", fields.out) else {
        return;
    };
    if let Some((text, span)) = inner.required_text("type", "\"trigger\"") {
        rule.trigger_type = system::current(&text).to_owned();
        rule.source.trigger = span.start;
    }
    misspelt(&mut inner, &["type", "parameters", "missed"]);
    rule.trigger_parameters = inner.object("parameters");
    rule.missed = missed(&mut inner);
    fields.faulty |= inner.faulty;
}

/// StackStorm allows any key here, so only what looks like a known one is remarked upon.
fn misspelt(fields: &mut Fields<'_, '_>, known: &[&str]) {
    for (key, _) in fields.node.as_map().unwrap_or_default() {
        let name = key.as_text().unwrap_or_default();
        if known.contains(&name) || ["ref", "description"].contains(&name) {
            continue;
        }
        if let Some(help) = did_you_mean(name, known.iter().copied()) {
            let message = format!("\"{name}\" has no meaning in \"trigger\"");
            fields.warn(key.span, message, Some(help));
        }
    }
}

/// Our own key: what becomes of firings of a timer during a downtime.
fn missed(fields: &mut Fields<'_, '_>) -> WhenMissed {
    const WAYS: [&str; 3] = ["run_once", "all", "skip"];
    let Some(node) = fields.get("missed") else {
        return WhenMissed::default();
    };
    match node.as_text() {
        Some("run_once") => WhenMissed::RunOnce,
        Some("all") => WhenMissed::All,
        Some("skip") => WhenMissed::Skip,
        other => {
            let near = other.and_then(|text| did_you_mean(text, WAYS));
            let help = near.unwrap_or_else(|| format!("write one of {}", WAYS.join(", ")));
            fields.error(node.span, "\"missed\" cannot be this", Some(help));
            WhenMissed::default()
        }
    }
}

fn action(fields: &mut Fields<'_, '_>, rule: &mut Rule) {
    let Some(node) = part(fields, "action", "ref") else {
        return;
    };
    let Some(mut inner) = Fields::of(node, fields.file, "\"action\"", fields.out) else {
        return;
    };
    let known = ["ref", "parameters", "description"];
    inner.only(&known, Severity::Warning, "\"action\"");
    if let Some((text, span)) = inner.required_text("ref", "\"action\"") {
        rule.action = text;
        rule.source.action = span.start;
    }
    if let Some(map) = inner.map("parameters") {
        for (key, _) in map.as_map().unwrap_or_default() {
            let name = key.scalar_text().unwrap_or_default();
            rule.source.parameters.insert(name, key.span.start);
        }
    }
    rule.parameters = inner.object("parameters");
    fields.faulty |= inner.faulty;
}

/// Our own keys.
fn order(fields: &mut Fields<'_, '_>, rule: &mut Rule) {
    let by = fields.get("order_by");
    if let Some(node) = by {
        rule.source.order_by = node.span.start;
        match node.as_text() {
            Some(text) => rule.order = RuleOrder::By(text.to_owned()),
            None => {
                let help = r#"write  order_by: "{{ trigger.host }}""#.to_owned();
                fields.error(node.span, "\"order_by\" must be a template", Some(help));
            }
        }
    }
    let Some(node) = fields.get("order") else {
        return;
    };
    match (node.as_text(), by) {
        (Some("strict"), None) => rule.order = RuleOrder::Strict,
        (Some("strict"), Some(_)) | (Some("any"), None) => {}
        (Some("any"), Some(_)) => {
            let message = "\"order_by\" asks for an order, \"order: any\" for none";
            fields.error(node.span, message, Some("remove one of them".into()));
        }
        _ => {
            let help = "write  order: strict  or  order: any".to_owned();
            fields.error(node.span, "\"order\" cannot be this", Some(help));
        }
    }
}

fn criteria(fields: &mut Fields<'_, '_>) -> Vec<Criterion> {
    let Some(map) = fields.map("criteria") else {
        return Vec::new();
    };
    let mut all = Vec::new();
    for (key, value) in fields.few(map.as_map().unwrap_or_default(), "criteria") {
        let name = key.scalar_text().unwrap_or_else(|| "null".into());
        let Some(mut inner) = Fields::of(value, fields.file, "a criterion", fields.out) else {
            fields.faulty = true;
            continue;
        };
        all.extend(criterion(&mut inner, name, key.span.start));
        fields.faulty |= inner.faulty;
    }
    all
}

fn criterion(fields: &mut Fields<'_, '_>, key: String, mark: Mark) -> Option<Criterion> {
    fields.only(
        &["type", "pattern", "condition"],
        Severity::Warning,
        "a criterion",
    );
    let (operator, span) = fields.required_text("type", &format!("the criterion \"{key}\""))?;
    let condition = fields.text("condition");
    let pattern = fields
        .node
        .get("pattern")
        .map_or(Value::Null, Node::to_json);
    let free = ["exists", "nexists"].contains(&operator.to_lowercase().as_str());
    if pattern.is_null() && !free {
        let message = format!("the criterion \"{key}\" has no \"pattern\", so it cannot hold");
        fields.error(span, message, Some("add  pattern: …".into()));
    }
    Some(Criterion {
        key,
        operator,
        pattern,
        condition: (!condition.is_empty()).then_some(condition),
        mark,
        operator_mark: span.start,
    })
}

/// Equal for rules that do the same: a hash of all that decides it, in a canonical form.
fn version(rule: &Rule) -> String {
    let criteria: Vec<Value> = rule
        .criteria
        .iter()
        .map(|c| json!([c.key, c.operator, c.pattern, c.condition]))
        .collect();
    let mut decides = json!([
        rule.kind == RuleKind::Backstop,
        rule.trigger_type,
        rule.trigger_parameters,
        criteria,
        rule.action,
        rule.parameters,
    ]);
    let order = match &rule.order {
        RuleOrder::Any => None,
        RuleOrder::Strict => Some(json!("strict")),
        RuleOrder::By(template) => Some(json!({"by": template})),
    };
    // What an older journal knows of rules without an order stays true.
    if let Value::Array(parts) = &mut decides {
        parts.extend(order);
    }
    blake3::hash(decides.to_string().as_bytes()).to_hex()[..16].to_owned()
}
