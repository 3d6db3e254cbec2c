//! A child that this process stays the parent of: started, awaited, signalled and reaped here.
//!
//! Its end is seen through a pidfd. Nothing is signalled after it was reaped, so a signal never
//! meets a stranger that got its pid.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal, killpg};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::Pid;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{PidfdFlags, WaitId, WaitIdOptions};

use crate::codes;
use crate::failure::{Failure, Outcome};

/// How a child is started.
pub(crate) struct Start<'a> {
    /// Our own arguments in it.
    pub argv: Vec<OsString>,
    /// What it is to become, for messages.
    pub what: &'a OsStr,
    /// Variables that are not passed on.
    pub scrubbed: &'a [OsString],
    /// Variables to set.
    pub env: &'a [(OsString, OsString)],
    /// Whether its group is its own.
    pub own_group: bool,
    /// Whether its output comes to us.
    pub piped: bool,
    /// Whether it has nothing to read.
    pub quiet: bool,
}

/// A child, unreaped.
pub(crate) struct Running {
    child: Child,
    pidfd: OwnedFd,
}

/// How a child ended: one of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct End {
    pub code: Option<i32>,
    pub signal: Option<i32>,
}

/// Starts this very program again, which isolates itself and becomes what is wanted.
pub(crate) fn start(start: &Start<'_>) -> Outcome<Running> {
    let target = start.what.to_string_lossy();
    let failed = |e: &io::Error| Failure::system(codes::EXEC, "spawn", target.clone(), e);
    let mut child = command(start).spawn().map_err(|e| failed(&e))?;
    match pidfd(&child) {
        Ok(pidfd) => Ok(Running { child, pidfd }),
        Err(e) => {
            let _ = child.kill();
            let _ = child.wait();
            Err(failed(&e))
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place where the wrapper makes children"
)]
fn command(start: &Start<'_>) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg0(crate::NAME).args(&start.argv);
    for name in start.scrubbed {
        command.env_remove(name);
    }
    command.envs(start.env.iter().map(|(name, value)| (name, value)));
    if start.own_group {
        command.process_group(0);
    }
    if start.piped {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
    }
    if start.quiet {
        command.stdin(Stdio::null());
    }
    command
}

fn pidfd(child: &Child) -> io::Result<OwnedFd> {
    let pid = i32::try_from(child.id()).ok();
    let pid = pid.and_then(rustix::process::Pid::from_raw);
    let pid = pid.ok_or(io::ErrorKind::InvalidData)?;
    Ok(rustix::process::pidfd_open(pid, PidfdFlags::empty())?)
}

impl Running {
    /// Its output, once.
    pub fn take_output(&mut self) -> (Option<File>, Option<File>) {
        let out = self
            .child
            .stdout
            .take()
            .map(|p: ChildStdout| File::from(OwnedFd::from(p)));
        let err = self
            .child
            .stderr
            .take()
            .map(|p: ChildStderr| File::from(OwnedFd::from(p)));
        (out, err)
    }

    /// Becomes readable when the child ended.
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Signals the child alone.
    pub fn signal(&self, signal: Signal) {
        let signal = rustix::process::Signal::from_named_raw(signal as i32);
        if let Some(signal) = signal {
            let _ = rustix::process::pidfd_send_signal(&self.pidfd, signal);
        }
    }

    /// Signals its group, which is its own. Harmless when nobody is left.
    pub fn signal_group(&self, signal: Signal) {
        if let Ok(pid) = i32::try_from(self.child.id()) {
            let _ = killpg(Pid::from_raw(pid), signal);
        }
    }

    /// Asks the child alone to end.
    pub fn terminate(&self) {
        self.signal(Signal::SIGTERM);
    }

    /// How it ended; it stays unreaped. Waits if it did not yet.
    pub fn end(&self) -> Outcome<End> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        let status = rustix::process::waitid(WaitId::PidFd(self.pidfd.as_fd()), options)
            .map_err(|e| wait_failed(&e.into()))?;
        Ok(End {
            code: status.as_ref().and_then(|s| s.exit_status()),
            signal: status.as_ref().and_then(|s| s.terminating_signal()),
        })
    }

    /// Frees its pid.
    pub fn reap(mut self) -> Outcome<()> {
        self.child.wait().map(drop).map_err(|e| wait_failed(&e))
    }
}

/// Blocks the signals that mean stop; the descriptor becomes readable when one came. Children get
/// a clean mask from std.
pub(crate) fn catch_stop() -> Outcome<SignalFd> {
    let mut stop = SigSet::empty();
    for signal in [
        Signal::SIGTERM,
        Signal::SIGINT,
        Signal::SIGHUP,
        Signal::SIGQUIT,
    ] {
        stop.add(signal);
    }
    let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
    stop.thread_block()
        .and_then(|()| SignalFd::with_flags(&stop, flags))
        .map_err(|e| Failure::system(codes::SIGNALS, "signals", "TERM", &e.into()))
}

/// How a stop is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Ask {
    /// TERM, INT or HUP: the program has its grace.
    Politely,
    /// QUIT: it has none.
    AtOnce,
}

/// The most urgent stop signal that came since the last call.
pub(crate) fn stop_came(signals: &SignalFd) -> Option<Ask> {
    let mut came = None;
    while let Ok(Some(signal)) = signals.read_signal() {
        let ask = match signal.ssi_signo == Signal::SIGQUIT as u32 {
            true => Ask::AtOnce,
            false => Ask::Politely,
        };
        came = came.max(Some(ask));
    }
    came
}

/// What is waited for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Await<'a> {
    /// There is something to read, or the other end is closed.
    Readable(BorrowedFd<'a>),
    /// The other end is closed.
    HangUp(BorrowedFd<'a>),
    /// Nothing; never ready.
    Nothing,
}

/// Waits until one of them is ready, or the time is over; says which.
pub(crate) fn wait<const N: usize>(
    on: [Await<'_>; N],
    timeout: Option<Duration>,
) -> Outcome<[bool; N]> {
    let mut polled: Vec<PollFd<'_>> = on.iter().filter_map(poll_fd).collect();
    // Rounded up, so that a deadline is over when this returns for it.
    let timeout = timeout.map(|t| t + Duration::from_millis(1));
    let timeout = timeout.and_then(|t| Timespec::try_from(t).ok());
    match rustix::event::poll(&mut polled, timeout.as_ref()) {
        Ok(_) | Err(rustix::io::Errno::INTR) => {}
        Err(e) => return Err(wait_failed(&e.into())),
    }
    let mut ready = polled.iter().map(|p| !p.revents().is_empty());
    Ok(on.map(|one| !matches!(one, Await::Nothing) && ready.next().unwrap_or(false)))
}

fn poll_fd<'a>(on: &Await<'a>) -> Option<PollFd<'a>> {
    match on {
        Await::Readable(fd) => Some(PollFd::from_borrowed_fd(*fd, PollFlags::IN)),
        Await::HangUp(fd) => Some(PollFd::from_borrowed_fd(*fd, PollFlags::empty())),
        Await::Nothing => None,
    }
}

fn wait_failed(e: &io::Error) -> Failure {
    Failure::system(codes::SIGNALS, "wait", "for the child", e)
}
