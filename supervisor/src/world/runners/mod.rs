//! Runners: from an action and its parameters to a command, and from its end to a result in
//! StackStorm's shape. One file each; nothing here touches the outside.

mod announcement;
mod child;
pub mod http;
mod noop;
mod python;
pub mod remote;
mod script;
mod shell;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::environments::Environments;
use sensor_wrapper::args::ActionArgs;
use serde_json::{Map, Value, json};

use crate::catalog::Runner;
use crate::core::clock::Wall;
use crate::core::effect::RunOrder;
use crate::core::record::{Outcome, Status};
use sensor_wrapper::action::Exit;

/// What runners need to know of the place they run in.
#[derive(Clone, Debug)]
pub struct Place {
    /// Environments of packs, with interpreters of their own.
    pub environments: Environments,
    /// The interpreter of packs that have none of their own.
    pub python: PathBuf,
    /// Our own program.
    pub petrel: PathBuf,
    /// The unpacked SDK.
    pub sdk: PathBuf,
    /// The control socket.
    pub socket: PathBuf,
    /// The data folder.
    pub data: PathBuf,
    /// A private folder in memory.
    pub memory: PathBuf,
    /// Folders of packs.
    pub packs: Vec<PathBuf>,
}

/// A command to run.
#[derive(Debug)]
pub struct Plan {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Its folder; the supervisor's when not given.
    pub cwd: Option<PathBuf>,
    /// Added to the environment.
    pub env: Vec<(String, String)>,
    /// All of its standard input; none is `/dev/null`.
    pub stdin: Option<String>,
}

/// What an execution came to.
#[derive(Debug)]
pub enum Planned {
    /// A command.
    Command(Plan),
    /// It is over already.
    Done(Outcome),
}

/// How a program ended, and what it wrote.
#[derive(Debug)]
pub struct Ending {
    /// `exit.json`.
    pub exit: Exit,
    /// What it printed, bounded.
    pub stdout: String,
    /// What it logged, bounded.
    pub stderr: String,
    /// What a Python action returned: `{"status", "result"}`.
    pub result: Option<Value>,
}

/// The command of an execution.
///
/// # Errors
/// What is wrong with the parameters.
pub fn plan(order: &RunOrder, place: &Place, now: Wall) -> Result<Planned, String> {
    match order.action.runner {
        Runner::PythonScript => python::plan(order, place).map(Planned::Command),
        Runner::LocalShellCmd => shell::plan(order, place).map(Planned::Command),
        Runner::LocalShellScript => script::plan(order, place).map(Planned::Command),
        Runner::HttpRequest => Ok(Planned::Command(http::plan(order, place))),
        Runner::RemoteShellCmd | Runner::RemoteShellScript => {
            remote::plan(order, place).map(Planned::Command)
        }
        Runner::Announcement => announcement::outcome(order, now).map(Planned::Done),
        Runner::Noop => Ok(Planned::Done(noop::outcome(now))),
        Runner::ActionChain => Err("a chain is no program".to_owned()),
    }
}

/// The result of a program that ended.
pub fn outcome(runner: Runner, parameters: &Map<String, Value>, ending: &Ending) -> Outcome {
    let exit = &ending.exit;
    let (started, ended) = (
        Wall::from_seconds(exit.started),
        Wall::from_seconds(exit.ended),
    );
    if let Some(error) = &exit.error {
        let why = format!("failed to start it: {error}");
        return Outcome {
            started: Some(started),
            ..crate::core::executions::failed(why, ended)
        };
    }
    let (status, result) = match runner {
        Runner::PythonScript => python::result(ending),
        Runner::LocalShellCmd | Runner::LocalShellScript => shell::result(parameters, ending),
        _ => child::result(ending),
    };
    let status = match exit.stopped {
        true => Status::Abandoned,
        false => status,
    };
    Outcome {
        status,
        result,
        started: Some(started),
        ended,
    }
}

/// The outcome of an execution whose wrapper did not write down its end.
pub fn lost(why: &str, now: Wall) -> Outcome {
    Outcome {
        status: Status::Abandoned,
        result: json!({"error": why}),
        started: None,
        ended: now,
    }
}

/// The wrapper's arguments for a command; `warm` is the socket of a Python that is ready.
pub fn wrapper_args(plan: &Plan, folder: &Path, warm: Option<PathBuf>) -> Vec<OsString> {
    let own_pid = i32::try_from(std::process::id()).unwrap_or_default();
    let mut args = ActionArgs::new(folder, own_pid, &plan.program);
    args.nofile = crate::world::descriptors::before();
    args.warm = warm;
    args.cwd.clone_from(&plan.cwd);
    args.args.clone_from(&plan.args);
    args.to_argv()
}

/// What every action finds in its environment.
fn environment(order: &RunOrder, place: &Place) -> BTreeMap<String, String> {
    let id = order.execution.id();
    let marker = super::procfs::marker(&place.data, super::procfs::Marked::Action, &id);
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let folder = super::action::folder(&place.data, order.execution.seq);
    let packs: Vec<String> = place.packs.iter().map(|dir| text(dir)).collect();
    [
        (super::procfs::MARKER, marker),
        ("PETREL_EXECUTION_ID", id.clone()),
        (
            "PETREL_ATTEMPT",
            order.execution.cause.attempt().to_string(),
        ),
        ("PETREL_IDEMPOTENCY_KEY", order.execution.idempotency_key()),
        // So that petrel itself works within an action.
        ("PETREL_DATA", text(&place.data)),
        ("PETREL_PACKS", packs.join(":")),
        ("PETREL_SOCKET", text(&place.socket)),
        (
            "PETREL_RESULT_FILE",
            text(&folder.join(super::action::RESULT)),
        ),
        ("ST2_ACTION_PACK_NAME", order.action.pack.clone()),
        ("ST2_ACTION_EXECUTION_ID", id),
        ("ST2_ACTION_DEBUG", "False".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

/// The `env` parameter, added to the environment as text; what every action finds there stays.
///
/// # Errors
/// When it is not an object of texts.
fn add_given(
    environment: &mut BTreeMap<String, String>,
    parameters: &Map<String, Value>,
) -> Result<(), String> {
    let given = match parameters.get("env") {
        None | Some(Value::Null) => return Ok(()),
        Some(Value::Object(given)) => given,
        Some(other) => return Err(format!("env must be an object, and is {other}")),
    };
    for (name, value) in given {
        let text = crate::core::datastore::stored_text(value);
        environment.entry(name.clone()).or_insert(text);
    }
    Ok(())
}
