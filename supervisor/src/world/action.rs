//! One child of an action: the wrapper that stays as its parent, and the folder in which it leaves
//! what is known of the execution.
//!
//! The folder outlives the supervisor: `started` before the program begins, `stdout` and `stderr`
//! as it writes them, `result.json` from a Python action, `exit.json` after its end.

use std::cell::Cell;
use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::rc::Rc;

use rustix::process::{Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid};
use serde::Deserialize;
use tokio::io::AsyncWriteExt;
use tokio::io::unix::AsyncFd;
use tokio::net::unix::pipe;
use tokio::sync::mpsc::Sender;

use super::runners::{self, Ending, Plan};
use super::spawn::{self, Order, Wrapper};
use crate::core::Input;
use crate::core::effect::RunOrder;
use crate::core::record::Outcome;

/// Where executions have their folders, in the data folder.
pub const FOLDER: &str = "executions";

/// The folder of one execution.
pub fn folder(data: &Path, execution: u64) -> PathBuf {
    data.join(FOLDER).join(execution.to_string())
}

/// The handle of a running action.
#[derive(Debug)]
pub struct Handle {
    pidfd: Rc<AsyncFd<OwnedFd>>,
    over: Rc<Cell<bool>>,
}

impl Handle {
    /// Starts the wrapper of an action.
    ///
    /// # Errors
    /// When its folder cannot be made, or the wrapper cannot be started.
    pub fn start(
        wrapper: &Wrapper,
        data: &Path,
        order: RunOrder,
        plan: Plan,
        inputs: Sender<Input>,
    ) -> io::Result<Self> {
        let folder = folder(data, order.execution.seq);
        // Left by an execution that never began, in an earlier life of this data folder.
        remove(&folder);
        fs::create_dir_all(&folder)?;
        let log = File::create(folder.join("wrapper.log"))?;
        let stdin = match plan.stdin {
            Some(_) => Stdio::piped(),
            None => Stdio::null(),
        };
        let mut child = wrapper.spawn(Order {
            args: runners::wrapper_args(&plan, &folder),
            env: plan.env,
            stdin,
            stdout: Stdio::null(),
            stderr: log.into(),
            watch_exec: false,
        })?;
        if let (Some(stdin), Some(text)) = (child.stdin.take(), plan.stdin) {
            let stdin = pipe::Sender::from_owned_fd(stdin)?;
            tokio::task::spawn_local(feed(stdin, text));
        }
        let pidfd = Rc::new(spawn::watched(child.pidfd)?);
        let over = Rc::new(Cell::new(false));
        let watched = (Rc::clone(&pidfd), Rc::clone(&over));
        tokio::task::spawn_local(async move {
            wait(&watched.0).await;
            watched.1.set(true);
            report(order, folder, inputs).await;
        });
        Ok(Self { pidfd, over })
    }

    /// Asks the wrapper to end its program: it sends SIGTERM, and SIGKILL after the grace; asked a
    /// second time, SIGKILL at once.
    pub fn stop(&self, now: bool) {
        if self.over.get() {
            return;
        }
        let times = if now { 2 } else { 1 };
        for _ in 0..times {
            // It may be gone already; then its end is reported by its watcher.
            let _ = pidfd_send_signal(self.pidfd.get_ref(), Signal::TERM);
        }
    }
}

async fn feed(mut stdin: pipe::Sender, text: String) {
    // An action that does not read its parameters fails by itself.
    let _ = stdin.write_all(text.as_bytes()).await;
}

async fn wait(pidfd: &AsyncFd<OwnedFd>) {
    if let Err(error) = pidfd.readable().await {
        tracing::error!("an action's end cannot be watched: {error}");
    }
    let id = WaitId::PidFd(rustix::fd::AsFd::as_fd(pidfd.get_ref()));
    let _ = waitid(id, WaitIdOptions::EXITED);
}

async fn report(order: RunOrder, folder: PathBuf, inputs: Sender<Input>) {
    let execution = order.execution.seq;
    let read = move || outcome(&order, &folder);
    let outcome = tokio::task::spawn_blocking(read).await;
    let outcome = outcome.unwrap_or_else(|fault| {
        let now = super::clock::now().wall;
        crate::core::executions::failed(format!("its result could not be read: {fault}"), now)
    });
    let ended = Input::ActionEnded { execution, outcome };
    let _ = inputs.send(ended).await;
}

fn outcome(order: &RunOrder, folder: &Path) -> Outcome {
    let now = super::clock::now().wall;
    let runner = order.action.runner;
    match read(folder) {
        Some(ending) => runners::outcome(runner, &ending),
        None => {
            let log = fs::read_to_string(folder.join("wrapper.log")).unwrap_or_default();
            let why = match log.trim() {
                "" => "its wrapper was killed: it may have run",
                log => log,
            };
            runners::lost(why, now)
        }
    }
}

/// What a wrapper left of an execution, if it wrote down the end.
pub fn read(folder: &Path) -> Option<Ending> {
    let text = fs::read(folder.join("exit.json")).ok()?;
    let exit: ExitFile = serde_json::from_slice(&text).ok()?;
    let output = |name| {
        let bytes = fs::read(folder.join(name)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let result = fs::read(folder.join(RESULT))
        .ok()
        .and_then(|text| serde_json::from_slice(&text).ok());
    Some(Ending {
        stdout: output("stdout"),
        stderr: output("stderr"),
        result,
        exit,
    })
}

/// The file that a Python action's host writes.
pub const RESULT: &str = "result.json";

/// Whether the wrapper began the program.
pub fn began(folder: &Path) -> bool {
    folder.join("started").exists()
}

/// Removes the folder of an execution; a failure only leaves rubbish, which the next start removes.
pub fn remove(folder: &Path) {
    if let Err(error) = fs::remove_dir_all(folder)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!("failed to remove {}: {error}", folder.display());
    }
}

/// `exit.json`.
#[derive(Clone, Debug, Deserialize)]
pub struct ExitFile {
    /// Exit code.
    pub code: Option<i32>,
    /// Signal.
    pub signal: Option<i32>,
    /// Seconds since 1970.
    pub started: f64,
    /// Seconds since 1970.
    pub ended: f64,
    /// It was told to stop.
    pub stopped: bool,
    /// The supervisor ended under it.
    pub orphaned: bool,
    /// The program could not be started.
    pub error: Option<StartError>,
}

/// Why a program could not be started.
#[derive(Clone, Debug, Deserialize)]
pub struct StartError {
    /// What failed.
    pub step: String,
    /// On what.
    pub target: String,
    /// The system's error number.
    pub errno: i32,
    /// What to do.
    pub hint: Option<String>,
}
