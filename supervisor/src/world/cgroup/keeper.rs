//! The thread that moves processes into control groups and removes groups.
//!
//! To move a process takes the kernel some milliseconds, in which it lets nobody else make, kill or
//! remove a group: a sensor that is to be at work at once does not wait for that, and neither does
//! the loop.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::Pid;
use tokio::sync::oneshot;

use super::remove_tree;
use crate::world::{procfs, signals};

/// Groups are removed when there has been nothing else to do for so long: a removal takes a processor
/// for a millisecond, just when the next start needs it.
const QUIET: Duration = Duration::from_millis(200);

/// Most groups that wait for that.
const MOST_OVER: usize = 100;

/// What there is to do.
#[derive(Debug)]
enum Job {
    /// Make the group and move a process into it. The process must not be reaped before `done` is
    /// told: its number would be another's. The answer says whether all that it ever makes is in
    /// the group.
    Join {
        folder: PathBuf,
        pid: Pid,
        done: oneshot::Sender<bool>,
    },
    /// Remove a group that is empty.
    Remove(PathBuf),
}

/// The way to the thread, which ends with the last one of them.
#[derive(Clone, Debug)]
pub struct Keeper(Sender<Job>);

impl Keeper {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system refuses another thread.
    pub fn start() -> io::Result<Self> {
        let (jobs, waiting) = channel();
        std::thread::Builder::new()
            .name("cgroups".into())
            .spawn(move || {
                signals::defer();
                work(&waiting);
            })?;
        Ok(Self(jobs))
    }

    /// Has a group made and a process moved into it. Whoever reaps the process waits for the answer,
    /// which also comes, as an error, where nobody is there to do it.
    pub fn join(&self, folder: PathBuf, pid: Pid) -> oneshot::Receiver<bool> {
        let (done, is_done) = oneshot::channel();
        let _ = self.0.send(Job::Join { folder, pid, done });
        is_done
    }

    /// Has a group removed.
    pub fn remove(&self, folder: PathBuf) {
        let _ = self.0.send(Job::Remove(folder));
    }
}

fn work(waiting: &Receiver<Job>) {
    let mut over: Vec<PathBuf> = Vec::new();
    loop {
        let job = match over.len() {
            0 => waiting.recv().map_err(|_| RecvTimeoutError::Disconnected),
            MOST_OVER.. => Err(RecvTimeoutError::Timeout),
            _ => waiting.recv_timeout(QUIET),
        };
        match job {
            Ok(Job::Join { folder, pid, done }) => {
                // Its watcher may be gone.
                let _ = done.send(joined(&folder, pid));
            }
            Ok(Job::Remove(folder)) => over.push(folder),
            Err(error) => {
                over.drain(..).for_each(|folder| remove_tree(&folder));
                if error == RecvTimeoutError::Disconnected {
                    return;
                }
            }
        }
    }
}

/// Moves a process; true when it has made no other before.
fn joined(folder: &Path, pid: Pid) -> bool {
    match join(folder, pid) {
        Ok(()) => procfs::made_nobody(pid),
        Err(error) if error.raw_os_error() == Some(Errno::SRCH.raw_os_error()) => false,
        Err(error) => {
            let folder = folder.display();
            tracing::warn!(
                "process {pid} is not in {folder}: {error}; its group and its marker hold it \
                 together"
            );
            false
        }
    }
}

fn join(folder: &Path, pid: Pid) -> io::Result<()> {
    match fs::create_dir(folder) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
        _ => {}
    }
    let number = pid.as_raw_nonzero().to_string();
    fs::write(folder.join("cgroup.procs"), number)
}
