//! Hostile files, events and templates beside a healthy pack: each is told clearly and soon, memory
//! stays bounded, and everything else goes on.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests")]

use std::fs::OpenOptions;
use std::io::Write;
use std::time::{Duration, Instant};

use petrel_tests::{MARGIN, Petrel, Place, process, stdout, wait_until};
use serde_json::{Value, json};

/// Most memory that the supervisor may ever use, KiB.
const MEMORY_KIB: u64 = 300 << 10;

/// Within this, and what a busy machine adds, everything hostile is told.
const SOON: Duration = Duration::from_secs(1);

/// The sensor `hostile.Source`, which says what a test appends to a file.
fn place() -> Place {
    let place = Place::new();
    place.copy_pack("core");
    place.healthy();
    let said = place.write("said", "");
    let program = format!("#!/bin/sh\nexec tail -n +1 -f '{}'\n", said.display());
    place.sensor("hostile.Source", "source.sh", &program, "");
    let action = "name: show\nrunner_type: noop\nparameters:\n  text: {type: string}\n";
    place.write("packs/hostile/actions/show.yaml", action);
    place
}

fn say(place: &Place, line: &str) {
    let mut file = OpenOptions::new()
        .append(true)
        .open(place.path("said"))
        .unwrap();
    file.write_all(format!("{line}\n").as_bytes()).unwrap();
}

/// The rule `hostile.CASE`, for events that name this case.
fn rule(place: &Place, case: &str, criterion: &str, template: &str) {
    let yaml = format!(
        "name: {case}\nenabled: true\ntrigger: {{type: hostile.seen}}\ncriteria:\n  \
        trigger.case: {{type: eq, pattern: {case}}}\n{criterion}\
        action:\n  ref: hostile.show\n  parameters:\n    text: {}\n",
        json!(template)
    );
    place.write(&format!("packs/hostile/rules/{case}.yaml"), &yaml);
}

fn message(line: &Value) -> &str {
    line["message"].as_str().unwrap_or_default()
}

/// The healthy sensor delivers after something hostile as it did before.
fn still_delivers(petrel: &Petrel) {
    let mark = petrel.mark();
    petrel.wait_after(mark, "an event of the healthy pack", |line| {
        line["kind"] == "event" && line["subject"] == "healthy.seen"
    });
}

/// Every event of the healthy sensor so far is there, none left out.
fn none_is_missing(place: &Place) {
    let numbers = place.events().into_iter().filter_map(|event| {
        let healthy = event["trigger"].to_string().contains("healthy.seen");
        healthy.then(|| event["payload"]["n"].as_u64().unwrap())
    });
    let mut numbers: Vec<u64> = numbers.collect();
    numbers.sort_unstable();
    let all: Vec<u64> = (1..=numbers.len() as u64).collect();
    assert_eq!(numbers, all);
}

fn bounded(petrel: &Petrel) {
    let peak = process::peak_memory_kib(petrel.pid()).unwrap();
    println!("peak memory: {} MiB", peak >> 10);
    assert!(peak < MEMORY_KIB, "{peak} KiB");
}

/// Says a line; a notice with all of `words`, of this kind and about this subject, follows soon.
fn told(place: &Place, petrel: &Petrel, line: &str, kind: &str, subject: &str, words: &[&str]) {
    let (mark, started) = (petrel.mark(), Instant::now());
    say(place, line);
    petrel.wait_after(mark, &format!("{kind} {subject} {words:?}"), |line| {
        line["kind"] == kind
            && line["subject"] == subject
            && words.iter().all(|word| message(line).contains(word))
    });
    let took = started.elapsed();
    println!("{subject} {words:?}: told after {took:?}");
    assert!(took < SOON + MARGIN, "{subject}: told after {took:?}");
}

#[test]
fn yaml_bombs() {
    let place = place();
    let mut aliases = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x]\n");
    for at in 1..20 {
        let before = format!("*a{},", at - 1).repeat(9);
        aliases += &format!("a{at}: &a{at} [{before}]\n");
    }
    let scalar = format!(
        "a: &a {}\nb: [{}]\n",
        "x".repeat(100_000),
        "*a,".repeat(20_000)
    );
    let scalars = "- |\n  a\n".repeat(200_000) + "- b";
    for (name, text) in [
        ("aliases", aliases),
        ("depth", "[".repeat(1_000_000)),
        ("scalar", scalar),
        ("scalars", scalars),
    ] {
        place.write(&format!("packs/hostile/rules/{name}.yaml"), &text);
    }
    let started = Instant::now();
    let text = stdout(&place.petrel(&["check"]));
    let took = started.elapsed();
    println!("four bombs: checked in {took:?}");
    assert!(took < 4 * SOON + MARGIN, "{took:?}");
    let bombs = [
        ("aliases", "aliases expanded"),
        ("depth", "nested deeper"),
        ("scalar", "aliases expanded"),
        ("scalars", "must be a map"),
    ];
    let petrel = place.start();
    for (name, words) in bombs {
        let file = format!("packs/hostile/rules/{name}.yaml:");
        assert!(text.contains(&file) && text.contains(words), "{text}");
        petrel.wait_for(&file, |line| {
            let told = message(line);
            line["kind"] == "pack.fault" && told.contains(&file) && told.contains(words)
        });
    }
    still_delivers(&petrel);
    bounded(&petrel);
}

#[test]
fn templates_that_never_end() {
    let place = place();
    let twice = "{% for a in range(40000) %}{% for b in range(40000) %}x{% endfor %}{% endfor %}";
    let cases = [
        ("loop", twice, "does too much"),
        ("text", "{{ 'x' * 10**9 }}", "MiB"),
        ("power", "{{ (9**9)**(9**9) }}", "too large"),
        ("nested", "{{ trigger.list | tojson * 10**6 }}", "MiB"),
        (
            "growing",
            "{% set n = namespace(t='x') %}{% for a in range(60) %}\
            {% set n.t = n.t ~ n.t %}{% endfor %}",
            "MiB",
        ),
    ];
    for (case, template, _) in cases {
        rule(&place, case, "", template);
    }
    let petrel = place.start();
    petrel.ready("hostile.Source");
    for (case, _, words) in cases {
        let event = json!({"case": case, "list": [1, 2, 3]}).to_string();
        let (kind, subject) = ("rule.failed", format!("hostile.{case}"));
        told(&place, &petrel, &event, kind, &subject, &[words]);
    }
    still_delivers(&petrel);
    none_is_missing(&place);
    bounded(&petrel);
}

#[test]
fn criteria_that_never_end() {
    let place = place();
    let criterion =
        |key: &str, rest: &str| format!("  trigger.{key}:\n    type: {}\n", rest.trim());
    let plain = criterion("v", "regex\n    pattern: '(a+)+$'");
    let backtracking = criterion("v", "regex\n    pattern: '(?=a)(a|aa)+(?!b)$'");
    let large = criterion("v", "regex\n    pattern: '(x+x+)+y'");
    let descent = criterion(".x", "eq\n    pattern: 7");
    let search_for = |item: &str| {
        let pattern = format!("search\n    condition: all\n    pattern:\n      item: {item}");
        criterion("v", &pattern)
    };
    let search = search_for("{type: contains, pattern: x}");
    let rendered = search_for("{type: eq, pattern: \"{{ ('x' * 10**9) }}\"}");
    let looping =
        search_for("{type: eq, pattern: '{% for a in range(90000) %}{{ item }}{% endfor %}'}");
    let matching = search_for("{type: regex, pattern: '(?=a)(a|aa)+(?!b)$'}");
    for (case, criterion) in [
        ("looping", looping),
        ("matching", matching),
        ("plain", plain),
        ("backtracking", backtracking),
        ("large", large),
        ("descent", descent),
        ("search", search),
        ("rendered", rendered),
    ] {
        rule(&place, case, &criterion, "{{ trigger.case }}");
    }
    let petrel = place.start();
    petrel.ready("hostile.Source");
    let many = vec![1; 100_000];
    let deep: Vec<_> = (0..10_000).map(|n| json!({"y": [{"z": n}]})).collect();
    let text = format!("{}b", "a".repeat(40));
    let texts = vec![text.as_str(); 20_000];
    for (case, v, kind, words) in [
        ("plain", json!(text), "event", "plain"),
        ("backtracking", json!(text), "rule.failed", "backtracking"),
        ("large", json!("x".repeat(1_000_000)), "event", "large"),
        (
            "descent",
            json!([deep, {"x": 7}]),
            "rule.matched",
            "hostile.show",
        ),
        ("search", json!(many), "rule.failed", "item"),
        ("rendered", json!(many), "rule.failed", "MiB"),
        ("looping", json!(many), "rule.failed", "too much"),
        ("matching", json!(texts), "rule.failed", "too much"),
    ] {
        let subject = match kind {
            "event" => "hostile.seen".to_owned(),
            _ => format!("hostile.{case}"),
        };
        let event = json!({"case": case, "v": v}).to_string();
        told(&place, &petrel, &event, kind, &subject, &[words]);
    }
    assert!(petrel.count("rule.failed", "hostile.search") <= 100);
    still_delivers(&petrel);
    none_is_missing(&place);
    bounded(&petrel);
}

#[test]
fn payloads_that_are_too_deep_or_too_long() {
    let place = place();
    let petrel = place.start();
    petrel.ready("hostile.Source");
    let nested = |depth: usize| format!("{{\"v\": {}{}}}", "[".repeat(depth), "]".repeat(depth));
    for (depth, words) in [(1_000_000, "skipped"), (100_000, "nested deeper")] {
        let (mark, started) = (petrel.mark(), Instant::now());
        say(&place, &nested(depth));
        petrel.wait_after(mark, words, |line| message(line).contains(words));
        assert!(started.elapsed() < SOON + MARGIN);
    }
    let event = json!({"n": 1}).to_string();
    told(&place, &petrel, &event, "event", "hostile.seen", &["1"]);
    still_delivers(&petrel);
    none_is_missing(&place);
    bounded(&petrel);
}

/// The executions of a rule that are over.
fn ended(place: &Place, rule: &str, count: usize) -> Vec<Value> {
    let name = json!(rule);
    wait_until(&format!("{count} executions of {rule}"), || {
        let mut all = place.executions();
        all.retain(|one| one["rule"]["ref"] == name || one["rule"] == name);
        let over = |one: &Value| !matches!(one["status"].as_str(), Some("requested" | "running"));
        (all.len() == count && all.iter().all(over)).then_some(all)
    })
}

#[test]
fn what_a_template_renders_is_never_rendered_again() {
    let place = place();
    rule(&place, "syntax", "", "{{ trigger.text }}");
    let petrel = place.start();
    petrel.ready("hostile.Source");
    let text = "{{ 7*7 }}{% for x in y %}{# #}{{ config_context }}";
    say(&place, &json!({"case": "syntax", "text": text}).to_string());
    let done = ended(&place, "hostile.syntax", 1);
    assert_eq!(done[0]["status"], "succeeded", "{}", done[0]);
    assert_eq!(done[0]["parameters"]["text"], text);
    drop(petrel);
}

/// Text that a shell would take for something else.
fn corpus(marker: &str) -> Vec<String> {
    let touch = format!("touch {marker}");
    let mut all: Vec<String> = [
        "",
        " ",
        "'",
        "\"",
        "''",
        "'\"'\"'",
        "a'b",
        "a\"b",
        "a\\",
        "\\'",
        "a\nb",
        "\n",
        "a\r\nb",
        "\t",
        "--flag",
        "-n",
        "-e \\n",
        "%s%n",
        "*",
        "~",
        "$HOME",
        "${HOME}",
        "$$",
        "!!",
        "#",
        "&",
        "|",
        "<(ls)",
        "a b",
        "日本語",
        "é\u{301}",
        "\u{1f600}",
        "\u{202e}abc",
        "\u{1}\u{7f}",
        "\u{feff}",
        "{{ 7*7 }}",
        "{a,b}",
        "[a-z]",
    ]
    .map(str::to_owned)
    .into();
    all.extend([
        format!("$({touch})"),
        format!("`{touch}`"),
        format!("; {touch}"),
        format!("'; {touch}; '"),
        format!("\"; {touch}; \""),
        format!("'\n{touch}\n'"),
        format!("' && {touch} #"),
        format!("\\'; {touch}; \\'"),
        format!("| {touch}"),
        format!("& {touch} &"),
        format!("a\n{touch}"),
        format!("'$({touch})'"),
        format!("> {marker}"),
        "x".repeat(50_000),
    ]);
    all
}

#[test]
fn what_a_shell_is_given_quoted_arrives_as_it_is() {
    let place = place();
    let yaml = "name: quoted\nenabled: true\ntrigger: {type: hostile.seen}\n\
        action:\n  ref: core.local\n  parameters:\n    \
        cmd: \"printf h; printf %s {{ trigger.text | shell_quote }} | od -An -v -tx1 | tr -d ' \\\\n'\"\n";
    place.write("packs/hostile/rules/quoted.yaml", yaml);
    let petrel = place.start();
    petrel.ready("hostile.Source");
    let marker = place.path("executed");
    let all = corpus(&marker.display().to_string());
    for text in &all {
        say(&place, &json!({ "text": text }).to_string());
    }
    let done = ended(&place, "hostile.quoted", all.len());
    // The newest is first.
    for (text, execution) in all.iter().rev().zip(&done) {
        let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
        let wanted = format!("h{hex}");
        let shown: String = text.chars().take(60).collect();
        assert_eq!(execution["result"]["stdout"], wanted, "{shown:?}");
        assert_eq!(execution["result"]["stderr"], "", "{shown:?}");
    }
    assert!(!marker.exists(), "something was executed");
    say(&place, &json!({"text": "a\u{0}b"}).to_string());
    let done = ended(&place, "hostile.quoted", all.len() + 1);
    assert_eq!(done[0]["status"], "failed", "{}", done[0]);
    let result = done[0]["result"].to_string();
    assert!(result.to_lowercase().contains("nul"), "{result}");
    still_delivers(&petrel);
}
