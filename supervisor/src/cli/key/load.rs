//! `petrel key load`: every entry is checked before the first is sent, and the supervisor takes all
//! or none.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use hyper::Method;
use serde_json::{Map, Value, json};

use crate::catalog::diagnostics::did_you_mean;
use crate::catalog::sources::SourceFile;
use crate::cli::{Client, client};
use crate::rules::python;

/// Members of an entry.
const KNOWN: [&str; 7] = [
    "name",
    "value",
    "scope",
    "user",
    "secret",
    "encrypted",
    "ttl",
];
/// Members that `petrel key list --json` and StackStorm print, and that say nothing here.
const PRINTED: [&str; 4] = ["id", "uid", "metadata_file", "expire_timestamp"];
/// Faults that are told at once.
const MOST_FAULTS: usize = 20;

/// See [`super::Command::Load`].
#[derive(Debug, Args)]
pub struct Load {
    /// A list of {name, value, scope, user, secret, encrypted, ttl}, or one of them: JSON if its
    /// name ends with .json, otherwise YAML
    file: PathBuf,
    /// Write values that are not text as JSON
    #[arg(short, long)]
    convert: bool,
    #[command(flatten)]
    client: Client,
}

/// An entry, and where it is for who wrote it.
struct Entry {
    place: String,
    value: Value,
}

impl Load {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let text = std::fs::read_to_string(&self.file);
        let text = text.with_context(|| format!("cannot read {}", self.file.display()))?;
        let entries = match self.file.extension().is_some_and(|ending| ending == "json") {
            true => from_json(&self.file, &text)?,
            false => from_yaml(&self.file, &text)?,
        };
        let items = checked(entries, self.convert)?;
        let items = Value::Array(items);
        let data = self.client.data.clone();
        let written = client::send(data, Method::POST, super::ITEMS, Some(&items))?;
        super::show(&self.client, written.body, &super::LOADED)?;
        Ok(ExitCode::SUCCESS)
    }
}

fn from_json(file: &Path, text: &str) -> anyhow::Result<Vec<Entry>> {
    let parsed: Result<Value, _> = serde_json::from_str(text);
    let all = parsed.with_context(|| format!("{} is not JSON", file.display()))?;
    let all = match all {
        Value::Array(all) => all,
        Value::Null => Vec::new(),
        one => vec![one],
    };
    let place = |index| format!("{}, entry {}", file.display(), index + 1);
    let entries = all.into_iter().enumerate();
    let entry = |(index, value)| Entry {
        place: place(index),
        value,
    };
    Ok(entries.map(entry).collect())
}

fn from_yaml(file: &Path, text: &str) -> anyhow::Result<Vec<Entry>> {
    let shown = file.display().to_string();
    let source = SourceFile::new(shown.clone(), shown, text);
    let Some(root) = source.document else {
        let faults: Vec<_> = source
            .diagnostics
            .iter()
            .map(|one| one.render(false))
            .collect();
        anyhow::bail!("{} is not YAML\n{}", file.display(), faults.join("\n"));
    };
    let nodes = match root.as_list() {
        Some(nodes) => nodes,
        None if root.is_null() => &[],
        None => std::slice::from_ref(&root),
    };
    let entries = nodes.iter().enumerate();
    let entry = |(index, node): (usize, &crate::catalog::yaml::Node)| Entry {
        place: format!(
            "{}:{}, entry {}",
            file.display(),
            node.span.start.line,
            index + 1
        ),
        value: node.to_json(),
    };
    Ok(entries.map(entry).collect())
}

/// The entries as the API takes them.
fn checked(entries: Vec<Entry>, convert: bool) -> anyhow::Result<Vec<Value>> {
    let (mut items, mut faults) = (Vec::new(), Vec::new());
    for Entry { place, value } in entries {
        match item(value, convert) {
            Ok((item, remark)) => {
                items.push(item);
                if let Some(remark) = remark {
                    eprintln!("warning: {place}: {remark}");
                }
            }
            Err(why) => faults.push(format!("{place}: {why}")),
        }
    }
    if faults.is_empty() {
        return Ok(items);
    }
    let more = faults.len().saturating_sub(MOST_FAULTS);
    faults.truncate(MOST_FAULTS);
    if more > 0 {
        faults.push(format!("and {more} more"));
    }
    anyhow::bail!("nothing was loaded\n{}", faults.join("\n"))
}

/// One entry as the API takes it, and what its author should know.
fn item(entry: Value, convert: bool) -> Result<(Value, Option<String>), String> {
    let Value::Object(entry) = entry else {
        return Err("an entry is a map with \"name\" and \"value\"".into());
    };
    only_known(&entry)?;
    let given = |key: &str| entry.get(key).filter(|value| !value.is_null());
    let name = given("name").ok_or("\"name\" is missing")?;
    let name = name.as_str().filter(|name| !name.is_empty());
    let name = name.ok_or("\"name\" is not text: put it in quotes")?;
    let of = |why: &str| format!("\"{name}\": {why}");
    let value = value(entry.get("value"), convert).map_err(|why| of(&why))?;
    let scope = match given("scope").map(Value::as_str) {
        None | Some(Some("system" | "st2kv.system")) => "system",
        Some(Some("user" | "st2kv.user")) => "user",
        Some(_) => return Err(of("\"scope\" is neither system nor user")),
    };
    let user = given("user").map(|user| user.as_str().ok_or_else(|| of("\"user\" is not text")));
    let user = user.transpose()?;
    if user.is_some() && scope == "system" {
        return Err(of("\"user\" needs \"scope: user\""));
    }
    let flag = |key: &str| match given(key) {
        None => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(_) => Err(of(&format!("\"{key}\" is neither true nor false"))),
    };
    let ttl = given("ttl").map(|ttl| {
        ttl.as_u64()
            .ok_or_else(|| of("\"ttl\" is no number of seconds"))
    });
    let ttl = ttl.transpose()?;
    let remark = given("expire_timestamp").filter(|_| ttl.is_none());
    let remark =
        remark.map(|_| of("\"expire_timestamp\" is not taken over; \"ttl\" gives a life time"));
    let item = json!({
        "name": name, "value": value, "scope": scope, "user": user,
        "secret": flag("secret")?, "encrypted": flag("encrypted")?, "ttl": ttl,
    });
    Ok((item, remark))
}

fn only_known(entry: &Map<String, Value>) -> Result<(), String> {
    let known = |key: &&String| KNOWN.contains(&&***key) || PRINTED.contains(&&***key);
    match entry.keys().find(|key| !known(key)) {
        None => Ok(()),
        Some(key) => {
            let near = did_you_mean(key, KNOWN).map_or(String::new(), |near| format!("; {near}"));
            Err(format!("an entry has no \"{key}\"{near}"))
        }
    }
}

fn value(value: Option<&Value>, convert: bool) -> Result<String, String> {
    match value {
        None => Err("\"value\" is missing".into()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(other) if convert => python::dumps(other),
        Some(other) => Err(format!(
            "the value is not text but of the type {}: put it in quotes, or give --convert to \
             write it as JSON",
            python::type_name(other)
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(yaml: &str, convert: bool) -> Result<Vec<Value>, String> {
        let entries = from_yaml(Path::new("k.yaml"), yaml);
        let items = entries.and_then(|entries| checked(entries, convert));
        items.map_err(|error| error.to_string())
    }

    #[test]
    fn entries_become_items() {
        let items = told(
            "- {name: a, value: x, ttl: 5, secret: true}\n- name: b\n  value: [1, é]\n  scope: st2kv.user\n  user: bob\n",
            true,
        );
        let items = items.unwrap();
        assert_eq!(items[0]["ttl"], 5);
        assert_eq!(items[0]["secret"], true);
        assert_eq!(items[0]["scope"], "system");
        assert_eq!(items[1]["value"], "[1, \"\\u00e9\"]");
        assert_eq!(items[1]["user"], "bob");
        assert_eq!(told("name: a\nvalue: x\n", false).unwrap().len(), 1);
        assert!(told("", false).unwrap().is_empty());
    }

    #[test]
    fn what_was_listed_is_loaded() {
        let listed = json!({
            "id": "1", "uid": "key_value_pair:st2kv.system:a", "name": "a", "value": "00AB",
            "scope": "st2kv.system", "user": null, "secret": true, "encrypted": true,
            "expire_timestamp": "2030-01-01T00:00:00Z",
        });
        let (item, remark) = item(listed, false).unwrap();
        assert_eq!(
            (&item["encrypted"], &item["user"]),
            (&json!(true), &Value::Null)
        );
        assert!(remark.unwrap().contains("ttl"));
    }

    #[test]
    fn every_fault_is_told_with_its_entry() {
        let all = "- {name: a, value: 1}\n- {value: x}\n- {name: b, value: x, scop: user}\n- [a]\n- {name: c}\n- {name: d, value: x, scope: all}\n- {name: e, value: x, user: bob}\n- {name: f, value: x, ttl: -1}\n- {name: 5, value: x}\n- {name: g, value: x, secret: 1}\n";
        let error = told(all, false).unwrap_err();
        for part in [
            "k.yaml:1, entry 1: \"a\": the value is not text but of the type int",
            "k.yaml:2, entry 2: \"name\" is missing",
            "k.yaml:3, entry 3: an entry has no \"scop\"; did you mean \"scope\"?",
            "entry 4: an entry is a map",
            "entry 5: \"c\": \"value\" is missing",
            "entry 6: \"d\": \"scope\"",
            "entry 7: \"e\": \"user\" needs",
            "entry 8: \"f\": \"ttl\"",
            "entry 9: \"name\" is not text",
            "entry 10: \"g\": \"secret\" is neither",
        ] {
            assert!(error.contains(part), "{part}\nnot in\n{error}");
        }
    }

    #[test]
    fn files_that_are_neither_json_nor_yaml_are_refused_with_the_place() {
        let error = told("- name: 'a\n", false).unwrap_err();
        assert!(error.contains("k.yaml"), "{error}");
        let error = from_json(Path::new("k.json"), "[{]").err().unwrap();
        assert!(
            format!("{error:#}").contains("line 1 column 3"),
            "{error:#}"
        );
    }
}
