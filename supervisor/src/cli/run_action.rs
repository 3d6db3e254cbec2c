//! `petrel run-action`: an action, now, and what came of it.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use hyper::Method;
use serde_json::{Map, Value, json};

use super::client::{self, escaped};
use super::{Client, print};

/// Between two looks at an execution: short for short actions, then longer.
const FIRST_LOOK: Duration = Duration::from_millis(10);
const LAST_LOOK: Duration = Duration::from_millis(500);

const SHOWN: [&str; 8] = [
    "id",
    "action.ref",
    "context.user",
    "parameters",
    "status",
    "start_timestamp",
    "end_timestamp",
    "result",
];

/// See [`super::Command::RunAction`].
#[derive(Debug, Args)]
pub struct RunAction {
    /// pack.name of the action
    #[arg(value_name = "REF")]
    action: String,
    /// name=value, or @name=FILE for the text of a file; words without "=" are its command
    #[arg(value_name = "NAME=VALUE", trailing_var_arg = true)]
    words: Vec<String>,
    /// Do not wait for its end
    #[arg(short = 'd', long = "async", visible_alias = "detach")]
    detached: bool,
    #[command(flatten)]
    client: Client,
}

impl RunAction {
    /// Runs it; fails when it failed.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let parameters = given(self.client.data.clone(), &self.action, &self.words)?;
        let asked = json!({"action": self.action, "parameters": parameters});
        start(&self.client, "/v1/executions", &asked, self.detached)
    }
}

/// What the words say to an action.
pub(super) fn given(
    data: Option<PathBuf>,
    action: &str,
    words: &[String],
) -> anyhow::Result<Value> {
    let path = format!("/v1/actions/views/parameters/{}", escaped(action));
    let known = client::get(data, &path)?.body;
    parameters(words, &known["parameters"]).map(Value::Object)
}

/// Asks for an execution, waits for it unless told otherwise, and prints it.
pub(super) fn start(
    client: &Client,
    path: &str,
    asked: &Value,
    detached: bool,
) -> anyhow::Result<ExitCode> {
    let data = client.data.clone();
    let answer = client::send(data.clone(), Method::POST, path, Some(asked))?;
    let id = answer.body["id"].as_str().unwrap_or_default().to_owned();
    if detached {
        print::line("To get the results, execute:")?;
        print::line(&format!(" petrel execution get {id}"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let ended = wait(data, &id)?;
    show(client, &ended)?;
    Ok(match ended["status"] == "succeeded" {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

fn wait(data: Option<PathBuf>, id: &str) -> anyhow::Result<Value> {
    let mut look = FIRST_LOOK;
    loop {
        let found = client::get(data.clone(), &format!("/v1/executions/{id}"))?.body;
        if !found["end_timestamp"].is_null() {
            return Ok(found);
        }
        std::thread::sleep(look);
        look = (look * 2).min(LAST_LOOK);
    }
}

/// `name: value` lines, the result as YAML below.
fn show(client: &Client, execution: &Value) -> anyhow::Result<()> {
    if client.json || client.yaml || !client.attr.is_empty() {
        return print::one(client, execution, &SHOWN);
    }
    for path in SHOWN {
        let value = path.split('.').fold(execution, |value, name| &value[name]);
        match value {
            Value::Object(_) | Value::Array(_) => {
                print::line(&format!("{path}:"))?;
                for line in serde_yaml::to_string(value)?.trim_end().lines() {
                    print::line(&format!("  {line}"))?;
                }
            }
            Value::Null => print::line(&format!("{path}: None"))?,
            Value::String(text) => print::line(&format!("{path}: {text}"))?,
            other => print::line(&format!("{path}: {other}"))?,
        }
    }
    Ok(())
}

/// What the words say, each as the type of its parameter asks (StackStorm's `st2 run`).
fn parameters(words: &[String], known: &Value) -> anyhow::Result<Map<String, Value>> {
    let mut given = Map::new();
    for (at, word) in words.iter().enumerate() {
        let Some((name, text)) = word.split_once('=').filter(|(name, _)| is_name(name)) else {
            // From the first such word on it is one command line.
            given.insert("cmd".to_owned(), json!(words[at..].join(" ")));
            return Ok(given);
        };
        let (name, text) = match name.strip_prefix('@') {
            Some(name) => {
                let read = std::fs::read_to_string(text);
                (
                    name,
                    read.with_context(|| format!("failed to read {text}"))?,
                )
            }
            None => (name, text.to_owned()),
        };
        let value = typed(&text, known[name]["type"].as_str());
        let value = value.with_context(|| format!("parameter \"{name}\""))?;
        given.insert(name.to_owned(), value);
    }
    Ok(given)
}

fn is_name(text: &str) -> bool {
    let text = text.strip_prefix('@').unwrap_or(text);
    !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || c == '_')
}

fn typed(text: &str, kind: Option<&str>) -> anyhow::Result<Value> {
    // A template is rendered first.
    if text.contains("{{") && !text.trim_start().starts_with('[') {
        return Ok(json!(text));
    }
    Ok(match kind {
        Some("integer") => json!(
            text.parse::<i64>()
                .with_context(|| format!("\"{text}\" is no integer"))?
        ),
        Some("number") => json!(
            text.parse::<f64>()
                .with_context(|| format!("\"{text}\" is no number"))?
        ),
        Some("boolean") => match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => json!(true),
            "false" | "0" | "no" | "off" => json!(false),
            _ => anyhow::bail!("\"{text}\" is neither true nor false"),
        },
        Some("object") => object(text)?,
        Some("array") => array(text)?,
        _ => json!(text),
    })
}

/// JSON, or `a=1,b=2`.
fn object(text: &str) -> anyhow::Result<Value> {
    if text.trim_start().starts_with('{') {
        return serde_json::from_str(text).context("it is not JSON");
    }
    let pairs = text.split(',').map(|pair| {
        let (name, value) = pair
            .split_once('=')
            .with_context(|| format!("\"{pair}\" is not name=value"))?;
        Ok((name.trim().to_owned(), json!(value)))
    });
    pairs
        .collect::<anyhow::Result<Map<_, _>>>()
        .map(Value::Object)
}

/// JSON, or items between commas.
fn array(text: &str) -> anyhow::Result<Value> {
    if text.trim_start().starts_with('[') {
        return serde_json::from_str(text).context("it is not JSON");
    }
    let item = |item: &str| {
        let item = item.trim();
        item.parse::<i64>()
            .map_or_else(|_| json!(item), |number| json!(number))
    };
    Ok(text.split(',').map(item).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> anyhow::Result<Value> {
        let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        let known = json!({
            "n": {"type": "integer"}, "flag": {"type": "boolean"}, "o": {"type": "object"},
            "l": {"type": "array"}, "s": {"type": "string"},
        });
        parameters(&words, &known).map(Value::Object)
    }

    #[test]
    fn words_become_what_their_parameters_are() {
        let all = read(&["n=5", "flag=True", "o=a=1,b=x", "l=1,b", "s=a=b", "x=1"]);
        let wanted = json!({
            "n": 5, "flag": true, "o": {"a": "1", "b": "x"}, "l": [1, "b"], "s": "a=b", "x": "1",
        });
        assert_eq!(all.expect("parameters"), wanted);
        let json = read(&["o={\"a\": [1]}", "l=[\"x,y\"]"]).expect("parameters");
        assert_eq!(json, json!({"o": {"a": [1]}, "l": ["x,y"]}));
        let command = read(&["s=1", "echo", "a=b"]).expect("parameters");
        assert_eq!(command, json!({"s": "1", "cmd": "echo a=b"}));
        assert!(read(&["n=five"]).is_err());
        assert!(read(&["@s=/nowhere"]).is_err());
    }
}
