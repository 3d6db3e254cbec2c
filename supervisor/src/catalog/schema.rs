//! JSON schemas as StackStorm writes them, and what they make of a payload.

use std::sync::OnceLock;

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{Draft, JsonType, ValidationError, Validator};
use serde_json::{Map, Value};

use super::diagnostics::{Diagnostic, did_you_mean};

/// Longest message about a payload, characters.
const MESSAGE_CHARS: usize = 300;

/// What happens to a payload that its schema does not allow; `payload_validation` in petrel.yaml.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Validation {
    /// It is rejected.
    Strict,
    /// It passes where only a scalar has another type than declared and could be written as that
    /// type; else it is rejected.
    #[default]
    Coerce,
    /// It passes, with a warning.
    Warn,
    /// It is not looked at.
    Off,
}

/// What became of a payload. It is never altered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Checked {
    /// It fits, or nobody checks.
    Accepted,
    /// It passes by lenience; what was not as declared.
    Coerced(Vec<String>),
    /// It does not fit, and passes because the setting says so.
    Warned(String),
    /// It does not fit.
    Rejected {
        /// Where in the payload, such as `commits[2].size`; empty for the payload itself.
        path: String,
        /// What is wrong there.
        message: String,
    },
}

/// A schema, compiled when it is first needed: that takes milliseconds, and many are never used.
#[derive(Debug)]
pub struct PayloadCheck {
    schema: Option<Value>,
    compiled: OnceLock<Result<Validator, String>>,
    place: Option<Diagnostic>,
}

impl PayloadCheck {
    /// A check by `schema`, in StackStorm's dialect; an empty one never checks. `place` is a
    /// diagnostic at the schema, whose message [`PayloadCheck::fault`] fills in.
    pub fn new(schema: &Value, place: Option<Diagnostic>) -> Self {
        let empty = schema.as_object().is_none_or(Map::is_empty);
        Self {
            schema: (!empty).then(|| normalised(schema)),
            compiled: OnceLock::new(),
            place,
        }
    }

    fn validator(&self) -> Option<&Validator> {
        self.compiled()?.as_ref().ok()
    }

    fn compiled(&self) -> Option<&Result<Validator, String>> {
        let schema = self.schema.as_ref()?;
        Some(self.compiled.get_or_init(|| compile(schema)))
    }

    /// Compiles the schema and says what is wrong with it; a faulty schema checks nothing.
    pub fn fault(&self) -> Option<Diagnostic> {
        let message = self.compiled()?.as_ref().err()?;
        let message = format!("the payload schema is not valid and checks nothing: {message}");
        let place = self.place.clone()?;
        Some(Diagnostic { message, ..place })
    }

    /// Calls `each` for every error of a value; never where there is no valid schema.
    pub fn each_error(&self, value: &Value, each: &mut dyn FnMut(&ValidationError<'_>)) {
        if let Some(validator) = self.validator() {
            for error in validator.iter_errors(value) {
                each(&error);
            }
        }
    }

    /// Checks a payload.
    pub fn check(&self, payload: &Value, mode: Validation) -> Checked {
        if mode == Validation::Off {
            return Checked::Accepted;
        }
        let Some(validator) = self.validator() else {
            return Checked::Accepted;
        };
        if validator.is_valid(payload) {
            return Checked::Accepted;
        }
        let (lenient, hard) = sort(validator.iter_errors(payload), mode);
        match (hard, mode) {
            (None, _) => Checked::Coerced(lenient),
            (Some((path, message)), Validation::Warn) => Checked::Warned(match path.is_empty() {
                true => message,
                false => format!("{path}: {message}"),
            }),
            (Some((path, message)), _) => Checked::Rejected { path, message },
        }
    }
}

/// The errors that lenience forgives, and the first that it does not.
fn sort<'a>(
    errors: impl Iterator<Item = ValidationError<'a>>,
    mode: Validation,
) -> (Vec<String>, Option<(String, String)>) {
    let mut lenient = Vec::new();
    for error in errors {
        match forgiven(&error).filter(|_| mode == Validation::Coerce) {
            Some(what) => lenient.push(what),
            None => return (lenient, Some((path(&error), message(&error)))),
        }
    }
    (lenient, None)
}

/// A scalar where text is declared, or text that reads as the declared number.
fn forgiven(error: &ValidationError<'_>) -> Option<String> {
    let ValidationErrorKind::Type { kind } = error.kind() else {
        return None;
    };
    let declares = |wanted: JsonType| match kind {
        TypeKind::Single(kind) => *kind == wanted,
        TypeKind::Multiple(kinds) => kinds.contains(wanted),
    };
    let path = path(error);
    match &**error.instance() {
        Value::Number(_) if declares(JsonType::String) => {
            Some(format!("{path} is a number where text is declared"))
        }
        Value::Bool(_) if declares(JsonType::String) => {
            Some(format!("{path} is a boolean where text is declared"))
        }
        Value::String(text) if declares(JsonType::Number) && reads_as_float(text) => {
            Some(format!("{path} is text where a number is declared"))
        }
        Value::String(text)
            if declares(JsonType::Integer) && text.trim().parse::<i64>().is_ok() =>
        {
            Some(format!("{path} is text where an integer is declared"))
        }
        _ => None,
    }
}

fn reads_as_float(text: &str) -> bool {
    text.trim().parse::<f64>().is_ok_and(f64::is_finite)
}

/// `/commits/2/size` as `commits[2].size`.
fn path(error: &ValidationError<'_>) -> String {
    let mut path = String::new();
    for segment in error.instance_path() {
        match segment {
            jsonschema::paths::LocationSegment::Index(at) => path.push_str(&format!("[{at}]")),
            jsonschema::paths::LocationSegment::Property(name) => {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(&name);
            }
        }
    }
    path
}

fn message(error: &ValidationError<'_>) -> String {
    let message = error.to_string();
    match message.char_indices().nth(MESSAGE_CHARS) {
        Some((end, _)) => format!("{}…", &message[..end]),
        None => message,
    }
}

/// Compiles a normalised schema. Nothing is fetched, and `format` is not checked, as in StackStorm.
///
/// # Errors
/// What is wrong with the schema.
pub fn compile(schema: &Value) -> Result<Validator, String> {
    jsonschema::options()
        .with_draft(Draft::Draft4)
        .should_validate_formats(false)
        .build(schema)
        .map_err(|error| unknown_type(schema).unwrap_or_else(|| message(&error)))
}

/// The commonest fault, in fewer words than the validator has for it.
fn unknown_type(schema: &Value) -> Option<String> {
    const TYPES: &[&str] = &[
        "array", "boolean", "integer", "null", "number", "object", "string",
    ];
    let unknown = |name: &Value| {
        let name = name.as_str().filter(|name| !TYPES.contains(name))?;
        let near = did_you_mean(name, TYPES.iter().copied());
        let hint = near.map_or_else(String::new, |near| format!(", {near}"));
        Some(format!("unknown type \"{name}\"{hint}"))
    };
    let map = schema.as_object()?;
    let here = match map.get("type") {
        Some(Value::Array(names)) => names.iter().find_map(unknown),
        Some(name) => unknown(name),
        None => None,
    };
    let properties = map.get("properties").and_then(Value::as_object);
    here.or_else(|| properties?.values().find_map(unknown_type))
        .or_else(|| unknown_type(map.get("items")?))
}

/// StackStorm's dialect as draft 4: `required: true` on a property moves to its object, what
/// is not validated goes, and optional properties may be null (`util/schema/__init__.py`).
pub fn normalised(schema: &Value) -> Value {
    let Value::Object(map) = schema else {
        return schema.clone();
    };
    let mut out = Map::new();
    for (key, value) in map {
        let value = match (key.as_str(), value) {
            ("secret" | "position" | "immutable" | "default" | "$schema" | "id", _) => continue,
            ("required", Value::Bool(_)) => continue,
            ("type", Value::String(any)) if any == "any" => continue,
            ("properties" | "patternProperties" | "definitions", Value::Object(inner)) => inner
                .iter()
                .map(|(name, s)| (name.clone(), normalised(s)))
                .collect(),
            ("items" | "not" | "additionalProperties" | "additionalItems", Value::Object(_)) => {
                normalised(value)
            }
            ("items" | "anyOf" | "oneOf" | "allOf", Value::Array(inner)) => {
                inner.iter().map(normalised).collect()
            }
            _ => value.clone(),
        };
        out.insert(key.clone(), value);
    }
    hoist(map, &mut out);
    Value::Object(out)
}

fn hoist(written: &Map<String, Value>, out: &mut Map<String, Value>) {
    let Some(Value::Object(properties)) = written.get("properties") else {
        return;
    };
    let listed = written.get("required").and_then(Value::as_array);
    let mut required: Vec<Value> = listed.cloned().unwrap_or_default();
    for (name, schema) in properties {
        // StackStorm fills in what has a default before it looks for what is missing.
        let flagged =
            schema.get("required") == Some(&Value::Bool(true)) && schema.get("default").is_none();
        let name = Value::String(name.clone());
        if flagged && !required.contains(&name) {
            required.push(name);
        }
    }
    if let Some(Value::Object(properties)) = out.get_mut("properties") {
        for (name, schema) in properties.iter_mut() {
            if !required.iter().any(|r| r.as_str() == Some(name)) {
                allow_null(schema);
            }
        }
    }
    match required.is_empty() {
        true => drop(out.remove("required")),
        false => drop(out.insert("required".into(), Value::Array(required))),
    }
}

fn allow_null(schema: &mut Value) {
    let Value::Object(map) = schema else {
        return;
    };
    match map.get_mut("type") {
        Some(Value::String(name)) if name != "null" => {
            let both = vec![Value::from(name.as_str()), Value::from("null")];
            map.insert("type".into(), Value::Array(both));
        }
        Some(Value::Array(names)) if !names.contains(&"null".into()) => names.push("null".into()),
        _ => {}
    }
    for choice in ["anyOf", "oneOf"] {
        if let Some(Value::Array(schemas)) = map.get_mut(choice) {
            schemas.push(serde_json::json!({"type": "null"}));
        }
    }
    if let Some(Value::Array(values)) = map.get_mut("enum")
        && !values.contains(&Value::Null)
    {
        values.push(Value::Null);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(schema: Value, payload: Value, mode: Validation) -> Checked {
        PayloadCheck::new(&schema, None).check(&payload, mode)
    }

    fn article() -> Value {
        json!({"type": "object", "properties": {
            "path": {"type": "string"}, "time": {"type": "string"}, "n": {"type": "integer"},
            "id": {"type": "integer", "required": true, "secret": true},
        }})
    }

    #[test]
    fn the_articles_float_passes_as_text_and_is_told() {
        let payload = json!({"path": "/x", "time": 1480310219.11, "n": "5", "id": 1});
        let Checked::Coerced(what) = check(article(), payload.clone(), Validation::Coerce) else {
            panic!("not coerced");
        };
        assert_eq!(what.len(), 2, "{what:?}");
        assert!(what[0].contains("time"), "{what:?}");
        let strict = check(article(), payload.clone(), Validation::Strict);
        assert!(matches!(strict, Checked::Rejected { .. }), "{strict:?}");
        let warned = check(article(), payload.clone(), Validation::Warn);
        assert!(matches!(warned, Checked::Warned(_)), "{warned:?}");
        assert_eq!(
            check(article(), payload, Validation::Off),
            Checked::Accepted
        );
    }

    #[test]
    fn what_cannot_be_read_as_declared_is_rejected_with_its_path() {
        for (payload, at) in [
            (json!({"id": 1, "path": ["x"]}), "path"),
            (json!({"id": 1, "n": "five"}), "n"),
            (json!({"id": 1.5}), "id"),
            (json!({"path": "x"}), ""),
            (json!({"id": null}), "id"),
        ] {
            match check(article(), payload.clone(), Validation::Coerce) {
                Checked::Rejected { path, .. } => assert_eq!(path, at, "{payload}"),
                other => panic!("{payload}: {other:?}"),
            }
        }
    }

    #[test]
    fn null_is_allowed_where_the_property_is_optional() {
        let payload = json!({"id": 1, "path": null, "n": null});
        assert_eq!(
            check(article(), payload, Validation::Strict),
            Checked::Accepted
        );
    }

    #[test]
    fn an_empty_or_faulty_schema_checks_nothing() {
        assert_eq!(
            check(json!({}), json!([1]), Validation::Strict),
            Checked::Accepted
        );
        let file = super::super::sources::SourceFile::new("s.yaml", "s.yaml", "a: 1");
        let place = Diagnostic::error(&file, Default::default(), "");
        let check = PayloadCheck::new(&json!({"type": "strin"}), Some(place));
        assert_eq!(
            check.check(&json!(1), Validation::Strict),
            Checked::Accepted
        );
        assert!(check.fault().unwrap().message.contains("not valid"));
    }

    #[test]
    fn nested_required_flags_move_up() {
        let schema = normalised(&json!({"properties": {
            "o": {"type": "object", "required": true, "properties": {"x": {"required": true}}}}}));
        assert_eq!(schema["required"], json!(["o"]));
        assert_eq!(schema["properties"]["o"]["required"], json!(["x"]));
        compile(&schema).unwrap();
    }
}
