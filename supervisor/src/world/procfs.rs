//! Processes that an earlier supervisor of the same data folder left behind.
//!
//! Every child carries [`MARKER`] in its environment, with the data folder in it, and so do its
//! own children: what was started for this folder is found even if it left its group.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use crate::core::ids;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// Name of the variable; its value is `<data folder's hash>/<kind>/<name>`.
pub const MARKER: &str = "PETREL_MARKER";

/// Most times that what is left of an execution is killed.
const ENDINGS: u32 = 200;

/// Between two of them.
const BETWEEN_ENDINGS: Duration = Duration::from_millis(5);

/// What a marked process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marked {
    /// A sensor, or something that it started.
    Sensor,
    /// The wrapper of an action, or something below it.
    Action,
}

/// The value of [`MARKER`] for a child.
pub fn marker(data: &Path, kind: Marked, name: &str) -> String {
    let kind = match kind {
        Marked::Sensor => "sensor",
        Marked::Action => "action",
    };
    format!("{}/{kind}/{name}", folder_hash(data))
}

fn folder_hash(data: &Path) -> String {
    let hash = blake3::hash(data.as_os_str().as_encoded_bytes());
    hash.to_hex()[..16].to_owned()
}

/// The marked processes of this data folder, each by a descriptor that is sure to name it.
pub fn find(data: &Path) -> Vec<(Marked, OwnedFd)> {
    let hash = folder_hash(data);
    all()
        .filter_map(|pid| {
            // The descriptor first: what is read afterwards is of the same process.
            let fd = pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()?;
            let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
            Some((marked(&environment, &hash)?, fd))
        })
        .collect()
}

/// Ends what is left of an execution whose wrapper was killed: its program went with it, what that had
/// started did not. Returns once nobody is left, or cannot be ended.
pub fn end_execution(data: &Path, execution: u64) {
    let begins = format!("{}/action/", folder_hash(data));
    let ends = ids::ending(ids::Kind::Execution, execution);
    let is_its = |pid: &i32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        marker_in(&environment).is_some_and(|marker| {
            marker.starts_with(begins.as_bytes()) && marker.ends_with(ends.as_bytes())
        })
    };
    for _ in 0..ENDINGS {
        let left: Vec<_> = all()
            .filter(is_its)
            .filter_map(|pid| Process::of(pid, None))
            .collect();
        if left.is_empty() {
            return;
        }
        left.iter().for_each(Process::kill);
        std::thread::sleep(BETWEEN_ENDINGS);
    }
}

fn marked(environment: &[u8], hash: &str) -> Option<Marked> {
    let value = marker_in(environment)?;
    let rest = value.strip_prefix(hash.as_bytes())?.strip_prefix(b"/")?;
    match rest.split(|byte| *byte == b'/').next()? {
        b"sensor" => Some(Marked::Sensor),
        b"action" => Some(Marked::Action),
        _ => None,
    }
}

/// A process that is left over.
#[derive(Debug)]
pub struct Process {
    /// Its number.
    pub pid: i32,
    /// Whose it is.
    pub uid: u32,
    name: String,
    fd: OwnedFd,
}

impl Process {
    /// One that is alive; with a group, only if it is in that. Dead ones that their parent has not
    /// reaped yet do not count: an orphan's is process 1, which may take its time.
    pub fn of(pid: i32, group: Option<Pid>) -> Option<Self> {
        // The descriptor first: what is read afterwards is of the same process.
        let fd = pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()?;
        let folder = format!("/proc/{pid}");
        let uid = std::os::unix::fs::MetadataExt::uid(&fs::metadata(&folder).ok()?);
        let stat = fs::read_to_string(format!("{folder}/stat")).ok()?;
        let name = live_name(&stat, group)?.to_owned();
        Some(Self { pid, uid, name, fd })
    }

    /// Ends it; it may be gone already.
    pub fn kill(&self) {
        kill(&self.fd);
    }

    /// Number, program, user.
    pub fn words(&self) -> String {
        format!("{} ({}, user {})", self.pid, self.name, self.uid)
    }
}

/// The living members of a group.
pub fn members(group: Pid) -> Vec<Process> {
    all()
        .filter_map(|pid| Process::of(pid, Some(group)))
        .collect()
}

/// The living processes that a file of a control group names.
pub fn named_in(file: &Path) -> Vec<Process> {
    let text = fs::read_to_string(file).unwrap_or_default();
    let pids = text.lines().filter_map(|line| line.parse().ok());
    pids.filter_map(|pid| Process::of(pid, None)).collect()
}

/// Living processes with this marker whose parents are gone, and then all with this marker. Nobody
/// of them is to be alive: this is cheap as long as that is so.
pub fn strays(marker: &str) -> Vec<Process> {
    let is_ours = |pid: &i32| has_marker(*pid, marker);
    let suspects = children_of_ancestors();
    match suspects.is_none_or(|pids| pids.iter().any(is_ours)) {
        false => Vec::new(),
        true => all()
            .filter(is_ours)
            .filter_map(|pid| Process::of(pid, None))
            .collect(),
    }
}

/// Where an orphan of ours goes: to an ancestor that adopts, or to process 1. None where the kernel
/// does not say whose children are whose.
fn children_of_ancestors() -> Option<Vec<i32>> {
    let mut found = Vec::new();
    let mut ancestor = parent_of("self")?;
    while ancestor > 0 {
        let name = ancestor.to_string();
        found.extend(children_of(&name)?);
        ancestor = parent_of(&name)?;
    }
    Some(found)
}

/// The children of all threads of a process.
fn children_of(pid: &str) -> Option<Vec<i32>> {
    let mut found = Vec::new();
    for task in fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten() {
        let children = fs::read_to_string(task.path().join("children")).ok()?;
        let pids = children.split_whitespace();
        found.extend(pids.filter_map(|pid| pid.parse::<i32>().ok()));
    }
    Some(found)
}

/// A process is being killed, or dead: it only has not let go of everything yet.
pub fn is_dying(pid: &str) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name));
    let pending = |name| {
        let mask = field(name).and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        mask.is_some_and(|mask| mask & (1 << (Signal::KILL.as_raw() - 1)) != 0)
    };
    let dead =
        field("State:").is_none_or(|state| matches!(state.trim().as_bytes(), [b'Z' | b'X', ..]));
    dead || pending("SigPnd:") || pending("ShdPnd:")
}

fn parent_of(pid: &str) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(") ")?;
    rest.split(' ').nth(1)?.parse().ok()
}

fn has_marker(pid: i32, marker: &str) -> bool {
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    marker_in(&environment) == Some(marker.as_bytes())
}

fn marker_in(environment: &[u8]) -> Option<&[u8]> {
    environment
        .split(|byte| *byte == 0)
        .find_map(|one| one.strip_prefix(MARKER.as_bytes())?.strip_prefix(b"="))
}

fn all() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Reads `pid (name) state ppid pgrp …`; the name may hold anything. None for the dead, and for who
/// is not in a group that is given.
fn live_name(stat: &str, group: Option<Pid>) -> Option<&str> {
    let (front, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    let dead = matches!(fields.next(), Some("Z" | "X"));
    let pgrp: i32 = fields.nth(1)?.parse().ok()?;
    let member = group.is_none_or(|group| group.as_raw_nonzero().get() == pgrp);
    let (_, name) = front.split_once('(')?;
    (member && !dead).then_some(name)
}

/// Resident memory of a process, bytes; zero where it is gone.
pub fn resident(process: Pid) -> u64 {
    let path = format!("/proc/{}/statm", process.as_raw_nonzero());
    let text = fs::read_to_string(path).unwrap_or_default();
    let pages = text.split(' ').nth(1).and_then(|pages| pages.parse().ok());
    pages.unwrap_or(0u64) * rustix::param::page_size() as u64
}

/// A process lives, has no children, and has waited for none.
pub fn made_nobody(pid: Pid) -> bool {
    let pid = pid.as_raw_nonzero().to_string();
    let no_children = children_of(&pid).is_some_and(|children| children.is_empty());
    // Read last: the children of the dead are another's.
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let mut fields = fields.split(' ');
    let lives = fields
        .next()
        .is_some_and(|state| !matches!(state, "" | "Z" | "X"));
    // Page faults of children that it has waited for: no process ends without any.
    lives && no_children && fields.nth(7) == Some("0")
}

/// The most memory that we ourselves had, bytes.
pub fn own_peak() -> u64 {
    let text = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse().ok());
    kib.unwrap_or(0u64) << 10
}

/// Ends one; it may be gone already.
pub fn kill(process: &OwnedFd) {
    // The only failures are that it is gone, or that it belongs to somebody else.
    let _ = pidfd_send_signal(process, Signal::KILL);
}

/// The identity of this boot of the machine.
pub fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|id| id.trim().to_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dead_are_no_members_of_a_group() {
        let group = Pid::from_raw(42);
        assert_eq!(live_name("7 (a) b) S 1 42 7 0", group), Some("a) b"));
        assert_eq!(live_name("7 (a) b) Z 1 42 7 0", group), None);
        assert_eq!(live_name("7 (sleep) S 42 7 7 0", group), None);
        assert_eq!(live_name("7 (sleep) S 42 7 7 0", None), Some("sleep"));
    }

    #[test]
    fn the_ancestors_children_are_known_here_or_all_are_looked_at() {
        let own = i32::try_from(std::process::id()).unwrap_or_default();
        if let Some(children) = children_of_ancestors() {
            assert!(children.contains(&own), "{children:?}");
        }
        assert!(strays("no such marker").is_empty());
    }

    #[test]
    fn who_made_somebody_and_who_is_dead_is_told_apart() {
        let own = Pid::from_raw(i32::try_from(std::process::id()).unwrap_or_default());
        let child = std::thread::spawn(|| {
            crate::world::spawn::run_python(Path::new("/bin/sh"), &["-c", "true"], "").is_ok()
        });
        assert!(child.join().expect("it ran"));
        // We have waited for a child.
        assert!(!own.is_some_and(made_nobody));
        assert!(!Pid::from_raw(i32::MAX).is_some_and(made_nobody));
        assert!(!is_dying("self") && is_dying("no such process"));
    }

    #[test]
    fn only_markers_of_the_same_folder_count() {
        let data = Path::new("/some/data");
        let hash = folder_hash(data);
        let value = marker(data, Marked::Action, "17");
        let environment = format!("A=1\0{MARKER}={value}\0B=2\0");
        assert_eq!(marked(environment.as_bytes(), &hash), Some(Marked::Action));
        let other = folder_hash(Path::new("/other/data"));
        assert_eq!(marked(environment.as_bytes(), &other), None);
    }
}
