//! The calls that change this process, one function a step.

mod fence;
mod identity;
mod namespaces;
mod syscalls;

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, IntoRawFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant, SystemTime};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{AccessFlags, access, close, getppid};

use crate::codes;
use crate::failure::{Failure, Outcome};
use crate::host::Program;
use crate::isolation::{Limit, Step};
use crate::sandbox::Feature;

pub(crate) use fence::abi as landlock_abi;
pub(crate) use identity::forget_mounting;
pub(crate) use namespaces::{own_mounts, own_proc, own_processes};
pub(crate) use syscalls::refuse as refuse_calls;

/// What the steps before have brought about.
#[derive(Debug, Default)]
pub(crate) struct Done {
    /// It has a view of the files of its own.
    pub mounted: bool,
    /// `/proc` shows nobody but its own processes.
    pub own_proc: bool,
}

/// Something of a step that this host does not give, and why.
pub(crate) type Missing = (Feature, String);

/// Performs a step on this process. What it can only in part comes back.
pub(crate) fn perform(step: &Step, done: &mut Done) -> Outcome<Vec<Missing>> {
    match step {
        Step::DieWithParent => death_signal(Signal::SIGKILL),
        Step::HearParentDie => death_signal(Signal::SIGTERM),
        Step::ParentIs(pid) => parent_is(*pid),
        Step::Cgroup(folder) => enter_cgroup(folder),
        Step::Limit(what, most) => limit(*what, *most),
        Step::OomScore(score) => oom_score(*score),
        Step::PrivateFiles => {
            umask(Mode::from_bits_truncate(0o077));
            Ok(())
        }
        Step::CloseDescriptors(kept) => close_descriptors(kept),
        Step::ResetSignals => reset_signals(),
        Step::Folders(state, user) => identity::make_folders(state, user.as_ref()),
        Step::Mounts(plan) => {
            if let Err(why) = own_mounts() {
                return Ok(vec![(Feature::PrivateTmp, why.to_string())]);
            }
            done.mounted = true;
            // Only where it becomes another user is there anybody to hide.
            done.own_proc = plan.shm && plan.user.is_some() && namespaces::hide_others().is_ok();
            namespaces::make_mounts(plan)
        }
        Step::User(user, needed) => identity::become_user(user, needed),
        Step::NoGains => identity::drop_gains(),
        Step::NoCapabilities => identity::drop_capabilities(),
        Step::NoNewPrivs => {
            prctl::set_no_new_privs().map_err(|e| failed(codes::PRCTL, "prctl", "no_new_privs", e))
        }
        Step::Landlock(fence) => return fence::restrict(fence, done),
        Step::Seccomp(refused) => syscalls::refuse(*refused),
    }
    .map(|()| Vec::new())
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

/// A soft limit stays below the hard one; a hard limit is never raised.
fn limit(what: Limit, most: u64) -> Outcome<()> {
    let (resource, name, is_hard) = match what {
        Limit::Core => (Resource::RLIMIT_CORE, "core", false),
        Limit::OpenFiles => (Resource::RLIMIT_NOFILE, "nofile", false),
        Limit::FileSize => (Resource::RLIMIT_FSIZE, "fsize", true),
        Limit::Processes => (Resource::RLIMIT_NPROC, "nproc", true),
    };
    let set = || {
        let (_, hard) = getrlimit(resource)?;
        let soft = most.min(hard);
        setrlimit(resource, soft, if is_hard { soft } else { hard })
    };
    set().map_err(|e| failed(codes::RLIMIT, "rlimit", name, e))
}

fn oom_score(score: i32) -> Outcome<()> {
    let path = "/proc/self/oom_score_adj";
    match fs::write(path, score.to_string()) {
        // Whoever may not lower it has a higher one: the sensor goes before others in any case.
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        written => written.map_err(|e| Failure::system(codes::RLIMIT, "rlimit", path, &e)),
    }
}

/// The writer enters, and all that it starts.
fn enter_cgroup(folder: &Path) -> Outcome<()> {
    let path = folder.join("cgroup.procs");
    fs::write(&path, "0").map_err(|e| {
        let failure = Failure::system(codes::CGROUP, "cgroup", path.to_string_lossy(), &e);
        failure.hint("`sandbox: {tree: group}` does without")
    })
}

/// Closes what lies above standard error, but for these. Nothing else of ours is open yet, so this is
/// what close-on-exec would do, without a descriptor's number made into an object.
fn close_descriptors(kept: &[i32]) -> Outcome<()> {
    let folder = "/proc/self/fd";
    let failed = |e: &io::Error| {
        let hint = "is /proc mounted?";
        Failure::system(codes::DESCRIPTORS, "descriptors", folder, e).hint(hint)
    };
    let names = fs::read_dir(folder).map_err(|e| failed(&e))?;
    let open: Vec<i32> = names
        .filter_map(|name| name.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    for descriptor in open.into_iter().filter(|d| *d > 2 && !kept.contains(d)) {
        close_one(descriptor).map_err(|e| failed(&e))?;
    }
    Ok(())
}

/// Closes an inherited descriptor that may be closed already.
pub(crate) fn close_one(descriptor: i32) -> io::Result<()> {
    match close(descriptor) {
        Ok(()) | Err(Errno::EBADF) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

/// Closes our copies of what a child of ours has: their readers wait until every copy is closed.
pub(crate) fn let_go(kept: &[i32]) -> Outcome<()> {
    for descriptor in kept {
        let number = descriptor.to_string();
        close_one(*descriptor)
            .map_err(|e| Failure::system(codes::DESCRIPTORS, "descriptors", number, &e))?;
    }
    Ok(())
}

/// The pipe `given` under the number `place`, open in whatever this becomes; what lay there is closed.
/// The system gives the lowest number that is free, and those below are taken.
pub(crate) fn put_at(given: i32, place: i32) -> Outcome<()> {
    let name = || format!("descriptor {place}");
    let failed = |e: &io::Error| Failure::system(codes::DESCRIPTORS, "descriptors", name(), e);
    if given == place {
        return Ok(());
    }
    close_one(place).map_err(|e| failed(&e))?;
    let file = reopened(given)?;
    if file.as_raw_fd() != place {
        return Err(failed(&Errno::EBADF.into()));
    }
    fcntl(&file, FcntlArg::F_SETFD(FdFlag::empty())).map_err(|e| failed(&e.into()))?;
    let _stays_open = file.into_raw_fd();
    Ok(())
}

/// The same pipe under another number that closes by itself at the exec.
pub(crate) fn reopened(descriptor: i32) -> Outcome<File> {
    let path = format!("/proc/self/fd/{descriptor}");
    File::options().write(true).open(&path).map_err(|e| {
        Failure::system(codes::DESCRIPTORS, "descriptors", path, &e).hint("is /proc mounted?")
    })
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

/// A program must be one that we may execute; a bare name is looked for when it is executed.
pub(crate) fn check_executable(program: &OsString) -> Outcome<()> {
    let path = Path::new(program);
    let may = || access(path, AccessFlags::X_OK);
    match path.is_absolute().then(may).transpose() {
        Ok(_) => Ok(()),
        Err(e) => Err(exec_failed(program, &e.into())),
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
