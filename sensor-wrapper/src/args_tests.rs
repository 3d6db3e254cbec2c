use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use proptest::prelude::*;

use super::*;

fn sensor(args: &[&str]) -> Result<SensorArgs, String> {
    match parse(args.iter().map(OsString::from)) {
        Ok(Invocation::Sensor(args)) => Ok(args),
        Ok(other) => panic!("{other:?}"),
        Err(failure) => {
            assert_eq!(failure.code, codes::USAGE);
            Err(failure.to_string())
        }
    }
}

const LEAST: [&str; 3] = ["--pack=p", "--file-path=/f.py", "--class-name=C"];

#[test]
fn both_forms_are_the_same() {
    let separate = ["--pack", "p", "--file-path", "/f.py", "--class-name", "C"];
    assert_eq!(sensor(&separate), sensor(&LEAST));
    let args = sensor(&LEAST).unwrap();
    assert_eq!((args.pack.as_str(), args.class_name.as_str()), ("p", "C"));
}

#[test]
fn what_is_wrong_is_said() {
    let wrong = [
        (
            vec!["--pack=p", "--class-name=C"],
            "--file-path is required",
        ),
        ([&LEAST[..], &["--pack"]].concat(), "--pack needs a value"),
        (
            [&LEAST[..], &["--packs=x"]].concat(),
            "unknown option --packs",
        ),
        ([&LEAST[..], &["stray"]].concat(), "unexpected \"stray\""),
        (
            [&LEAST[..], &["--poll-interval=-1"]].concat(),
            "--poll-interval",
        ),
        (
            [&LEAST[..], &["--poll-interval=inf"]].concat(),
            "--poll-interval",
        ),
        (
            [&LEAST[..], &["--poll-interval=x"]].concat(),
            "--poll-interval",
        ),
        ([&LEAST[..], &["--parent-args={}"]].concat(), "JSON list"),
        (
            [&LEAST[..], &["--command"]].concat(),
            "needs --poll-interval",
        ),
        ([&LEAST[..], &["--", "ls"]].concat(), "--action"),
        (
            vec!["--action", "--dir=/d", "--supervisor-pid=1"],
            "a program is required",
        ),
        (
            vec!["--action", "--dir=/d", "--", "ls"],
            "--supervisor-pid is required",
        ),
        (
            vec![
                "--action",
                "--dir=/d",
                "--supervisor-pid=1",
                "--env=X",
                "--",
                "ls",
            ],
            "NAME=VALUE",
        ),
    ];
    for (args, text) in wrong {
        let said = sensor(&args).unwrap_err();
        assert!(said.contains(text), "{args:?}: {said}");
    }
}

#[test]
fn the_order_is_stackstorms() {
    let args = SensorArgs {
        pack: "mypack".into(),
        file_path: "/p/sensors/d.py".into(),
        class_name: "DirectorySensor".into(),
        trigger_type_refs: vec!["a.b".into(), "c.d".into()],
        parent_args: Some("[\"x\"]".into()),
        poll_interval: Some(5.0),
        supervisor_pid: Some(7),
        ..SensorArgs::default()
    };
    let expected = [
        "--pack=mypack",
        "--file-path=/p/sensors/d.py",
        "--class-name=DirectorySensor",
        "--trigger-type-refs=a.b,c.d",
        "--parent-args=[\"x\"]",
        "--poll-interval=5",
        "--supervisor-pid=7",
    ];
    assert_eq!(args.to_argv(), expected);
}

fn os_text() -> impl Strategy<Value = OsString> {
    proptest::collection::vec(1..=255_u8, 1..12).prop_map(OsString::from_vec)
}

fn path() -> impl Strategy<Value = PathBuf> {
    os_text().prop_map(PathBuf::from)
}

fn opt<T: std::fmt::Debug>(of: impl Strategy<Value = T>) -> impl Strategy<Value = Option<T>> {
    proptest::option::of(of)
}

prop_compose! {
    fn any_sensor()(
        pack in ".{1,8}", file_path in path(), class_name in ".{1,8}",
        trigger_type_refs in proptest::collection::vec("[^,]{1,8}", 0..4),
        parent_args in opt(Just("[\"--debug\", 1]".to_owned())),
        poll_interval in opt(0.0..3.2e9),
        supervisor_pid in opt(any::<i32>()), python in opt(path()), sdk in opt(path()),
        command in any::<bool>(), check in any::<bool>(), nofile in opt(any::<u64>()), init in any::<bool>(), exec_fd in opt(any::<i32>()), ready_fd in opt(any::<i32>()),
    ) -> SensorArgs {
        let command = command && poll_interval.is_some();
        SensorArgs {
            pack, file_path, class_name, trigger_type_refs, parent_args, poll_interval,
            supervisor_pid, python, sdk, command, check, init, exec_fd, ready_fd,
            limits: Limits { nofile, ..Limits::default() },
            sandbox: Sandbox { pidns: init, ..Sandbox::default() },
        }
    }
}

prop_compose! {
    fn any_action()(
        dir in path(), supervisor_pid in any::<i32>(), grace_s in 0.0..3.2e9, cwd in opt(path()),
        output_bytes in any::<u64>(), python in opt(path()), sdk in opt(path()),
        nofile in opt(any::<u64>()), warm in opt(path()),
        names in proptest::collection::vec("[^=\\x00]{1,8}", 0..4),
        values in proptest::collection::vec(os_text(), 4),
        program in os_text(), args in proptest::collection::vec(os_text(), 0..4),
    ) -> ActionArgs {
        let env = names.into_iter().map(OsString::from).zip(values).collect();
        ActionArgs {
            dir, supervisor_pid, grace_s, cwd, output_bytes, env, python, sdk, warm, nofile, program, args,
        }
    }
}

/// `--name=value` as two arguments; what follows `--` stays.
fn separate(argv: Vec<OsString>) -> Vec<OsString> {
    let end = argv.iter().position(|a| a == "--").unwrap_or(argv.len());
    let (options, rest) = argv.split_at(end);
    let mut parts: Vec<OsString> = Vec::new();
    for option in options {
        let bytes = option.clone().into_vec();
        match bytes.iter().position(|b| *b == b'=') {
            Some(at) => {
                parts.push(OsString::from_vec(bytes[..at].to_vec()));
                parts.push(OsString::from_vec(bytes[at + 1..].to_vec()));
            }
            None => parts.push(option.clone()),
        }
    }
    parts.extend_from_slice(rest);
    parts
}

proptest! {
    #[test]
    fn a_sensor_comes_back(args in any_sensor()) {
        prop_assert_eq!(parse(args.to_argv()), Ok(Invocation::Sensor(args.clone())));
        prop_assert_eq!(parse(separate(args.to_argv())), Ok(Invocation::Sensor(args)));
    }

    #[test]
    fn an_action_comes_back(args in any_action()) {
        prop_assert_eq!(parse(args.to_argv()), Ok(Invocation::Action(args.clone())));
        prop_assert_eq!(parse(separate(args.to_argv())), Ok(Invocation::Action(args)));
    }

    #[test]
    fn a_program_comes_back(args in any_action()) {
        let args = ExecArgs {
            supervisor_pid: args.supervisor_pid,
            report: Some(args.dir),
            cwd: args.cwd,
            sandbox: Sandbox { no_new_privs: Some(true), ..Sandbox::default() },
            exec_fd: Some(7),
            ready_fd: Some(8),
            program: args.program,
            args: args.args,
        };
        prop_assert_eq!(parse(args.to_argv()), Ok(Invocation::Exec(args)));
    }
}
