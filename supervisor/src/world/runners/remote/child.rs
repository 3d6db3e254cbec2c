//! The child: what to do on standard input, the outcome in the result file.

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use anyhow::Context;
use serde_json::{Map, Value, json};
use tokio::sync::Semaphore;
use tokio::task::LocalSet;

use super::hosts::{self, Host};
use super::ssh::{Login, Said};
use super::{Asked, KNOWN_HOSTS, command};
use crate::core::record::Status;
use crate::world::runners::{child, shell};

/// Most hosts at once; StackStorm's `max_parallel_actions`.
const MOST_AT_ONCE: usize = 50;

/// Does what standard input asks for.
///
/// # Errors
/// When there is nobody to tell the outcome to.
pub fn run() -> anyhow::Result<()> {
    child::run(|text| {
        let asked = serde_json::from_str(text).context("standard input asks for nothing")?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        LocalSet::new().block_on(&runtime, everywhere(asked))
    })
}

async fn everywhere(asked: Asked) -> anyhow::Result<(Status, Value)> {
    let hosts = hosts::parse(asked.text("hosts").unwrap_or_default())?;
    let at_once = match asked.flag("parallel") {
        true => hosts.len().min(MOST_AT_ONCE),
        false => 1,
    };
    let text: Rc<str> = command::text(&asked)?.into();
    let login = Rc::new(Login::new(&asked)?);
    let turns = Rc::new(Semaphore::new(at_once));
    let how = Rc::new(How {
        limit: login.limit(),
        asks_for_password: asked.flag("sudo") && asked.text("sudo_password").is_some(),
        known_hosts: asked.data.join(KNOWN_HOSTS),
    });
    let tasks: Vec<_> = hosts
        .into_iter()
        .map(|host| {
            let (text, login, turns) = (Rc::clone(&text), Rc::clone(&login), Rc::clone(&turns));
            let how = Rc::clone(&how);
            tokio::task::spawn_local(async move {
                let _turn = turns.acquire().await;
                let said = login.run(&host, &text).await;
                let done = of_host(&host, said, &how);
                (host, done)
            })
        })
        .collect();
    let mut all = Vec::new();
    for task in tasks {
        all.push(task.await?);
    }
    Ok(together(all))
}

/// What the ends of all hosts are read with.
#[derive(Debug)]
struct How {
    limit: Duration,
    asks_for_password: bool,
    known_hosts: PathBuf,
}

/// What came of one host.
#[derive(Debug)]
struct Done {
    result: Value,
    connected: bool,
    timed_out: bool,
}

fn of_host(host: &Host, said: anyhow::Result<Said>, how: &How) -> Done {
    let said = said.unwrap_or_else(|error| Said {
        stderr: format!("{error:#}"),
        ..Said::default()
    });
    let timed_out = said.connected && said.timed_out;
    let result = match fault(host, &said, how) {
        None => shell::shown(said.code, &said.stdout, &said.stderr),
        Some((code, error)) => {
            let mut result = shell::shown(code, &said.stdout, &said.stderr);
            result["timeout"] = json!(timed_out);
            result["error"] = json!(error);
            result["traceback"] = json!("");
            result
        }
    };
    Done {
        result,
        connected: said.connected,
        timed_out,
    }
}

/// What went wrong beside the command itself: StackStorm's codes, and words.
fn fault(host: &Host, said: &Said, how: &How) -> Option<(i32, String)> {
    match (said.connected, said.timed_out) {
        (true, true) => {
            let limit = how.limit.as_secs_f64();
            Some((-9, format!("Action failed to complete in {limit} seconds")))
        }
        (true, false) if how.asks_for_password => {
            shell::sudo_fault(&said.stderr).map(|error| (255, error))
        }
        (true, false) => None,
        (false, true) => {
            let why = "It did not answer in time";
            Some((
                255,
                format!("Failed connecting to host {}. {why}", host.name),
            ))
        }
        (false, false) => Some((255, unreached(host, said.stderr.trim(), &how.known_hosts))),
    }
}

/// Why a host was not reached, in `ssh`'s words and with what to do.
fn unreached(host: &Host, said: &str, known: &Path) -> String {
    let name = &host.name;
    if !said.contains("HOST IDENTIFICATION HAS CHANGED") {
        return format!("Failed connecting to host {name}. {said}");
    }
    // As ssh writes it there; it tells the file too where the key is another one's.
    let entry = host.port.filter(|port| *port != 22);
    let entry = entry.map_or_else(|| name.clone(), |port| format!("'[{name}]:{port}'"));
    let known = known.display();
    format!(
        "Failed connecting to host {name}. Its key is not the one that was remembered: somebody may \
         be in between, or it was installed anew; if you know that it was, remove the old key:  \
         ssh-keygen -R {entry} -f {known}\n{said}"
    )
}

/// The result of all; StackStorm's where not one was reached.
fn together(all: Vec<(Host, Done)>) -> (Status, Value) {
    let reached = all.iter().any(|(_, done)| done.connected);
    let of_all = |fits: fn(&Done) -> bool| all.iter().all(|(_, done)| fits(done));
    let ok = of_all(|done| done.result["succeeded"] == json!(true));
    let late = of_all(|done| done.timed_out);
    let mut results = Map::new();
    for (host, done) in all {
        // The same name twice, with two ports.
        let name = match (results.contains_key(&host.name), host.port) {
            (true, Some(port)) => format!("{}:{port}", host.name),
            _ => host.name,
        };
        results.insert(name, done.result);
    }
    match (reached, ok, late) {
        (false, ..) => (Status::Failed, none_reached(&results)),
        (true, true, _) => (Status::Succeeded, Value::Object(results)),
        (true, false, true) => (Status::Timeout, Value::Object(results)),
        (true, false, false) => (Status::Failed, Value::Object(results)),
    }
}

fn none_reached(results: &Map<String, Value>) -> Value {
    let hosts: Vec<_> = results.keys().map(|name| format!("'{name}'")).collect();
    let hosts = hosts.join(", ");
    let errors = results.values();
    let errors = errors.filter_map(|result| result["error"].as_str());
    let errors = errors.collect::<Vec<_>>().join("\n");
    let error = format!("Unable to connect to any one of the hosts: [{hosts}].\n\n{errors}");
    json!({"error": error, "traceback": ""})
}
