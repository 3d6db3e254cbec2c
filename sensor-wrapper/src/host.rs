//! From an entry point to the program that is executed. Pure: what must be known of the disk and
//! the environment comes in as [`Facts`].

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::args::SensorArgs;
use crate::sandbox::Sandbox;

/// What an entry point is, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// `*.py`: runs on the Python SDK.
    Python,
    /// `*.js`, `*.mjs`, `*.cjs`: runs on node.
    Node,
    /// Anything else: is executed itself.
    Executable,
}

/// What is to be executed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// A path, or a name to be found in `PATH`.
    pub program: OsString,
    /// Its arguments, without its own name.
    pub args: Vec<OsString>,
    /// Where; `None` stays where we are.
    pub cwd: Option<PathBuf>,
    /// Variables to set.
    pub env: Vec<(OsString, OsString)>,
}

/// What must be known to choose.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Folder of the unpacked Python SDK.
    pub sdk: PathBuf,
    /// Whether the pack has a folder `lib`.
    pub lib_exists: bool,
    /// The inherited `PYTHONPATH`.
    pub python_path: Option<OsString>,
}

impl Program {
    /// A program with arguments and nothing else.
    pub fn plain(program: OsString, args: Vec<OsString>, cwd: Option<PathBuf>) -> Self {
        let env = Vec::new();
        Self {
            program,
            args,
            cwd,
            env,
        }
    }
}

/// What an entry point is.
pub fn entry(file: &Path) -> Entry {
    match file.extension().and_then(OsStr::to_str) {
        Some("py") => Entry::Python,
        Some("js" | "mjs" | "cjs") => Entry::Node,
        _ => Entry::Executable,
    }
}

/// The pack of an entry point: the folder above the nearest folder `sensors`, else two above the
/// file.
pub fn pack_dir(file: &Path) -> &Path {
    let mut folders = file.ancestors().skip(1);
    let sensors = folders.find(|folder| folder.file_name() == Some(OsStr::new("sensors")));
    let pack = match sensors {
        Some(sensors) => sensors.parent(),
        None => file.parent().and_then(Path::parent),
    };
    pack.unwrap_or(Path::new("."))
}

/// What a sensor becomes.
pub fn sensor(args: &SensorArgs, facts: &Facts) -> Program {
    let file = args.file_path.as_os_str().to_owned();
    let cwd = Some(pack_dir(&args.file_path).to_owned());
    match entry(&args.file_path) {
        Entry::Python => python_sensor(args, facts),
        Entry::Node => Program::plain("node".into(), vec![file], cwd),
        Entry::Executable => Program::plain(file, Vec::new(), cwd),
    }
}

fn python_sensor(args: &SensorArgs, facts: &Facts) -> Program {
    let wrapper = facts.sdk.join("sensor_wrapper.py").into_os_string();
    let mut argv = vec![OsString::from("-u"), wrapper];
    argv.extend(args.stackstorm_argv());
    argv.extend(args.check.then(|| OsString::from("--check")));
    let lib = facts
        .lib_exists
        .then(|| pack_dir(&args.file_path).join("lib").into_os_string());
    Program {
        program: python(args.python.as_deref()),
        args: argv,
        cwd: None,
        env: python_env(lib, &facts.sdk, facts.python_path.as_deref()),
    }
}

/// The variables for a Python with the SDK: `PYTHONPATH` is the pack's `lib`, the SDK, and what was
/// inherited, in this order.
pub(crate) fn python_env(
    lib: Option<OsString>,
    sdk: &Path,
    inherited: Option<&OsStr>,
) -> Vec<(OsString, OsString)> {
    let inherited = inherited.filter(|path| !path.is_empty());
    let parts = [lib.as_deref(), Some(sdk.as_os_str()), inherited];
    let parts: Vec<&OsStr> = parts.into_iter().flatten().collect();
    vec![
        ("PYTHONPATH".into(), parts.join(OsStr::new(":"))),
        ("PYTHONUNBUFFERED".into(), "1".into()),
    ]
}

pub(crate) fn python(given: Option<&Path>) -> OsString {
    given.map_or_else(|| "python3".into(), |path| path.as_os_str().to_owned())
}

/// The sandbox with what a program cannot do without among what it may read: its pack, the SDK, and
/// the installations of its interpreter. The program gets its full path, for `PATH` will be another.
pub fn with_needs(args: &SensorArgs, program: &mut Program) -> Sandbox {
    let file = &args.file_path;
    let mut sandbox = args.sandbox.clone();
    let read = &mut sandbox.read;
    read.extend([pack_dir(file).to_owned(), file.clone()]);
    read.extend(args.sdk.clone());
    if let Some(path) = on_path(Path::new(&program.program)) {
        read.extend(installations(&path));
        program.program = path.into();
    }
    read.sort_unstable();
    read.dedup();
    sandbox
}

fn on_path(program: &Path) -> Option<PathBuf> {
    if program.components().count() > 1 {
        return Some(program.to_owned());
    }
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
}

/// `<prefix>/bin/program` belongs to `<prefix>`, also where a link (as in a virtual environment)
/// leads.
fn installations(program: &Path) -> Vec<PathBuf> {
    let real = std::fs::canonicalize(program).ok();
    let paths = [Some(program.to_owned()), real].into_iter().flatten();
    paths
        .filter_map(|path| {
            let bin = path.parent()?;
            let prefix = bin.parent().filter(|_| bin.ends_with("bin"))?;
            let is_systems = prefix == Path::new("/") || prefix.starts_with("/usr");
            (!is_systems).then(|| prefix.to_owned())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(file: &str) -> SensorArgs {
        SensorArgs {
            pack: "p".into(),
            file_path: file.into(),
            class_name: "C".into(),
            poll_interval: Some(5.0),
            ..SensorArgs::default()
        }
    }

    #[test]
    fn the_pack_is_found() {
        let check = |file: &str, pack: &str| assert_eq!(pack_dir(Path::new(file)), Path::new(pack));
        check("/packs/p/sensors/s.py", "/packs/p");
        check("/packs/p/sensors/deep/er/s.py", "/packs/p");
        check("/packs/p/sensors/../bin/s", "/packs/p");
        check("/packs/p/bin/s", "/packs/p");
        check("/sensors/p/sensors/s.py", "/sensors/p");
        check("s", ".");
    }

    #[test]
    fn python_gets_the_arguments_and_the_path() {
        let facts = Facts {
            sdk: "/sdk".into(),
            lib_exists: true,
            python_path: Some("/inherited".into()),
        };
        let program = sensor(&args("/packs/p/sensors/s.py"), &facts);
        assert_eq!(program.program, "python3");
        let expected = [
            "-u",
            "/sdk/sensor_wrapper.py",
            "--pack=p",
            "--file-path=/packs/p/sensors/s.py",
            "--class-name=C",
            "--poll-interval=5",
        ];
        assert_eq!(program.args, expected);
        assert_eq!(program.cwd, None);
        assert_eq!(program.env[0].1, "/packs/p/lib:/sdk:/inherited");
    }

    #[test]
    fn node_and_executables_run_in_the_pack() {
        let node = sensor(&args("/packs/p/sensors/s.mjs"), &Facts::default());
        assert_eq!(node.program, "node");
        assert_eq!(node.args, ["/packs/p/sensors/s.mjs"]);
        let shell = sensor(&args("/packs/p/sensors/s.sh"), &Facts::default());
        assert_eq!(shell.program, "/packs/p/sensors/s.sh");
        assert_eq!(shell.cwd, Some("/packs/p".into()));
        assert!(shell.args.is_empty());
    }
}
