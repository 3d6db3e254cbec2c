//! Pythons that are ready, one for each interpreter that actions run on: an action is a fork of it
//! (`petrel_sdk/warm_host.py`), and pays neither for Python's start nor for its imports.
//!
//! Only the wrapper of an execution talks to one. Where none is ready, or none can be, the wrapper
//! starts Python by itself, as it would without all this.

use std::cell::Cell;
use std::collections::{HashMap, VecDeque};
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::rc::Rc;
use std::time::Duration;

use rustix::process::{Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid};
use sensor_wrapper::args::ExecArgs;
use sensor_wrapper::sandbox::Sandbox;
use tokio::io::unix::AsyncFd;

use super::runners::Place;
use super::spawn::{self, Order, Wrapper};
use super::{clock, stream};
use crate::core::notice::{Level, Notice};

/// The exit code of a Python that cannot be forked; its standard error says why.
const UNFIT: i32 = 3;

/// So many deaths within this time, and its actions are started cold from then on.
const MOST_DEATHS: usize = 3;
const WITHIN: Duration = Duration::from_secs(60);

/// What is kept of each interpreter.
#[derive(Debug, Default)]
pub struct Hosts {
    kept: HashMap<PathBuf, Kept>,
    number: u32,
}

#[derive(Debug, Default)]
struct Kept {
    host: Option<Host>,
    deaths: VecDeque<Duration>,
    given_up: bool,
}

/// One process.
#[derive(Debug)]
struct Host {
    socket: PathBuf,
    log: PathBuf,
    pidfd: Rc<AsyncFd<OwnedFd>>,
    /// How it ended: its exit code, or none for a signal.
    ended: Rc<Cell<Option<Option<i32>>>>,
    /// It was there to be asked.
    was_ready: bool,
}

impl Hosts {
    /// Where a Python of this interpreter can be asked for a fork. Where there is none, one is
    /// started for the next ones.
    pub fn socket(&mut self, python: &Path, wrapper: &Wrapper, place: &Place) -> Option<PathBuf> {
        let kept = self.kept.entry(python.to_owned()).or_default();
        kept.look(python);
        if kept.given_up {
            return None;
        }
        if let Some(host) = &mut kept.host {
            let ready = host.socket.exists();
            host.was_ready |= ready;
            // One that was ready and is not any more takes no more, and ends by itself.
            if ready || !host.was_ready {
                return ready.then(|| host.socket.clone());
            }
        }
        self.number += 1;
        match Host::start(python, wrapper, place, self.number) {
            Ok(host) => kept.host = Some(host),
            Err(error) => kept.give_up(python, &error.to_string()),
        }
        None
    }

    /// They take no more, and end once their forks are over.
    pub fn retire(&mut self) {
        for host in self.kept.values().filter_map(|kept| kept.host.as_ref()) {
            host.signal(Signal::TERM);
        }
        // What could not be before may be now.
        self.kept.clear();
    }

    /// All of them, at once.
    pub fn kill(&self) {
        for host in self.kept.values().filter_map(|kept| kept.host.as_ref()) {
            host.signal(Signal::KILL);
        }
    }

    /// None is left that was not reaped.
    pub fn are_gone(&self) -> bool {
        let mut hosts = self.kept.values().filter_map(|kept| kept.host.as_ref());
        hosts.all(|host| host.ended.get().is_some())
    }
}

impl Kept {
    /// Sees whether it ended, and how.
    fn look(&mut self, python: &Path) {
        let ended = self.host.as_ref().and_then(|host| host.ended.get());
        let Some((host, code)) = ended.and_then(|code| Some((self.host.take()?, code))) else {
            return;
        };
        let _ = fs::remove_file(&host.socket);
        match code {
            Some(0) => {}
            Some(UNFIT) => {
                let why = fs::read_to_string(&host.log).unwrap_or_default();
                self.give_up(python, why.trim());
            }
            _ => self.died(python),
        }
    }

    fn died(&mut self, python: &Path) {
        let now = clock::now().mono;
        self.deaths.push_back(now);
        self.deaths.retain(|at| now.saturating_sub(*at) < WITHIN);
        if self.deaths.len() >= MOST_DEATHS {
            self.give_up(python, "it died again and again");
        }
    }

    fn give_up(&mut self, python: &Path, why: &str) {
        self.given_up = true;
        let text = format!(
            "{}: no Python can be kept ready: {why}; each action starts one of its own",
            python.display()
        );
        stream::show(&Notice::new(Level::Warning, "action.cold", "", text));
    }
}

impl Host {
    fn start(python: &Path, wrapper: &Wrapper, place: &Place, number: u32) -> io::Result<Self> {
        let socket = place.socket.with_extension(format!("{number}.py"));
        let log = place.data.join("python.log");
        let script = place.sdk.join("python_warm_host.py");
        let args = ExecArgs {
            supervisor_pid: i32::try_from(std::process::id()).unwrap_or_default(),
            report: None,
            cwd: None,
            sandbox: Sandbox::default(),
            exec_fd: None,
            ready_fd: None,
            program: python.into(),
            args: vec!["-u".into(), script.into(), socket.clone().into()],
        };
        let child = wrapper.spawn(Order {
            args: args.to_argv(),
            env: Vec::new(),
            stdin: Stdio::null(),
            stdout: Stdio::null(),
            stderr: File::create(&log)?.into(),
            watch_exec: false,
            watch_ready: false,
        })?;
        let pidfd = Rc::new(spawn::watched(child.pidfd)?);
        let ended = Rc::new(Cell::new(None));
        let (watched, told) = (Rc::clone(&pidfd), Rc::clone(&ended));
        tokio::task::spawn_local(async move { told.set(Some(wait(&watched).await)) });
        Ok(Self {
            socket,
            log,
            pidfd,
            ended,
            was_ready: false,
        })
    }

    fn signal(&self, signal: Signal) {
        if self.ended.get().is_none() {
            // It may be gone already.
            let _ = pidfd_send_signal(self.pidfd.get_ref(), signal);
        }
    }
}

/// Its exit code, once it is reaped.
async fn wait(pidfd: &AsyncFd<OwnedFd>) -> Option<i32> {
    if let Err(error) = pidfd.readable().await {
        tracing::error!("the end of a Python cannot be watched: {error}");
    }
    let id = WaitId::PidFd(pidfd.get_ref().as_fd());
    let status = waitid(id, WaitIdOptions::EXITED).ok().flatten();
    status.and_then(|status| status.exit_status())
}
