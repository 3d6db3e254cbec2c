//! What a sensor finds when it begins, and how the wrapper ends when it cannot begin.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests make children and may fail"
)]

mod common;

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use common::{Pack, WRAPPER, fails, lives, pid_in, sensor, signal, text, until};
use nix::sys::signal::Signal;
use sensor_wrapper::codes;

/// Runs a shell sensor below a shell that prepares something; gives what it printed.
fn printed(prepare: &str, body: &str) -> String {
    let pack = Pack::new();
    let file = pack.script("s.sh", body);
    let mut shell = Command::new("sh");
    shell
        .args(["-c", &format!("{prepare}; exec \"$@\""), "sh", WRAPPER])
        .args([
            "--pack=p",
            "--class-name=C",
            "--limits={\"nofile\":77}",
            "--file-path",
        ])
        .arg(file)
        .env("LD_LIBRARY_PATH", "/nowhere")
        .env("PETREL_API_KEY", "secret")
        .env("PETREL_SENSOR", "p.C");
    let output = shell.output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn descriptors_are_closed() {
    let body = "for n in 3 4 5 6 7 8 9; do [ -e /proc/$$/fd/$n ] && echo $n; done; true";
    assert_eq!(printed("exec 3</dev/null 7>/dev/null", body), "");
    // The body does see a descriptor that is open.
    assert_eq!(printed("true", &format!("exec 5</dev/null; {body}")), "5\n");
}

#[test]
fn the_environment_is_scrubbed() {
    let seen = printed("true", "env");
    assert!(
        seen.contains("PETREL_SENSOR=p.C\n") && seen.contains("PATH="),
        "{seen}"
    );
    assert!(
        !seen.contains("LD_LIBRARY_PATH") && !seen.contains("secret"),
        "{seen}"
    );
}

#[test]
fn ignored_signals_get_their_default_back() {
    // By the shell itself: it blocks signals while it starts another program.
    let show = "while read -r line; do echo \"$line\"; done </proc/$$/status";
    let seen = printed("trap '' INT HUP USR1 PIPE CHLD", show);
    let mask = |name: &str| {
        let line = seen.lines().find_map(|line| line.strip_prefix(name));
        u64::from_str_radix(line.unwrap().trim(), 16).unwrap()
    };
    // 32 and 33 are the C library's own.
    let nobodys = 1 << 31 | 1 << 32;
    assert_eq!((mask("SigIgn:") & !nobodys, mask("SigBlk:")), (0, 0));
}

#[test]
fn limits_are_soft() {
    let seen = printed("true", "ulimit -S -c; ulimit -S -n; ulimit -H -n");
    let lines: Vec<&str> = seen.lines().collect();
    assert_eq!(lines[..2], ["0", "77"]);
    assert_ne!(lines[2], "77");
}

#[test]
fn an_executable_runs_in_its_pack_without_arguments() {
    let seen = printed("cd /", "basename \"$PWD\"; echo $#");
    assert_eq!(seen, "p\n0\n");
}

#[test]
fn a_relative_path_is_relative_to_where_we_were() {
    let pack = Pack::new();
    pack.script("s.sh", "echo here");
    let mut command = sensor(Path::new("sensors/s.sh"));
    let output = command.current_dir(pack.root().join("p")).output().unwrap();
    assert_eq!(text(&output.stdout), "here\n", "{}", text(&output.stderr));
}

#[test]
fn python_gets_stackstorms_arguments() {
    let pack = Pack::new();
    let file = pack.file("s.py", "", 0o644);
    let sdk = pack.root().join("sdk");
    std::fs::create_dir_all(&sdk).unwrap();
    std::fs::create_dir_all(pack.root().join("p/lib")).unwrap();
    let show = "import os, sys\nprint(*sys.argv[1:], os.environ['PYTHONPATH'], sep='\\n')";
    std::fs::write(sdk.join("sensor_wrapper.py"), show).unwrap();
    let output = sensor(&file)
        .args(["--poll-interval", "5", "--trigger-type-refs", "p.a,p.b"])
        .arg(format!("--sdk={}", sdk.display()))
        .env("PYTHONPATH", "/inherited")
        .output()
        .unwrap();
    let (root, pack) = (pack.root().display(), pack.root().join("p"));
    let pack = pack.display();
    let expected = format!(
        "--pack=p\n--file-path={pack}/sensors/s.py\n--class-name=C\n\
         --trigger-type-refs=p.a,p.b\n--poll-interval=5\n{pack}/lib:{root}/sdk:/inherited\n"
    );
    assert_eq!(text(&output.stdout), expected, "{}", text(&output.stderr));
}

#[test]
fn the_sensor_dies_with_its_parent() {
    let pack = Pack::new();
    let file = pack.script("s.sh", "echo $$ >\"$OUT\"; exec sleep 1000");
    let out = pack.root().join("pid");
    let mut parent = Command::new("sh")
        .args(["-c", "\"$@\" & wait", "sh", WRAPPER])
        .args(["--pack=p", "--class-name=C", "--file-path"])
        .arg(file)
        .env("OUT", &out)
        .spawn()
        .unwrap();
    let sensor = pid_in(&out);
    assert!(lives(sensor));
    signal(parent.id() as i32, Signal::SIGKILL);
    until("the sensor is dead", || !lives(sensor));
    parent.wait().unwrap();
}

#[test]
fn each_failure_has_its_code_and_line() {
    let pack = Pack::new();
    let good = pack.script("s.sh", "echo must not run");
    let python = pack.file("s.py", "", 0o644);
    let plain = pack.file("plain", "text", 0o644);
    let orphan = pack.file("orphan", "#!/no/such/interpreter\n", 0o755);
    fails(
        &mut Command::new(WRAPPER),
        codes::USAGE,
        "--pack is required",
    );
    fails(
        sensor(&good).arg("--supervisor-pid=1"),
        codes::PARENT_GONE,
        "parent 1: it is gone",
    );
    fails(
        sensor(&python).arg("--sdk=/no"),
        codes::SDK,
        "no sensor_wrapper.py",
    );
    let mut homeless = sensor(&python);
    homeless.env_remove("HOME").env_remove("XDG_CACHE_HOME");
    fails(&mut homeless, codes::SDK, "hint: set HOME");
    fails(
        sensor(&python).env("XDG_CACHE_HOME", "/dev/null"),
        codes::SDK,
        "(errno ",
    );
    fails(
        &mut sensor(&plain),
        codes::NOT_EXECUTABLE,
        "(errno 13); hint: chmod +x",
    );
    fails(&mut sensor(pack.root()), codes::NOT_EXECUTABLE, "no file");
    fails(
        &mut sensor(Path::new("/no/such")),
        codes::NOT_FOUND,
        "/no/such",
    );
    fails(&mut sensor(&orphan), codes::NOT_FOUND, "first line");
    let cache = pack.root().join("cache");
    let mut no_python = sensor(&python);
    no_python
        .arg("--sdk")
        .arg(pack.root())
        .arg("--python=/no/python")
        .env("XDG_CACHE_HOME", cache);
    std::fs::write(pack.root().join("sensor_wrapper.py"), "").unwrap();
    fails(&mut no_python, codes::NOT_FOUND, "/no/python");
}

#[test]
fn it_answers_to_its_name_from_another_binary() {
    let pack = Pack::new();
    let file = pack.script("s.sh", "echo through the link");
    let link = pack.root().join("sensor-wrapper");
    symlink(WRAPPER, &link).unwrap();
    let output = Command::new(link)
        .args(["--pack=p", "--class-name=C", "--file-path"])
        .arg(file)
        .output()
        .unwrap();
    assert_eq!(text(&output.stdout), "through the link\n");
}

/// Runs `mode: command` with a script, and lets a test watch what it writes to a file.
fn command_mode(pack: &Pack, body: &str, interval: &str) -> Command {
    let file = pack.script("c.sh", body);
    let mut command = sensor(&file);
    command
        .args(["--command", "--poll-interval", interval])
        .env("OUT", pack.root().join("out"))
        .stdin(Stdio::piped());
    command
}

#[test]
fn a_command_runs_again_and_again_until_told() {
    let pack = Pack::new();
    let mut child = command_mode(&pack, "echo x >>\"$OUT\"; exit 3", "0.01")
        .spawn()
        .unwrap();
    let out = pack.root().join("out");
    until("three runs", || {
        std::fs::read_to_string(&out).is_ok_and(|text| text.lines().count() >= 3)
    });
    signal(child.id() as i32, Signal::SIGTERM);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_running_command_is_told_to_stop() {
    let pack = Pack::new();
    let body = "trap 'echo bye >\"$OUT.bye\"; exit 0' TERM; echo $$ >\"$OUT\"; while :; do sleep 0.01; done";
    let mut child = command_mode(&pack, body, "1000").spawn().unwrap();
    let program = pid_in(&pack.root().join("out"));
    signal(child.id() as i32, Signal::SIGTERM);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(!lives(program) && pack.root().join("out.bye").exists());
}

#[test]
fn the_end_of_input_stops_a_command() {
    let pack = Pack::new();
    let mut child = command_mode(&pack, "echo $$ >\"$OUT\"", "1000")
        .spawn()
        .unwrap();
    pid_in(&pack.root().join("out"));
    drop(child.stdin.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_hopeless_command_is_not_repeated() {
    let pack = Pack::new();
    let mut child = command_mode(&pack, "exit 78", "1000").spawn().unwrap();
    // To wait would close it, and that means stop.
    let stdin = child.stdin.take();
    assert_eq!(child.wait().unwrap().code(), Some(78));
    drop(stdin);
    let file = pack.file("plain", "text", 0o644);
    let mut not_executable = sensor(&file);
    not_executable.args(["--command", "--poll-interval=1000"]);
    fails(&mut not_executable, codes::NOT_EXECUTABLE, "chmod +x");
}
