//! The parent of an action. It outlives the supervisor just long enough to stop the action and to
//! leave a record of its end, so that nothing known of an execution is lost.
//!
//! In the folder of the execution it leaves `started` (created before anything runs, never twice),
//! `stdout`, `stderr`, and `exit.json` (by rename, so it is whole or not there; not synced, for it
//! must outlive the supervisor, not the machine).

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::sys::signalfd::SignalFd;
use serde::{Deserialize, Serialize};

use crate::args::{ActionArgs, ExecArgs};
use crate::child::{self, Ask, Await, End, Running, Start};
use crate::codes;
use crate::failure::{Failure, Outcome};
use crate::host;
use crate::isolation;
use crate::output::Output;
use crate::report::{Reports, isolate};
use crate::sandbox::Sandbox;
use crate::sys;
use crate::warm::{Fork, Wanted};

/// Name of the file that says that the action may have begun; it holds the wrapper's pid.
pub const STARTED: &str = "started";
/// Name of the file with the [`Exit`].
pub const EXIT: &str = "exit.json";

const FAILURE: &str = "failure.json";

/// The grace of an action whose supervisor died.
const ORPHAN_GRACE: Duration = Duration::from_millis(500);

/// How an action ended: the content of `exit.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Exit {
    /// Its exit code, if it ended by itself.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// When it was started, in seconds since 1970.
    pub started: f64,
    /// When its end was seen, in seconds since 1970.
    pub ended: f64,
    /// Bytes in the file `stdout`.
    pub stdout_bytes: u64,
    /// Bytes in the file `stderr`.
    pub stderr_bytes: u64,
    /// Bytes of its standard output beyond the bound.
    pub stdout_dropped: u64,
    /// Bytes of its standard error beyond the bound.
    pub stderr_dropped: u64,
    /// Whether we were told to stop it.
    pub stopped: bool,
    /// Whether the supervisor died meanwhile.
    pub orphaned: bool,
    /// Why the program could not be started.
    pub error: Option<Failure>,
}

/// Runs the action to its end and records it. 0 when the record is there, however it ended.
pub(crate) fn run(args: &ActionArgs) -> Outcome<i32> {
    let steps = isolation::parent_steps(args.supervisor_pid, args.nofile);
    isolate(&steps, &mut Reports::Stderr, &[])?;
    let signals = child::catch_stop()?;
    begin(&args.dir)?;
    let out = Output::create(&args.dir.join("stdout"), args.output_bytes)?;
    let err = Output::create(&args.dir.join("stderr"), args.output_bytes)?;
    let action = Action {
        args,
        signals,
        out,
        err,
        stop: Stop::No,
    };
    record(&args.dir, &action.run()?)?;
    Ok(0)
}

/// The action's process, whoever is its parent.
trait Program {
    /// Its output, once.
    fn take_output(&mut self) -> (Option<File>, Option<File>);
    /// Becomes readable when it ended.
    fn ending(&self) -> BorrowedFd<'_>;
    /// How it ended; it stays unreaped.
    fn end(&self) -> Outcome<End>;
    /// Signals its group.
    fn signal_group(&self, signal: Signal);
    /// Frees its number.
    fn reap(self) -> Outcome<()>;
}

impl Program for Running {
    fn take_output(&mut self) -> (Option<File>, Option<File>) {
        Running::take_output(self)
    }

    fn ending(&self) -> BorrowedFd<'_> {
        self.pidfd()
    }

    fn end(&self) -> Outcome<End> {
        Running::end(self)
    }

    fn signal_group(&self, signal: Signal) {
        Running::signal_group(self, signal);
    }

    fn reap(self) -> Outcome<()> {
        Running::reap(self)
    }
}

impl Program for Fork {
    fn take_output(&mut self) -> (Option<File>, Option<File>) {
        Fork::take_output(self)
    }

    fn ending(&self) -> BorrowedFd<'_> {
        Fork::ending(self)
    }

    fn end(&self) -> Outcome<End> {
        Fork::end(self)
    }

    fn signal_group(&self, signal: Signal) {
        Fork::signal_group(self, signal);
    }

    /// The host does it once the connection is closed.
    fn reap(self) -> Outcome<()> {
        Ok(())
    }
}

struct Action<'a> {
    args: &'a ActionArgs,
    signals: SignalFd,
    out: Output,
    err: Output,
    stop: Stop,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    No,
    /// TERM was sent; KILL follows at this time.
    Asked(Instant),
    Killed,
}

impl Action<'_> {
    fn run(mut self) -> Outcome<Exit> {
        let started = sys::unix_time_s();
        let (end, error) = match warm(self.args)? {
            Some(fork) => (self.supervise(fork)?, None),
            None => self.cold()?,
        };
        Ok(Exit {
            code: end.code,
            signal: end.signal,
            started,
            ended: sys::unix_time_s(),
            stdout_bytes: self.out.kept,
            stderr_bytes: self.err.kept,
            stdout_dropped: self.out.dropped,
            stderr_dropped: self.err.dropped,
            stopped: self.stop != Stop::No,
            orphaned: self.is_orphan(),
            error,
        })
    }

    fn cold(&mut self) -> Outcome<(End, Option<Failure>)> {
        match start(self.args) {
            Ok(running) => {
                let end = self.supervise(running)?;
                Ok((end, take_failure(&self.args.dir)))
            }
            Err(failure) => {
                let (code, signal) = (None, None);
                Ok((End { code, signal }, Some(failure)))
            }
        }
    }

    fn supervise(&mut self, mut running: impl Program) -> Outcome<End> {
        // Ours would keep the supervisor's pipe open after the program closed it.
        let _ = File::open("/dev/null").map(|null| nix::unistd::dup2_stdin(&null));
        let (out, err) = running.take_output();
        self.out.attach(out);
        self.err.attach(err);
        while !self.ended(&running)? {}
        let end = running.end()?;
        running.signal_group(Signal::SIGKILL);
        self.out.drain();
        self.err.drain();
        running.reap()?;
        Ok(end)
    }

    /// Waits for the next thing to happen and handles it; true when the program ended.
    fn ended(&mut self, running: &impl Program) -> Outcome<bool> {
        let on = [
            Await::Readable(std::os::fd::AsFd::as_fd(&self.signals)),
            Await::Readable(running.ending()),
            self.out.awaited(),
            self.err.awaited(),
        ];
        let [signal, ended, out, err] = child::wait(on, self.patience())?;
        if out {
            self.out.pump();
        }
        if err {
            self.err.pump();
        }
        if signal && let Some(ask) = child::stop_came(&self.signals) {
            self.stop(ask, running);
        }
        self.kill_if_due(running);
        Ok(ended)
    }

    fn patience(&self) -> Option<Duration> {
        match self.stop {
            Stop::Asked(kill_at) => Some(kill_at.saturating_duration_since(sys::now())),
            _ => None,
        }
    }

    fn stop(&mut self, ask: Ask, running: &impl Program) {
        match (ask, self.stop) {
            (_, Stop::Killed) | (Ask::Politely, Stop::Asked(_)) => {}
            (Ask::AtOnce, _) => self.stop = Stop::Asked(sys::now()),
            (Ask::Politely, Stop::No) => {
                running.signal_group(Signal::SIGTERM);
                // A stopped process would not hear it.
                running.signal_group(Signal::SIGCONT);
                self.stop = Stop::Asked(sys::now() + self.grace());
            }
        }
    }

    /// An orphan is short: nothing of a dead supervisor is to live on by more than a second.
    fn grace(&self) -> Duration {
        let grace = Duration::from_secs_f64(self.args.grace_s);
        match self.is_orphan() {
            true => grace.min(ORPHAN_GRACE),
            false => grace,
        }
    }

    fn is_orphan(&self) -> bool {
        sys::parent() != self.args.supervisor_pid
    }

    fn kill_if_due(&mut self, running: &impl Program) {
        if matches!(self.stop, Stop::Asked(at) if sys::now() >= at) {
            running.signal_group(Signal::SIGKILL);
            self.stop = Stop::Killed;
        }
    }
}

/// Marks the execution as begun. That happens once: what began before is never run again.
fn begin(dir: &Path) -> Outcome<()> {
    let path = dir.join(STARTED);
    let create = || -> io::Result<()> {
        let mut file = File::create_new(&path)?;
        writeln!(file, "{}", std::process::id())
    };
    create().map_err(|e| {
        let hint = match e.kind() {
            io::ErrorKind::AlreadyExists => "this execution began before and is not run again",
            _ => "--dir must be a folder that can be written to",
        };
        let target = path.to_string_lossy();
        Failure::system(codes::EXECUTION, "begin", target, &e).hint(hint)
    })
}

/// A fork of a Python that is ready, where there is one and it can be told what is wanted.
fn warm(args: &ActionArgs) -> Outcome<Option<Fork>> {
    let Some(socket) = &args.warm else {
        return Ok(None);
    };
    let own = environment(args);
    let scrubbed = isolation::scrubbed(names(), &Sandbox::default());
    let inherited = std::env::vars_os().filter(|(name, _)| !scrubbed.contains(name));
    // Python's own options are the host's.
    let argv = args.args.strip_prefix(&["-u".into()]).unwrap_or(&args.args);
    let env = inherited.chain(own);
    match Wanted::new(argv, env, args.cwd.as_deref(), args.nofile) {
        Some(wanted) => Fork::start(socket, &wanted),
        None => Ok(None),
    }
}

fn start(args: &ActionArgs) -> Outcome<Running> {
    let (program, argv) = program(args);
    let exec = ExecArgs {
        supervisor_pid: i32::try_from(std::process::id()).unwrap_or_default(),
        report: std::path::absolute(args.dir.join(FAILURE)).ok(),
        cwd: args.cwd.clone(),
        sandbox: Sandbox::default(),
        exec_fd: None,
        ready_fd: None,
        program,
        args: argv,
    };
    child::start(&Start {
        argv: exec.to_argv(),
        what: &exec.program,
        scrubbed: &isolation::scrubbed(names(), &exec.sandbox),
        env: &environment(args),
        own_group: true,
        piped: true,
        quiet: false,
    })
}

fn names() -> impl Iterator<Item = OsString> {
    std::env::vars_os().map(|(name, _)| name)
}

/// A Python file is run by the interpreter, anything else by itself.
fn program(args: &ActionArgs) -> (OsString, Vec<OsString>) {
    match host::entry(Path::new(&args.program)) {
        host::Entry::Python => {
            let mut argv = vec!["-u".into(), args.program.clone()];
            argv.extend_from_slice(&args.args);
            (host::python(args.python.as_deref()), argv)
        }
        _ => (args.program.clone(), args.args.clone()),
    }
}

/// The SDK's variables, if one is given, then the action's own. A `PYTHONPATH` among those replaces
/// the inherited one and comes behind the SDK.
fn environment(args: &ActionArgs) -> Vec<(OsString, OsString)> {
    let given = |name: &str| {
        args.env
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.clone())
    };
    let mut env = args.env.clone();
    if let Some(sdk) = &args.sdk {
        let path = given("PYTHONPATH").or_else(|| std::env::var_os("PYTHONPATH"));
        env.extend(host::python_env(None, sdk, path.as_deref()));
    }
    env
}

/// What the child left if it could not become the program.
fn take_failure(dir: &Path) -> Option<Failure> {
    let path = dir.join(FAILURE);
    let text = fs::read(&path).ok()?;
    let _ = fs::remove_file(&path);
    serde_json::from_slice(&text).ok()
}

fn record(dir: &Path, exit: &Exit) -> Outcome<()> {
    let path = dir.join(EXIT);
    let write = || -> io::Result<()> {
        let new = dir.join("exit.json.new");
        fs::write(&new, serde_json::to_vec(exit)?)?;
        fs::rename(&new, &path)
    };
    write().map_err(|e| {
        let target = path.to_string_lossy();
        Failure::system(codes::EXECUTION, "record", target, &e)
    })
}
