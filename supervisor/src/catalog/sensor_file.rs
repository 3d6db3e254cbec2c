//! `sensors/*.yaml` and `triggers/*.yaml`.

use std::sync::Arc;

use serde_json::Value;

use super::diagnostics::{Diagnostic, Severity, Span, did_you_mean, nearest};
use super::fields::Fields;
use super::knobs::{SECTIONS, Written};
use super::model::{Protocol, Reload, TriggerType};
use super::schema::PayloadCheck;
use super::sources::{PackSource, SourceFile};
use super::yaml::{Data, Node};

const SENSOR_KEYS: &[&str] = &[
    "class_name",
    "entry_point",
    "description",
    "enabled",
    "poll_interval",
    "trigger_types",
    "protocol",
    "mode",
    "reload",
    "pack",
    "name",
    "id",
    "ref",
    "uid",
    "artifact_uri",
    "metadata_file",
];
const TRIGGER_KEYS: &[&str] = &[
    "name",
    "pack",
    "description",
    "payload_schema",
    "parameters_schema",
    "keep",
    "tags",
    "id",
    "ref",
    "uid",
    "metadata_file",
];
const PROTOCOLS: &[(&str, Protocol)] = &[
    ("auto", Protocol::Auto),
    ("payload", Protocol::Payload),
    ("rpc", Protocol::Rpc),
];
const MODES: &[(&str, bool)] = &[("stream", false), ("command", true)];
const RELOADS: &[(&str, Reload)] = &[("restart", Reload::Restart), ("overlap", Reload::Overlap)];

/// A sensor as its file has it, before petrel.yaml has its say.
pub struct SensorFile {
    /// `class_name` and where it stands.
    pub class_name: (String, Span),
    /// `description`.
    pub description: String,
    /// `enabled`.
    pub enabled: bool,
    /// The program, absolute.
    pub file_path: std::path::PathBuf,
    /// `poll_interval`, seconds.
    pub poll_interval: Option<u32>,
    /// `mode: command`.
    pub is_command: bool,
    /// `protocol`.
    pub protocol: Protocol,
    /// `reload`.
    pub reload: Reload,
    /// A hash of its code.
    pub code: String,
    /// Its knobs.
    pub written: Written,
}

/// What a sensor says of its trigger types: the types, and the references in written order.
#[derive(Default)]
pub struct TriggerTypes {
    /// Those that it describes.
    pub described: Vec<TriggerType>,
    /// All of them, each with where it stands.
    pub references: Vec<(String, Span)>,
}

/// Reads a sensor. Its trigger types stay when the sensor itself is faulty.
pub fn sensor(
    source: &PackSource,
    pack: &str,
    file: &SourceFile,
    out: &mut Vec<Diagnostic>,
) -> (Option<SensorFile>, TriggerTypes) {
    let mut types = TriggerTypes::default();
    let Some(root) = file.document.as_ref() else {
        return (None, types);
    };
    let Some(mut fields) = Fields::of(root, file, "a sensor", out) else {
        return (None, types);
    };
    let known: Vec<&str> = SENSOR_KEYS.iter().chain(SECTIONS).copied().collect();
    fields.only(&known, Severity::Warning, "a sensor");
    own_pack(&mut fields, pack);
    let class_name = fields.required_text("class_name", "the sensor");
    let file_path = entry_point(&mut fields, source);
    let description = fields.text("description");
    let enabled = enabled(&mut fields);
    let poll_interval = poll_interval(&mut fields);
    let protocol = word(&mut fields, "protocol", PROTOCOLS);
    let reload = word(&mut fields, "reload", RELOADS);
    let is_command = command(&mut fields, poll_interval);
    let code = file_path
        .as_ref()
        .and_then(|path| source.entry_points.get(path));
    let code = code.map_or_else(String::new, |found| found.code.clone());
    let list = fields.list("trigger_types").and_then(Node::as_list);
    let list = fields.few(list.unwrap_or_default(), "trigger types");
    let faulty = fields.faulty;
    let written = Written::read(&mut fields);
    for item in list {
        listed(item, pack, file, out, &mut types);
    }
    let sensor = (|| {
        Some(SensorFile {
            class_name: class_name?,
            file_path: file_path?,
            description,
            enabled,
            poll_interval,
            is_command,
            protocol,
            reload,
            code,
            written,
        })
    })();
    (sensor.filter(|_| !faulty), types)
}

/// StackStorm never checks the kind of value that a sensor has here: what Python takes for true
/// starts it, so the text `"false"` does.
fn enabled(fields: &mut Fields<'_, '_>) -> bool {
    let Some(node) = fields.get("enabled") else {
        return true;
    };
    let taken = match &node.data {
        Data::Bool(flag) => return *flag,
        Data::Int(number) => *number != 0,
        Data::Float(number) => *number != 0.0,
        Data::Text(text) => !text.is_empty(),
        Data::List(items) => !items.is_empty(),
        Data::Map(entries) => !entries.is_empty(),
        _ => true,
    };
    let message = format!("\"enabled\" is {}, which counts as {taken}", node.kind());
    fields.warn(
        node.span,
        message,
        Some("write  enabled: true  or  enabled: false".to_owned()),
    );
    taken
}

/// A `pack:` that names another pack is refused, as in StackStorm.
pub fn own_pack(fields: &mut Fields<'_, '_>, pack: &str) {
    let named = fields.text("pack");
    if !named.is_empty() && named != pack {
        let span = fields
            .get("pack")
            .map_or(fields.node.span, |node| node.span);
        let message = format!("this file is in pack \"{pack}\" and says it is in \"{named}\"");
        fields.error(
            span,
            message,
            Some(format!("write  pack: {pack}  or remove the line")),
        );
    }
}

fn entry_point(fields: &mut Fields<'_, '_>, source: &PackSource) -> Option<std::path::PathBuf> {
    let (written, span) = fields.required_text("entry_point", "the sensor")?;
    let path = source.entry_point(fields.file, &written);
    if !source.entry_points.contains_key(&path) {
        absent(fields, source, &path, &written, span);
        return None;
    }
    Some(path)
}

/// Reports an entry point that is not there, with the file of its folder that is most like it.
pub fn absent(
    fields: &mut Fields<'_, '_>,
    source: &PackSource,
    path: &std::path::Path,
    written: &str,
    span: Span,
) {
    let folder = path.parent().and_then(|dir| source.siblings.get(dir));
    let names = folder.map(Vec::as_slice).unwrap_or_default();
    let wanted = path
        .file_name()
        .map(|name| name.to_string_lossy())
        .unwrap_or_default();
    let stem = wanted.split('.').next().unwrap_or_default();
    let near = nearest(&wanted, names.iter().map(String::as_str)).or_else(|| {
        let mut same = names.iter().map(String::as_str);
        same.find(|name| name.split('.').next() == Some(stem) && !is_yaml(name))
    });
    let help = match near {
        Some(name) => format!("there is \"{name}\""),
        None if folder.is_none() => "the folder does not exist either".to_owned(),
        None => "create the file, or correct the name".to_owned(),
    };
    fields.error(
        span,
        format!("entry point \"{written}\" does not exist"),
        Some(help),
    );
}

fn is_yaml(name: &str) -> bool {
    name.ends_with(".yaml") || name.ends_with(".yml")
}

/// Whole seconds, as StackStorm stores them; 0 means none.
fn poll_interval(fields: &mut Fields<'_, '_>) -> Option<u32> {
    let node = fields.get("poll_interval")?;
    let seconds = match &node.data {
        Data::Int(seconds) => u32::try_from(*seconds).ok(),
        Data::Float(seconds) if (0.0..1e9).contains(seconds) => Some(*seconds as u32),
        Data::Text(text) => text.trim().parse().ok(),
        _ => None,
    };
    if seconds.is_none() {
        let message = format!(
            "\"poll_interval\" must be a number of seconds, this is {}",
            node.kind()
        );
        fields.error(node.span, message, None);
    }
    seconds.filter(|seconds| *seconds > 0)
}

/// One word of a few, the first where none is written.
fn word<T: Copy>(fields: &mut Fields<'_, '_>, key: &str, words: &[(&str, T)]) -> T {
    let Some(node) = fields.get(key) else {
        return words[0].1;
    };
    let written = node.scalar_text().unwrap_or_default();
    if let Some((_, found)) = words.iter().find(|(word, _)| *word == written) {
        return *found;
    }
    let known: Vec<_> = words.iter().map(|(word, _)| *word).collect();
    let near = did_you_mean(&written, known.iter().copied());
    let help = near.unwrap_or_else(|| format!("write one of {}", known.join(", ")));
    fields.error(
        node.span,
        format!("unknown {key} \"{written}\""),
        Some(help),
    );
    words[0].1
}

/// A program that is run again and again needs to know how often.
fn command(fields: &mut Fields<'_, '_>, poll_interval: Option<u32>) -> bool {
    let is_command = word(fields, "mode", MODES);
    if is_command && poll_interval.is_none() {
        let help = Some("add  poll_interval: 60  (seconds from start to start)".to_owned());
        let message = "a sensor with  mode: command  has no \"poll_interval\"";
        fields.error(fields.span_of("mode"), message, help);
    }
    is_command
}

/// One item of `trigger_types`: a description, or the reference of a type described elsewhere.
fn listed(
    item: &Node,
    pack: &str,
    file: &SourceFile,
    out: &mut Vec<Diagnostic>,
    types: &mut TriggerTypes,
) {
    if let Some(name) = item.as_text() {
        let reference = match name.contains('.') {
            true => name.to_owned(),
            false => format!("{pack}.{name}"),
        };
        return types.references.push((reference, item.span));
    }
    let Some(mut fields) = Fields::of(item, file, "a trigger type", out) else {
        return;
    };
    if let Some((found, span)) = describe(&mut fields, pack) {
        types.references.push((found.reference.clone(), span));
        types.described.push(found);
    }
}

/// Reads one file of `triggers/`.
pub fn trigger_type(
    pack: &str,
    file: &SourceFile,
    out: &mut Vec<Diagnostic>,
) -> Option<(TriggerType, Span)> {
    let mut fields = Fields::of(file.document.as_ref()?, file, "a trigger type", out)?;
    own_pack(&mut fields, pack);
    describe(&mut fields, pack)
}

fn describe(fields: &mut Fields<'_, '_>, pack: &str) -> Option<(TriggerType, Span)> {
    fields.only(TRIGGER_KEYS, Severity::Warning, "a trigger type");
    let (name, span) = fields.required_text("name", "the trigger type")?;
    fields.list("tags");
    let description = fields.text("description");
    let schema_span = fields.span_of("payload_schema");
    let payload_schema = Value::Object(fields.object("payload_schema"));
    let parameters_schema = Value::Object(fields.object("parameters_schema"));
    let place = Diagnostic::error(fields.file, schema_span, "");
    let found = TriggerType {
        reference: format!("{pack}.{name}"),
        pack: pack.to_owned(),
        name,
        description,
        payload_check: Arc::new(PayloadCheck::new(&payload_schema, Some(place))),
        payload_schema,
        parameters_schema,
        keep: crate::config::keep(fields, "keep"),
        metadata_file: fields.file.relative.clone(),
    };
    (!fields.faulty).then_some((found, span))
}
