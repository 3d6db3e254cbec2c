//! Processes as `/proc` shows them, and signals.

use std::fs;
use std::path::Path;

use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal};

/// Sends a signal; whoever is gone already does not mind.
///
/// # Panics
/// When `pid` is none.
pub fn signal(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let _ = kill_process(pid.expect("a process number"), signal);
}

/// Every process.
pub fn all() -> Vec<u32> {
    let entries = fs::read_dir("/proc").expect("Linux");
    let names = entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok());
    names.filter_map(|name| name.parse().ok()).collect()
}

/// Living processes that were started for a test's folder, but for those in `but`: what carries the
/// test's own variable, or names the folder anywhere in its environment or arguments.
pub fn of_folder(folder: &Path, but: &[u32]) -> Vec<u32> {
    let is_ours = |pid: &u32| {
        let own = *pid == std::process::id() || but.contains(pid);
        !own && is_of_folder(folder, *pid)
    };
    all().into_iter().filter(is_ours).collect()
}

fn is_of_folder(folder: &Path, pid: u32) -> bool {
    let needle = folder.as_os_str().as_encoded_bytes();
    ["environ", "cmdline"].iter().any(|name| {
        let text = fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
        text.windows(needle.len()).any(|part| part == needle)
    })
}

/// Kills a process of a test's folder; false when the number is not one of its any more.
pub fn killed_of(folder: &Path, pid: u32) -> bool {
    let Some(number) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
        return false;
    };
    // The descriptor first: what is looked at afterwards is the same process.
    let Ok(process) = pidfd_open(number, PidfdFlags::empty()) else {
        return false;
    };
    is_of_folder(folder, pid) && pidfd_send_signal(&process, Signal::KILL).is_ok()
}

/// The arguments of a process, empty when it is gone.
pub fn arguments(pid: u32) -> Vec<String> {
    let text = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words = text.split(|byte| *byte == 0);
    let words: Vec<_> = words
        .map(|word| String::from_utf8_lossy(word).into_owned())
        .collect();
    words
        .split_last()
        .map(|(_, words)| words.to_vec())
        .unwrap_or_default()
}

/// A line of `/proc/PID/status`, without its name.
pub fn status(pid: u32, name: &str) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.map(|value| value.trim().to_owned())
}

/// Most resident memory ever, in KiB.
pub fn peak_memory_kib(pid: u32) -> Option<u64> {
    status(pid, "VmHWM")?.split(' ').next()?.parse().ok()
}

/// Descriptors that are open.
pub fn descriptors(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)
}

/// Children of `parent` that are dead and not reaped.
pub fn zombies(parent: u32) -> Vec<u32> {
    let of_parent = |pid: &u32| {
        status(*pid, "PPid").is_some_and(|ppid| ppid == parent.to_string())
            && status(*pid, "State").is_some_and(|state| state.starts_with('Z'))
    };
    all().into_iter().filter(of_parent).collect()
}
