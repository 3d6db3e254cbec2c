//! Keys of criteria: any text is a path or says why not; what a path finds is in the payload; and a
//! path of plain names finds what these names lead to.

use std::borrow::Cow;

use petrel_supervisor::rules::path::Path;
use serde_json::{Value, json};

/// Most bytes of an error beside the path that it repeats.
const MAX_ERROR: usize = 1 << 10;

/// Looks for the first line of the input in the rest of it, or in a payload of our own where that
/// is no JSON.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let (key, rest) = text.split_once('\n').unwrap_or((text, ""));
    let payload = serde_json::from_str(rest).unwrap_or_else(|_| ours());
    let path = match Path::parse(key) {
        Ok(path) => path,
        Err(why) => return bounded(&why, key),
    };
    assert_eq!(Path::parse(key).as_ref(), Ok(&path));
    let roots = [("trigger", &payload)];
    let found = path.first(&roots);
    match &found {
        Ok(Some(Cow::Borrowed(value))) => {
            assert!(is_in(&payload, value), "{value} is from elsewhere");
        }
        // A character of a text is a value of its own.
        Ok(Some(Cow::Owned(_)) | None) => {}
        Err(why) => bounded(why, key),
    }
    if let Some(names) = plain(key) {
        assert_eq!(found.map(|one| one.map(Cow::into_owned)), Ok(walked(&payload, &names).cloned()));
    }
}

fn bounded(why: &str, key: &str) {
    assert!(why.len() <= MAX_ERROR + 2 * key.len(), "{why}");
}

/// That very value, not an equal one.
fn is_in(whole: &Value, part: &Value) -> bool {
    std::ptr::eq(whole, part)
        || match whole {
            Value::Array(items) => items.iter().any(|item| is_in(item, part)),
            Value::Object(map) => map.values().any(|item| is_in(item, part)),
            _ => false,
        }
}

/// The names of a path that has nothing but names.
fn plain(key: &str) -> Option<Vec<&str>> {
    let is_name = |name: &&str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase());
    let names: Vec<&str> = key.split('.').collect();
    // Words that mean something in a path.
    let reserved = |name: &&str| ["parent", "where", "wherenot"].contains(name);
    let fits = names.iter().all(|name| is_name(name) && !reserved(name));
    (fits && !names.is_empty()).then_some(names)
}

fn walked<'v>(payload: &'v Value, names: &[&str]) -> Option<&'v Value> {
    let (root, rest) = names.split_first()?;
    let start = (*root == "trigger").then_some(payload);
    rest.iter()
        .try_fold(start?, |value, name| value.as_object()?.get(*name))
}

fn ours() -> Value {
    json!({
        "a": {"b": [1, {"c": "x"}, [2, 3]], "x-y": "dash"}, "l": [1, "two", 3.0, null],
        "s": "text", "n": 7, "t": true, "none": null, "k.dot": "dotted", "": "empty",
        "objs": [{"name": "a"}, {"name": "b"}], "u": {"日本": 1},
    })
}
