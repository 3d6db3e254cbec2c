//! What an action leaves behind, however it ends.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests make children and may fail"
)]

mod common;

use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use common::{WRAPPER, fails, lives, pid_in, signal, text, until};
use nix::sys::signal::Signal;
use sensor_wrapper::action::Exit;
use sensor_wrapper::args::ActionArgs;
use sensor_wrapper::codes;

struct Action {
    folder: tempfile::TempDir,
    args: ActionArgs,
}

impl Action {
    fn new(program: &str, args: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pid = std::process::id() as i32;
        let mut all = ActionArgs::new(folder.path(), pid, program);
        all.args = args.iter().map(OsString::from).collect();
        Self { folder, args: all }
    }

    fn shell(script: &str) -> Self {
        Self::new("sh", &["-c", script])
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(WRAPPER);
        command.args(self.args.to_argv()).stdin(Stdio::null());
        command.env("OUT", self.path("out"));
        command
    }

    fn run(&self) -> Exit {
        let status = self.command().status().unwrap();
        assert_eq!(status.code(), Some(0));
        self.exit()
    }

    fn exit(&self) -> Exit {
        serde_json::from_slice(&fs::read(self.path("exit.json")).unwrap()).unwrap()
    }

    fn read(&self, name: &str) -> String {
        text(&fs::read(self.path(name)).unwrap())
    }

    /// Everything but what is meant to be left.
    fn strays(&self) -> Vec<String> {
        let names = fs::read_dir(self.folder.path()).unwrap();
        let names = names.map(|n| n.unwrap().file_name().into_string().unwrap());
        let known = ["started", "stdout", "stderr", "exit.json", "out"];
        names.filter(|n| !known.contains(&n.as_str())).collect()
    }
}

#[test]
fn an_action_that_ends_by_itself() {
    let mut action = Action::shell("echo out; echo err >&2; cat; pwd; echo $VAR; exit 7");
    action.args.cwd = Some("/".into());
    action.args.env = vec![("VAR".into(), "value".into())];
    let mut child = action.command().stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"in\n").unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let exit = action.exit();
    assert_eq!((exit.code, exit.signal, exit.error), (Some(7), None, None));
    assert_eq!(action.read("stdout"), "out\nin\n/\nvalue\n");
    assert_eq!(action.read("stderr"), "err\n");
    assert_eq!((exit.stdout_bytes, exit.stderr_bytes), (15, 4));
    assert!(!exit.stopped && !exit.orphaned && exit.ended >= exit.started);
    assert_eq!(action.read("started").trim(), child.id().to_string());
    assert!(action.strays().is_empty(), "{:?}", action.strays());
}

#[test]
fn an_action_that_is_killed_by_a_signal() {
    let exit = Action::shell("kill -9 $$").run();
    assert_eq!((exit.code, exit.signal), (None, Some(9)));
}

#[test]
fn a_program_that_cannot_start() {
    let check = |action: Action, code: i32, step: &str| {
        let exit = action.run();
        let error = exit.error.unwrap();
        assert_eq!((exit.code, error.code), (Some(code), code), "{error}");
        assert_eq!(error.step, step, "{error}");
        assert!(action.read("stderr").starts_with("sensor-wrapper: "));
        assert!(action.strays().is_empty(), "{:?}", action.strays());
    };
    check(Action::new("/no/such", &[]), codes::NOT_FOUND, "exec");
    check(Action::new("/dev/null", &[]), codes::NOT_EXECUTABLE, "exec");
    let mut nowhere = Action::shell("true");
    nowhere.args.cwd = Some("/no/such".into());
    check(nowhere, codes::ENVIRONMENT, "chdir");
    let looped = tempfile::tempdir().unwrap();
    let link = looped.path().join("loop");
    std::os::unix::fs::symlink(&link, &link).unwrap();
    check(
        Action::new(link.to_str().unwrap(), &[]),
        codes::EXEC,
        "exec",
    );
}

#[test]
fn an_action_of_its_own_code_127_has_no_error() {
    let exit = Action::shell("exit 127").run();
    assert_eq!((exit.code, exit.error), (Some(127), None));
}

#[test]
fn an_action_that_began_is_never_begun_again() {
    let action = Action::shell("echo >\"$OUT\"");
    fs::write(action.path("started"), "").unwrap();
    fails(&mut action.command(), codes::EXECUTION, "began before");
    assert!(!action.path("out").exists() && !action.path("exit.json").exists());
    let mut nowhere = Action::shell("true");
    nowhere.args.dir = "/no/such".into();
    fails(&mut nowhere.command(), codes::EXECUTION, "--dir");
}

#[test]
fn nothing_begins_without_its_supervisor() {
    let mut action = Action::shell("true");
    action.args.supervisor_pid = 1;
    fails(&mut action.command(), codes::PARENT_GONE, "parent 1");
    assert!(!action.path("started").exists());
}

#[test]
fn output_is_bounded_and_the_rest_counted() {
    let mut action = Action::shell("head -c 300000 /dev/zero; head -c 5 /dev/zero >&2");
    action.args.output_bytes = 1000;
    let exit = action.run();
    assert_eq!((exit.stdout_bytes, exit.stdout_dropped), (1000, 299_000));
    assert_eq!((exit.stderr_bytes, exit.stderr_dropped), (5, 0));
    assert_eq!(action.read("stdout").len(), 1000);
}

#[test]
fn a_stop_is_heard() {
    let mut action = Action::shell(
        "trap 'echo bye; exit 3' TERM; echo $$ >\"$OUT\"; while :; do sleep 0.01; done",
    );
    action.args.grace_s = 1000.0;
    let mut child = action.command().spawn().unwrap();
    pid_in(&action.path("out"));
    signal(child.id() as i32, Signal::SIGTERM);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let exit = action.exit();
    assert_eq!(
        (exit.code, exit.stopped, exit.orphaned),
        (Some(3), true, false)
    );
    assert_eq!(action.read("stdout"), "bye\n");
}

#[test]
fn a_child_that_ignores_term_is_killed_with_its_group() {
    let mut action =
        Action::shell("trap '' TERM; sleep 1000 & echo $! >\"$OUT\"; wait; sleep 1000");
    action.args.grace_s = 0.05;
    let mut child = action.command().spawn().unwrap();
    let grandchild = pid_in(&action.path("out"));
    signal(child.id() as i32, Signal::SIGTERM);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let exit = action.exit();
    assert_eq!((exit.signal, exit.stopped), (Some(9), true));
    until("the grandchild is dead", || !lives(grandchild));
}

#[test]
fn a_stopped_child_hears_term() {
    let mut action = Action::shell("echo $$ >\"$OUT\"; kill -STOP $$; sleep 1000");
    action.args.grace_s = 1000.0;
    let mut child = action.command().spawn().unwrap();
    let program = pid_in(&action.path("out"));
    until("it is stopped", || {
        fs::read_to_string(format!("/proc/{program}/stat")).is_ok_and(|s| s.contains(") T "))
    });
    signal(child.id() as i32, Signal::SIGTERM);
    child.wait().unwrap();
    assert_eq!(action.exit().signal, Some(15));
}

#[test]
fn what_is_left_of_the_group_is_killed() {
    let action = Action::shell("sleep 1000 & echo $! >\"$OUT\"; echo done");
    let exit = action.run();
    assert_eq!((exit.code, exit.stopped), (Some(0), false));
    assert_eq!(action.read("stdout"), "done\n");
    let left = pid_in(&action.path("out"));
    until("it is dead", || !lives(left));
}

#[test]
fn a_leaked_process_that_holds_the_pipes_does_not_hang_it() {
    let leak = "setsid sh -c 'echo $$ >\"$OUT\"; while :; do echo flood; done' & \
                while ! [ -s \"$OUT\" ]; do sleep 0.01; done; echo done >&2";
    let action = Action::shell(leak);
    let exit = action.run();
    let leaked = pid_in(&action.path("out"));
    // Its pipe is closed now, so it may have died of that.
    let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(leaked), Signal::SIGKILL);
    assert_eq!(exit.code, Some(0));
    assert_eq!(action.read("stderr"), "done\n");
}

#[test]
fn the_program_dies_with_a_killed_wrapper() {
    let action = Action::shell("echo $$ >\"$OUT\"; exec sleep 1000");
    let mut child = action.command().spawn().unwrap();
    let program = pid_in(&action.path("out"));
    child.kill().unwrap();
    child.wait().unwrap();
    until("the program is dead", || !lives(program));
    assert!(action.path("started").exists() && !action.path("exit.json").exists());
}

#[test]
fn the_group_dies_with_the_supervisor_and_that_is_on_record() {
    let mut action =
        Action::shell("trap '' TERM; sleep 1000 & echo $! >\"$OUT\"; while :; do sleep 0.01; done");
    action.args.grace_s = 0.05;
    // The supervisor of this action is a shell that can be killed.
    let mut argv = action.args.to_argv();
    let pid = argv
        .iter_mut()
        .find(|a| a.to_string_lossy().starts_with("--supervisor-pid="));
    *pid.unwrap() = "--supervisor-pid=SHELL".into();
    let script = "for a; do shift; [ \"$a\" = --supervisor-pid=SHELL ] && a=--supervisor-pid=$$; \
                  set -- \"$@\" \"$a\"; done; \"$@\" & wait";
    let mut supervisor = Command::new("sh")
        .args(["-c", script, "sh", WRAPPER])
        .args(argv)
        .env("OUT", action.path("out"))
        .spawn()
        .unwrap();
    let grandchild = pid_in(&action.path("out"));
    supervisor.kill().unwrap();
    supervisor.wait().unwrap();
    until("the record is there", || action.path("exit.json").exists());
    let exit = action.exit();
    assert!(exit.stopped && exit.orphaned, "{exit:?}");
    assert_eq!(exit.signal, Some(9));
    until("the grandchild is dead", || !lives(grandchild));
}

#[test]
fn the_environment_is_scrubbed_but_for_what_is_given() {
    let mut action = Action::shell("env");
    action.args.env = vec![("LD_GIVEN".into(), "1".into())];
    let status = action
        .command()
        .env("LD_INHERITED", "1")
        .env("PETREL_DATA_KEY", "secret")
        .status();
    assert!(status.unwrap().success());
    let seen = action.read("stdout");
    assert!(seen.contains("LD_GIVEN=1\n"), "{seen}");
    assert!(
        !seen.contains("LD_INHERITED") && !seen.contains("secret"),
        "{seen}"
    );
}

#[test]
fn python_finds_the_sdk() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("a.py");
    fs::write(
        &script,
        "import os, sys\nprint(os.environ['PYTHONPATH'], *sys.argv[1:])",
    )
    .unwrap();
    let mut action = Action::new(script.to_str().unwrap(), &["x"]);
    action.args.sdk = Some(Path::new("/sdk").into());
    action.args.env = vec![("PYTHONPATH".into(), "/given".into())];
    assert_eq!(action.run().code, Some(0));
    assert_eq!(action.read("stdout"), "/sdk:/given x\n");
}
