//! A process namespace of a sensor's own: when its first process ends, the kernel ends all the others,
//! whatever they did to leave.
//!
//! Two of us stay. The outer one is the supervisor's child; it waits for the inner one, which is
//! process 1 of the namespace, starts the sensor, passes signals on to it, reaps whatever
//! is left to it, and ends as the sensor did. The outer one's death is the inner one's.

use std::os::fd::AsFd;

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};

use crate::args::SensorArgs;
use crate::child::{self, Await, Running, Start};
use crate::codes;
use crate::failure::{Failure, Outcome};
use crate::isolation::{self, Step};
use crate::report::{Reports, isolate};
use crate::sandbox::{Feature, Limits, Profile, Sandbox};
use crate::sys;

/// What a shell shows of a program that a signal ended.
const BY_SIGNAL: i32 = 128;

/// The outer one: gives the sensor its namespace and ends as it did. Where there is none to be had
/// the arguments come back without it.
pub(crate) fn outer(mut args: SensorArgs) -> Outcome<Result<i32, SensorArgs>> {
    let supervisor = args.supervisor_pid.unwrap_or_else(sys::parent);
    let itself = Sandbox {
        cgroup: args.sandbox.cgroup.take(),
        ..Sandbox::default()
    };
    let steps = isolation::steps(supervisor, &itself, &Limits::default(), &args.kept());
    isolate(&steps, &mut Reports::Stderr, &[])?;
    if let Err(failure) = sys::own_processes() {
        let required = args.sandbox.require.clone();
        let mut reports = Reports::open(args.exec_fd, Reports::Stderr)?;
        reports.missing(Feature::Pidns, failure.to_string(), &required)?;
        args.sandbox.pidns = false;
        return Ok(Err(args));
    }
    let signals = catch()?;
    let kept = args.kept();
    let init = start(SensorArgs { init: true, ..args })?;
    sys::let_go(&kept)?;
    loop {
        let on = [readable(&signals), Await::Readable(init.pidfd())];
        let [signal, ended] = child::wait(on, None)?;
        if ended {
            break;
        }
        while signal && let Ok(Some(came)) = signals.read_signal() {
            number(came.ssi_signo)
                .into_iter()
                .for_each(|signal| init.signal(signal));
        }
    }
    let end = init.end()?;
    init.reap()?;
    Ok(Ok(code(end.code, end.signal)))
}

/// The inner one, process 1.
pub(crate) fn run(mut args: SensorArgs) -> Outcome<i32> {
    sys::perform(&Step::DieWithParent, &mut sys::Done::default())?;
    let signals = catch()?;
    args.init = false;
    args.sandbox.pidns = false;
    args.supervisor_pid = i32::try_from(std::process::id()).ok();
    match sys::own_proc() {
        // It shows nobody but the sensor's own.
        Ok(()) => args.sandbox.read.push("/proc".into()),
        Err(failure) => {
            let mut reports = Reports::open(args.exec_fd, Reports::Stderr)?;
            let why = format!("no /proc of its own: {failure}");
            reports.missing(Feature::Pidns, why, &args.sandbox.require)?;
        }
    }
    if args.sandbox.profile != Profile::Strict {
        // `strict` needs it once more.
        sys::forget_mounting()?;
    }
    let kept = args.kept();
    let sensor = start(args)?;
    sys::let_go(&kept)?;
    look_after(&sensor, &signals)
}

fn look_after(sensor: &Running, signals: &SignalFd) -> Outcome<i32> {
    let mut asked = false;
    loop {
        child::wait([readable(signals)], None)?;
        while let Ok(Some(came)) = signals.read_signal() {
            if let Some(signal) = number(came.ssi_signo) {
                pass_on(signal, sensor, &mut asked);
            }
        }
        if let Some(code) = reap(sensor)? {
            return Ok(code);
        }
    }
}

/// A stop goes to the sensor first, and when it is asked for again to all of its group; any other
/// signal to the sensor alone. A stopped process hears nothing before it goes on.
fn pass_on(signal: Signal, sensor: &Running, asked: &mut bool) {
    match signal {
        Signal::SIGCHLD => {}
        Signal::SIGTERM | Signal::SIGINT | Signal::SIGHUP | Signal::SIGQUIT if *asked => {
            sensor.signal_group(signal);
            sensor.signal_group(Signal::SIGCONT);
        }
        Signal::SIGUSR1 | Signal::SIGUSR2 => sensor.signal(signal),
        _ => {
            *asked = true;
            sensor.signal(signal);
            sensor.signal(Signal::SIGCONT);
        }
    }
}

/// Reaps all that ended; the sensor's code once it is among them. Nobody else waits for children
/// here, and all that is left alone in the namespace is ours.
fn reap(sensor: &Running) -> Outcome<Option<i32>> {
    let look = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    loop {
        match waitid(Id::All, look) {
            Ok(WaitStatus::Exited(pid, _) | WaitStatus::Signaled(pid, ..)) => {
                if pid.as_raw().unsigned_abs() == sensor.pid() {
                    let end = sensor.end()?;
                    return Ok(Some(code(end.code, end.signal)));
                }
                let _ = waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG);
            }
            _ => return Ok(None),
        }
    }
}

fn start(args: SensorArgs) -> Outcome<Running> {
    child::start(&Start {
        argv: args.to_argv(),
        what: args.file_path.as_os_str(),
        scrubbed: &[],
        env: &[],
        own_group: true,
        piped: false,
        quiet: false,
    })
}

fn catch() -> Outcome<SignalFd> {
    let mut set = SigSet::empty();
    for signal in [
        Signal::SIGTERM,
        Signal::SIGINT,
        Signal::SIGHUP,
        Signal::SIGQUIT,
        Signal::SIGUSR1,
        Signal::SIGUSR2,
        Signal::SIGABRT,
        Signal::SIGCHLD,
    ] {
        set.add(signal);
    }
    let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
    set.thread_block()
        .and_then(|()| SignalFd::with_flags(&set, flags))
        .map_err(|e| Failure::system(codes::SIGNALS, "signals", "all", &e.into()))
}

fn readable(signals: &SignalFd) -> Await<'_> {
    Await::Readable(signals.as_fd())
}

fn number(signal: u32) -> Option<Signal> {
    i32::try_from(signal)
        .ok()
        .and_then(|n| Signal::try_from(n).ok())
}

fn code(code: Option<i32>, signal: Option<i32>) -> i32 {
    code.unwrap_or_else(|| BY_SIGNAL + signal.unwrap_or_default())
}
