//! What the host makes of every kind of line.

use super::*;
use crate::protocol::{FailKind, Level, Scope};

fn message_of(line: &str) -> Message {
    match classify(line.as_bytes()) {
        FromSensor::Message(message) => message,
        other => panic!("{line} is {other:?}"),
    }
}

fn bad(line: &str) -> BadMessage {
    match classify(line.as_bytes()) {
        FromSensor::Bad(bad) => bad,
        other => panic!("{line} is {other:?}"),
    }
}

fn call_of(method: &str, params: &str) -> Call {
    message_of(&format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#
    ))
    .call
}

#[test]
fn what_is_no_object_is_noise() {
    let noise = [
        "",
        "  ",
        "hello",
        "42",
        "null",
        "\"text\"",
        "{'python': 1}",
        "{broken",
        "[]",
        "[1, 2]",
        "[INFO] started",
        "[{\"a\": 1}, 2]",
    ];
    for line in noise {
        let said = classify(line.as_bytes());
        assert!(matches!(said, FromSensor::Noise), "{line} is {said:?}");
    }
    assert!(matches!(classify(b"{\"a\": \"\xff\"}"), FromSensor::Noise));
}

#[test]
fn payloads_keep_their_text() {
    let line = r#" {"big": 12345678901234567890123, "id": 1, "id": 2, "f": 1.10} "#;
    match classify(line.as_bytes()) {
        FromSensor::Payload(raw) => assert_eq!(raw.get(), line.trim()),
        other => panic!("{other:?}"),
    }
    match classify(br#"[{"a":1},{"b":1.0}]"#) {
        FromSensor::Payloads(raws) => {
            let texts: Vec<&str> = raws.iter().map(|r| r.get()).collect();
            assert_eq!(texts, [r#"{"a":1}"#, r#"{"b":1.0}"#]);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn dispatch_in_full() {
    let line = r#"{"jsonrpc":"2.0","id":"x","method":"dispatch","params":{"payload":{"n":1.10},
        "trigger":"a.b","id":"k","time":"2026-11-23T10:00:00Z","trace_tag":"t","state":null,"new":1}}"#;
    let message = message_of(line);
    assert_eq!(message.id, Some(Id::Text("x".into())));
    let Call::Dispatch(d) = message.call else {
        panic!("{message:?}");
    };
    assert_eq!(d.payload.get(), r#"{"n":1.10}"#);
    assert_eq!(d.trigger.as_deref(), Some("a.b"));
    assert_eq!(d.id.as_deref(), Some("k"));
    assert_eq!(d.state, Some(Value::Null));
    let Call::Dispatch(d) = call_of("dispatch", r#"{"payload":{},"trigger":null}"#) else {
        panic!();
    };
    assert_eq!((d.trigger, d.state), (None, None));
}

#[test]
fn every_method_is_understood() {
    let Call::Hello(hello) = call_of("hello", r#"{"protocol":1,"capabilities":["poll","new"]}"#)
    else {
        panic!();
    };
    assert_eq!(hello.capabilities.names(), ["poll"]);
    assert!(matches!(call_of("ready", "null"), Call::Ready));
    assert!(matches!(call_of("state.set", r#"{"state":7}"#), Call::StateSet(v) if v == 7));
    let get = call_of("kv.get", r#"{"key":"k"}"#);
    assert!(matches!(get, Call::KvGet(g) if g.scope == Scope::Sensor && !g.decrypt));
    let set = call_of(
        "kv.set",
        r#"{"key":"k","value":null,"ttl":1.5,"scope":"system"}"#,
    );
    assert!(matches!(set, Call::KvSet(s) if s.ttl_s == Some(1.5) && s.scope == Scope::System));
    assert!(matches!(
        call_of("kv.delete", r#"{"key":"k"}"#),
        Call::KvDelete(_)
    ));
    assert!(matches!(call_of("kv.list", "{}"), Call::KvList(l) if l.prefix.is_empty()));
    let log = call_of("log", r#"{"level":"WARN","message":"m","fields":{"a":1}}"#);
    assert!(matches!(log, Call::Log(l) if l.level == Level::Warning && l.fields.is_some()));
    assert!(matches!(call_of("status", r#"{"text":"t"}"#), Call::Status(t) if t == "t"));
    let beat = call_of("heartbeat", r#"{"extend":3}"#);
    assert!(matches!(beat, Call::Heartbeat { extend_s: Some(s), poll_s: None } if s == 3.0));
    let fail = call_of("fail", r#"{"kind":"config","message":"m"}"#);
    assert!(matches!(fail, Call::Fail(f) if f.kind == FailKind::Config));
}

/// A method in the list that `call` does not know would be offered as a hint and then refused.
#[test]
fn the_list_of_methods_is_the_truth() {
    for method in METHODS {
        let line = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}"}}"#);
        if let FromSensor::Bad(bad) = classify(line.as_bytes()) {
            assert_eq!(bad.code, code::INVALID_PARAMS, "{method}");
        }
    }
}

#[test]
fn answers_to_the_host() {
    let answer = |line: &str| match message_of(line).call {
        Call::Response(answer) => answer,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        answer(r#"{"jsonrpc":"2.0","id":1,"result":null}"#),
        Ok(Value::Null)
    );
    let error = answer(r#"{"jsonrpc":"2.0","id":1,"error":{"code":-1,"message":"no"}}"#);
    assert_eq!(error.unwrap_err().code, -1);
}

#[test]
fn every_bad_request_gets_its_id_and_code() {
    let cases = [
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"dispatch","params":{"payload":{}"#,
            code::PARSE,
        ),
        (
            r#"{"jsonrpc":"1.0","id":1,"method":"ready"}"#,
            code::INVALID_REQUEST,
        ),
        (r#"{"jsonrpc":"2.0","id":1}"#, code::INVALID_REQUEST),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":7}"#,
            code::INVALID_REQUEST,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"a","method":"b"}"#,
            code::INVALID_REQUEST,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"dispach"}"#,
            code::UNKNOWN_METHOD,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"dispatch","params":[]}"#,
            code::INVALID_PARAMS,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"dispatch"}"#,
            code::INVALID_PARAMS,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"kv.set","params":{"key":"k","value":1,"ttl":-1}}"#,
            code::INVALID_PARAMS,
        ),
    ];
    for (line, code) in cases {
        let bad = bad(line);
        assert_eq!(
            (bad.code, &bad.id, bad.reply),
            (code, &Some(Id::from(1)), true),
            "{line}"
        );
        assert!(bad.answer().is_some());
    }
}

#[test]
fn errors_help() {
    let unknown = bad(r#"{"jsonrpc":"2.0","id":1,"method":"dispach"}"#);
    assert_eq!(
        unknown.message,
        "unknown method \"dispach\"; did you mean \"dispatch\"?"
    );
    assert_eq!(unknown.data, Some(json!({"nearest": "dispatch"})));
    assert_eq!(
        bad(r#"{"jsonrpc":"2.0","id":1,"method":"frobnicate"}"#).data,
        None
    );
    let params =
        bad(r#"{"jsonrpc":"2.0","id":1,"method":"dispatch","params":{"payload":{},"trigger":5}}"#);
    assert!(
        params.message.starts_with("dispatch: params.trigger "),
        "{}",
        params.message
    );
    assert!(!params.message.contains("column"), "{}", params.message);
}

#[test]
fn a_bad_notification_is_not_answered() {
    let cases = [
        r#"{"jsonrpc":"2.0","method":"dispach"}"#,
        r#"{"jsonrpc":"2.0","method":"dispatch","params":{}}"#,
        r#"{"jsonrpc":"2.0","method":"hello","params":{"protocol":1}}"#,
    ];
    for line in cases {
        assert_eq!(bad(line).answer(), None, "{line}");
    }
    let null = bad(r#"{"jsonrpc":"2.0","id":null,"method":"kv.get"}"#);
    assert_eq!((null.id, null.reply), (None, true));
}

#[test]
fn batches() {
    let said =
        classify(br#"[{"jsonrpc":"2.0","method":"ready"},{"a":1},{"jsonrpc":"2.0","id":2}]"#);
    let FromSensor::Batch(parts) = said else {
        panic!("{said:?}");
    };
    assert!(parts[0].is_ok());
    assert_eq!(parts[1].as_ref().unwrap_err().id, None);
    assert_eq!(parts[2].as_ref().unwrap_err().id, Some(Id::from(2)));
}

#[test]
fn depth_bombs_are_refused() {
    let bomb = "[".repeat(100_000);
    let request = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"dispatch","params":{{"payload":{{"a":{bomb}"#
    );
    let refused = bad(&request);
    assert_eq!(
        (refused.code, refused.id),
        (code::TOO_LARGE, Some(Id::from(1)))
    );
    assert!(!bad(&format!("{{\"a\":{bomb}")).reply);
}

#[test]
fn broken_utf8_in_a_message_is_answered() {
    let FromSensor::Bad(bad) = classify(b"{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"\xff\"}")
    else {
        panic!();
    };
    assert_eq!((bad.code, bad.id), (code::PARSE, Some(Id::from(3))));
}
