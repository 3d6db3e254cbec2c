//! The chain loader: it puts limits on itself, then becomes the sensor.
//!
//! `sensor-wrapper` takes StackStorm's arguments ([`args`]), decides what to become ([`host`]) and
//! what to do to itself before ([`isolation`], a list of steps as data), performs the steps one
//! thin call each ([`sys`]), and execs: one process per sensor, nothing copied in between. Two
//! programs need a parent and keep it: an action ([`action`]), whose end must be on record even if
//! the supervisor dies, and a command that runs every few seconds ([`command`]).
//!
//! It is a library with a thin binary: `petrel` links it and answers to its name. Every failing
//! step is one line on standard error and an exit code of its own ([`codes`]).

use std::ffi::OsString;

pub mod action;
pub mod args;
mod child;
pub mod codes;
mod command;
pub mod covers;
mod failure;
mod given;
pub mod host;
mod init;
pub mod isolation;
mod output;
pub mod probe;
mod report;
pub mod sandbox;
pub mod sdk;
mod sys;
mod warm;

pub use failure::Failure;

use args::{ExecArgs, Invocation, SensorArgs};
use failure::Outcome;
use host::Program;
use report::{Reports, isolate};
use sandbox::{Limits, Profile};

/// The file name under which another binary that links this library must call [`main`].
pub const NAME: &str = "sensor-wrapper";

/// Differs between builds from different sources.
pub const BUILD: &str = env!("SENSOR_WRAPPER_BUILD");

/// Does what the arguments say; they are without the program's own name. Returns the exit code, or
/// never, when the process became something else.
pub fn main(args: impl IntoIterator<Item = OsString>) -> i32 {
    match run(args) {
        Ok(code) => code,
        Err(failure) => {
            sys::complain(&failure);
            failure.code
        }
    }
}

fn run(args: impl IntoIterator<Item = OsString>) -> Outcome<i32> {
    match args::parse(args)? {
        Invocation::Help => {
            print!("{}", args::USAGE);
            Ok(0)
        }
        Invocation::Build => {
            println!("{BUILD}");
            Ok(0)
        }
        Invocation::Probe => Ok(probe::run()),
        Invocation::Sensor(args) => sensor(args),
        Invocation::Action(args) => action::run(&args),
        Invocation::Exec(args) => become_program(args),
    }
}

fn sensor(mut args: SensorArgs) -> Outcome<i32> {
    if args.init {
        return init::run(args);
    }
    if args.sandbox.pidns {
        args = match init::outer(args)? {
            Ok(code) => return Ok(code),
            Err(args) => args,
        };
    }
    match args.command && !args.check {
        true => command::run(args),
        false => become_sensor(args.absolute()),
    }
}

fn become_sensor(mut args: SensorArgs) -> Outcome<i32> {
    let mut reports = Reports::open(args.exec_fd, Reports::Stderr)?;
    let failure = match isolated(&mut args, &mut reports) {
        Ok(program) if args.check && host::entry(&args.file_path) != host::Entry::Python => {
            return sys::check_executable(&program.program).map(|()| 0);
        }
        Ok(program) => {
            let names = std::env::vars_os().map(|(name, _)| name);
            sys::exec(&program, &isolation::scrubbed(names, &args.sandbox))
        }
        Err(failure) => failure,
    };
    reports.failed(&failure);
    Err(failure)
}

/// What it becomes; by then it is kept from all that it is to be kept from.
fn isolated(args: &mut SensorArgs, reports: &mut Reports) -> Outcome<Program> {
    if args.sdk.is_none() && host::entry(&args.file_path) == host::Entry::Python {
        args.sdk = Some(sdk::unpack_default()?);
    }
    let mut program = sensor_program(args)?;
    if args.sandbox.needs_its_paths() {
        args.sandbox = host::with_needs(args, &mut program);
        let mut env = isolation::strict_env(&args.sandbox);
        env.append(&mut program.env);
        program.env = env;
    }
    let supervisor = args.supervisor_pid.unwrap_or_else(sys::parent);
    let (sandbox, limits) = (&args.sandbox, &args.limits);
    let kept = reports.beside(args.ready_fd)?;
    let steps = isolation::steps(supervisor, sandbox, limits, &kept);
    isolate(&steps, reports, &sandbox.require)?;
    Ok(program)
}

/// The last link of an action's or a command's chain. A failure also goes to the file named by the
/// parent.
fn become_program(args: ExecArgs) -> Outcome<i32> {
    let mut reports = Reports::open(args.exec_fd, Reports::Nobody)?;
    let isolated = reports.beside(args.ready_fd).and_then(|kept| {
        let (supervisor, sandbox) = (args.supervisor_pid, &args.sandbox);
        let steps = isolation::steps(supervisor, sandbox, &Limits::default(), &kept);
        isolate(&steps, &mut reports, &sandbox.require)
    });
    let failure = match isolated {
        // The parent has already removed what must not be inherited.
        Ok(()) => sys::exec(&Program::plain(args.program, args.args, args.cwd), &[]),
        Err(failure) => failure,
    };
    reports.failed(&failure);
    if let Some(report) = &args.report {
        failure.report(report);
    }
    Err(failure)
}

/// What a sensor's arguments become on this host.
fn sensor_program(args: &SensorArgs) -> Outcome<Program> {
    let entry = host::entry(&args.file_path);
    let sdk = match &args.sdk {
        Some(folder) if entry == host::Entry::Python => sdk::check(folder)?,
        _ => {
            sys::check_file(&args.file_path)?;
            Default::default()
        }
    };
    let pack = host::pack_dir(&args.file_path);
    let strict = args.sandbox.profile == Profile::Strict;
    let facts = host::Facts {
        sdk,
        lib_exists: pack.join("lib").is_dir(),
        python_path: std::env::var_os("PYTHONPATH").filter(|_| !strict),
    };
    Ok(host::sensor(args, &facts))
}
