//! What rules give to parameterised trigger types, against the schema of the type.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use jsonschema::error::ValidationErrorKind;
use jsonschema::paths::LocationSegment;
use serde_json::Value;

use super::diagnostics::{Diagnostic, Span, did_you_mean};
use super::model::{Rule, TriggerType};
use super::schema::PayloadCheck;
use super::sources::SourceFile;
use super::yaml::Node;

/// Most faults of one rule that are told.
const MOST_TOLD: usize = 10;

/// Checks of trigger types, compiled once for all rules.
#[derive(Default)]
pub struct Checks(HashMap<String, PayloadCheck>);

impl Checks {
    /// What is wrong with the trigger's parameters of a rule, which StackStorm refuses then. The
    /// defaults of the schema count as given; a type without a schema takes anything.
    pub fn faults(
        &mut self,
        rule: &Rule,
        kind: &TriggerType,
        file: &SourceFile,
    ) -> Vec<Diagnostic> {
        let check = match self.0.entry(kind.reference.clone()) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(PayloadCheck::new(&kind.parameters_schema, None)),
        };
        let mut out = Vec::new();
        let given = Value::Object(rule.trigger_parameters.clone());
        check.each_error(&given, &mut |error| {
            if out.len() >= MOST_TOLD {
                return;
            }
            let (place, path) = place(file, error);
            let (span, message, help) = match error.kind() {
                ValidationErrorKind::Required { property } if path.is_empty() => {
                    let name = property.as_str().unwrap_or_default();
                    let message = format!("{} needs the parameter \"{name}\"", kind.reference);
                    (
                        place,
                        message,
                        Some(format!("add  {name}: …  under parameters")),
                    )
                }
                ValidationErrorKind::AdditionalProperties { unexpected } if path.is_empty() => {
                    for name in unexpected.iter().take(MOST_TOLD) {
                        out.push(unknown(kind, file, name));
                    }
                    return;
                }
                ValidationErrorKind::Enum { options } => {
                    let names = options.as_array().into_iter().flatten();
                    let names: Vec<&str> = names.filter_map(Value::as_str).collect();
                    let written = error.instance().as_str().unwrap_or_default();
                    let help = did_you_mean(written, names.iter().copied());
                    let all = names.join(", ");
                    let message = format!("\"{path}\" of {} is one of {all}", kind.reference);
                    (place, message, help)
                }
                _ => (
                    place,
                    format!("\"{path}\" of {}: {error}", kind.reference),
                    None,
                ),
            };
            out.push(Diagnostic::error(file, span, message).maybe_help(help));
        });
        out
    }
}

fn unknown(kind: &TriggerType, file: &SourceFile, name: &str) -> Diagnostic {
    let known = kind
        .parameters_schema
        .get("properties")
        .and_then(Value::as_object);
    let names: Vec<&str> = known
        .into_iter()
        .flatten()
        .map(|(name, _)| name.as_str())
        .collect();
    let help = did_you_mean(name, names.iter().copied())
        .unwrap_or_else(|| format!("its parameters are {}", names.join(", ")));
    let entry = parameters(file).and_then(|node| node.entry(name));
    let span = entry.map_or(trigger(file), |(key, _)| key.span);
    let message = format!("{} has no parameter \"{name}\"", kind.reference);
    Diagnostic::error(file, span, message).help(help)
}

fn parameters(file: &SourceFile) -> Option<&Node> {
    file.document.as_ref()?.get("trigger")?.get("parameters")
}

/// Where the type of the trigger stands.
fn trigger(file: &SourceFile) -> Span {
    let node = || file.document.as_ref()?.get("trigger")?.get("type");
    node().map_or(Span::default(), |node| node.span)
}

/// Where the faulty value stands, and its path within the parameters.
fn place(file: &SourceFile, error: &jsonschema::ValidationError<'_>) -> (Span, String) {
    let mut node = parameters(file);
    let (mut span, mut path) = (trigger(file), Vec::new());
    for segment in error.instance_path() {
        node = match &segment {
            LocationSegment::Index(index) => node
                .and_then(Node::as_list)
                .and_then(|items| items.get(*index)),
            LocationSegment::Property(name) => node.and_then(|node| node.get(name)),
        };
        span = node.map_or(span, |node| node.span);
        path.push(segment.to_string());
    }
    (span, path.join("."))
}
