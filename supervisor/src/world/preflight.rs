//! Trying a changed sensor in a process of its own, before it takes the place of the running one:
//! its code is loaded, its class found; nothing of it is set up.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use serde_json::{Map, Value};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::time::timeout;

use super::World;
use super::sensor::exit;
use super::spawn::{self, Child, Order};
use crate::catalog::Sensor;
use crate::core::Input;
use crate::core::sensor::SensorIx;

/// Longest that code may take to be loaded.
const PATIENCE: Duration = Duration::from_secs(60);

/// Most of what it says that is read.
const SAID_BYTES: usize = 64 << 10;

/// Most lines of it that are told.
const TOLD_LINES: usize = 12;

impl World {
    /// Tries a sensor; the core hears of it by [`Input::Tried`].
    pub(super) fn preflight(
        &mut self,
        sensor: SensorIx,
        spec: Arc<Sensor>,
        config: Result<Arc<Map<String, Value>>, String>,
    ) {
        let begun = config.and_then(|config| {
            let child = self.begin_preflight(&spec, &config);
            child.map_err(|error| format!("{error:#}"))
        });
        let child = match begun {
            Ok(child) => child,
            Err(why) => {
                let fault = Some(why);
                return self.tell_core(Input::Tried {
                    sensor,
                    spec,
                    fault,
                });
            }
        };
        let inputs = self.inputs.clone();
        tokio::task::spawn_local(async move {
            let fault = end(child).await;
            let tried = Input::Tried {
                sensor,
                spec,
                fault,
            };
            // Nobody takes it only when the supervisor is at its own end.
            let _ = inputs.send(tried).await;
        });
    }

    fn begin_preflight(
        &mut self,
        spec: &Sensor,
        config: &Map<String, Value>,
    ) -> anyhow::Result<Child> {
        let catalog = Arc::clone(&self.catalog.borrow());
        let confined = self.confiner.confine_preflight(spec, &self.place)?;
        let mut args = self.sensor_args(&catalog, spec, &confined)?;
        args.check = true;
        let mut env = self.sensor_env(spec, 0, config)?;
        self.lend_config(spec, &confined)?;
        env.extend(confined.env);
        Ok(self.wrapper.spawn(Order {
            args: args.to_argv(),
            env,
            stdin: Stdio::null(),
            stdout: Stdio::null(),
            stderr: Stdio::piped(),
            watch_exec: false,
            watch_ready: false,
        })?)
    }
}

/// Why it cannot run; none where it can.
async fn end(child: Child) -> Option<String> {
    let group = child.pid;
    let (said, exit) = match watch(child).await {
        Ok(found) => found,
        Err(error) => return Some(format!("it could not be tried: {error}")),
    };
    match exit {
        Some(exit) if exit.code == Some(0) => None,
        Some(exit) if said.is_empty() => Some(format!("it ended with {}", exit.words())),
        Some(_) => Some(said),
        None => {
            // Its leader is a zombie at most: the number is still its own.
            let _ = kill_process_group(group, Signal::KILL);
            Some(format!("it was not loaded within {} s", PATIENCE.as_secs()))
        }
    }
}

/// What it said, and how it ended; no end where it took too long.
async fn watch(child: Child) -> std::io::Result<(String, Option<crate::core::record::Exit>)> {
    let pidfd = spawn::watched(child.pidfd)?;
    let mut said = Vec::new();
    if let Some(stderr) = child.stderr {
        let stderr = pipe::Receiver::from_owned_fd(stderr)?;
        let mut stderr = stderr.take(SAID_BYTES as u64);
        // What it had said until then is told all the same.
        let _ = timeout(PATIENCE, stderr.read_to_end(&mut said)).await;
    }
    let Ok(ended) = timeout(PATIENCE, pidfd.readable()).await else {
        return Ok((String::new(), None));
    };
    drop(ended?);
    let id = WaitId::PidFd(rustix::fd::AsFd::as_fd(pidfd.get_ref()));
    let _ = waitid(id, WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
    // Whatever it started while it was loaded ends with it.
    let _ = kill_process_group(child.pid, Signal::KILL);
    let id = WaitId::PidFd(rustix::fd::AsFd::as_fd(pidfd.get_ref()));
    let exit = exit(waitid(id, WaitIdOptions::EXITED));
    Ok((last_lines(&String::from_utf8_lossy(&said)), Some(exit)))
}

fn last_lines(text: &str) -> String {
    let lines: Vec<_> = text.trim().lines().collect();
    let from = lines.len().saturating_sub(TOLD_LINES);
    lines[from..].join("\n    | ")
}
