//! Schemas of parameters, as actions and `config.schema.yaml` describe them (st2.md 7.3).

use std::sync::LazyLock;

use fancy_regex::Regex;
use serde_json::{Map, Value};

use super::diagnostics::{Severity, did_you_mean};
use super::fields::Fields;
use super::yaml::{Data, Node};

/// What the schema of a parameter may say.
const KEYS: &[&str] = &[
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

static WORD: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^\w+$").expect("a constant pattern"));

/// The schemas of a map from names to schemas; `what` one of them is called. Faults in them are
/// told; the schemas stay as written.
pub fn described(fields: &mut Fields<'_, '_>, what: &str) -> Map<String, Value> {
    let all = fields.node.as_map().unwrap_or_default();
    for (key, schema) in fields.few(all, &format!("{what}s")) {
        let name = key.scalar_text().unwrap_or_default();
        if !WORD.is_match(&name).unwrap_or(false) {
            let help = Some("use letters, digits and _ only".to_owned());
            let article = if what.starts_with('a') { "an" } else { "a" };
            let message = format!("\"{name}\" cannot name {article} {what}");
            fields.error(key.span, message, help);
        }
        one(fields, &format!("{what} \"{name}\""), schema);
    }
    match fields.node.to_json() {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn one(fields: &mut Fields<'_, '_>, what: &str, schema: &Node) {
    let Some(mut inner) = Fields::of(schema, fields.file, what, fields.out) else {
        fields.faulty = true;
        return;
    };
    inner.only(KEYS, Severity::Warning, what);
    if let Some(node) = inner.get("type") {
        kind(&mut inner, node);
    }
    for (name, schema) in inner
        .get("properties")
        .and_then(Node::as_map)
        .unwrap_or_default()
    {
        let name = name.scalar_text().unwrap_or_default();
        one(&mut inner, &format!("\"{name}\" in {what}"), schema);
    }
    if let Some(items) = inner.get("items").filter(|items| items.as_map().is_some()) {
        one(&mut inner, &format!("an item of {what}"), items);
    }
    fields.faulty |= inner.faulty;
}

fn kind(fields: &mut Fields<'_, '_>, node: &Node) {
    match &node.data {
        Data::Text(written) if TYPES.contains(&written.as_str()) => {}
        Data::Text(written) => {
            let help = did_you_mean(written, TYPES.iter().copied())
                .unwrap_or_else(|| format!("types are {}", TYPES.join(", ")));
            fields.error(node.span, format!("unknown type \"{written}\""), Some(help));
        }
        // A list of types is refused by StackStorm, and means what one expects here.
        _ if node.as_list().is_some() => {}
        _ => {
            let message = format!("a type is text, this is {}", node.kind());
            fields.error(node.span, message, None);
        }
    }
}
