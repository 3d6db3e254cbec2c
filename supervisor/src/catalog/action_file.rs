//! `actions/*.yaml`.

use fancy_regex::Regex;
use serde_json::{Map, Value};

use super::diagnostics::{Diagnostic, Severity, did_you_mean};
use super::fields::Fields;
use super::model::{Action, Runner};
use super::runners::{self, Known};
use super::sensor_file::{absent, own_pack};
use super::sources::{PackSource, SourceFile};
use super::yaml::{Data, Node};

const KEYS: &[&str] = &[
    "name",
    "runner_type",
    "description",
    "enabled",
    "entry_point",
    "pack",
    "parameters",
    "output_schema",
    "tags",
    "notify",
    "idempotent",
    "id",
    "ref",
    "uid",
    "metadata_file",
];
/// What a parameter's schema may say (st2.md 7.3).
const PARAMETER_KEYS: &[&str] = &[
    "type",
    "description",
    "default",
    "required",
    "secret",
    "position",
    "immutable",
    "enum",
    "title",
    "format",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "pattern",
    "items",
    "additionalItems",
    "minItems",
    "maxItems",
    "uniqueItems",
    "properties",
    "patternProperties",
    "additionalProperties",
    "minProperties",
    "maxProperties",
    "dependencies",
    "anyOf",
    "oneOf",
    "allOf",
    "not",
    "$ref",
    "definitions",
];
const TYPES: &[&str] = &[
    "array", "boolean", "integer", "null", "number", "object", "string",
];

/// What became of an action's file.
pub enum Read {
    /// It is an action.
    Action(Box<Action>),
    /// It is one, and stays out: its name where that is known, and why.
    LeftOut(Option<String>, String),
}

/// Reads one action.
pub fn action(
    source: &PackSource,
    pack: &str,
    file: &SourceFile,
    out: &mut Vec<Diagnostic>,
) -> Read {
    let faulty = || "its file has a fault".to_owned();
    let Some(root) = file.document.as_ref() else {
        return Read::LeftOut(None, faulty());
    };
    let Some(mut fields) = Fields::of(root, file, "an action", out) else {
        return Read::LeftOut(None, faulty());
    };
    fields.only(KEYS, Severity::Warning, "an action");
    own_pack(&mut fields, pack);
    let name = fields
        .required_text("name", "the action")
        .map(|(name, _)| name);
    let parameters = parameters(&mut fields);
    let runner = match runner(&mut fields) {
        Ok(runner) => runner,
        Err(why) => return Read::LeftOut(name, why),
    };
    fixed_without_value(&mut fields, &runners::overlay(runner.0, &parameters));
    let entry_point = entry_point(&mut fields, source, runner.0);
    let (description, enabled) = (fields.text("description"), fields.flag("enabled", true));
    match name {
        Some(name) if !fields.faulty => Read::Action(Box::new(Action {
            reference: format!("{pack}.{name}"),
            pack: pack.to_owned(),
            name,
            description,
            enabled,
            enabled_source: None,
            runner: runner.0,
            runner_type: runner.1,
            entry_point,
            all_parameters: runners::overlay(runner.0, &parameters),
            parameters,
            metadata_file: file.relative.clone(),
        })),
        name => Read::LeftOut(name, faulty()),
    }
}

fn runner(fields: &mut Fields<'_, '_>) -> Result<(Runner, String), String> {
    let Some((written, span)) = fields.required_text("runner_type", "the action") else {
        return Err("it has no runner_type".into());
    };
    match runners::known(&written) {
        Known::Supported(runner) => Ok((runner, written)),
        Known::NotYet => {
            let message =
                format!("runner {written} is not supported yet by this version: action left out");
            fields.warn(span, message, None);
            Err(format!(
                "its runner {written} is not supported yet by this version"
            ))
        }
        Known::Unknown => {
            let help = did_you_mean(&written, runners::names())
                .unwrap_or_else(|| format!("this version has {}", runners::SUPPORTED.join(", ")));
            fields.error(span, format!("unknown runner \"{written}\""), Some(help));
            Err("its runner is unknown".into())
        }
    }
}

/// Python actions need a program, the others have none.
fn entry_point(
    fields: &mut Fields<'_, '_>,
    source: &PackSource,
    runner: Runner,
) -> Option<std::path::PathBuf> {
    if runner != Runner::PythonScript {
        return None;
    }
    let (written, span) = fields.required_text("entry_point", "the action")?;
    let path = source.entry_point(fields.file, &written);
    if !source.entry_points.contains_key(&path) {
        absent(fields, source, &path, &written, span);
    }
    Some(path)
}

/// The schemas of the parameters. Faults in them are told; the schemas stay as written.
fn parameters(fields: &mut Fields<'_, '_>) -> Map<String, Value> {
    let node = fields.map("parameters");
    for (key, schema) in node.and_then(Node::as_map).unwrap_or_default() {
        let name = key.scalar_text().unwrap_or_default();
        let valid = Regex::new(r"^\w+$").is_ok_and(|word| word.is_match(&name).unwrap_or(false));
        if !valid {
            let help = Some("use letters, digits and _ only".to_owned());
            fields.error(
                key.span,
                format!("\"{name}\" cannot name a parameter"),
                help,
            );
        }
        parameter(fields, &name, schema);
    }
    fields.object("parameters")
}

fn parameter(fields: &mut Fields<'_, '_>, name: &str, schema: &Node) {
    let what = format!("parameter \"{name}\"");
    let Some(mut inner) = Fields::of(schema, fields.file, &what, fields.out) else {
        fields.faulty = true;
        return;
    };
    inner.only(PARAMETER_KEYS, Severity::Warning, &what);
    if let Some(node) = inner.get("type") {
        match &node.data {
            Data::Text(written) if TYPES.contains(&written.as_str()) => {}
            Data::Text(written) => {
                let help = did_you_mean(written, TYPES.iter().copied())
                    .unwrap_or_else(|| format!("types are {}", TYPES.join(", ")));
                inner.error(node.span, format!("unknown type \"{written}\""), Some(help));
            }
            // A list of types is refused by StackStorm, and means what one expects here.
            _ if node.as_list().is_some() => {}
            _ => inner.error(
                node.span,
                format!("a type is text, this is {}", node.kind()),
                None,
            ),
        }
    }
    fields.faulty |= inner.faulty;
}

/// Tells of parameters that nobody may give and that have no default, not even the runner's.
fn fixed_without_value(fields: &mut Fields<'_, '_>, all: &Map<String, Value>) {
    for (name, schema) in all {
        let fixed = schema.get("immutable") == Some(&Value::Bool(true));
        if !fixed || schema.get("default").is_some() {
            continue;
        }
        let node = fields.get("parameters").and_then(|map| map.entry(name));
        let span = node.map_or(fields.node.span, |(key, _)| key.span);
        let message = format!(
            "parameter \"{name}\" is immutable and has no default, so it never has a value"
        );
        fields.warn(span, message, Some("add  default: …".into()));
    }
}
