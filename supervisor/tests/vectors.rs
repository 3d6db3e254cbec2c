//! The recorded answers of PyYAML and StackStorm, replayed. `PETREL_VECTORS` names another folder
//! of the same form.

use std::path::PathBuf;

use petrel_supervisor::catalog::yaml::{self, Data, FaultKind, Node};
use serde_json::{Map, Value, json};

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

/// Counts the cases that come out right and tells the others.
fn replay(
    name: &str,
    all: &[Value],
    deliberate: &[(&str, &str)],
    run: impl Fn(&Value) -> Result<(), String>,
) {
    let (mut right, mut meant, mut wrong) = (0, 0, Vec::new());
    for case in all {
        match run(case) {
            Ok(()) => right += 1,
            Err(_)
                if deliberate
                    .iter()
                    .any(|(part, _)| case.to_string().contains(part)) =>
            {
                meant += 1
            }
            Err(why) => wrong.push(format!("{case}\n    {why}")),
        }
    }
    println!("{name}: {right} of {}, {meant} deliberate", all.len());
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
    replay("yaml.json", all.as_array().unwrap(), &[], |case| {
        let parsed = yaml::parse(case["yaml"].as_str().unwrap());
        match (parsed, case.get("error")) {
            (Ok(parsed), None) => {
                let value = noted(&parsed.root);
                // Text, to tell 1 from 1.0 and to see the order of keys.
                match value.to_string() == case["value"].to_string() {
                    true => Ok(()),
                    false => Err(format!("read as {value}")),
                }
            }
            (Ok(parsed), Some(_)) => Err(format!("read as {}", noted(&parsed.root))),
            (Err(fault), None) => Err(format!("{fault:?}")),
            (Err(fault), Some(_)) => place(&fault, case),
        }
    });
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
