//! The recorded answers of PyYAML and StackStorm, replayed. `PETREL_VECTORS` names another folder
//! of the same form.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::PathBuf;

use petrel_supervisor::catalog::yaml::{self, Data, FaultKind, Node};
use petrel_supervisor::catalog::{Action, Runner};
use petrel_supervisor::rules::criteria::{Scope, Test};
use petrel_supervisor::rules::jinja::Value as Jinja;
use petrel_supervisor::rules::parameters::{Given, Plan};
use petrel_supervisor::rules::store::{NoKeys, Owner, Store, st2kv};
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

/// A difference from the recorded answers that is meant to stay: why, and when a case is one, by
/// the case and our answer to it.
type Difference = (&'static str, fn(&Value, &Answer) -> bool);

/// What is made of a case: a value, or an error.
type Answer = Result<Value, String>;

/// Counts the cases that come out right and tells the others.
fn replay(
    name: &str,
    all: &[Value],
    deliberate: &[Difference],
    run: impl Fn(&Value) -> (Answer, bool),
) {
    let (mut right, mut meant, mut wrong) = (0, 0, Vec::new());
    for case in all {
        let (answer, fits) = run(case);
        if fits {
            right += 1;
        } else if deliberate.iter().any(|(_, applies)| applies(case, &answer)) {
            meant += 1;
        } else {
            wrong.push(format!("{case}\n    {answer:?}"));
        }
    }
    let total = all.len();
    println!("{name}: {right} of {total}, {meant} deliberate");
    assert!(
        wrong.is_empty(),
        "{name}: {} cases fail:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(
        meant * 50 <= total,
        "{name}: {meant} deliberate differences are more than 2 %"
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
    replay("yaml.json", all.as_array().unwrap(), &[], |case| {
        let judged = read_yaml(case);
        let fits = judged.is_ok();
        (judged.map(|()| Value::Null), fits)
    });
}

fn read_yaml(case: &Value) -> Result<(), String> {
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

/// The datastore of the cases.
#[derive(Debug)]
struct Keys(Map<String, Value>);

impl Store for Keys {
    fn get(&self, owner: Owner, key: &str) -> Option<String> {
        let value = self.0.get(key).filter(|_| owner == Owner::System)?;
        value.as_str().map(str::to_owned)
    }
}

/// Keys that a file of cases may bring.
fn keys(file: &Value) -> Arc<dyn Store> {
    let keys = file.get("keys").and_then(Value::as_object).cloned();
    Arc::new(Keys(keys.unwrap_or_default()))
}

/// True when a pattern is one expression whose operator binds less than the ` | to_complex` that
/// StackStorm puts behind it.
fn is_operation(pattern: &Value) -> bool {
    let mut templates = Templates::default();
    let text = pattern.as_str().unwrap_or_default();
    templates.add(text).is_ok() && templates.is_operation(text)
}

fn any_pattern(criterion: &Value, wanted: &dyn Fn(&Value) -> bool) -> bool {
    let pattern = &criterion["pattern"];
    let children = pattern.as_object().into_iter().flatten();
    wanted(pattern)
        || children
            .into_iter()
            .any(|(_, child)| any_pattern(child, wanted))
}

const CRITERIA: &[Difference] = &[
    (
        "a filter binds tighter than an operator, so StackStorm sends only the last operand \
         through to_complex and fails, or compares with something else; here the whole \
         expression keeps its type",
        |case, answer| answer.is_ok() && any_pattern(&case["criterion"], &is_operation),
    ),
    (
        "a value of the datastore as a whole pattern, as StackStorm's documentation has it, is \
         its text; StackStorm fails on it",
        |case, answer| {
            let stored = |pattern: &Value| {
                let text = pattern.as_str().unwrap_or_default();
                text.contains("st2kv.") || text.contains("system.")
            };
            answer.is_ok() && any_pattern(&case["criterion"], &stored)
        },
    ),
];

#[test]
fn criteria_vectors() {
    let Some(all) = cases("criteria.json") else {
        return;
    };
    let now = "2026-11-24T00:00:00Z".parse().unwrap();
    let store: Arc<dyn Store> = Arc::new(NoKeys);
    replay("criteria.json", all.as_array().unwrap(), CRITERIA, |case| {
        let criterion = &case["criterion"];
        let mut templates = Templates::default();
        let Some(operator) = criterion["type"].as_str() else {
            // Without a type it never holds.
            return (Ok(json!(false)), case["result"] == json!(false));
        };
        let test = Test::compile(
            case["key"].as_str().unwrap(),
            operator,
            &criterion["pattern"],
            criterion["condition"].as_str(),
            &mut templates,
            &mut |_| {},
        );
        let answer = match test {
            // StackStorm fails with an unknown operator at each event, here the rule is refused.
            None => Err("no such operator".into()),
            Some(test) => {
                let roots = [("trigger", &case["payload"])];
                let outcome = test.judge(&templates, &Scope::new(&roots, Some(now), &store));
                match outcome.errors.first() {
                    None => Ok(json!(outcome.holds)),
                    Some(why) => Err(why.clone()),
                }
            }
        };
        let fits = match &answer {
            Ok(holds) => *holds == case["result"],
            Err(_) => case["result"] == json!("error"),
        };
        (answer, fits)
    });
}

const PARAMS: &[Difference] = &[];

#[test]
fn params_vectors() {
    let Some(file) = cases("params.json") else {
        return;
    };
    let jinja = |key: &str| Jinja::from(&file[key]);
    let mut base = BTreeMap::from(
        ["trigger", "action_context", "config_context"].map(|key| (key.to_owned(), jinja(key))),
    );
    base.insert("st2kv".to_owned(), st2kv(&keys(&file)));
    replay(
        "params.json",
        file["vectors"].as_array().unwrap(),
        PARAMS,
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
                parameters: all_parameters.clone().into(),
                output_schema: Map::new(),
                notify: Vec::new(),
                on_unknown: petrel_supervisor::catalog::OnUnknown::Fail,
                warm: true,
                chain: None,
                all_parameters: all_parameters.into(),
                metadata_file: String::new(),
            };
            let mut templates = Templates::default();
            let plan = Plan::compile(
                &action,
                case["rule_parameters"].as_object().unwrap(),
                Given::Templates,
                &mut templates,
                |_, _| {},
            );
            let filled = plan.and_then(|plan| plan.fill(&action, &templates, &base));
            let answer = filled.map(Value::Object);
            let fits = match (&answer, case.get("error")) {
                (Err(_), Some(error)) => !error.is_null(),
                (Ok(map), None | Some(Value::Null)) => *map == case["result"],
                _ => false,
            };
            (answer, fits)
        },
    );
}

const TEMPLATES: &[Difference] = &[(
    "a place in the datastore without a key is nothing: false, and replaced by default; in \
         StackStorm its lookup object is always true",
    |case, answer| {
        let template = case["template"].as_str().unwrap_or_default();
        let asks = ["if ", "default", " and ", " or ", "not ", "to_", "json"];
        answer.is_ok()
            && template.contains("st2kv.")
            && asks.iter().any(|part| template.contains(part))
    },
)];

#[test]
fn templates_vectors() {
    let Some(file) = cases("templates.json") else {
        return;
    };
    let names = file["context"].as_object().into_iter().flatten();
    let names = names.map(|(name, value)| (name.clone(), Jinja::from(value)));
    let context = Jinja::map(names.chain([("st2kv".to_owned(), st2kv(&keys(&file)))]));
    replay(
        "templates.json",
        file["vectors"].as_array().unwrap(),
        TEMPLATES,
        |case| {
            let source = case["template"].as_str().unwrap();
            let mut templates = Templates::default();
            let rendered = templates
                .add(source)
                .and_then(|()| templates.render(source, &context));
            let fits = match (&rendered, case["result"].as_str()) {
                (Ok(text), Some(wanted)) => text == wanted,
                (Err(_), None) => true,
                _ => false,
            };
            (rendered.map(Value::String), fits)
        },
    );
}
