//! The only place that makes children: always the wrapper, always from the main thread.
//!
//! The parent-death signal belongs to the thread that spawned, so that thread must live as long as
//! the supervisor. Nothing here runs in the child: what must be done to the child, the wrapper does
//! to itself, and so the fast path of the standard library (no copy of our memory) is kept.

use std::ffi::OsString;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::procfs;
use crate::core::crash::Peak;
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::io::unix::AsyncFd;
use wait4::Wait4;

/// The name that `petrel` answers to as well.
pub const WRAPPER: &str = "sensor-wrapper";

/// How the wrapper is called on this machine.
#[derive(Clone, Debug)]
pub struct Wrapper {
    program: PathBuf,
}

/// A child: its process, a descriptor that names it for ever, and our ends of its pipes.
#[derive(Debug)]
pub struct Child {
    /// Process and process group.
    pub pid: Pid,
    /// The same, to be reaped.
    pub process: Process,
    /// Names it even when the number is given to another.
    pub pidfd: OwnedFd,
    /// Its standard input, where it was asked for.
    pub stdin: Option<OwnedFd>,
    /// Its standard output, where it was asked for.
    pub stdout: Option<OwnedFd>,
    /// Its standard error, where it was asked for.
    pub stderr: Option<OwnedFd>,
    /// Reads its end when the wrapper has become the program, or is gone.
    pub executed: Option<OwnedFd>,
    /// Reads what the program writes to its descriptor 3, where it has one.
    pub ready: Option<OwnedFd>,
}

/// A process that is to be reaped once it is dead.
#[derive(Debug)]
pub struct Process(std::process::Child);

impl Process {
    /// Reaps it, and tells how much memory it had at most. The system counts what we had ourselves
    /// when it was made as its own: below that, only the bound is known.
    pub fn reap(mut self) -> Option<Peak> {
        let used = self.0.wait4().ok()?;
        let bytes = used.rusage.maxrss;
        let exact = bytes > procfs::own_peak();
        Some(Peak { bytes, exact })
    }
}

/// What a child gets.
#[derive(Debug)]
pub struct Order {
    /// Arguments of the wrapper.
    pub args: Vec<OsString>,
    /// Added to our environment.
    pub env: Vec<(String, String)>,
    /// Standard input.
    pub stdin: Stdio,
    /// Standard output.
    pub stdout: Stdio,
    /// Standard error.
    pub stderr: Stdio,
    /// Watch for the exec.
    pub watch_exec: bool,
    /// Give it a descriptor 3, on which it says that it is ready.
    pub watch_ready: bool,
}

impl Wrapper {
    /// The binary beside us if it was built from the same sources (it is small, and so starts
    /// faster), else ourselves under its name.
    ///
    /// # Errors
    /// When our own program cannot be named.
    pub fn find() -> std::io::Result<Self> {
        let own = own_program()?;
        let beside = own.with_file_name(WRAPPER);
        let program = match is_our_wrapper(&beside) {
            true => beside,
            false => own,
        };
        Ok(Self { program })
    }

    /// For tests of this crate: the binary that was built beside them, if it was.
    #[cfg(test)]
    pub fn beside_tests() -> Option<Self> {
        let own = std::env::current_exe().ok()?;
        let program = own.ancestors().nth(2)?.join(WRAPPER);
        program.is_file().then_some(Self { program })
    }

    /// Starts the wrapper in a process group of its own.
    ///
    /// # Errors
    /// When the system refuses: too many processes or descriptors, or the program is gone.
    pub fn spawn(&self, order: Order) -> std::io::Result<Child> {
        let mut command = self.command();
        command
            .args(order.args)
            .envs(order.env)
            .stdin(order.stdin)
            .stdout(order.stdout)
            .stderr(order.stderr)
            .process_group(0);
        let exec = order.watch_exec.then(inherited_pipe).transpose()?;
        let ready = order.watch_ready.then(inherited_pipe).transpose()?;
        for (name, pipe) in [("exec", &exec), ("ready", &ready)] {
            if let Some((_, theirs)) = pipe {
                command.arg(format!("--{name}-fd={}", theirs.as_raw_fd()));
            }
        }
        let mut child = command.spawn()?;
        let pid = Pid::from_child(&child);
        let pidfd = pidfd_open(pid, PidfdFlags::NONBLOCK)?;
        Ok(Child {
            pid,
            pidfd,
            stdin: child.stdin.take().map(Into::into),
            stdout: child.stdout.take().map(Into::into),
            stderr: child.stderr.take().map(Into::into),
            executed: exec.map(|(ours, _theirs)| ours),
            ready: ready.map(|(ours, _theirs)| ours),
            process: Process(child),
        })
    }

    /// What the wrapper says of this host: JSON.
    ///
    /// # Errors
    /// When it cannot be run.
    pub fn probe(&self) -> std::io::Result<String> {
        let output = self.command().arg("--probe").output()?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.arg0(WRAPPER);
        command
    }
}

/// Our own program. Where another file lies at its path by now, or none, it is still to be had as
/// what this process runs.
///
/// # Errors
/// When it cannot be named.
pub fn own_program() -> std::io::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let replaced = own.as_os_str().as_encoded_bytes().ends_with(b" (deleted)");
    Ok(match replaced && !own.exists() {
        true => format!("/proc/{}/exe", std::process::id()).into(),
        false => own,
    })
}

#[expect(clippy::disallowed_methods, reason = "this is the one place")]
fn is_our_wrapper(program: &Path) -> bool {
    let said = Command::new(program)
        .arg("--build")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    said.is_ok_and(|said| said.stdout.trim_ascii() == sensor_wrapper::BUILD.as_bytes())
}

/// A descriptor of a process, to wait on.
///
/// # Errors
/// When it cannot be watched.
#[expect(
    deprecated,
    reason = "sound here: the descriptor is owned and never replaced; the successor is unsafe"
)]
pub fn watched(pidfd: OwnedFd) -> std::io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::new(pidfd)
}

/// A pipe whose far end the wrapper inherits. It is inherited by that child
/// alone: all children are made by this thread, and the end is closed right after.
fn inherited_pipe() -> std::io::Result<(OwnedFd, OwnedFd)> {
    let (ours, theirs) = pipe_with(PipeFlags::CLOEXEC)?;
    fcntl_setfd(theirs.as_fd(), FdFlags::empty())?;
    Ok((ours, theirs))
}

/// Becomes another program, which has our terminal and our signals; returns only where it cannot.
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
pub fn become_program(
    program: &Path,
    args: &[OsString],
    env: &[(&str, OsString)],
    cwd: &Path,
) -> std::io::Error {
    let env = env.iter().map(|(name, value)| (name, value));
    Command::new(program)
        .args(args)
        .envs(env)
        .current_dir(cwd)
        .exec()
}

/// Starts a program in our own process group, its standard streams in our hands; it is killed when it
/// is dropped. For our own children, which are no supervisors.
///
/// # Errors
/// When it cannot be started.
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
pub fn piped<'a>(
    program: &Path,
    args: &[String],
    env: impl IntoIterator<Item = (&'a str, String)>,
) -> std::io::Result<tokio::process::Child> {
    let mut command = Command::new(program);
    command
        .args(args)
        .envs(env)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    tokio::process::Command::from(command)
        .kill_on_drop(true)
        .spawn()
}

/// Runs the interpreter once for a short program of ours, and waits for it.
///
/// # Errors
/// When it cannot be started.
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
pub fn run_python(python: &Path, args: &[&str], input: &str) -> std::io::Result<(bool, String)> {
    use std::io::Write;
    let mut child = Command::new(python)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that ends before it read everything says so by its exit code.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok((output.status.success(), text))
}
