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
mod failure;
mod given;
pub mod host;
pub mod isolation;
mod output;
pub mod sdk;
mod sys;

pub use failure::Failure;

use args::{ExecArgs, Invocation, SensorArgs};
use failure::Outcome;
use host::Program;

/// The file name under which another binary that links this library must call [`main`].
pub const NAME: &str = "sensor-wrapper";

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
        Invocation::Sensor(args) if args.command => command::run(args),
        Invocation::Sensor(args) => become_sensor(args),
        Invocation::Action(args) => action::run(&args),
        Invocation::Exec(args) => become_program(args),
    }
}

fn become_sensor(args: SensorArgs) -> Outcome<i32> {
    let args = args.absolute();
    let supervisor = args.supervisor_pid.unwrap_or_else(sys::parent);
    isolate(&isolation::steps(supervisor, args.nofile))?;
    let program = sensor_program(&args)?;
    let scrubbed = isolation::scrubbed(std::env::vars_os().map(|(name, _)| name));
    Err(sys::exec(&program, &scrubbed))
}

/// The last link of an action's chain. A failure also goes to the file named by the parent.
fn become_program(args: ExecArgs) -> Outcome<i32> {
    let failure = match isolate(&isolation::steps(args.supervisor_pid, None)) {
        // The parent has already removed what must not be inherited.
        Ok(()) => sys::exec(&Program::plain(args.program, args.args, args.cwd), &[]),
        Err(failure) => failure,
    };
    if let Some(report) = &args.report {
        failure.report(report);
    }
    Err(failure)
}

fn isolate(steps: &[isolation::Step]) -> Outcome<()> {
    steps.iter().try_for_each(|step| sys::perform(*step))
}

/// What a sensor's arguments become on this host.
fn sensor_program(args: &SensorArgs) -> Outcome<Program> {
    let entry = host::entry(&args.file_path);
    let sdk = match (entry, &args.sdk) {
        (host::Entry::Python, Some(folder)) => sdk::check(folder)?,
        (host::Entry::Python, None) => sdk::unpack_default()?,
        _ => {
            sys::check_file(&args.file_path)?;
            Default::default()
        }
    };
    let pack = host::pack_dir(&args.file_path);
    let facts = host::Facts {
        sdk,
        lib_exists: pack.join("lib").is_dir(),
        python_path: std::env::var_os("PYTHONPATH"),
    };
    Ok(host::sensor(args, &facts))
}
