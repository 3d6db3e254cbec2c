use petrel_sdk::protocol::FailKind;

use super::class::{Class, Seen, classify};
use super::traceback::{Thrown, hung_at};
use crate::core::lifecycle::EndedBy;
use crate::core::record::Exit;

const PACK: &str = "aws";

fn code(code: i32) -> Exit {
    Exit {
        code: Some(code),
        signal: None,
    }
}

fn signal(signal: i32) -> Exit {
    Exit {
        code: None,
        signal: Some(signal),
    }
}

fn seen<'s>(exit: Exit, log: &'s str) -> Seen<'s> {
    Seen {
        exit,
        log: vec![log],
        pack: PACK,
        folder: "/packs/aws",
        ..Seen::default()
    }
}

fn check(seen: &Seen<'_>, class: Class, part: &str) {
    let found = classify(seen);
    assert_eq!(found.class, class, "{found:?} of {seen:?}");
    assert!(found.hint.contains(part), "{found:?}");
}

/// A traceback with one frame of the pack.
fn thrown(code: &str, line: &str) -> String {
    format!(
        "Traceback (most recent call last):\n  File \"/usr/lib/python3.11/runpy.py\", line 9, in run\n    \
         exec()\n  File \"/packs/aws/sensors/sqs.py\", line 88, in poll\n    {code}\n  File \
         \"/venv/site-packages/lib.py\", line 3, in call\n    raise\n{line}"
    )
}

#[test]
fn tracebacks_have_their_class_and_hint() {
    use Class::*;
    let cases = [
        (
            "import yaml",
            "ModuleNotFoundError: No module named 'yaml'",
            MissingModule,
            "add PyYAML to /packs/aws/requirements.txt, then `petrel pack setup aws`",
        ),
        (
            "import bs4",
            "ModuleNotFoundError: No module named 'bs4'",
            MissingModule,
            "add beautifulsoup4 to",
        ),
        (
            "from dateutil import tz",
            "ModuleNotFoundError: No module named 'dateutil'",
            MissingModule,
            "python-dateutil",
        ),
        (
            "import google",
            "ModuleNotFoundError: No module named 'google.cloud.storage'",
            MissingModule,
            "add google-cloud-storage to",
        ),
        (
            "import boto3",
            "ModuleNotFoundError: No module named 'boto3'",
            MissingModule,
            "add boto3 to",
        ),
        (
            "import requests.x.y",
            "ModuleNotFoundError: No module named 'requests.x'; 'requests' is not a package",
            MissingModule,
            "add requests to",
        ),
        (
            "import urllib2",
            "ModuleNotFoundError: No module named 'urllib2'",
            MissingModule,
            "Python 2",
        ),
        (
            "import distutils",
            "ModuleNotFoundError: No module named 'distutils'",
            MissingModule,
            "setuptools",
        ),
        (
            "import x",
            "ImportError: cannot import name 'escape' from 'jinja2' (/v/jinja2/__init__.py)",
            MissingModule,
            "another version of Jinja2",
        ),
        (
            "requests.get(url)",
            "requests.exceptions.HTTPError: 401 Client Error: Unauthorized for url: https://api",
            Auth,
            "petrel pack config aws",
        ),
        (
            "x",
            "botocore.exceptions.ClientError: An error occurred (ExpiredToken) when calling",
            Auth,
            "credentials",
        ),
        (
            "x",
            "urllib.error.HTTPError: HTTP Error 403: Forbidden",
            Auth,
            "credentials",
        ),
        (
            "x",
            "requests.exceptions.ConnectionError: HTTPSConnectionPool(host='a', port=443): Max retries exceeded with url: / (Caused by NewConnectionError)",
            Network,
            "reached",
        ),
        (
            "x",
            "ConnectionRefusedError: [Errno 111] Connection refused",
            Network,
            "reached",
        ),
        (
            "x",
            "socket.gaierror: [Errno -2] Name or service not known",
            Network,
            "reached",
        ),
        (
            "x",
            "pika.exceptions.AMQPConnectionError",
            Network,
            "reached",
        ),
        (
            "x",
            "requests.exceptions.SSLError: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed",
            Config,
            "not trusted",
        ),
        (
            "x",
            "OSError: [Errno 98] Address already in use",
            Config,
            "port",
        ),
        (
            "x",
            "PermissionError: [Errno 13] Permission denied: '/etc/shadow'",
            Config,
            "sandbox",
        ),
        ("a = b' ' * 10**12", "MemoryError", Memory, "memory"),
        (
            "x",
            "OSError: [Errno 12] Cannot allocate memory",
            Memory,
            "memory",
        ),
        (
            "self._key = self.config['key']",
            "KeyError: 'key'",
            Config,
            "petrel pack config aws",
        ),
        (
            "self._config.get('a')",
            "AttributeError: 'NoneType' object has no attribute 'get'",
            Config,
            "petrel pack config",
        ),
        (
            "for e in page[\"items\"]:",
            "KeyError: 'items'",
            Bug,
            "KeyError: 'items' at /packs/aws/sensors/sqs.py:88 in poll: for e in page",
        ),
        (
            "x()",
            "NameError: name 'x' is not defined",
            Bug,
            "/packs/aws/sensors/sqs.py:88",
        ),
    ];
    for (source, line, class, part) in cases {
        check(&seen(code(1), &thrown(source, line)), class, part);
    }
}

#[test]
fn other_languages_say_what_is_missing_too() {
    use Class::*;
    let cases = [
        (
            1,
            "Error: Cannot find module 'axios'\n    at Module._resolve (node:internal)",
            MissingModule,
            "`npm install axios` in /packs/aws",
        ),
        (
            1,
            "Error: Cannot find module './lib/x'",
            MissingModule,
            "not there",
        ),
        (
            127,
            "/packs/aws/sensors/a.sh: line 3: jq: command not found",
            MissingProgram,
            "not installed",
        ),
        (127, "", MissingProgram, "not installed"),
        (
            1,
            "curl: (6) Could not resolve host: api.example",
            Network,
            "reached",
        ),
        (
            1,
            "Error: connect ECONNREFUSED 127.0.0.1:1",
            Network,
            "reached",
        ),
        (3, "bye", Unknown, "nothing"),
        (0, "done", Ended, "mode: command"),
    ];
    for (exit, line, class, part) in cases {
        check(&seen(code(exit), line), class, part);
    }
    let heap = "FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory";
    check(&seen(signal(6), heap), Memory, "memory");
    check(
        &seen(signal(6), "memory allocation of 99 bytes failed"),
        Memory,
        "",
    );
}

#[test]
fn signals_are_of_others_or_of_native_code() {
    check(
        &seen(signal(9), &thrown("x", "KeyError: 1")),
        Class::Killed,
        "did not send SIGKILL",
    );
    check(&seen(signal(15), ""), Class::Killed, "");
    check(&seen(signal(31), ""), Class::Config, "sandbox.syscalls");
    let dump = "Fatal Python error: Segmentation fault\n\nCurrent thread 0x0001 (most recent call first):\n  \
                File \"/packs/aws/sensors/sqs.py\", line 7 in poll\n  File \"/usr/lib/python3/x.py\", line 1 in y";
    check(
        &seen(signal(11), dump),
        Class::Bug,
        "below /packs/aws/sensors/sqs.py:7 in poll",
    );
}

#[test]
fn what_we_ended_says_where_it_hung() {
    let dump = "Thread 0x0002 (most recent call first):\n  File \"/usr/lib/python3.11/threading.py\", line 1 in wait\n\n\
                Current thread 0x0001 (most recent call first):\n  File \"/usr/lib/python3.11/socket.py\", line 5 in recv\n  \
                File \"/packs/aws/sensors/sqs.py\", line 40 in poll\n  File \"/sdk/petrel_sdk/sensor_host.py\", line 9 in run";
    let mut stalled = seen(signal(6), dump);
    stalled.ended_by = Some(EndedBy::Silence);
    check(
        &stalled,
        Class::Stalled,
        "it hung at /packs/aws/sensors/sqs.py:40 in poll",
    );
    stalled.ended_by = Some(EndedBy::StartTimeout);
    check(&stalled, Class::Stalled, "start.ready_timeout");
    stalled.ended_by = Some(EndedBy::Memory);
    check(&stalled, Class::Memory, "watchdog.max_rss_restart");
    assert_eq!(hung_at("no dump"), None);
}

#[test]
fn its_own_word_counts() {
    let mut said = seen(code(78), "E! token is missing");
    check(&said, Class::Config, "petrel pack config aws");
    said.fail = Some(FailKind::Config);
    said.words = Some("Syntax error: invalid syntax (a.py:3)\n    | hint: the line reads: x y");
    check(&said, Class::Bug, "the line reads: x y");
    let mut bug = seen(code(1), "E! odd");
    bug.fail = Some(FailKind::Bug);
    bug.words = Some("it is odd\n    | hint: no");
    check(&bug, Class::Bug, "it is odd");
    bug.words = Some("Failed to load: ModuleNotFoundError: No module named 'zmq'");
    check(&bug, Class::MissingModule, "pyzmq");
    let mut late = seen(code(1), "");
    late.fail = Some(FailKind::Transient);
    check(&late, Class::Network, "pass");
}

#[test]
fn what_never_began_was_not_started() {
    let mut seen = seen(code(127), "");
    seen.never_began = true;
    seen.words = Some("node: no such program");
    check(&seen, Class::MissingProgram, "node");
    seen.exit = code(120);
    check(&seen, Class::NotStarted, "node");
    seen.exit = code(78);
    check(&seen, Class::Config, "petrel pack config");
    seen.never_began = false;
    seen.exit = signal(9);
    seen.words = Some("limits.memory_max: the kernel ended 1 of its processes");
    check(&seen, Class::Memory, "the kernel ended");
}

#[test]
fn the_last_of_chained_exceptions_counts() {
    let first = thrown("x", "KeyError: 1");
    let text = format!(
        "{first}\n\nDuring handling of the above exception, another exception occurred:\n\n{}",
        thrown("y", "ValueError: 2\nmore of it")
    );
    let last = Thrown::last(&text).unwrap();
    assert_eq!(last.line, "ValueError: 2");
    assert_eq!(last.frame.unwrap().code, Some("y"));
    assert_eq!(Thrown::last("Traceback (most recent call last):"), None);
    assert_eq!(
        Thrown::last("Traceback (most recent call last):\n  File \"x"),
        None
    );
}
