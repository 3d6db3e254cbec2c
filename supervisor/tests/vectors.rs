//! The recorded answers of PyYAML and StackStorm, replayed. `PETREL_VECTORS` names another folder
//! of the same form.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::PathBuf;

use minijinja::value::Serde;
use petrel_supervisor::catalog::yaml::{self, Data, FaultKind, Node};
use petrel_supervisor::catalog::{Action, Runner};
use petrel_supervisor::rules::criteria::{Scope, Test};
use petrel_supervisor::rules::parameters::Plan;
use petrel_supervisor::rules::store::{NoKeys, Store};
use petrel_supervisor::rules::template::Templates;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Cases of a file; none where another folder does not have it.
fn cases(name: &str) -> Option<Value> {
    let given = std::env::var_os("PETREL_VECTORS").map(PathBuf::from);
    let elsewhere = given.is_some();
    let folder =
        given.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors"));
    match std::fs::read_to_string(folder.join(name)) {
        Ok(text) => Some(serde_json::from_str(&text).unwrap()),
        Err(_) if elsewhere => None,
        Err(error) => panic!("{name}: {error}"),
    }
}

/// Differences from the recorded answers, as parts of the text of a case, each with its reason.
#[derive(Default)]
struct Differences {
    /// Meant to stay.
    deliberate: &'static [(&'static str, &'static str)],
    /// What this version does not have yet.
    later: &'static [&'static str],
}

/// Counts the cases that come out right and tells the others.
fn replay(
    name: &str,
    all: &[Value],
    differences: Differences,
    run: impl Fn(&Value) -> Result<(), String>,
) {
    let (mut right, mut deliberate, mut later, mut wrong) = (0, 0, 0, Vec::new());
    for case in all {
        let text = case.to_string();
        match run(case) {
            Ok(()) => right += 1,
            Err(_)
                if differences
                    .deliberate
                    .iter()
                    .any(|(part, _)| text.contains(part)) =>
            {
                deliberate += 1;
            }
            Err(_) if differences.later.iter().any(|part| text.contains(part)) => later += 1,
            Err(why) => wrong.push(format!("{case}\n    {why}")),
        }
    }
    let total = all.len();
    println!("{name}: {right} of {total}, {deliberate} deliberate");
    if later > 0 {
        println!("{name}: {later} need what this version does not have yet");
    }
    assert!(
        wrong.is_empty(),
        "{} cases fail:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// A node in the notation of the vectors, where `$int` and its like say what JSON cannot.
fn noted(node: &Node) -> Value {
    match &node.data {
        Data::Null => Value::Null,
        Data::Bool(flag) => json!(flag),
        Data::Int(number) => match i64::try_from(*number) {
            Ok(small) => json!(small),
            Err(_) => json!({"$int": number.to_string()}),
        },
        Data::BigInt(digits) => json!({"$int": digits}),
        Data::Float(number) if number.is_finite() => json!(number),
        Data::Float(number) => json!({"$float": yaml::python_float(*number)}),
        Data::Text(text) => json!(text),
        Data::Time(text) => json!({"$time": text}),
        Data::Bytes(bytes) => json!({"$bytes": bytes}),
        Data::List(items) => items.iter().map(noted).collect(),
        Data::Set(items) => json!({"$set": items.iter().map(noted).collect::<Vec<_>>()}),
        Data::Pairs(pairs) => pairs
            .iter()
            .map(|(k, v)| json!([noted(k), noted(v)]))
            .collect(),
        Data::Map(entries) => map(entries),
    }
}

fn map(entries: &[(Node, Node)]) -> Value {
    if entries.iter().all(|(key, _)| key.as_text().is_some()) {
        let named = |(key, value): &(Node, Node)| (key.as_text().unwrap().to_owned(), noted(value));
        return Value::Object(entries.iter().map(named).collect::<Map<_, _>>());
    }
    let pairs: Vec<_> = entries
        .iter()
        .map(|(k, v)| json!([noted(k), noted(v)]))
        .collect();
    json!({"$map": pairs})
}

fn python_name(kind: FaultKind) -> &'static str {
    match kind {
        FaultKind::Reader => "ReaderError",
        FaultKind::Scanner => "ScannerError",
        FaultKind::Parser => "ParserError",
        FaultKind::Composer => "ComposerError",
        FaultKind::Constructor => "ConstructorError",
        FaultKind::Value => "ValueError",
        FaultKind::Budget => "budget",
    }
}

#[test]
fn yaml_vectors() {
    let Some(all) = cases("yaml.json") else {
        return;
    };
    replay(
        "yaml.json",
        all.as_array().unwrap(),
        Differences::default(),
        |case| {
            let parsed = yaml::parse(case["yaml"].as_str().unwrap());
            match (parsed, case.get("error")) {
                (Ok(parsed), None) => {
                    let value = noted(&parsed.root);
                    // Text, to tell 1 from 1.0 and to see the order of keys.
                    let (ours, theirs) = (value.to_string(), case["value"].to_string());
                    match ours == theirs {
                        true => Ok(()),
                        false => Err(format!("read as {value}")),
                    }
                }
                (Ok(parsed), Some(_)) => Err(format!("read as {}", noted(&parsed.root))),
                (Err(fault), None) => Err(format!("{fault:?}")),
                (Err(fault), Some(_)) => place(&fault, case),
            }
        },
    );
}

/// Line and column must be PyYAML's where it tells them, and so must the kind of error.
fn place(fault: &yaml::Fault, case: &Value) -> Result<(), String> {
    let start = fault.span.start;
    let same = |key: &str, mine: usize| case.get(key).is_none_or(|theirs| theirs == &json!(mine));
    let kind = case["error"].as_str().unwrap();
    let ours = python_name(fault.kind);
    let value = ours == "ValueError" && !kind.ends_with("Error") || kind == ours;
    let other = ours == "ValueError"
        && [
            "KeyError",
            "IndexError",
            "AttributeError",
            "TypeError",
            "OverflowError",
        ]
        .contains(&kind);
    match same("line", start.line) && same("column", start.column) && (value || other) {
        true => Ok(()),
        false => Err(format!(
            "{ours} at {}:{}: {}",
            start.line, start.column, fault.message
        )),
    }
}

#[test]
fn criteria_vectors() {
    let Some(all) = cases("criteria.json") else {
        return;
    };
    let now = "2026-11-24T00:00:00Z".parse().unwrap();
    replay(
        "criteria.json",
        all.as_array().unwrap(),
        Differences::default(),
        |case| {
            let criterion = &case["criterion"];
            let mut templates = Templates::default();
            let test = Test::compile(
                case["key"].as_str().unwrap(),
                match criterion["type"].as_str() {
                    Some(operator) => operator,
                    None if case["result"] == json!(false) => return Ok(()),
                    None => return Err("no type".into()),
                },
                &criterion["pattern"],
                criterion["condition"].as_str(),
                &mut templates,
                &mut |_| {},
            );
            // StackStorm fails with an unknown operator at each event, here the rule is refused.
            let Some(test) = test else {
                return match case["result"] == json!("error") {
                    true => Ok(()),
                    false => Err("no such operator".into()),
                };
            };
            let roots = [("trigger", &case["payload"])];
            let store: Arc<dyn Store> = Arc::new(NoKeys);
            let outcome = test.judge(&templates, &Scope::new(&roots, Some(now), &store));
            let result = match outcome.errors.is_empty() {
                true => json!(outcome.holds),
                false => json!("error"),
            };
            match result == case["result"] {
                true => Ok(()),
                false => Err(format!("{result} {:?}", outcome.errors)),
            }
        },
    );
}

const DATASTORE: Differences = Differences {
    deliberate: &[],
    later: &["st2kv"],
};

const LATER: Differences = Differences {
    deliberate: &[],
    later: &[
        "groupby",
        "_yaml_string",
        "jsonpath_query",
        "version_",
        "to_human_time_from_seconds",
        "| e }}",
        "wordcount",
        "wordwrap",
        ".encode(",
        ".partition(",
        ".swapcase(",
        ".ljust(",
        "st2kv",
        "'%d%%'",
    ],
};

#[test]
fn params_vectors() {
    let Some(file) = cases("params.json") else {
        return;
    };
    let jinja = |key: &str| minijinja::Value::from(Serde(&file[key]));
    let base = BTreeMap::from(
        ["trigger", "action_context", "config_context"].map(|key| (key.to_owned(), jinja(key))),
    );
    replay(
        "params.json",
        file["vectors"].as_array().unwrap(),
        DATASTORE,
        |case| {
            let mut all_parameters = case["runner_parameters"]
                .as_object()
                .cloned()
                .unwrap_or_default();
            all_parameters.extend(case["action_parameters"].as_object().unwrap().clone());
            let action = Action {
                reference: "p.a".into(),
                pack: "p".into(),
                name: "a".into(),
                description: String::new(),
                enabled: true,
                enabled_source: None,
                runner: Runner::Noop,
                runner_type: "noop".into(),
                entry_point: None,
                parameters: all_parameters.clone(),
                all_parameters,
                metadata_file: String::new(),
            };
            let mut templates = Templates::default();
            let plan = Plan::compile(
                &action,
                case["rule_parameters"].as_object().unwrap(),
                &mut templates,
                |_, _| {},
            );
            let filled = plan.and_then(|plan| plan.fill(&action, &templates, &base));
            match (filled, case.get("error")) {
                (Err(_), Some(_)) => Ok(()),
                (Err(why), None) => Err(why),
                (Ok(map), None) if Value::Object(map.clone()) == case["result"] => Ok(()),
                (Ok(map), _) => Err(Value::Object(map).to_string()),
            }
        },
    );
}

#[test]
fn templates_vectors() {
    let Some(file) = cases("templates.json") else {
        return;
    };
    let context = minijinja::Value::from(Serde(&file["context"]));
    replay(
        "templates.json",
        file["vectors"].as_array().unwrap(),
        LATER,
        |case| {
            let source = case["template"].as_str().unwrap();
            let mut templates = Templates::default();
            let rendered = templates
                .add(source)
                .and_then(|()| templates.render(source, &context));
            match (rendered, case["result"].as_str()) {
                (Ok(text), Some(wanted)) if text == wanted => Ok(()),
                (Err(_), None) => Ok(()),
                (other, _) => Err(format!("{other:?}")),
            }
        },
    );
}
