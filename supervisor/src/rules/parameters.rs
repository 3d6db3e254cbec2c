//! The parameters of an action: what a rule's templates make of an event, StackStorm's casts and
//! checks (`st2common/util/param.py`, `util/schema`), and the defaults that the runner adds.

use std::collections::{BTreeMap, HashSet};
use std::sync::OnceLock;

use jsonschema::Validator;
use serde_json::{Map, Value, json};

use super::cast::cast;
use super::jinja::Value as Jinja;
use super::template::{Templates, is_template};
use crate::catalog::Action;
use crate::catalog::diagnostics::did_you_mean;
use crate::catalog::schema::{compile, normalised};

/// Names that the context of a rule's parameters has beside the parameters themselves.
pub const CONTEXT: &[&str] = &["trigger", "st2kv", "action_context", "config_context"];

/// One parameter, ready to be given its value.
#[derive(Clone, Debug)]
struct Entry {
    name: String,
    source: Source,
    /// Given by the rule or computed; a plain default only serves the templates of others.
    live: bool,
}

#[derive(Clone, Debug)]
enum Source {
    Plain(Value),
    /// A template whose result is text.
    Text(String),
    /// A template that renders the JSON of a list or map.
    Json(String),
}

/// What given parameters are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Given {
    /// Text in them may be a template.
    Templates,
    /// They are what they are.
    Values,
}

/// The parameters of one rule, compiled against its action.
#[derive(Clone, Debug)]
pub struct Plan {
    /// In an order in which each comes after those that its template names.
    entries: Vec<Entry>,
    /// Given, and unknown or fixed: what is wrong with the names, if anything.
    fault: Option<String>,
}

impl Plan {
    /// Compiles what the rule gives to its action. Text that is not a valid template is taken
    /// literally, as in StackStorm; `remarks` hears of it.
    ///
    /// # Errors
    /// What makes every event fail: an unknown name in a template, or a circle of them.
    pub fn compile(
        action: &Action,
        given: &Map<String, Value>,
        as_given: Given,
        templates: &mut Templates,
        mut remark: impl FnMut(&str, String),
    ) -> Result<Self, String> {
        let mut entries = BTreeMap::new();
        let mut order = Vec::new();
        for (name, value, live) in values(action, given) {
            let source = match as_given {
                Given::Values if given.get(&name) == Some(&value) => Source::Plain(value),
                _ => source(value, templates, |why| remark(&name, why)),
            };
            let live = live || !matches!(source, Source::Plain(_));
            order.push(name.clone());
            entries.insert(name.clone(), Entry { name, source, live });
        }
        let fault = names(action, given).err();
        let entries = sorted(&order, &entries, templates)?;
        Ok(Self { entries, fault })
    }

    /// False when no parameter is a template.
    pub fn needs_context(&self) -> bool {
        let mut sources = self.entries.iter().map(|entry| &entry.source);
        sources.any(|source| !matches!(source, Source::Plain(_)))
    }

    /// The parameters for one event. `base` has what [`CONTEXT`] names.
    ///
    /// # Errors
    /// Which parameter failed and why.
    pub fn fill(
        &self,
        action: &Action,
        templates: &Templates,
        base: &BTreeMap<String, Jinja>,
    ) -> Result<Map<String, Value>, String> {
        let mut context = base.clone();
        let mut live = Map::new();
        for entry in &self.entries {
            let value = entry.render(templates, &context)?;
            context.insert(entry.name.clone(), Jinja::from(&value));
            if entry.live {
                let schema = action.all_parameters.get(&entry.name);
                let value = cast(value, schema)?;
                live.insert(entry.name.clone(), value);
            }
        }
        match &self.fault {
            Some(why) => Err(why.clone()),
            None => Ok(live),
        }
    }
}

/// Renders what is a template in `values`.
///
/// # Errors
/// Which value cannot be rendered, and why.
pub fn render(
    values: &Map<String, Value>,
    templates: &mut Templates,
    context: &BTreeMap<String, Jinja>,
) -> Result<Map<String, Value>, String> {
    let mut rendered = Map::new();
    for (name, value) in values {
        let mut fault = None;
        let source = source(value.clone(), templates, |why| fault = Some(why));
        if let Some(why) = fault {
            return Err(format!("\"{name}\" is not a valid template: {why}"));
        }
        let (name, live) = (name.clone(), true);
        let entry = Entry { name, source, live };
        rendered.insert(entry.name.clone(), entry.render(templates, context)?);
    }
    Ok(rendered)
}

impl Entry {
    fn render(
        &self,
        templates: &Templates,
        context: &BTreeMap<String, Jinja>,
    ) -> Result<Value, String> {
        let context = || Jinja::map(context.iter().map(|(k, v)| (k.clone(), v.clone())));
        let failed = |why| format!("Failed to render parameter \"{}\": {why}", self.name);
        match &self.source {
            Source::Plain(value) => Ok(value.clone()),
            Source::Text(source) => templates
                .render(source, &context())
                .map(Value::String)
                .map_err(failed),
            Source::Json(source) => {
                let text = templates.render(source, &context()).map_err(failed)?;
                serde_json::from_str(&text).map_err(|error| {
                    failed(format!(
                        "the rendered list or map is not JSON ({error}); text with quotes or newlines in it needs the filter json_escape"
                    ))
                })
            }
        }
    }
}

/// Given values, null replaced by a default, then the defaults that are not given: those of the
/// action and of its runner.
fn values(action: &Action, given: &Map<String, Value>) -> Vec<(String, Value, bool)> {
    let default = |name: &str| action.all_parameters.get(name)?.get("default").cloned();
    let mut values: Vec<(String, Value, bool)> = Vec::new();
    for (name, value) in given {
        let fallback = value.is_null().then(|| default(name)).flatten();
        values.push((
            name.clone(),
            fallback.unwrap_or_else(|| value.clone()),
            true,
        ));
    }
    for (name, schema) in &action.all_parameters {
        if let Some(value) = schema.get("default").filter(|_| !given.contains_key(name)) {
            values.push((name.to_owned(), value.clone(), false));
        }
    }
    values
}

fn source(value: Value, templates: &mut Templates, remark: impl FnOnce(String)) -> Source {
    let (text, is_text) = match &value {
        Value::String(text) => (text.clone(), true),
        Value::Array(_) | Value::Object(_) => (with_types(&value.to_string()), false),
        _ => return Source::Plain(value),
    };
    if !is_template(&text) {
        return Source::Plain(value);
    }
    match templates.add(&text) {
        Ok(()) if is_text => Source::Text(text),
        Ok(()) => Source::Json(text),
        Err(why) => {
            remark(why);
            Source::Plain(value)
        }
    }
}

/// Within lists and maps, `"{{name}}"` alone stands for the value itself and keeps its type.
fn with_types(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let mut rest = json;
    while let Some((before, after)) = rest.split_once("\"{{") {
        out.push_str(before);
        let name = after.split_once("}}\"").filter(|(name, _)| {
            let legal = |c: char| c.is_ascii_alphanumeric() || "_-[]\\^`".contains(c);
            !name.is_empty() && name.chars().all(legal)
        });
        match name {
            Some((name, tail)) => {
                out.push_str(&format!("{{{{{name} | to_complex}}}}"));
                rest = tail;
            }
            None => {
                out.push_str("\"{{");
                rest = after;
            }
        }
    }
    out + rest
}

/// Each entry after those that it names.
fn sorted(
    order: &[String],
    entries: &BTreeMap<String, Entry>,
    templates: &Templates,
) -> Result<Vec<Entry>, String> {
    let mut done = Vec::new();
    let mut seen = HashSet::new();
    for name in order {
        visit(
            name,
            entries,
            templates,
            &mut Vec::new(),
            &mut seen,
            &mut done,
        )?;
    }
    Ok(done)
}

fn visit(
    name: &str,
    entries: &BTreeMap<String, Entry>,
    templates: &Templates,
    path: &mut Vec<String>,
    seen: &mut HashSet<String>,
    done: &mut Vec<Entry>,
) -> Result<(), String> {
    if path.iter().any(|one| one == name) {
        return Err(format!(
            "Cyclic dependency found in the following variables: {name}. Likely the variable is referencing itself"
        ));
    }
    if seen.contains(name) {
        return Ok(());
    }
    let Some(entry) = entries.get(name) else {
        return match CONTEXT.contains(&name) {
            true => Ok(()),
            false => Err(unsatisfied(name, entries)),
        };
    };
    path.push(name.to_owned());
    if let Source::Text(source) | Source::Json(source) = &entry.source {
        let mut names: Vec<String> = templates.names(source).into_iter().collect();
        names.sort();
        for other in names {
            visit(&other, entries, templates, path, seen, done)?;
        }
    }
    path.pop();
    seen.insert(name.to_owned());
    done.push(entry.clone());
    Ok(())
}

fn unsatisfied(name: &str, entries: &BTreeMap<String, Entry>) -> String {
    let known = CONTEXT
        .iter()
        .copied()
        .chain(entries.keys().map(String::as_str));
    match did_you_mean(name, known) {
        Some(near) => format!("Dependency unsatisfied in variable \"{name}\" ({near})"),
        None => format!("Dependency unsatisfied in variable \"{name}\""),
    }
}

/// What the runner gets: `given` with the plain defaults of action and runner for what is absent
/// or null.
pub fn with_defaults(action: &Action, given: &Map<String, Value>) -> Map<String, Value> {
    let mut all = given.clone();
    for (name, schema) in &action.all_parameters {
        let absent = all.get(name).is_none_or(Value::is_null);
        if let Some(default) = schema.get("default").filter(|_| absent) {
            all.insert(name.to_owned(), default.clone());
        }
    }
    all
}

/// Checks requested parameters by the action's schemas; compiled at the first check.
#[derive(Debug, Default)]
pub struct Check {
    compiled: OnceLock<Result<Validator, String>>,
}

impl Check {
    /// Checks what is requested of an action: `given`, and with it the defaults.
    ///
    /// # Errors
    /// What StackStorm would refuse, in its words where they are clear.
    pub fn check(&self, action: &Action, given: &Map<String, Value>) -> Result<(), String> {
        let compiled = self.compiled.get_or_init(|| compile(&schema(action)));
        let Ok(validator) = compiled else {
            // A schema that is no schema checks nothing, as for payloads.
            return Ok(());
        };
        let all = Value::Object(with_defaults(action, given));
        match validator.iter_errors(&all).next() {
            None => Ok(()),
            Some(error) => {
                let at = error
                    .instance_path()
                    .as_str()
                    .trim_start_matches('/')
                    .replace('/', ".");
                Err(match at.is_empty() {
                    true => error.to_string(),
                    false => format!("parameter \"{at}\": {error}"),
                })
            }
        }
    }
}

/// Names that an action does not have, or that nobody may give.
///
/// # Errors
/// The first of them, with the nearest name.
pub fn names(action: &Action, given: &Map<String, Value>) -> Result<(), String> {
    let all = &action.all_parameters;
    if let Some(name) = given.keys().find(|name| !all.contains_key(name)) {
        let hint = did_you_mean(name, all.iter().map(|(name, _)| name));
        let hint = hint.map_or_else(String::new, |hint| format!("; {hint}"));
        return Err(format!(
            "Additional properties are not allowed ('{name}' was unexpected): {} has no such parameter{hint}",
            action.reference
        ));
    }
    let fixed = |name: &&String| all[*name].get("immutable") == Some(&Value::Bool(true));
    let fixed: Vec<String> = given
        .keys()
        .filter(fixed)
        .map(|name| format!("'{name}'"))
        .collect();
    match fixed.is_empty() {
        true => Ok(()),
        false => Err(format!(
            "Override of immutable parameter(s) [{}] is unsupported.",
            fixed.join(", ")
        )),
    }
}

/// Parameters that must be given and have no default.
pub fn required(action: &Action) -> impl Iterator<Item = &str> {
    let all = action.all_parameters.iter();
    all.filter(|(_, schema)| {
        let needed = schema.get("required") == Some(&Value::Bool(true));
        needed && schema.get("default").is_none_or(Value::is_null)
    })
    .map(|(name, _)| name)
}

fn schema(action: &Action) -> Value {
    normalised(&json!({
        "type": "object",
        "properties": action.all_parameters,
        "additionalProperties": false,
    }))
}
