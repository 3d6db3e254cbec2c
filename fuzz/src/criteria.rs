//! Criteria on payloads: judged twice they say the same, an error is never a match, and operators
//! that are each other's opposite never both hold.

use std::sync::Arc;

use arbitrary::{Result, Unstructured};
use jiff::Timestamp;
use petrel_supervisor::rules::criteria::{Outcome, Scope, Test};
use petrel_supervisor::rules::known_operators;
use petrel_supervisor::rules::store::{NoKeys, Store};
use petrel_supervisor::rules::template::Templates;
use serde_json::{Value, json};

use crate::json;

/// Operators, each with its opposite.
const OPPOSITES: &[(&str, &str)] = &[
    ("contains", "ncontains"),
    ("icontains", "incontains"),
    ("inside", "ninside"),
    ("exists", "nexists"),
];

/// Most bytes of one error, beside the pattern and the key that it repeats.
const MAX_ERROR: usize = 4 << 10;

struct Case {
    payload: Value,
    key: String,
    operator: String,
    pattern: Value,
    condition: Option<String>,
}

/// Judges any payload by any criterion.
pub fn check(data: &[u8]) {
    let recorded = json::case(data).and_then(|case| recorded(&case));
    let case = recorded.or_else(|| made(&mut Unstructured::new(data)).ok());
    if let Some(case) = case {
        judge(&case);
    }
}

fn recorded(case: &Value) -> Option<Case> {
    let criterion = &case["criterion"];
    let text = |value: &Value| value.as_str().map(str::to_owned);
    Some(Case {
        payload: case["payload"].clone(),
        key: text(&case["key"])?,
        operator: text(&criterion["type"])?,
        pattern: criterion["pattern"].clone(),
        condition: text(&criterion["condition"]),
    })
}

fn made(from: &mut Unstructured<'_>) -> Result<Case> {
    let operator = operator(from)?;
    let pattern = match operator == "search" && from.ratio(7, 8)? {
        true => children(from, 0)?,
        false => json::value(from)?,
    };
    Ok(Case {
        key: key(from, "trigger")?,
        operator,
        pattern,
        condition: condition(from)?,
        payload: json::value(from)?,
    })
}

fn operator(from: &mut Unstructured<'_>) -> Result<String> {
    from.choose(&known_operators())
        .map(|name| (*name).to_owned())
}

fn condition(from: &mut Unstructured<'_>) -> Result<Option<String>> {
    let names = [
        None,
        Some("any"),
        Some("all"),
        Some("any2any"),
        Some("all2any"),
        Some("x"),
    ];
    from.choose(&names).map(|name| name.map(str::to_owned))
}

fn key(from: &mut Unstructured<'_>, root: &str) -> Result<String> {
    Ok(match from.int_in_range(0..=5)? {
        0 => from.arbitrary()?,
        1 => format!("{root}..{}", json::name(from)?),
        2 => format!("{root}[{}]", from.arbitrary::<i8>()?),
        3 => format!("{root}.{}.{}#x", json::name(from)?, json::name(from)?),
        _ => format!("{root}.{}", json::name(from)?),
    })
}

/// The children of a search.
fn children(from: &mut Unstructured<'_>, depth: usize) -> Result<Value> {
    let mut all = serde_json::Map::new();
    for _ in 0..from.int_in_range(0..=3)? {
        let operator = operator(from)?;
        let pattern = match operator == "search" && depth < 3 {
            true => children(from, depth + 1)?,
            false => json::value(from)?,
        };
        let condition = condition(from)?;
        let child = json!({"type": operator, "pattern": pattern, "condition": condition});
        all.insert(key(from, "item")?, child);
    }
    Ok(Value::Object(all))
}

fn judge(case: &Case) {
    let first = outcome(case, &case.operator);
    let again = outcome(case, &case.operator);
    let Some((first, again)) = first.zip(again) else {
        return;
    };
    assert_eq!((first.holds, &first.errors), (again.holds, &again.errors));
    if case.operator != "search" {
        assert!(
            !(first.holds && !first.errors.is_empty()),
            "{:?}",
            first.errors
        );
        assert!(first.errors.len() <= 1, "{:?}", first.errors);
    }
    let repeated = case.key.len() + 2 * case.pattern.to_string().len();
    for error in &first.errors {
        assert!(error.len() <= MAX_ERROR + repeated, "{error}");
    }
    opposite(case, &first);
}

fn outcome(case: &Case, operator: &str) -> Option<Outcome> {
    let store: Arc<dyn Store> = Arc::new(NoKeys);
    let now: Option<Timestamp> = "2026-11-24T00:00:00Z".parse().ok();
    let mut templates = Templates::default();
    let condition = case.condition.as_deref();
    let pattern = &case.pattern;
    let test = Test::compile(
        &case.key,
        operator,
        pattern,
        condition,
        &mut templates,
        &mut |_| {},
    )?;
    let roots = [("trigger", &case.payload)];
    let scope = Scope::new(&roots, now, &store);
    test.look(&templates, &scope);
    Some(test.judge(&templates, &scope))
}

/// Neither holds where there is nothing to look in, or nothing to look for.
fn opposite(case: &Case, found: &Outcome) {
    let other = OPPOSITES.iter().find(|(name, _)| *name == case.operator);
    let Some(other) = other.and_then(|(_, name)| outcome(case, name)) else {
        return;
    };
    assert!(!(found.holds && other.holds));
    if case.operator == "exists" && found.errors.is_empty() {
        assert!(found.holds || other.holds);
    }
}
