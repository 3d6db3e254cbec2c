//! The calls that change this process, one function a step.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant, SystemTime};

use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, Signal};
use nix::unistd::{close, getppid};

use crate::codes;
use crate::failure::{Failure, Outcome};
use crate::host::Program;
use crate::isolation::Step;

/// Performs a step on this process.
pub(crate) fn perform(step: Step) -> Outcome<()> {
    match step {
        Step::DieWithParent => death_signal(Signal::SIGKILL),
        Step::HearParentDie => death_signal(Signal::SIGTERM),
        Step::ParentIs(pid) => parent_is(pid),
        Step::NoCore => soft_limit(Resource::RLIMIT_CORE, "core", 0),
        Step::OpenFiles(soft) => soft_limit(Resource::RLIMIT_NOFILE, "nofile", soft),
        Step::CloseDescriptors => close_descriptors(),
        Step::ResetSignals => reset_signals(),
    }
}

/// The pid of our parent.
pub(crate) fn parent() -> i32 {
    getppid().as_raw()
}

/// The monotonic clock.
#[expect(
    clippy::disallowed_methods,
    reason = "the wrapper has no core to tell it the time"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Seconds since 1970.
#[expect(
    clippy::disallowed_methods,
    reason = "the wrapper has no core to tell it the time"
)]
pub(crate) fn unix_time_s() -> f64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or(Duration::ZERO).as_secs_f64()
}

/// Tells a failure where a person or the supervisor reads it: one line on standard error.
pub(crate) fn complain(failure: &Failure) {
    eprintln!("{}: {failure}", crate::NAME);
}

fn death_signal(signal: Signal) -> Outcome<()> {
    prctl::set_pdeathsig(signal).map_err(|e| failed(codes::PRCTL, "prctl", "PR_SET_PDEATHSIG", e))
}

fn parent_is(pid: i32) -> Outcome<()> {
    let text = match parent() {
        now if now == pid => return Ok(()),
        now => format!("it is gone, the parent is {now}"),
    };
    let failure = Failure::new(codes::PARENT_GONE, "parent", pid.to_string(), &text);
    Err(failure.hint("--supervisor-pid is the pid of whoever starts the wrapper"))
}

fn soft_limit(resource: Resource, name: &str, soft: u64) -> Outcome<()> {
    let set = || {
        let (_, hard) = getrlimit(resource)?;
        setrlimit(resource, soft.min(hard), hard)
    };
    set().map_err(|e| failed(codes::RLIMIT, "rlimit", name, e))
}

/// Closes what lies above standard error. Nothing of ours is open yet, so this is what
/// close-on-exec would do, without a descriptor's number made into an object.
fn close_descriptors() -> Outcome<()> {
    let folder = "/proc/self/fd";
    let failed = |e: &io::Error| {
        let hint = "is /proc mounted?";
        Failure::system(codes::DESCRIPTORS, "descriptors", folder, e).hint(hint)
    };
    let names = fs::read_dir(folder).map_err(|e| failed(&e))?;
    let open: Vec<i32> = names
        .filter_map(|name| name.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    for descriptor in open.into_iter().filter(|d| *d > 2) {
        match close(descriptor) {
            // The folder itself was in the list and is closed by now.
            Ok(()) | Err(Errno::EBADF) => {}
            Err(e) => return Err(failed(&e.into())),
        }
    }
    Ok(())
}

/// Unblocks every signal, and puts a handler in the place of every ignored one: at exec a handled
/// signal gets its default back, an ignored one stays ignored. SIGPIPE is std's.
fn reset_signals() -> Outcome<()> {
    let failed = |e: &io::Error| Failure::system(codes::SIGNALS, "signals", "reset", e);
    let status = fs::read_to_string("/proc/self/status").map_err(|e| failed(&e))?;
    let nowhere = Arc::new(AtomicBool::new(false));
    for number in ignored(&status).into_iter().filter(|n| can_be_handled(*n)) {
        signal_hook::flag::register(number, nowhere.clone()).map_err(|e| failed(&e))?;
    }
    SigSet::empty()
        .thread_set_mask()
        .map_err(|e| failed(&e.into()))
}

/// Not those that nobody may handle, nor 32 and 33, which the C library keeps for its threads.
fn can_be_handled(signal: i32) -> bool {
    let std_s = signal == Signal::SIGPIPE as i32;
    !std_s && !matches!(signal, 32 | 33) && !signal_hook::consts::FORBIDDEN.contains(&signal)
}

/// The numbers of the ignored signals in `/proc/<pid>/status`; none if there is no such line.
fn ignored(status: &str) -> Vec<i32> {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = u64::from_str_radix(mask.unwrap_or("0").trim(), 16).unwrap_or(0);
    (1..=64).filter(|n| mask >> (n - 1) & 1 == 1).collect()
}

/// A sensor's file must be there and executable, or be run by an interpreter that must find it.
pub(crate) fn check_file(file: &Path) -> Outcome<()> {
    match fs::metadata(file) {
        Ok(found) if found.is_file() => Ok(()),
        Ok(_) => Err(Failure::new(
            codes::NOT_EXECUTABLE,
            "exec",
            file.to_string_lossy(),
            "it is no file",
        )),
        Err(e) => {
            let failure = Failure::system(codes::NOT_FOUND, "exec", file.to_string_lossy(), &e);
            Err(failure.hint("entry_point is relative to the folder of the sensor's YAML"))
        }
    }
}

/// Becomes the program; returns only if that failed.
pub(crate) fn exec(program: &Program, scrubbed: &[OsString]) -> Failure {
    if let Some(folder) = &program.cwd
        && let Err(e) = std::env::set_current_dir(folder)
    {
        let target = folder.to_string_lossy();
        return Failure::system(codes::ENVIRONMENT, "chdir", target, &e);
    }
    let mut command = new_command(&program.program);
    for name in scrubbed {
        command.env_remove(name);
    }
    let vars = program.env.iter().map(|(name, value)| (name, value));
    let e = command.args(&program.args).envs(vars).exec();
    exec_failed(&program.program, &e)
}

#[expect(
    clippy::disallowed_methods,
    reason = "to become a program, not to make a child"
)]
fn new_command(program: &OsString) -> Command {
    Command::new(program)
}

fn exec_failed(program: &OsString, e: &io::Error) -> Failure {
    let there = Path::new(program).is_file();
    let (code, hint) = match e.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ENOENT) if there => {
            let hint = "the interpreter named in its first line is not there";
            (codes::NOT_FOUND, hint)
        }
        Some(Errno::ENOENT | Errno::ENOTDIR) => {
            (codes::NOT_FOUND, "install it, or correct its name")
        }
        Some(Errno::EACCES | Errno::EPERM) => (codes::NOT_EXECUTABLE, "chmod +x"),
        Some(Errno::ENOEXEC) => (
            codes::NOT_EXECUTABLE,
            "begin a script with #! and an interpreter",
        ),
        _ => (codes::EXEC, ""),
    };
    Failure::system(code, "exec", program.to_string_lossy(), e).hint(hint)
}

fn failed(code: i32, step: &str, target: &str, e: Errno) -> Failure {
    Failure::system(code, step, target, &e.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_signals_are_read() {
        assert_eq!(ignored("Name:\tx\nSigIgn:\t0000000000001001\n"), [1, 13]);
        assert_eq!(ignored("SigIgn:\t8000000000000000"), [64]);
        assert!(ignored("").is_empty());
    }
}
