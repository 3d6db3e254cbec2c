//! The two files of a pack's configuration.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::check::{Misfit, misfits};
use super::fill::fill;
use super::resolve::{DECRYPTS_TWICE, decrypts_twice};
use super::shape::{item, member};
use super::{is_dynamic, is_template, shape};
use crate::catalog::diagnostics::{Diagnostic, Severity, Span};
use crate::catalog::fields::Fields;
use crate::catalog::parameter;
use crate::catalog::schema::PayloadCheck;
use crate::catalog::sources::{PackSource, SourceFile};
use crate::catalog::yaml::Node;

/// What the files make.
pub struct Loaded {
    /// As written, templates and all.
    pub written: Map<String, Value>,
    /// With the schema's defaults, templates as they are.
    pub config: Map<String, Value>,
    /// One schema for all: `properties` are the attributes.
    pub schema: Value,
    /// The same, ready to check.
    pub check: Arc<PayloadCheck>,
    /// Dotted paths of what is secret in `config`.
    pub secrets: Vec<String>,
    /// Something in `written` is a template.
    pub is_dynamic: bool,
}

/// Reads `config.schema.yaml` and `configs/<pack>.yaml`; without the latter the pack's own
/// `config.yaml`, which StackStorm read until 2.4. A value that does not fit is an error, and kept.
pub fn load(
    source: &PackSource,
    configs: &BTreeMap<String, SourceFile>,
    pack: &str,
    out: &mut Vec<Diagnostic>,
) -> Loaded {
    let attributes = schema(source, out);
    let schema = json!({"type": "object", "properties": attributes});
    let place = source
        .config_schema
        .as_ref()
        .map(|file| Diagnostic::error(file, Span::default(), ""));
    let check = Arc::new(PayloadCheck::new(&schema, place));
    let central = configs.get(pack);
    // StackStorm never looks at the pack's own file, so what is wrong there stops nothing.
    let severity = match central {
        Some(_) => Severity::Error,
        None => Severity::Warning,
    };
    let file = central.or(source.local_config.as_ref());
    let written = file.map_or_else(Map::new, |file| object(file, out));
    if let Some(file) = file {
        let found = faults(&schema, &check, &written, file);
        out.extend(found.into_iter().map(|one| Diagnostic { severity, ..one }));
    }
    let mut config = written.clone();
    fill(&schema, &mut config);
    let secrets = shape::secrets(&schema, &config);
    Loaded {
        secrets: secrets.into_iter().map(|(path, _)| path).collect(),
        is_dynamic: written.values().any(is_dynamic),
        written,
        config,
        schema,
        check,
    }
}

fn schema(source: &PackSource, out: &mut Vec<Diagnostic>) -> Map<String, Value> {
    let Some(file) = &source.config_schema else {
        return Map::new();
    };
    out.extend(file.diagnostics.iter().cloned());
    let Some(root) = &file.document else {
        return Map::new();
    };
    if root.is_null() {
        let found = Diagnostic::of_file(Severity::Warning, &file.shown, "the file is empty");
        out.push(found.help("StackStorm refuses it: remove the file, or describe an attribute"));
        return Map::new();
    }
    match Fields::of(root, file, "config.schema.yaml", out) {
        Some(mut fields) => parameter::described(&mut fields, "attribute"),
        None => Map::new(),
    }
}

fn object(file: &SourceFile, out: &mut Vec<Diagnostic>) -> Map<String, Value> {
    out.extend(file.diagnostics.iter().cloned());
    let Some(root) = file.document.as_ref().filter(|root| !root.is_null()) else {
        return Map::new();
    };
    match Fields::of(root, file, "a pack's configuration", out).map(|fields| fields.node.to_json())
    {
        Some(Value::Object(map)) => map,
        _ => Map::new(),
    }
}

fn faults(
    schema: &Value,
    check: &PayloadCheck,
    written: &Map<String, Value>,
    file: &SourceFile,
) -> Vec<Diagnostic> {
    let mut out = Vec::new();
    // A schema that is not valid checks nothing; that is said of the schema.
    if let Some(fault) = check.fault() {
        let message = fault.message.replace("payload schema", "schema");
        out.push(Diagnostic { message, ..fault });
    }
    let mut filled = written.clone();
    fill(schema, &mut filled);
    let root = file.document.as_ref();
    for misfit in misfits(schema, check, &filled, true) {
        out.extend(root.map(|root| told(root, file, misfit)));
    }
    if let Some(root) = root {
        for (key, value) in root.as_map().unwrap_or_default() {
            let name = key.scalar_text().unwrap_or_default();
            twice(&member(schema, &name), value, file, &mut out);
        }
    }
    out
}

fn told(root: &Node, file: &SourceFile, misfit: Misfit) -> Diagnostic {
    let span = place(root, &misfit.segments);
    let message = format!(
        "\"{}\" does not fit its schema: {}",
        misfit.path, misfit.message
    );
    let mut told = Diagnostic::error(file, span, message);
    if let Some(line) = told.place.source_line.take_if(|_| misfit.secret) {
        let shown: String = line.chars().take(span.start.column - 1).collect();
        told.place.source_line = Some(format!("{shown}********"));
    }
    told
}

/// Where the value stands, or what is nearest above it.
fn place(root: &Node, segments: &[String]) -> Span {
    let mut node = root;
    let mut span = root
        .as_map()
        .and_then(|map| map.first())
        .map_or(root.span, |(key, _)| key.span);
    for name in segments {
        let items = node
            .as_list()
            .and_then(|items| items.get(name.parse::<usize>().ok()?));
        let member = || {
            let mut entries = node.as_map()?.iter();
            let found = entries.find(|(key, _)| key.scalar_text().as_deref() == Some(name));
            found.map(|(_, value)| value)
        };
        match items.or_else(member) {
            Some(found) => node = found,
            None => break,
        }
        span = node.span;
    }
    span
}

fn twice(schema: &Value, node: &Node, file: &SourceFile, out: &mut Vec<Diagnostic>) {
    if let Some(text) = node.as_text() {
        if decrypts_twice(schema, text) && is_template(text) {
            out.push(Diagnostic::error(file, node.span, DECRYPTS_TWICE));
        }
        return;
    }
    for (key, value) in node.as_map().unwrap_or_default() {
        let name = key.scalar_text().unwrap_or_default();
        twice(&member(schema, &name), value, file, out);
    }
    for (index, value) in node.as_list().unwrap_or_default().iter().enumerate() {
        twice(item(schema, index), value, file, out);
    }
}

#[cfg(test)]
mod tests {
    use crate::catalog::sources::{SourceFile, testing};
    use crate::catalog::{Diagnostic, build};
    use crate::config::Settings;

    fn told(schema: &str, config: &str) -> Vec<Diagnostic> {
        let mut sources =
            testing::sources(vec![testing::pack("p", &[("config.schema.yaml", schema)])]);
        let file = SourceFile::new("configs/p.yaml", "p.yaml", config);
        sources.configs.insert("p".into(), file);
        build(&sources, &Settings::default()).diagnostics
    }

    #[test]
    fn a_value_that_does_not_fit_is_shown_where_it_stands() {
        let schema = "a: {type: object, properties: {b: {type: array, items: {type: integer}}}}\n";
        let told = told(schema, "a:\n  b:\n    - 1\n    - x\n");
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(
            told[0]
                .message
                .starts_with("\"a.b.1\" does not fit its schema: \"x\" is not")
        );
        assert_eq!((told[0].place.line, told[0].place.column), (4, 7));
    }

    #[test]
    fn what_is_required_must_be_there_and_templates_are_left_alone() {
        let schema = "a: {type: integer, required: true}\nb: {type: integer}\nc: {enum: [x, y]}\nd: {type: integer, required: true, default: 1}\n";
        let one = told(
            schema,
            "b: '{{ st2kv.system.b }}'\nc: '{{ st2kv.system.c }}'\n",
        );
        assert_eq!(one.len(), 1, "{one:?}");
        assert!(one[0].message.starts_with("\"a\" does not fit"), "{one:?}");
        assert!(told(schema, "a: '{{ st2kv.system.b }}'\nb: null\nextra: 1").is_empty());
    }

    #[test]
    fn a_secret_is_never_shown_and_not_decrypted_twice() {
        let schema = "t: {type: integer, secret: true}\no: {type: object, properties: {t: {secret: true, type: string}}}\n";
        let one = told(schema, "t: hunter2\n");
        let shown = one[0].render(false);
        assert!(one.len() == 1 && shown.contains("t: ********"), "{shown}");
        assert!(!shown.contains("hunter2"), "{shown}");
        let two = told(
            schema,
            "t: '{{ st2kv.system.x | decrypt_kv }}'\no: {t: '{{ x | decrypt_kv }}'}\n",
        );
        assert_eq!(two.len(), 2, "{two:?}");
        assert!(
            two.iter().all(|one| one.message.contains("by itself")),
            "{two:?}"
        );
    }

    #[test]
    fn faults_of_the_schema_are_told_where_they_are() {
        let told = told(
            "a: {type: strin, defautl: 1}\nb: {type: object, properties: {c: {secrte: true}}}\n",
            "a: 1\n",
        );
        let said: Vec<_> = told.iter().filter_map(|one| one.help.as_deref()).collect();
        assert_eq!(said.len(), 3, "{told:?}");
        assert!(
            said.iter().all(|help| help.starts_with("did you mean")),
            "{told:?}"
        );
    }
}
