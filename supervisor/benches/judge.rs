//! Criteria plus rendering for one event of the article's shape: 1, 100 and 1,000 rules on its
//! trigger, and 1,000 rules on other triggers beside one on its own.
//!
//! `cargo bench -p petrel-supervisor`. StackStorm's matcher takes 4.0 ms a rule and 1.3 ms a
//! rendering.
#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark")]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::PathBuf;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use petrel_supervisor::catalog::{PackSource, SourceFile, Sources, build};
use petrel_supervisor::config::Settings;
use petrel_supervisor::rules::store::{NoKeys, Store};
use petrel_supervisor::rules::{Host, RuleSet};
use serde_json::{Value, json};

fn file(name: &str, text: &str) -> SourceFile {
    SourceFile::new(name, name, text)
}

/// The article's rule, with a criterion.
fn rule(number: usize, trigger: &str) -> SourceFile {
    let text = format!(
        "name: r{number}\npack: mypack\nenabled: true\ntrigger: {{type: mypack.{trigger}}}\n\
         criteria:\n  trigger.status: {{type: equals, pattern: created}}\n\
         action:\n  ref: mypack.output_context\n  parameters:\n    \
         context: '[{{{{trigger.time}}}}] ({{{{trigger.status}}}}) {{{{trigger.path}}}}'\n"
    );
    file(&format!("rules/r{number}.yaml"), &text)
}

fn trigger(name: &str) -> SourceFile {
    let text = format!("name: {name}\npayload_schema: {{type: object}}\n");
    file(&format!("triggers/{name}.yaml"), &text)
}

/// `own` rules on the event's trigger and `others` on a thousand others.
fn rules(own: usize, others: usize) -> RuleSet {
    let action = "name: output_context\nrunner_type: noop\nparameters:\n  \
                  context: {type: string, required: true}\n";
    let other = |at: usize| format!("other{at}");
    let mine = (0..own).map(|at| rule(at, "changed_file"));
    let theirs = (0..others).map(|at| rule(own + at, &other(at)));
    let manifest = "ref: mypack\nname: mypack\ndescription: d\nversion: 1.0.0\nauthor: a\n\
                    email: a@example.org\n";
    let pack = PackSource {
        dir: PathBuf::from("/packs/mypack"),
        shown: "packs/mypack".into(),
        manifest: file("pack.yaml", manifest),
        triggers: std::iter::once("changed_file".to_owned())
            .chain((0..others).map(other))
            .map(|name| trigger(&name))
            .collect(),
        rules: mine.chain(theirs).collect(),
        actions: vec![file("actions/output_context.yaml", action)],
        entry_points: BTreeMap::new(),
        ..PackSource::lone("mypack")
    };
    let sources = Sources {
        packs: vec![pack],
        ..Sources::default()
    };
    let built = build(&sources, &Settings::default());
    assert!(built.diagnostics.is_empty(), "{:?}", built.diagnostics);
    let (set, faults) = RuleSet::compile(Arc::new(built.catalog), &Host::default());
    assert!(faults.is_empty(), "{faults:?}");
    set
}

fn event() -> Value {
    json!({
        "path": "/var/log/app/some-file-that-changed.log",
        "status": "created",
        "time": 1480310219.11,
    })
}

fn judge(bencher: &mut Criterion) {
    let payload = event();
    let store: Arc<dyn Store> = Arc::new(NoKeys);
    let mut group = bencher.benchmark_group("judge");
    for (name, own, others) in [
        ("rules", 1, 0),
        ("rules", 100, 0),
        ("rules", 1000, 0),
        ("beside 1000 others, rules", 1, 1000),
    ] {
        let set = rules(own, others);
        let judged = set.judge("mypack.changed_file", &payload, None, &store);
        assert_eq!(judged.matched.len(), own);
        group.throughput(Throughput::Elements(own as u64));
        group.bench_function(BenchmarkId::new(name, own), |bencher| {
            bencher.iter(|| {
                black_box(set.judge("mypack.changed_file", black_box(&payload), None, &store))
            });
        });
    }
    group.finish();
}

criterion_group!(benches, judge);
criterion_main!(benches);
