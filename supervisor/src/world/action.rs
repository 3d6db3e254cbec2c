//! One child of an action: the wrapper that stays as its parent, and the folder in which it leaves
//! what is known of the execution.
//!
//! The folder outlives the supervisor: `started` before the program begins, `stdout` and `stderr`
//! as it writes them, `result.json` from a Python action, `exit.json` after its end.

use std::cell::Cell;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use rustix::process::{Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid};
use sensor_wrapper::action::{EXIT, Exit, STARTED};
use serde_json::{Map, Value};
use tokio::io::unix::AsyncFd;
use tokio::net::unix::pipe;
use tokio::sync::mpsc::Sender;

use super::handover::{Bundle, HandedAction, Received};
use super::procfs;
use super::runners::{self, Ending, Plan};
use super::spawn::{self, Order, Wrapper};
use super::stdin::Stdin;
use crate::catalog::Runner;
use crate::core::Input;
use crate::core::effect::RunOrder;
use crate::core::handover::Bytes;
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
    stdin: Rc<Stdin>,
    open_stdin: Weak<pipe::Sender>,
    parameters: Arc<Map<String, Value>>,
}

/// What an outcome is made of, beside what its wrapper left.
struct Known {
    execution: u64,
    runner: Runner,
    parameters: Arc<Map<String, Value>>,
}

impl Handle {
    /// Starts the wrapper of an action; `warm` is the socket of a Python that is ready.
    ///
    /// # Errors
    /// When its folder cannot be made, or the wrapper cannot be started.
    pub fn start(
        wrapper: &Wrapper,
        data: &Path,
        order: RunOrder,
        plan: Plan,
        warm: Option<PathBuf>,
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
            args: runners::wrapper_args(&plan, &folder, warm),
            env: plan.env,
            stdin,
            stdout: Stdio::null(),
            stderr: log.into(),
            watch_exec: false,
            watch_ready: false,
        })?;
        let text = plan.stdin.unwrap_or_default().into_bytes();
        let known = Known {
            execution: order.execution.seq,
            runner: order.action.runner,
            parameters: Arc::new(order.parameters),
        };
        Self::watching(child.pidfd, child.stdin.take(), text, known, folder, inputs)
    }

    fn watching(
        pidfd: OwnedFd,
        stdin: Option<OwnedFd>,
        text: Vec<u8>,
        known: Known,
        folder: PathBuf,
        inputs: Sender<Input>,
    ) -> io::Result<Self> {
        let pipe = stdin.map(pipe::Sender::from_owned_fd).transpose()?;
        let stdin = Rc::new(Stdin::resume(text, true, pipe.is_none()));
        let mut open_stdin = Weak::new();
        if let Some(pipe) = pipe.map(Rc::new) {
            open_stdin = Rc::downgrade(&pipe);
            let stdin = Rc::clone(&stdin);
            // An action that does not read its parameters fails by itself.
            tokio::task::spawn_local(async move { stdin.write(pipe).await });
        }
        let parameters = Arc::clone(&known.parameters);
        let pidfd = Rc::new(spawn::watched(pidfd)?);
        let over = Rc::new(Cell::new(false));
        let watched = (Rc::clone(&pidfd), Rc::clone(&over));
        tokio::task::spawn_local(async move {
            wait(&watched.0).await;
            watched.1.set(true);
            report(known, folder, inputs).await;
        });
        Ok(Self {
            pidfd,
            over,
            stdin,
            open_stdin,
            parameters,
        })
    }

    /// All of it, for the next supervisor. One that is over and not recorded is seen to end once
    /// more.
    pub fn hand_over(&self, execution: u64, bundle: &mut Bundle) -> HandedAction {
        HandedAction {
            execution,
            pidfd: bundle.add(Rc::clone(&self.pidfd) as Rc<dyn AsFd>),
            stdin: bundle.add_open(&self.open_stdin),
            unfed: Bytes(self.stdin.rest()),
            parameters: Map::clone(&self.parameters),
        }
    }

    /// Takes charge of one that was handed over.
    ///
    /// # Errors
    /// When it cannot be watched.
    pub fn resume(
        handed: HandedAction,
        received: &mut Received,
        runner: Runner,
        data: &Path,
        inputs: Sender<Input>,
    ) -> io::Result<Self> {
        let folder = folder(data, handed.execution);
        let pidfd = received.take(handed.pidfd);
        let pidfd = pidfd.ok_or(io::ErrorKind::InvalidData)?;
        let stdin = handed.stdin.and_then(|place| received.take(place));
        let known = Known {
            execution: handed.execution,
            runner,
            parameters: Arc::new(handed.parameters),
        };
        Self::watching(pidfd, stdin, handed.unfed.0, known, folder, inputs)
    }

    /// Asks the wrapper to end its program: by SIGTERM and, after its grace, SIGKILL; or at once.
    pub fn stop(&self, now: bool) {
        if self.over.get() {
            return;
        }
        let signal = if now { Signal::QUIT } else { Signal::TERM };
        // It may be gone already; then its end is reported by its watcher.
        let _ = pidfd_send_signal(self.pidfd.get_ref(), signal);
    }
}

async fn wait(pidfd: &AsyncFd<OwnedFd>) {
    if let Err(error) = pidfd.readable().await {
        tracing::error!("an action's end cannot be watched: {error}");
    }
    let id = WaitId::PidFd(pidfd.get_ref().as_fd());
    let _ = waitid(id, WaitIdOptions::EXITED);
}

async fn report(known: Known, folder: PathBuf, inputs: Sender<Input>) {
    let execution = known.execution;
    let read = move || outcome(&known, &folder);
    let outcome = tokio::task::spawn_blocking(read).await;
    let outcome = outcome.unwrap_or_else(|fault| {
        let now = super::clock::now().wall;
        crate::core::executions::failed(format!("its result could not be read: {fault}"), now)
    });
    let ended = Input::ActionEnded { execution, outcome };
    let _ = inputs.send(ended).await;
}

fn outcome(known: &Known, folder: &Path) -> Outcome {
    let now = super::clock::now().wall;
    match read(folder) {
        Some(ending) => runners::outcome(known.runner, &known.parameters, &ending),
        None => {
            let log = fs::read_to_string(folder.join("wrapper.log")).unwrap_or_default();
            let why = match log.trim() {
                "" => "its wrapper was killed: it may have run",
                log => log,
            };
            if let Some(data) = folder.ancestors().nth(2) {
                procfs::end_execution(data, known.execution);
            }
            runners::lost(why, now)
        }
    }
}

/// What a wrapper left of an execution, if it wrote down the end.
pub fn read(folder: &Path) -> Option<Ending> {
    let text = fs::read(folder.join(EXIT)).ok()?;
    let exit: Exit = serde_json::from_slice(&text).ok()?;
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
    folder.join(STARTED).exists()
}

/// Removes the folder of an execution; a failure only leaves rubbish, which the next start removes.
pub fn remove(folder: &Path) {
    if let Err(error) = fs::remove_dir_all(folder)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!("failed to remove {}: {error}", folder.display());
    }
}
