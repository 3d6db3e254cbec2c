//! `mode: command`: the wrapper stays and runs a program every few seconds.
//!
//! The program's output is the sensor's. The interval counts from start to start; a program that
//! takes longer is started again when it ended. It shares our group, so that whoever kills the
//! group kills it, too.

use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::sys::signalfd::SignalFd;

use crate::args::{ExecArgs, SensorArgs};
use crate::child::{self, Await, Running, Start};
use crate::codes;
use crate::failure::Outcome;
use crate::host::{self, Program};
use crate::isolation;
use crate::report::{Reports, isolate};
use crate::sandbox::Sandbox;
use crate::sys;

/// sysexits.h's configuration error: to run it again is useless.
const CONFIG: i32 = 78;

/// Runs the program until told to stop; gives the exit code.
pub(crate) fn run(args: SensorArgs) -> Outcome<i32> {
    let mut args = args.absolute();
    let supervisor = args.supervisor_pid.unwrap_or_else(sys::parent);
    // What is kept from things is the program, each time; the group of both is one.
    let itself = Sandbox {
        cgroup: args.sandbox.cgroup.take(),
        ..Sandbox::default()
    };
    let steps = isolation::steps(supervisor, &itself, &args.limits, &args.kept());
    isolate(&steps, &mut Reports::Stderr, &[])?;
    sys::check_file(&args.file_path)?;
    let signals = child::catch_stop()?;
    let interval = Duration::from_secs_f64(args.poll_interval.unwrap_or_default());
    loop {
        let next = sys::now() + interval;
        if let Some(code) = run_once(&args, &signals)? {
            return Ok(code);
        }
        (args.exec_fd, args.ready_fd) = (None, None);
        if rest(&signals, next)? {
            return Ok(0);
        }
    }
}

/// Runs it to its end. A code is ours to end with: 0 when told to stop, else the program's if
/// another run would not go better.
fn run_once(args: &SensorArgs, signals: &SignalFd) -> Outcome<Option<i32>> {
    let running = start(args)?;
    // The first run has told what the supervisor waits for.
    sys::let_go(&args.kept())?;
    let mut stopped = false;
    loop {
        let end = Await::Readable(running.pidfd());
        let [stop, ended] = match stopped {
            false => wait(signals, end, None)?,
            // It was told; how long that may take is the supervisor's to say.
            true => child::wait([Await::Nothing, end], None)?,
        };
        if ended {
            break;
        }
        if stop {
            running.terminate();
            stopped = true;
        }
    }
    let end = running.end()?;
    running.reap()?;
    Ok(match (stopped, end.code) {
        (true, _) => Some(0),
        (false, Some(code)) if is_hopeless(code) => Some(code),
        (false, code) => {
            tell(code, end.signal);
            None
        }
    })
}

/// Waits for the next run; true when told to stop.
fn rest(signals: &SignalFd, next: Instant) -> Outcome<bool> {
    loop {
        let left = next.saturating_duration_since(sys::now());
        if left.is_zero() {
            return Ok(false);
        }
        let [stop, _] = wait(signals, Await::Nothing, Some(left))?;
        if stop {
            return Ok(true);
        }
    }
}

/// Told to stop means a signal, or the end of standard input. Only a hang-up is one: the end of
/// /dev/null would stop every sensor started by hand.
fn wait(signals: &SignalFd, on: Await<'_>, timeout: Option<Duration>) -> Outcome<[bool; 2]> {
    let stdin = io::stdin();
    let on = [
        Await::Readable(signals.as_fd()),
        Await::HangUp(stdin.as_fd()),
        on,
    ];
    let [signal, hang_up, on] = child::wait(on, timeout)?;
    Ok([hang_up || signal && child::stop_came(signals).is_some(), on])
}

fn start(args: &SensorArgs) -> Outcome<Running> {
    let mut program = program(args);
    let sandbox = match args.sandbox.needs_its_paths() {
        true => host::with_needs(args, &mut program),
        false => args.sandbox.clone(),
    };
    let mut env = isolation::strict_env(&sandbox);
    env.extend(program.env);
    let exec = ExecArgs {
        supervisor_pid: i32::try_from(std::process::id()).unwrap_or_default(),
        report: None,
        cwd: program.cwd,
        sandbox,
        exec_fd: args.exec_fd,
        ready_fd: args.ready_fd,
        program: program.program,
        args: program.args,
    };
    let names = std::env::vars_os().map(|(name, _)| name);
    child::start(&Start {
        argv: exec.to_argv(),
        what: &exec.program,
        scrubbed: &isolation::scrubbed(names, &exec.sandbox),
        env: &env,
        own_group: false,
        piped: false,
        quiet: true,
    })
}

/// A Python file in this mode is a script that prints, not a class on the SDK.
fn program(args: &SensorArgs) -> Program {
    let file = &args.file_path;
    match host::entry(file) {
        host::Entry::Python => Program::plain(
            host::python(args.python.as_deref()),
            vec!["-u".into(), file.into()],
            Some(host::pack_dir(file).to_owned()),
        ),
        _ => host::sensor(args, &host::Facts::default()),
    }
}

fn is_hopeless(code: i32) -> bool {
    code == CONFIG || (code != codes::USAGE && codes::explain(code).is_some())
}

fn tell(code: Option<i32>, signal: Option<i32>) {
    match (code, signal) {
        (Some(0), _) => {}
        (Some(code), _) => eprintln!("W! the command ended with {code}"),
        (None, Some(signal)) => eprintln!("W! the command was ended by signal {signal}"),
        (None, None) => {}
    }
}
