//! `actions/*.yaml`.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::chain;
use super::diagnostics::{Diagnostic, Severity, did_you_mean};
use super::fields::Fields;
use super::model::{Action, OnUnknown, Runner};
use super::notify;
use super::parameter;
use super::runners::{self, Known};
use super::schemas::Schemas;
use super::sensor_file::{absent, own_pack};
use super::sources::{PackSource, SourceFile};

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
    "on_unknown",
    "warm",
    "id",
    "ref",
    "uid",
    "metadata_file",
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
    let parameters = Schemas::from(parameters(&mut fields));
    let runner = match runner(&mut fields) {
        Ok(runner) => runner,
        Err(why) => return Read::LeftOut(name, why),
    };
    let all_parameters = runners::overlay(runner.0, &parameters);
    fixed_without_value(&mut fields, &all_parameters);
    let entry_point = entry_point(&mut fields, source, runner.0);
    let chain = match (runner.0, &entry_point) {
        (Runner::ActionChain, Some(path)) => {
            let found = read_chain(source, path, fields.out);
            fields.faulty |= found.is_none();
            found
        }
        _ => None,
    };
    let (output_schema, notify) = (
        fields.object("output_schema"),
        notify::sections(&mut fields),
    );
    let on_unknown = on_unknown(&mut fields);
    let warm = fields.flag("warm", true);
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
            all_parameters,
            parameters,
            output_schema,
            notify,
            on_unknown,
            warm,
            chain,
            metadata_file: file.relative.clone(),
        })),
        name => Read::LeftOut(name, faulty()),
    }
}

/// `on_unknown`, which `idempotent: true` makes `retry` where it is not written. StackStorm knows
/// neither.
fn on_unknown(fields: &mut Fields<'_, '_>) -> OnUnknown {
    let unwritten = match fields.flag("idempotent", false) {
        true => OnUnknown::Retry,
        false => OnUnknown::Fail,
    };
    let Some(node) = fields.get("on_unknown") else {
        return unwritten;
    };
    match node.scalar_text().as_deref() {
        Some("retry") => OnUnknown::Retry,
        Some("fail") => OnUnknown::Fail,
        Some("ask") => OnUnknown::Ask,
        _ => {
            let help = "retry: begin it again; fail: it is abandoned; ask: you decide".to_owned();
            let message = "\"on_unknown\" must be retry, fail or ask";
            fields.error(node.span, message, Some(help));
            unwritten
        }
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

/// Python actions and scripts need a program, the others have none.
fn entry_point(
    fields: &mut Fields<'_, '_>,
    source: &PackSource,
    runner: Runner,
) -> Option<std::path::PathBuf> {
    let needed = [
        Runner::PythonScript,
        Runner::LocalShellScript,
        Runner::RemoteShellScript,
        Runner::ActionChain,
    ];
    if !needed.contains(&runner) {
        not_wanted(fields, runner);
        return None;
    }
    let (written, span) = fields.required_text("entry_point", "the action")?;
    let path = source.entry_point(fields.file, &written);
    if !source.entry_points.contains_key(&path) {
        absent(fields, source, &path, &written, span);
    }
    Some(path)
}

/// A command line with a program beside it, which nobody would run: StackStorm's words, at the start
/// and not at each execution.
fn not_wanted(fields: &mut Fields<'_, '_>, runner: Runner) {
    let message = match runner {
        Runner::LocalShellCmd => "entry_point is only valid for local-shell-script runner",
        Runner::RemoteShellCmd => "entry_point is only valid for remote-shell-script runner",
        _ => return,
    };
    let written = fields.get("entry_point");
    let written = written.filter(|node| node.scalar_text().is_some_and(|text| !text.is_empty()));
    if let Some(span) = written.map(|node| node.span) {
        let help = "use that runner, or remove entry_point and give \"cmd\"";
        fields.error(span, message.to_owned(), Some(help.to_owned()));
    }
}

/// The tasks of a chain; none where its file is absent or has a fault, which is told.
fn read_chain(
    source: &PackSource,
    path: &std::path::Path,
    out: &mut Vec<Diagnostic>,
) -> Option<Arc<chain::Chain>> {
    let file = source.chains.get(path)?;
    out.extend(file.diagnostics.iter().cloned());
    chain::chain(file, out).map(Arc::new)
}

fn parameters(fields: &mut Fields<'_, '_>) -> Map<String, Value> {
    let Some(node) = fields.map("parameters") else {
        return Map::new();
    };
    let Some(mut inner) = Fields::of(node, fields.file, "\"parameters\"", fields.out) else {
        return Map::new();
    };
    let schemas = parameter::described(&mut inner, "parameter");
    fields.faulty |= inner.faulty;
    schemas
}

/// Tells of parameters that nobody may give and that have no default, not even the runner's.
fn fixed_without_value(fields: &mut Fields<'_, '_>, all: &Schemas) {
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
