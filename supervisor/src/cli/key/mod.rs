//! `petrel key`: the datastore, with StackStorm's commands.

mod args;
mod load;
pub(super) mod secret;

use std::process::ExitCode;

use hyper::Method;
use serde_json::{Value, json};

pub use args::Command;
use args::{Delete, DeleteByPrefix, Get, List, Set};

use super::client::{self, escaped};
use super::{Client, print};

const ITEMS: &str = "/v1/keys";
const COLUMNS: [&str; 7] = [
    "name",
    "value",
    "secret",
    "encrypted",
    "scope",
    "user",
    "expire_timestamp",
];
const PROPERTIES: [&str; 6] = [
    "name",
    "value",
    "secret",
    "encrypted",
    "scope",
    "expire_timestamp",
];
const WRITTEN: [&str; 4] = ["name", "value", "scope", "expire_timestamp"];
const LOADED: [&str; 6] = [
    "name",
    "value",
    "secret",
    "scope",
    "user",
    "expire_timestamp",
];
/// Stands in tables for a value that is encrypted.
const MASK: &str = "********";

impl Command {
    /// Runs it.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::List(list) => list.run(),
            Self::Get(get) => get.run(),
            Self::Set(set) => set.run(),
            Self::Delete(delete) => delete.run(),
            Self::DeleteByPrefix(delete) => delete.run(),
            Self::Load(load) => load.run(),
            Self::GenerateKey(key) => secret::generate(&key.file),
        }
    }
}

/// The path of all keys, or of one.
fn path(name: Option<&str>, query: &[(&str, String)]) -> String {
    let query: Vec<String> = query
        .iter()
        .map(|(name, value)| format!("{name}={}", escaped(value)))
        .collect();
    let name = name.map_or(String::new(), |name| format!("/{}", escaped(name)));
    format!("{ITEMS}{name}?{}", query.join("&"))
}

/// For people, ciphertext is as good as nothing; programs get it.
fn masked(client: &Client, mut item: Value) -> Value {
    if !client.json && !client.yaml && item["encrypted"] == true {
        item["value"] = json!(MASK);
    }
    item
}

/// Prints items as a list.
fn show(client: &Client, items: Value, columns: &[&str]) -> anyhow::Result<()> {
    let Value::Array(items) = items else {
        anyhow::bail!("the supervisor's answer is no list");
    };
    let items = items.into_iter().map(|item| masked(client, item));
    print::list(client, &items.collect(), columns)
}

impl List {
    fn run(self) -> anyhow::Result<ExitCode> {
        let mut query = vec![("decrypt", self.decrypt.to_string())];
        query.push(("scope", self.scope.unwrap_or_else(|| "all".into())));
        query.extend(self.prefix.map(|prefix| ("prefix", prefix)));
        query.extend(self.user.map(|user| ("user", user)));
        query.extend(self.limit.map(|limit| ("limit", limit.to_string())));
        let answer = client::get(self.client.data.clone(), &path(None, &query))?;
        let shown = answer.body.as_array().map_or(0, Vec::len) as u64;
        show(&self.client, answer.body, &COLUMNS)?;
        if let Some(more) = answer
            .total
            .map(|all| all.saturating_sub(shown))
            .filter(|n| *n > 0)
        {
            eprintln!("Note: {more} more keys are not shown; --limit N shows more.");
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Get {
    fn run(self) -> anyhow::Result<ExitCode> {
        let mut query = self.owner.query()?;
        query.push(("decrypt", self.decrypt.to_string()));
        let read = |name: &String| {
            let path = path(Some(named(name)?), &query);
            client::get(self.client.data.clone(), &path).map(|answer| answer.body)
        };
        let (found, code) = each(&self.names, read)?;
        match (&self.names[..], found) {
            ([_], found) => {
                for item in found {
                    print::one(&self.client, &masked(&self.client, item), &PROPERTIES)?;
                }
            }
            (_, found) => show(&self.client, Value::Array(found), &COLUMNS)?,
        }
        Ok(code)
    }
}

impl Set {
    fn run(self) -> anyhow::Result<ExitCode> {
        let query = self.owner.query()?;
        let path = path(Some(named(&self.name)?), &query);
        let value = match self.value {
            Some(value) => value,
            None => secret::read()?,
        };
        let item = json!({
            "value": value,
            "ttl": self.ttl,
            "secret": self.encrypt,
            "encrypted": self.encrypted,
        });
        let data = self.client.data.clone();
        let written = client::send(data, Method::PUT, &path, Some(&item))?.body;
        print::one(&self.client, &masked(&self.client, written), &WRITTEN)?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Delete {
    fn run(self) -> anyhow::Result<ExitCode> {
        let query = self.owner.query()?;
        let remove = |name: &String| {
            let path = path(Some(named(name)?), &query);
            client::send(self.client.data.clone(), Method::DELETE, &path, None)?;
            print::line(&format!(
                "Resource with id \"{name}\" has been successfully deleted."
            ))
        };
        Ok(each(&self.names, remove)?.1)
    }
}

impl DeleteByPrefix {
    fn run(self) -> anyhow::Result<ExitCode> {
        let mut query = self.owner.query()?;
        query.push(("prefix", self.prefix));
        let path = path(None, &query);
        let answer = client::send(self.client.data, Method::DELETE, &path, None)?;
        let gone = answer.body.as_array().cloned().unwrap_or_default();
        let names: Vec<_> = gone
            .iter()
            .filter_map(|item| item["name"].as_str())
            .collect();
        print::line(&format!("Deleted {} keys", names.len()))?;
        print::line(&format!("Deleted key ids: {}", names.join(", ")))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// A name that a path can have.
fn named(name: &str) -> anyhow::Result<&str> {
    anyhow::ensure!(!name.is_empty(), "a key has a name");
    Ok(name)
}

/// Asks for each name. A key that is not there is told, and fails the command at its end.
fn each<T>(
    names: &[String],
    mut ask: impl FnMut(&String) -> anyhow::Result<T>,
) -> anyhow::Result<(Vec<T>, ExitCode)> {
    let (mut found, mut code) = (Vec::new(), ExitCode::SUCCESS);
    for name in names {
        match ask(name) {
            Ok(one) => found.push(one),
            Err(error) if client::is_not_found(&error) => {
                eprintln!("Key Value Pair \"{name}\" is not found.");
                code = ExitCode::FAILURE;
            }
            Err(error) => return Err(error),
        }
    }
    Ok((found, code))
}
