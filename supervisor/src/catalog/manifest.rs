//! `pack.yaml` and the configuration of a pack.

use std::sync::LazyLock;

use fancy_regex::Regex;
use serde_json::{Map, Value};

use super::diagnostics::{Diagnostic, Severity};
use super::fields::Fields;
use super::model::Pack;
use super::sources::{PackSource, SourceFile, Sources};

/// What StackStorm's `pack.yaml` may say.
const KEYS: &[&str] = &[
    "name",
    "ref",
    "description",
    "keywords",
    "version",
    "author",
    "email",
    "contributors",
    "dependencies",
    "stackstorm_version",
    "python_versions",
    "system",
    "icon",
    "path",
    "id",
    "uid",
    "files",
];

static NAME: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^[a-z0-9_]+$").expect("a constant pattern"));

fn is_name(text: &str) -> bool {
    NAME.is_match(text).unwrap_or(false)
}

/// The pack of a folder, with its configuration; none when it cannot be named.
///
/// The name is `ref`, else `name` where that is a valid reference, else the folder's name. Here
/// StackStorm prefers the folder, which is wrong for a pack that is run from a checkout.
pub fn pack(source: &PackSource, sources: &Sources, out: &mut Vec<Diagnostic>) -> Option<Pack> {
    let file = &source.manifest;
    out.extend(file.diagnostics.iter().cloned());
    let root = file.document.as_ref()?;
    if root.is_null() {
        let found = Diagnostic::of_file(Severity::Error, &file.shown, "the file is empty");
        out.push(found.help("write at least  name: …"));
        return None;
    }
    let mut fields = Fields::of(root, file, "pack.yaml", out)?;
    fields.only(KEYS, Severity::Warning, "pack.yaml");
    let mut pack = Pack {
        name: name(&mut fields, source)?,
        dir: source.dir.clone(),
        description: fields.text("description"),
        version: fields.text("version"),
        author: fields.text("author"),
        email: fields.text("email"),
        config: Map::new(),
        secrets: Vec::new(),
    };
    for key in ["version", "description", "author"] {
        if fields.get(key).is_none() {
            let message = format!("pack \"{}\" has no \"{key}\"", pack.name);
            fields.warn(
                fields.span_of("name"),
                message,
                Some(format!("StackStorm asks for it: add  {key}: …")),
            );
        }
    }
    let schema = schema(source, out);
    secrets(&schema, "", &mut pack.secrets);
    pack.config = written(source, sources, &pack.name, out);
    fill(&mut pack.config, &schema);
    Some(pack)
}

fn name(fields: &mut Fields<'_, '_>, source: &PackSource) -> Option<String> {
    let reference = fields.text("ref");
    if !reference.is_empty() && !is_name(&reference) {
        let at = fields.get("ref").map_or(fields.node.span, |node| node.span);
        let help = "use small letters, digits and _ only".to_owned();
        fields.error(
            at,
            format!("\"{reference}\" cannot name a pack"),
            Some(help),
        );
        return None;
    }
    let (written, at) = fields.required_text("name", "pack.yaml")?;
    let folder = source.dir.file_name().map(|name| name.to_string_lossy());
    let candidates = [
        reference,
        written.clone(),
        folder.unwrap_or_default().into_owned(),
    ];
    let found = candidates.into_iter().find(|name| is_name(name));
    if found.is_none() {
        let help = "add  ref: …  with small letters, digits and _ only";
        fields.error(
            at,
            format!("\"{written}\" cannot name a pack"),
            Some(help.into()),
        );
    }
    found
}

fn object(file: &SourceFile, what: &str, out: &mut Vec<Diagnostic>) -> Map<String, Value> {
    out.extend(file.diagnostics.iter().cloned());
    let Some(root) = file.document.as_ref().filter(|root| !root.is_null()) else {
        return Map::new();
    };
    match Fields::of(root, file, what, out).map(|fields| fields.node.to_json()) {
        Some(Value::Object(map)) => map,
        _ => Map::new(),
    }
}

fn schema(source: &PackSource, out: &mut Vec<Diagnostic>) -> Map<String, Value> {
    let file = source.config_schema.as_ref();
    file.map_or_else(Map::new, |file| object(file, "config.schema.yaml", out))
}

/// `configs/<pack>.yaml`; without it the pack's own `config.yaml`, which StackStorm read until 2.4.
fn written(
    source: &PackSource,
    sources: &Sources,
    name: &str,
    out: &mut Vec<Diagnostic>,
) -> Map<String, Value> {
    match (sources.configs.get(name), &source.local_config) {
        (Some(file), _) => object(file, "a pack's configuration", out),
        (None, Some(file)) => object(file, "a pack's configuration", out),
        (None, None) => Map::new(),
    }
}

/// Dotted paths of what the schema calls secret.
fn secrets(schema: &Map<String, Value>, prefix: &str, found: &mut Vec<String>) {
    for (name, item) in schema {
        let path = format!("{prefix}{name}");
        if item.get("secret") == Some(&Value::Bool(true)) {
            found.push(path.clone());
        }
        if let Some(Value::Object(inner)) = item.get("properties") {
            secrets(inner, &format!("{path}."), found);
        }
    }
}

/// Fills what is absent with the schema's defaults, nested ones included; a key that is there with
/// `null` stays (`util/config_loader.py`).
fn fill(config: &mut Map<String, Value>, schema: &Map<String, Value>) {
    for (name, item) in schema {
        if let (None, Some(default)) = (config.get(name), item.get("default")) {
            config.insert(name.clone(), default.clone());
        }
        let Some(Value::Object(inner)) = item.get("properties") else {
            continue;
        };
        let entry = config
            .entry(name.clone())
            .or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(map) = entry {
            fill(map, inner);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn defaults_fill_what_is_absent_at_every_depth() {
        let schema = json!({
            "a": {"type": "string", "default": "x"},
            "n": {"type": "string", "default": "y"},
            "o": {"type": "object", "properties": {"p": {"default": 1}, "q": {"default": 2, "secret": true}}},
        });
        let mut config = json!({"n": null, "o": {"p": 5}})
            .as_object()
            .unwrap()
            .clone();
        fill(&mut config, schema.as_object().unwrap());
        assert_eq!(
            Value::Object(config),
            json!({"n": null, "o": {"p": 5, "q": 2}, "a": "x"})
        );
        let mut found = Vec::new();
        secrets(schema.as_object().unwrap(), "", &mut found);
        assert_eq!(found, ["o.q"]);
    }
}
