//! Packs of texts, built: what is kept, what is left out, what is told.

use super::build::*;
use super::*;
use crate::catalog::WhenMissed;
use crate::catalog::policy::Keep;
use crate::catalog::sources::testing::{pack, sources};
use crate::config::Settings;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;

const SENSOR: &str = "class_name: A\nentry_point: a.py\npoll_interval: 5\nrestart: {initial_delay: 2s}\ntrigger_types:\n  - name: t\n    payload_schema: {type: object}\n";
const ACTION: &str = "name: act\nrunner_type: run-local\nparameters: {cmd: {default: 'true'}}\n";
const RULE: &str = "name: r\nenabled: true\ntrigger: {type: p.t}\naction: {ref: p.act}\n";

fn built(files: &[(&str, &str)], settings: &str) -> Built {
    let (settings, faults) = Settings::parse(settings, "petrel.yaml");
    assert!(faults.is_empty(), "{faults:?}");
    build(&sources(vec![pack("p", files)]), &settings)
}

fn whole(extra: &[(&'static str, &'static str)]) -> Built {
    let mut files = vec![
        ("sensors/a.yaml", SENSOR),
        ("sensors/a.py", ""),
        ("actions/act.yaml", ACTION),
        ("rules/r.yaml", RULE),
    ];
    files.extend(extra);
    built(&files, "")
}

#[test]
fn a_faultless_pack_is_whole() {
    let built = whole(&[]);
    assert!(built.diagnostics.is_empty(), "{:?}", built.diagnostics);
    let catalog = built.catalog;
    assert_eq!(catalog.sensors["p.A"].trigger_types, ["p.t"]);
    assert_eq!(
        catalog.actions["p.act"].all_parameters["timeout"]["default"],
        60
    );
    assert_eq!(catalog.rules["p.r"].trigger_type, "p.t");
}

#[test]
fn a_faulty_file_leaves_out_only_itself() {
    for (path, text, says) in [
        ("rules/x.yaml", "a: b: c", "colon"),
        (
            "rules/x.yaml",
            "enabled: true\ntrigger: {type: p.t}\naction: {ref: p.act}",
            "no \"name\"",
        ),
        (
            "rules/x.yaml",
            "name: x\ntrigger: p.t\naction: {ref: p.act}",
            "must be a map",
        ),
        (
            "rules/x.yaml",
            "name: x\npack: q\ntrigger: {type: p.t}\naction: {ref: p.act}",
            "says it is in",
        ),
        (
            "sensors/x.yaml",
            "class_name: X\nentry_point: b.py",
            "does not exist",
        ),
        (
            "sensors/x.yaml",
            "class_name: A\nentry_point: a.py",
            "already there",
        ),
        ("sensors/x.yaml", "entry_point: a.py", "no \"class_name\""),
        (
            "actions/x.yaml",
            "name: x\nrunner_type: run-pyton",
            "unknown runner",
        ),
        (
            "actions/x.yaml",
            "name: x\nrunner_type: python-script",
            "no \"entry_point\"",
        ),
        ("triggers/x.yaml", "description: x", "no \"name\""),
    ] {
        let built = whole(&[(path, text)]);
        let told: Vec<_> = built.diagnostics.iter().filter(|d| d.is_error()).collect();
        assert_eq!(told.len(), 1, "{text}: {told:?}");
        assert!(told[0].message.contains(says), "{text}: {told:?}");
        assert!(
            told[0].file.ends_with(path) && told[0].place.line > 0,
            "{told:?}"
        );
        let catalog = &built.catalog;
        assert_eq!(
            (
                catalog.sensors.len(),
                catalog.actions.len(),
                catalog.rules.len()
            ),
            (1, 1, 1)
        );
    }
}

#[test]
fn unknown_keys_and_runners_of_other_versions_are_warnings() {
    let built = whole(&[
        (
            "rules/x.yaml",
            "name: x\nenabeld: true\ntrigger: {type: p.t}\naction: {ref: p.act}",
        ),
        (
            "actions/x.yaml",
            "name: x\nrunner_type: orquesta\nentry_point: x.yaml",
        ),
    ]);
    assert!(!built.has_errors(), "{:?}", built.diagnostics);
    assert_eq!(built.diagnostics.len(), 2);
    assert!(
        built
            .diagnostics
            .iter()
            .any(|d| d.help.as_deref() == Some("did you mean \"enabled\"?"))
    );
    assert!(built.catalog.left_out.contains_key("p.x"));
    assert_eq!(built.catalog.rules.len(), 2);
}

/// StackStorm says so at each execution.
#[test]
fn a_program_that_nobody_would_run_is_told_with_its_place() {
    for (text, words) in [
        (
            "name: x\nrunner_type: local-shell-cmd\nentry_point: x.sh\n",
            "entry_point is only valid for local-shell-script runner",
        ),
        (
            "name: x\nrunner_type: remote-shell-cmd\nentry_point: x.sh\n",
            "entry_point is only valid for remote-shell-script runner",
        ),
    ] {
        let built = whole(&[("actions/x.yaml", text)]);
        assert!(built.has_errors());
        let told = built.diagnostics.iter().find(|one| one.message == words);
        let told = told.unwrap_or_else(|| panic!("{:?}", built.diagnostics));
        assert_eq!(told.place.line, 3);
    }
    let empty = "name: x\nrunner_type: local-shell-cmd\nentry_point: ''\n";
    assert!(!whole(&[("actions/x.yaml", empty)]).has_errors());
}

#[test]
fn a_policy_is_resolved_over_its_three_places() {
    let files = [("sensors/a.yaml", SENSOR), ("sensors/a.py", "")];
    let settings = "defaults: {restart: {initial_delay: 9s, jitter: 0}}\nsensors:\n  p.*: {enabled: false, stop: {grace: 3s}}\n";
    let catalog = built(&files, settings).catalog;
    let sensor = &catalog.sensors["p.A"];
    assert!(!sensor.enabled);
    assert_eq!(sensor.policy.restart.initial_delay.as_secs(), 2);
    assert_eq!(sensor.policy.restart.jitter, 0.0);
    assert_eq!(sensor.policy.stop.grace.as_secs(), 3);
    assert_eq!(
        sensor.policy_sources["restart.initial_delay"],
        "packs/p/sensors/a.yaml:4"
    );
    assert_eq!(sensor.policy_sources["stop.grace"], "petrel.yaml:3");
}

#[test]
fn the_second_pack_of_a_name_is_left_out_with_a_warning() {
    let twice = sources(vec![
        pack("p", &[]),
        pack("p", &[("actions/act.yaml", ACTION)]),
    ]);
    let built = build(&twice, &Settings::default());
    assert!(built.catalog.actions.is_empty() && !built.has_errors());
    assert_eq!(built.diagnostics.len(), 1);
}

#[test]
fn the_configuration_is_the_central_one_else_the_packs_own() {
    let files = [
        (
            "config.schema.yaml",
            "k: {type: string, default: x}\ntoken: {secret: true}",
        ),
        ("config.yaml", "log: /tmp/output\ntoken: t"),
    ];
    let mut read = sources(vec![pack("p", &files)]);
    let config = |read: &Sources| build(read, &Settings::default()).catalog.packs["p"].clone();
    let pack = config(&read);
    assert_eq!(
        json!(pack.config),
        json!({"log": "/tmp/output", "token": "t", "k": "x"})
    );
    assert_eq!(
        json!(pack.public_config()),
        json!({"log": "/tmp/output", "k": "x"})
    );
    let central = SourceFile::new("configs/p.yaml", "p.yaml", "k: y");
    read.configs.insert("p".into(), central);
    assert_eq!(json!(config(&read).config), json!({"k": "y"}));
}

#[test]
fn a_pack_is_named_by_its_ref_else_its_name_else_its_folder() {
    for (manifest, name) in [
        ("name: My Pack\nref: mine", Some("mine")),
        ("name: mine", Some("mine")),
        ("name: My Pack", Some("p")),
        ("name: p\nref: b-2", None),
        ("", None),
    ] {
        let read = sources(vec![pack("p", &[("pack.yaml", manifest)])]);
        let built = build(&read, &Settings::default());
        let found = built.catalog.packs.keys().next().map(String::as_str);
        assert_eq!(found, name, "{manifest}");
        assert_eq!(built.has_errors(), name.is_none());
    }
}

#[test]
fn an_override_disables_and_is_named() {
    let mut source = pack(
        "p",
        &[
            ("sensors/a.yaml", SENSOR),
            ("sensors/a.py", ""),
            ("actions/act.yaml", ACTION),
            ("rules/r.yaml", RULE),
        ],
    );
    let text = "sensors: {defaults: {enabled: false}}\nrules:\n  exceptions:\n    r: {enabled: false}\n    gone: {enabled: true}\n";
    let file = SourceFile::new("overrides/p.yaml", "p.yaml", text);
    source.overrides = Arc::new(BTreeMap::from([("p".to_owned(), file)]));
    let built = build(&sources(vec![source]), &Settings::default());
    assert_eq!(built.diagnostics.len(), 1, "{:?}", built.diagnostics);
    assert!(built.diagnostics[0].message.contains("\"gone\""));
    let (sensor, rule) = (&built.catalog.sensors["p.A"], &built.catalog.rules["p.r"]);
    assert!(!sensor.enabled && !rule.enabled && built.catalog.actions["p.act"].enabled);
    assert_eq!(sensor.enabled_source.as_deref(), Some("overrides/p.yaml:1"));
    assert_eq!(rule.enabled_source.as_deref(), Some("overrides/p.yaml:4"));
}

#[test]
fn parameters_of_a_trigger_are_checked_against_its_type() {
    const TYPE: &str = "name: poll\nparameters_schema:\n  type: object\n  properties:\n    host: {type: string, required: true}\n    port: {type: integer, required: true, default: 22}\n  additionalProperties: false\n";
    for (parameters, says) in [
        ("{type: p.poll, parameters: {host: h}}", None),
        ("{type: p.poll, parameters: {host: h, port: null}}", None),
        (
            "{type: p.poll}",
            Some("p.poll needs the parameter \"host\""),
        ),
        (
            "{type: p.poll, parameters: {host: h, hots: x}}",
            Some("no parameter \"hots\""),
        ),
        (
            "{type: p.poll, parameters: {host: [h]}}",
            Some("\"host\" of p.poll"),
        ),
        ("{type: p.t, parameters: {any: thing}}", None),
        (
            "{type: core.st2.IntervalTimer, parameters: {unit: seconds, delta: 5}}",
            None,
        ),
        (
            "{type: core.st2.IntervalTimer, parameters: {unit: second, delta: 5}}",
            Some("\"unit\" of core.st2.IntervalTimer"),
        ),
        (
            "{type: core.st2.CronTimer, parameters: {minute: 75}}",
            Some("\"minute\" of core.st2.CronTimer"),
        ),
        (
            "{type: core.st2.CronTimer, parameters: {minute: '*/5'}}",
            None,
        ),
        (
            "{type: core.st2.webhook}",
            Some("needs the parameter \"url\""),
        ),
        ("{type: core.st2.action.file_writen}", None),
    ] {
        let rule = format!("name: x\ntrigger: {parameters}\naction: {{ref: p.act}}\n");
        let built = whole(&[
            ("triggers/poll.yaml", TYPE),
            ("rules/x.yaml", Box::leak(rule.into_boxed_str())),
        ]);
        let told: Vec<_> = built
            .diagnostics
            .iter()
            .map(|one| one.message.as_str())
            .collect();
        match says {
            None => assert!(told.is_empty(), "{parameters}: {told:?}"),
            Some(says) => {
                assert!(
                    told.len() == 1 && told[0].contains(says),
                    "{parameters}: {told:?}"
                );
                assert_eq!(built.diagnostics[0].place.line, 2, "{parameters}");
            }
        }
        assert_eq!(built.catalog.rules.contains_key("p.x"), says.is_none());
    }
}

#[test]
fn rules_have_the_keys_that_stackstorm_knows_and_one_more() {
    let rule = |extra: &str| {
        let text = format!(
            "name: x\ntrigger: {{type: core.st2.CronTimer, parameters: {{minute: 0}}, {extra}}}\ntype: {{ref: backstop, parameters: {{}}}}\ntags: [{{name: a, value: b}}]\ncontext: {{user: u}}\naction: {{ref: p.act, description: d}}\n"
        );
        whole(&[("rules/x.yaml", Box::leak(text.into_boxed_str()))])
    };
    for (extra, wanted) in [
        ("anything: 1", WhenMissed::RunOnce),
        ("missed: skip", WhenMissed::Skip),
        ("missed: all", WhenMissed::All),
    ] {
        let built = rule(extra);
        assert!(built.diagnostics.is_empty(), "{:?}", built.diagnostics);
        assert_eq!(built.catalog.rules["p.x"].missed, wanted);
    }
    for (extra, help) in [
        ("missed: run_one", "did you mean \"run_once\"?"),
        ("mised: all", "did you mean \"missed\"?"),
    ] {
        let built = rule(extra);
        assert_eq!(built.diagnostics[0].help.as_deref(), Some(help));
    }
}

#[test]
fn a_sensor_may_have_many_trigger_types_or_none_and_any_kind_of_enabled() {
    let many = "class_name: M\nentry_point: a.py\npack: p\nenabled: 'no way'\ntrigger_types:\n  - {name: one, pack: other}\n  - {name: two.dotted, tags: [{name: a, value: b}]}\n  - p.t\n";
    let none = "class_name: N\nentry_point: a.py\nenabled: 0\ntrigger_types: null\n";
    let built = whole(&[("sensors/m.yaml", many), ("sensors/n.yaml", none)]);
    assert!(
        !built.has_errors() && built.diagnostics.len() == 2,
        "{:?}",
        built.diagnostics
    );
    let (many, none) = (&built.catalog.sensors["p.M"], &built.catalog.sensors["p.N"]);
    assert_eq!(many.trigger_types, ["p.one", "p.two.dotted", "p.t"]);
    assert!(many.enabled && !none.enabled && none.trigger_types.is_empty());
}

#[test]
fn more_parts_than_anybody_writes_are_refused_at_once() {
    let many = |line: &str| line.repeat(20_000);
    let rule = "name: x\ntrigger: {type: p.t}\naction: {ref: p.act}\n";
    let criteria: String = (0..20_000)
        .map(|at| format!("  k{at}: {{type: eq}}\n"))
        .collect();
    let unknown: String = (0..20_000).map(|at| format!("k{at}: 1\n")).collect();
    for (path, text, at_most) in [
        ("rules/x.yaml", format!("{rule}criteria:\n{criteria}"), 1001),
        ("rules/x.yaml", format!("{rule}{unknown}"), 10),
        (
            "sensors/x.yaml",
            format!(
                "class_name: X\nentry_point: a.py\ntrigger_types:\n{}",
                many("  - {nam: x}\n")
            ),
            1001,
        ),
    ] {
        let built = whole(&[(path, Box::leak(text.into_boxed_str()))]);
        let told = built.diagnostics.len();
        assert!((1..=at_most).contains(&told), "{path}: {told}");
    }
}

#[test]
fn what_is_kept_of_events_is_said_for_the_type_by_the_type_and_for_all() {
    let sensor = "class_name: A\nentry_point: a.py\ntrigger_types:\n  - name: own\n    keep: \
                  counters\n  - name: bare\n  - name: other\n    keep: matched\n";
    let files = [("sensors/a.yaml", sensor), ("sensors/a.py", "")];
    let kept = |settings: &str| {
        let built = built(&files, settings);
        assert!(built.diagnostics.is_empty(), "{:?}", built.diagnostics);
        let types = built.catalog.trigger_types;
        ["own", "bare", "other"].map(|name| types[&format!("p.{name}")].keep.unwrap_or_default())
    };
    assert_eq!(kept(""), [Keep::Counters, Keep::All, Keep::Matched]);
    let all = "journal: {keep: matched}\ntriggers: {'p.o*': {keep: matched}, p.own: {keep: all}}\n";
    assert_eq!(kept(all), [Keep::All, Keep::Matched, Keep::Matched]);
    let wrong = sensor.replace("counters", "countrs");
    let files = [("sensors/a.yaml", wrong.as_str()), ("sensors/a.py", "")];
    let built = built(&files, "");
    let told = &built.diagnostics[0];
    assert!(
        told.help
            .as_deref()
            .unwrap_or_default()
            .contains("counters"),
        "{told:?}"
    );
    assert_eq!(told.place.line, 5);
}
