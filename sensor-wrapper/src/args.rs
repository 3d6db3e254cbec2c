//! The command line, parsed and written.
//!
//! A sensor's options are StackStorm's, then ours; `--name=value` and `--name value` are the same.
//! `to_argv` writes what `parse` reads; both are without the program's own name.

use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::codes;
use crate::failure::{Failure, Outcome};
use crate::given::{Given, Options, join};
use crate::sandbox::{Limits, Profile, Sandbox};

/// What `--help` prints.
pub const USAGE: &str = "\
sensor-wrapper --pack=P --file-path=F --class-name=C [--trigger-type-refs=a.b,c.d]
               [--parent-args=JSON] [--poll-interval=SECONDS] [--supervisor-pid=N]
               [--python=PATH] [--sdk=DIR] [--command] [--check]
               [--sandbox=JSON] [--limits=JSON]
    becomes the sensor; with --command it stays and runs the program every SECONDS; with --check
    it says whether the sensor can be loaded, and sets up nothing

sensor-wrapper --probe
    says as JSON which parts of a sandbox this host gives

sensor-wrapper --action --dir=DIR --supervisor-pid=N [--grace=SECONDS] [--cwd=DIR]
               [--output-bytes=N] [--env=K=V ...] [--python=PATH] [--sdk=DIR]
               [--warm=SOCKET]
               -- PROGRAM ARGS...
    runs an action and leaves started, stdout, stderr and exit.json in DIR
";

/// Seconds between TERM and KILL when an action is stopped.
pub const GRACE_S: f64 = 5.0;
/// Bytes kept of an action's stdout, and of its stderr.
pub const OUTPUT_BYTES: u64 = 16 << 20;

/// What is asked for.
#[derive(Debug, Clone, PartialEq)]
pub enum Invocation {
    /// `--help`
    Help,
    /// A sensor.
    Sensor(SensorArgs),
    /// `--action`: the parent of an action.
    Action(ActionArgs),
    /// `--exec`: the last link of an action's chain. Only the wrapper itself asks for it.
    Exec(ExecArgs),
    /// `--build`: says from which sources it was built.
    Build,
    /// `--probe`: says what this host gives; ends in whatever it tried.
    Probe,
}

/// A sensor.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SensorArgs {
    /// The pack's name.
    pub pack: String,
    /// The entry point.
    pub file_path: PathBuf,
    /// The class, or the name of a sensor that has none.
    pub class_name: String,
    /// The trigger types, `pack.name`; none may hold a comma.
    pub trigger_type_refs: Vec<String>,
    /// A JSON list, as text.
    pub parent_args: Option<String>,
    /// Seconds between polls.
    pub poll_interval: Option<f64>,
    /// Who must be our parent; without it, whoever is at the start.
    pub supervisor_pid: Option<i32>,
    /// The Python interpreter; without it `python3` of the `PATH`.
    pub python: Option<PathBuf>,
    /// The unpacked Python SDK; without it the embedded one is unpacked.
    pub sdk: Option<PathBuf>,
    /// Stay, and run the program every `poll_interval`.
    pub command: bool,
    /// Only load the program, set up nothing, and tell what is wrong.
    pub check: bool,
    /// What it is kept from.
    pub sandbox: Sandbox,
    /// What it may use.
    pub limits: Limits,
    /// We are process 1 of its namespace: stay, and start it.
    pub init: bool,
    /// A descriptor that is to stay open until the exec: its reader then knows of it.
    pub exec_fd: Option<i32>,
    /// A descriptor that the program is to have as its number 3, to say there that it is ready.
    pub ready_fd: Option<i32>,
}

/// An action.
#[derive(Debug, Clone, PartialEq)]
pub struct ActionArgs {
    /// The folder of the execution; it exists.
    pub dir: PathBuf,
    /// Who must be our parent.
    pub supervisor_pid: i32,
    /// Seconds between TERM and KILL.
    pub grace_s: f64,
    /// Where the program runs; without it, where we are.
    pub cwd: Option<PathBuf>,
    /// Bytes kept of stdout, and of stderr.
    pub output_bytes: u64,
    /// Variables to set.
    pub env: Vec<(OsString, OsString)>,
    /// The interpreter for a program `*.py`; without it `python3` of the `PATH`.
    pub python: Option<PathBuf>,
    /// The unpacked Python SDK, put before `PYTHONPATH`; without it that stays as it is.
    pub sdk: Option<PathBuf>,
    /// The socket of a Python that is ready; without it, or where nobody listens, one is started.
    pub warm: Option<PathBuf>,
    /// The soft limit of open files, as it was before the supervisor raised its own.
    pub nofile: Option<u64>,
    /// The program.
    pub program: OsString,
    /// Its arguments.
    pub args: Vec<OsString>,
}

/// A program that inherits all but the isolation.
#[derive(Debug, Clone, PartialEq)]
pub struct ExecArgs {
    /// Who must be our parent.
    pub supervisor_pid: i32,
    /// Where a failure is left as JSON.
    pub report: Option<PathBuf>,
    /// Where the program runs.
    pub cwd: Option<PathBuf>,
    /// What it is kept from.
    pub sandbox: Sandbox,
    /// Where it is told what of that could not be had.
    pub exec_fd: Option<i32>,
    /// What the program is to have as its number 3.
    pub ready_fd: Option<i32>,
    /// The program.
    pub program: OsString,
    /// Its arguments.
    pub args: Vec<OsString>,
}

impl ActionArgs {
    /// An action with the built-in limits.
    pub fn new(dir: impl Into<PathBuf>, supervisor_pid: i32, program: impl Into<OsString>) -> Self {
        Self {
            dir: dir.into(),
            supervisor_pid,
            grace_s: GRACE_S,
            cwd: None,
            output_bytes: OUTPUT_BYTES,
            env: Vec::new(),
            python: None,
            sdk: None,
            warm: None,
            nofile: None,
            program: program.into(),
            args: Vec::new(),
        }
    }

    /// The arguments that give this back.
    pub fn to_argv(&self) -> Vec<OsString> {
        let mut options = Options::flag("--action");
        options.add("dir", Some(&self.dir));
        options.add("supervisor-pid", Some(self.supervisor_pid.to_string()));
        options.add("grace", Some(self.grace_s.to_string()));
        options.add("cwd", self.cwd.as_ref());
        options.add("output-bytes", Some(self.output_bytes.to_string()));
        for (name, value) in &self.env {
            options.add("env", Some(join(name, value)));
        }
        options.add("python", self.python.as_ref());
        options.add("sdk", self.sdk.as_ref());
        options.add("warm", self.warm.as_ref());
        options.add("nofile", self.nofile.map(|n| n.to_string()));
        options.rest(&self.program, &self.args)
    }

    fn parse(mut given: Given) -> Outcome<Self> {
        let known = "dir supervisor-pid grace cwd output-bytes env python sdk warm nofile";
        given.only(known)?;
        let (program, args) = given.program()?;
        let grace_s = seconds("grace", given.last("grace"))?;
        let output_bytes = number("output-bytes", given.last("output-bytes"))?;
        Ok(Self {
            dir: given.required("dir")?.into(),
            supervisor_pid: required_number("supervisor-pid", &mut given)?,
            grace_s: grace_s.unwrap_or(GRACE_S),
            cwd: given.last("cwd").map(PathBuf::from),
            output_bytes: output_bytes.unwrap_or(OUTPUT_BYTES),
            env: given.pairs("env")?,
            python: given.last("python").map(PathBuf::from),
            sdk: given.last("sdk").map(PathBuf::from),
            warm: given.last("warm").map(PathBuf::from),
            nofile: number("nofile", given.last("nofile"))?,
            program,
            args,
        })
    }
}

impl SensorArgs {
    /// The arguments that give this back: StackStorm's in its order, then ours.
    pub fn to_argv(&self) -> Vec<OsString> {
        let mut options = Options(self.stackstorm_argv());
        let pid = self.supervisor_pid.map(|pid| pid.to_string());
        options.add("supervisor-pid", pid);
        options.add("python", self.python.as_ref());
        options.add("sdk", self.sdk.as_ref());
        options.add("sandbox", json_unless_default(&self.sandbox));
        options.add("limits", json_unless_default(&self.limits));
        options.add("exec-fd", self.exec_fd.map(|n| n.to_string()));
        options.add("ready-fd", self.ready_fd.map(|n| n.to_string()));
        if self.command {
            options.0.push("--command".into());
        }
        if self.check {
            options.0.push("--check".into());
        }
        if self.init {
            options.0.push("--init".into());
        }
        options.0
    }

    /// Only the arguments that StackStorm's wrapper takes.
    pub fn stackstorm_argv(&self) -> Vec<OsString> {
        let refs = self.trigger_type_refs.join(",");
        let mut options = Options(Vec::new());
        options.add("pack", Some(&self.pack));
        options.add("file-path", Some(&self.file_path));
        options.add("class-name", Some(&self.class_name));
        options.add("trigger-type-refs", Some(refs).filter(|r| !r.is_empty()));
        options.add("parent-args", self.parent_args.as_ref());
        options.add("poll-interval", self.poll_interval.map(|s| s.to_string()));
        options.0
    }

    /// The descriptors that its program, or whoever becomes it, is to have.
    pub(crate) fn kept(&self) -> Vec<i32> {
        self.exec_fd.into_iter().chain(self.ready_fd).collect()
    }

    /// The same with an absolute file, which stays right when the folder changes.
    pub(crate) fn absolute(self) -> Self {
        let file_path = std::path::absolute(&self.file_path).unwrap_or(self.file_path);
        Self { file_path, ..self }
    }

    fn parse(mut given: Given) -> Outcome<Self> {
        let known = "pack file-path class-name trigger-type-refs parent-args poll-interval \
                     supervisor-pid python sdk sandbox limits exec-fd ready-fd";
        given.only(known)?;
        given.no_program()?;
        let args = Self {
            pack: text("pack", given.required("pack")?)?,
            file_path: given.required("file-path")?.into(),
            class_name: text("class-name", given.required("class-name")?)?,
            trigger_type_refs: list("trigger-type-refs", given.last("trigger-type-refs"))?,
            parent_args: json_list(given.last("parent-args"))?,
            poll_interval: seconds("poll-interval", given.last("poll-interval"))?,
            supervisor_pid: number("supervisor-pid", given.last("supervisor-pid"))?,
            python: given.last("python").map(PathBuf::from),
            sdk: given.last("sdk").map(PathBuf::from),
            command: given.has("--command"),
            check: given.has("--check"),
            sandbox: json("sandbox", given.last("sandbox"))?,
            limits: json("limits", given.last("limits"))?,
            init: given.has("--init"),
            exec_fd: number("exec-fd", given.last("exec-fd"))?,
            ready_fd: number("ready-fd", given.last("ready-fd"))?,
        };
        args.checked()
    }

    fn checked(self) -> Outcome<Self> {
        let sandbox = &self.sandbox;
        if self.command && self.poll_interval.is_none() {
            Err(usage("--command needs --poll-interval"))
        } else if sandbox.profile == Profile::Strict && sandbox.state.is_none() {
            Err(usage(
                "--sandbox: the profile strict needs \"state\", a folder",
            ))
        } else {
            Ok(self)
        }
    }
}

impl ExecArgs {
    /// The arguments that give this back.
    pub fn to_argv(&self) -> Vec<OsString> {
        let mut options = Options::flag("--exec");
        options.add("supervisor-pid", Some(self.supervisor_pid.to_string()));
        options.add("report", self.report.as_ref());
        options.add("cwd", self.cwd.as_ref());
        options.add("sandbox", json_unless_default(&self.sandbox));
        options.add("exec-fd", self.exec_fd.map(|n| n.to_string()));
        options.add("ready-fd", self.ready_fd.map(|n| n.to_string()));
        options.rest(&self.program, &self.args)
    }

    fn parse(mut given: Given) -> Outcome<Self> {
        given.only("supervisor-pid report cwd sandbox exec-fd ready-fd")?;
        let (program, args) = given.program()?;
        Ok(Self {
            supervisor_pid: required_number("supervisor-pid", &mut given)?,
            report: given.last("report").map(PathBuf::from),
            cwd: given.last("cwd").map(PathBuf::from),
            sandbox: json("sandbox", given.last("sandbox"))?,
            exec_fd: number("exec-fd", given.last("exec-fd"))?,
            ready_fd: number("ready-fd", given.last("ready-fd"))?,
            program,
            args,
        })
    }
}

/// Reads the command line, without the program's own name.
///
/// # Errors
/// [`codes::USAGE`], with what is wrong.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Invocation, Failure> {
    let given = Given::split(args)?;
    if given.has("--help") {
        Ok(Invocation::Help)
    } else if given.has("--build") {
        Ok(Invocation::Build)
    } else if given.has("--probe") {
        Ok(Invocation::Probe)
    } else if given.has("--action") {
        ActionArgs::parse(given).map(Invocation::Action)
    } else if given.has("--exec") {
        ExecArgs::parse(given).map(Invocation::Exec)
    } else {
        SensorArgs::parse(given).map(Invocation::Sensor)
    }
}

pub(crate) fn usage(text: &str) -> Failure {
    let hint = "sensor-wrapper --help";
    Failure::new(codes::USAGE, "arguments", "of sensor-wrapper", text).hint(hint)
}

fn text(name: &str, value: OsString) -> Outcome<String> {
    value
        .into_string()
        .map_err(|_| usage(&format!("--{name} is not UTF-8")))
}

fn number<T: FromStr>(name: &str, value: Option<OsString>) -> Outcome<Option<T>> {
    let parse = |value: OsString| {
        let number = value.to_str().and_then(|text| text.parse().ok());
        number.ok_or_else(|| usage(&format!("--{name}: {value:?} is no such number")))
    };
    value.map(parse).transpose()
}

fn required_number<T: FromStr>(name: &str, given: &mut Given) -> Outcome<T> {
    let value = given.required(name)?;
    number(name, Some(value))?.ok_or_else(|| usage(&format!("--{name} is required")))
}

fn seconds(name: &str, value: Option<OsString>) -> Outcome<Option<f64>> {
    match number::<f64>(name, value)? {
        // A century, so that it always fits into a Duration and an Instant.
        Some(s) if !(0.0..=3.2e9).contains(&s) => {
            Err(usage(&format!("--{name}: {s} is no such time in seconds")))
        }
        other => Ok(other),
    }
}

fn list(name: &str, value: Option<OsString>) -> Outcome<Vec<String>> {
    let value = text(name, value.unwrap_or_default())?;
    let parts = value.split(',').filter(|part| !part.is_empty());
    Ok(parts.map(str::to_owned).collect())
}

fn json<T: DeserializeOwned + Default>(name: &str, value: Option<OsString>) -> Outcome<T> {
    let Some(value) = value else {
        return Ok(T::default());
    };
    serde_json::from_str(&text(name, value)?).map_err(|e| usage(&format!("--{name}: {e}")))
}

fn json_unless_default<T: Serialize + Default + PartialEq>(value: &T) -> Option<String> {
    (*value != T::default()).then(|| serde_json::to_string(value).unwrap_or_default())
}

fn json_list(value: Option<OsString>) -> Outcome<Option<String>> {
    let Some(value) = value else { return Ok(None) };
    let value = text("parent-args", value)?;
    match serde_json::from_str::<Vec<serde_json::Value>>(&value) {
        Ok(_) => Ok(Some(value)),
        Err(_) => Err(usage("--parent-args is not a JSON list")),
    }
}

#[cfg(test)]
#[path = "args_tests.rs"]
mod tests;
