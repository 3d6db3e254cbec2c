//! All processes of a sensor: killed, and proven to be gone.
//!
//! What a sensor starts is in its process group until it leaves that (`setsid`). A control group
//! holds all of it, and so does a process namespace, whose end is the end of its first process.
//! Where there is neither, those who left are found by the marker in their environment: somebody
//! whose parent died is a child of one of our ancestors, so only those are looked at, and all of
//! `/proc` once one of them is ours.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use tokio::time::sleep;

use super::cgroup::Cgroup;
use super::procfs::{self, Process};

/// How long what was killed may take to be gone before people are told.
const PATIENCE: Duration = Duration::from_secs(1);

/// How the processes of a sensor are held together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Their group, and a sweep.
    Group,
    /// A process namespace.
    Pidns,
    /// A control group.
    Cgroup,
}

impl Level {
    /// The word that users write and see.
    pub fn word(self) -> &'static str {
        match self {
            Self::Group => "group",
            Self::Pidns => "pidns",
            Self::Cgroup => "cgroup",
        }
    }
}

/// The processes of one start of a sensor.
#[derive(Clone, Debug)]
pub struct Tree {
    /// The process group.
    pub group: Pid,
    /// What all of them carry in their environment.
    pub marker: String,
    /// They are in a process namespace.
    pub is_pidns: bool,
    /// The control group, where there is one.
    pub cgroup: Option<Cgroup>,
    /// It was moved there only after its start: what it made before that may be outside.
    pub joined_late: bool,
    /// Processes that the kernel ended for lack of memory before this start.
    pub oom_kills: u64,
}

impl Tree {
    /// SIGKILL to all. The leader must be unreaped: its number is the group's.
    pub fn kill(&self) {
        // A failure means that nobody is left, or that it may not be done: the proof tells.
        let _ = kill_process_group(self.group, Signal::KILL);
        self.kill_cgroup();
    }

    /// To kill nobody may take long: the kernel moves one process at a time.
    fn kill_cgroup(&self) {
        if let Some(cgroup) = self.cgroup.as_ref().filter(|cgroup| !cgroup.is_empty()) {
            let _ = cgroup.kill();
        }
    }

    /// Returns once nobody is left; kills again whoever is, and tells once if that does not help.
    pub async fn until_gone(&self, mut tell: impl AsyncFnMut(String)) {
        let started = super::clock::now().mono;
        let (mut wait, mut told) = (Duration::from_micros(200), false);
        loop {
            let left = self.left();
            if left.is_empty() {
                break;
            }
            self.kill_cgroup();
            left.iter().for_each(Process::kill);
            if !told && super::clock::now().mono.saturating_sub(started) > PATIENCE {
                told = true;
                tell(words(&left)).await;
            }
            sleep(wait).await;
            wait = (wait * 2).min(PATIENCE);
        }
        if let Some(cgroup) = &self.cgroup {
            cgroup.remove();
        }
    }

    /// Processes that the kernel ended for lack of memory during this start.
    pub fn oom_kills(&self) -> u64 {
        let now = self.cgroup.as_ref().map_or(0, Cgroup::oom_kills);
        now.saturating_sub(self.oom_kills)
    }

    fn left(&self) -> Vec<Process> {
        let mut left = Vec::new();
        // Nobody may be signalled is somebody, too.
        if test_kill_process_group(self.group) != Err(rustix::io::Errno::SRCH) {
            left.extend(procfs::members(self.group));
        }
        match &self.cgroup {
            Some(cgroup) if cgroup.is_empty() => {}
            Some(cgroup) => left.extend(procfs::named_in(&cgroup.folder.join("cgroup.procs"))),
            None => {}
        }
        if self.cgroup.is_none() || self.joined_late {
            left.extend(procfs::strays(&self.marker));
        }
        left
    }
}

/// Who is left, and what to do about it.
fn words(left: &[Process]) -> String {
    let own = rustix::process::getuid().as_raw();
    let shown: Vec<String> = left.iter().take(5).map(Process::words).collect();
    let pids: Vec<String> = left.iter().map(|one| one.pid.to_string()).collect();
    let foreign = left.iter().any(|one| one.uid != own) && own != 0;
    let why = match foreign {
        true => "they belong to another user, whom we may not signal",
        false => "the kernel does not end them",
    };
    let mut text = format!("SIGKILL does not end {}: {why}", shown.join(", "));
    if foreign {
        text.push_str(&format!("; end them with: sudo kill -9 {}", pids.join(" ")));
    }
    text.push_str("; nothing new is started before they are gone");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_left_is_told_with_what_to_do() {
        let uid = rustix::process::getuid().as_raw();
        let process = Process::of(1, None);
        let text = words(&process.into_iter().collect::<Vec<_>>());
        assert!(text.contains(" 1 ("), "{text}");
        assert_eq!(text.contains("sudo kill -9 1"), uid != 0, "{text}");
    }
}
