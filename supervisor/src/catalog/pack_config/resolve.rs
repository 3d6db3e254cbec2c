//! A configuration as a sensor or an action gets it: templates rendered, cast, checked.

use serde_json::{Map, Value};

use super::check::misfits;
use super::fill::fill;
use super::is_template;
use super::shape::{is_secret, item, joined, member};
use crate::catalog::model::Pack;
use crate::catalog::yaml;

/// Why a configuration cannot be used now. It never shows the value of a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("configuration of pack \"{pack}\": \"{path}\": {message}")]
pub struct ConfigFault {
    /// The pack.
    pub pack: String,
    /// Dotted path in the configuration, list items by their number.
    pub path: String,
    /// What is wrong there.
    pub message: String,
}

/// What fills a template in: its text, and whether the outcome is ciphertext to be decrypted.
pub type Render<'r> = dyn FnMut(&str, bool) -> Result<String, String> + 'r;

/// The configuration of a pack with its dynamic values filled in by `render`, cast to the types of
/// the schema, with the schema's defaults, and checked. A template that renders to nothing is null.
///
/// # Errors
/// The first value that cannot be rendered, cast or used.
pub fn resolve(pack: &Pack, render: &mut Render<'_>) -> Result<Map<String, Value>, ConfigFault> {
    let fault = |(path, message)| ConfigFault {
        pack: pack.name.clone(),
        path,
        message,
    };
    let mut config = pack.written_config.clone();
    let schema = &pack.config_schema;
    for (name, value) in &mut config {
        dynamic(&member(schema, name), name, value, render).map_err(fault)?;
    }
    fill(schema, &mut config);
    // The values are in now: text that still looks like a template is only text.
    let first = misfits(schema, &pack.config_check, &config, false)
        .into_iter()
        .next();
    match first {
        Some(misfit) => Err(fault((misfit.path, misfit.message))),
        None => Ok(config),
    }
}

type Unfit = (String, String);

fn dynamic(
    schema: &Value,
    path: &str,
    value: &mut Value,
    render: &mut Render<'_>,
) -> Result<(), Unfit> {
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                dynamic(&member(schema, name), &joined(path, name), value, render)?;
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter_mut().enumerate() {
                let path = joined(path, &index.to_string());
                dynamic(item(schema, index), &path, value, render)?;
            }
        }
        Value::String(template) if is_template(template) => {
            let found = rendered(schema, template, render);
            *value = found.map_err(|why| (path.to_owned(), why))?;
        }
        _ => {}
    }
    Ok(())
}

/// Said of a template under a secret attribute that decrypts by itself; also when the file is read.
pub const DECRYPTS_TWICE: &str =
    "a secret attribute is decrypted by itself: use the key without the filter decrypt_kv";

/// Whether a template decrypts what is decrypted anyway.
pub fn decrypts_twice(schema: &Value, template: &str) -> bool {
    is_secret(schema) && template.contains("decrypt_kv")
}

fn rendered(schema: &Value, template: &str, render: &mut Render<'_>) -> Result<Value, String> {
    if decrypts_twice(schema, template) {
        return Err(DECRYPTS_TWICE.to_owned());
    }
    let text = render(template, is_secret(schema))
        .map_err(|why| format!("{template} cannot be rendered: {why}"))?;
    match text.is_empty() {
        true => Ok(Value::Null),
        false => cast(schema, text),
    }
}

/// The text as the first of the declared types that it reads as; text where that is declared, or
/// nothing is.
fn cast(schema: &Value, text: String) -> Result<Value, String> {
    let types = types(schema);
    if types.is_empty() || types.contains(&"string") {
        return Ok(Value::String(text));
    }
    let found = types.iter().find_map(|name| read_as(name, &text));
    found.ok_or_else(|| {
        let shown = match is_secret(schema) {
            true => "the secret".to_owned(),
            false => format!("\"{}\"", shortened(&text)),
        };
        format!("{shown} cannot be read as {}", types.join(" or "))
    })
}

const SHOWN_CHARS: usize = 60;

fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The types that a schema declares, those of its alternatives included.
fn types(schema: &Value) -> Vec<&str> {
    let mut found: Vec<&str> = match schema.get("type") {
        Some(Value::String(name)) => vec![name],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    for choice in ["anyOf", "oneOf"] {
        let choices = schema.get(choice).and_then(Value::as_array);
        found.extend(choices.into_iter().flatten().flat_map(types));
    }
    found
}

fn read_as(name: &str, text: &str) -> Option<Value> {
    let trimmed = text.trim();
    match name {
        "integer" => {
            let small = trimmed.parse::<i64>().map(Value::from);
            small
                .or_else(|_| trimmed.parse::<u64>().map(Value::from))
                .ok()
        }
        "number" => read_as("integer", text).or_else(|| {
            let number = trimmed.parse::<f64>().ok()?;
            serde_json::Number::from_f64(number).map(Value::Number)
        }),
        "boolean" => boolean(trimmed).map(Value::Bool),
        "array" => structure(trimmed).filter(Value::is_array),
        "object" => structure(trimmed).filter(Value::is_object),
        "null" => ["null", "None"].contains(&trimmed).then_some(Value::Null),
        _ => None,
    }
}

fn boolean(text: &str) -> Option<bool> {
    match text.to_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Some(true),
        "false" | "no" | "off" | "0" => Some(false),
        _ => None,
    }
}

/// JSON, else what the YAML of a pack file would mean, which has Python's way of writing lists.
fn structure(text: &str) -> Option<Value> {
    let json = serde_json::from_str(text).ok();
    json.or_else(|| Some(yaml::parse(text).ok()?.root.to_json()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::build;
    use crate::catalog::sources::{SourceFile, testing};
    use crate::config::Settings;
    use serde_json::json;

    const SCHEMA: &str = "
port: {type: integer, required: true}
ratio: {type: number}
tls: {type: boolean}
hosts: {type: array, items: {type: string}}
token: {type: string, secret: true}
pin: {type: integer, secret: true}
either: {anyOf: [{type: integer}, {type: boolean}]}
deep: {type: object, properties: {users: {type: array, items: {type: object, properties: {
  name: {type: string}, password: {type: string, secret: true}, level: {type: integer, default: 3}}}}}}
";

    fn pack(config: &str) -> Pack {
        let mut sources =
            testing::sources(vec![testing::pack("p", &[("config.schema.yaml", SCHEMA)])]);
        let file = SourceFile::new("configs/p.yaml", "p.yaml", config);
        sources.configs.insert("p".into(), file);
        let built = build(&sources, &Settings::default());
        assert!(built.diagnostics.is_empty(), "{:?}", built.diagnostics);
        Pack::clone(&built.catalog.packs["p"])
    }

    /// The template's name in capitals is what a key of this name holds.
    fn resolved(config: &str, keys: &[(&str, &str)]) -> Result<Value, String> {
        let pack = pack(config);
        assert!(pack.is_dynamic);
        let mut render = |template: &str, secret: bool| {
            let key = template.trim_matches(['{', '}', ' ']);
            let found = keys.iter().find(|(name, _)| *name == key);
            let text = found.map(|(_, text)| text.to_string());
            let text = text.ok_or_else(|| format!("no key {key}"))?;
            Ok(if secret {
                format!("clear {text}")
            } else {
                text
            })
        };
        let config = resolve(&pack, &mut render).map_err(|fault| fault.to_string())?;
        Ok(Value::Object(config))
    }

    #[test]
    fn values_are_cast_to_the_declared_types() {
        let config = "{port: '{{ a }}', ratio: '{{ b }}', tls: '{{ c }}', hosts: '{{ d }}', either: '{{ e }}', free: '{{ a }}'}";
        let keys = [
            ("a", " 80 "),
            ("b", "0.5"),
            ("c", "True"),
            ("d", "['x', 'y']"),
            ("e", "no"),
        ];
        assert_eq!(
            resolved(config, &keys).unwrap(),
            json!({"port": 80, "ratio": 0.5, "tls": true, "hosts": ["x", "y"], "either": false,
                "free": " 80 ", "deep": {"users": []}})
        );
    }

    #[test]
    fn secrets_are_decrypted_and_defaults_fill_the_rest() {
        let config = "{port: 1, token: '{{ t }}', deep: {users: [{name: '{{ n }}', password: '{{ w }}'}, {name: x}]}}";
        let keys = [("t", "T"), ("n", "N"), ("w", "W")];
        let found = resolved(config, &keys).unwrap();
        assert_eq!(found["token"], "clear T");
        assert_eq!(
            found["deep"],
            json!({"users": [{"name": "N", "password": "clear W", "level": 3}, {"name": "x", "level": 3}]})
        );
        let pack = pack(config);
        assert_eq!(pack.secrets, ["token", "deep.users.0.password"]);
        assert!(
            !json!(pack.public_of(found.as_object().unwrap()))
                .to_string()
                .contains("clear")
        );
    }

    #[test]
    fn nothing_is_null_and_a_missing_key_an_error() {
        let found = resolved("{port: 1, tls: '{{ a }}'}", &[("a", "")]).unwrap();
        assert_eq!(found["tls"], Value::Null);
        for (config, keys, says) in [
            (
                "{port: '{{ a }}'}",
                [("a", "")],
                "\"port\": null is not of type",
            ),
            (
                "{port: '{{ a }}'}",
                [("a", "x")],
                "\"port\": \"x\" cannot be read as integer",
            ),
            (
                "{port: 1, deep: {users: ['{{ b }}']}}",
                [("a", "")],
                "\"deep.users.0\": {{ b }} cannot be rendered: no key b",
            ),
            (
                "{port: 1, pin: '{{ a }}'}",
                [("a", "x")],
                "\"pin\": the secret cannot be read as integer",
            ),
            (
                "{port: 1, hosts: '{{ a }}'}",
                [("a", "[1]")],
                "\"hosts.0\": 1 is not of type",
            ),
        ] {
            let why = resolved(config, &keys).unwrap_err();
            assert!(why.contains(says), "{why}");
        }
    }
}
