//! Processes that an earlier supervisor of the same data folder left behind.
//!
//! Every child carries [`MARKER`] in its environment, with the data folder in it, and so do its
//! own children: what was started for this folder is found even if it left its group.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// Name of the variable; its value is `<data folder's hash>/<kind>/<name>`.
pub const MARKER: &str = "PETREL_MARKER";

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
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter_map(|pid| {
            // The descriptor first: what is read afterwards is of the same process.
            let fd = pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()?;
            let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
            Some((marked(&environment, &hash)?, fd))
        })
        .collect()
}

fn marked(environment: &[u8], hash: &str) -> Option<Marked> {
    let value = environment
        .split(|byte| *byte == 0)
        .find_map(|one| one.strip_prefix(MARKER.as_bytes())?.strip_prefix(b"="))?;
    let rest = value.strip_prefix(hash.as_bytes())?.strip_prefix(b"/")?;
    match rest.split(|byte| *byte == b'/').next()? {
        b"sensor" => Some(Marked::Sensor),
        b"action" => Some(Marked::Action),
        _ => None,
    }
}

/// Whether a process of this group is alive. Dead ones that their parent has not reaped yet do not
/// count: an orphan's is process 1, which may take its time.
pub fn group_lives(group: Pid) -> bool {
    let Ok(entries) = fs::read_dir("/proc") else {
        return true;
    };
    entries
        .flatten()
        .filter(|entry| entry.file_name().as_encoded_bytes()[0].is_ascii_digit())
        .filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok())
        .any(|stat| is_live_member(&stat, group.as_raw_nonzero().get()))
}

/// Reads `pid (name) state ppid pgrp …`; the name may hold anything.
fn is_live_member(stat: &str, group: i32) -> bool {
    let Some((_, rest)) = stat.rsplit_once(") ") else {
        return false;
    };
    let mut fields = rest.split(' ');
    let dead = matches!(fields.next(), Some("Z" | "X"));
    let member = fields.nth(1).and_then(|pgrp| pgrp.parse().ok()) == Some(group);
    member && !dead
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
        assert!(is_live_member("7 (a) b) S 1 42 7 0", 42));
        assert!(!is_live_member("7 (a) b) Z 1 42 7 0", 42));
        assert!(!is_live_member("7 (sleep) S 42 7 7 0", 42));
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
