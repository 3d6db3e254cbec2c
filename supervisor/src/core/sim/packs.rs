//! Three sensors, one rule, one action, each in versions between which reloads change.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, json};

use super::Rng;
use crate::catalog::policy::{
    Durability, Group, Keep, Limit, OnExcess, OnLimit, Policy, RestartWhen,
};
use crate::catalog::schema::PayloadCheck;
use crate::catalog::schemas::Schemas;
use crate::catalog::{
    Action, Catalog, Criterion, Mark, OnUnknown, Protocol, Reload, Rule, RuleKind, RuleOrder,
    RuleSource, Runner, Sensor, TriggerType,
};
use crate::rules::{Host, RuleSet};

/// Those that are there or not: one that our host runs, one that only prints, one that converses and
/// starts beside the one that it replaces.
pub const SENSORS: [&str; 3] = ["p.A", "p.B", "p.C"];

/// The one of which two may run for a while.
pub const OVERLAPS: &str = "p.C";

/// A version of a sensor's files.
#[derive(Clone, Copy, Debug)]
pub struct Make {
    code: u64,
    enabled: bool,
    policy: u64,
}

/// A version of all files.
#[derive(Clone, Copy, Debug)]
pub struct Files {
    sensors: [Option<Make>; 3],
    /// 0: there is none; 3: it is disabled.
    rule: u64,
    /// Of the trigger type.
    keep: Keep,
}

/// What is made of them.
#[derive(Clone, Debug)]
pub struct Packs {
    pub catalog: Arc<Catalog>,
    pub rules: Arc<RuleSet>,
}

impl Files {
    pub fn new(rng: &mut Rng) -> Self {
        Self {
            sensors: SENSORS.map(|_| Some(make(rng))),
            rule: 1,
            keep: rng.pick(&[Keep::All, Keep::Matched, Keep::Counters]),
        }
    }

    /// One thing comes, goes or changes.
    pub fn change(&mut self, rng: &mut Rng) {
        let at = rng.below(4) as usize;
        let Some(sensor) = self.sensors.get_mut(at) else {
            self.rule = rng.below(4);
            if rng.percent(20) {
                self.keep = rng.pick(&[Keep::All, Keep::Matched, Keep::Counters]);
            }
            return;
        };
        *sensor = match sensor {
            Some(_) if rng.percent(25) => None,
            _ => Some(make(rng)),
        };
    }

    pub fn read(&self) -> Packs {
        let mut catalog = Catalog::default();
        for (reference, made) in SENSORS.iter().zip(&self.sensors) {
            if let Some(made) = made {
                let sensor = sensor(reference, *made);
                catalog
                    .sensors
                    .insert((*reference).into(), Arc::new(sensor));
            }
        }
        catalog
            .trigger_types
            .insert("p.t".into(), Arc::new(trigger(self.keep)));
        let action = Arc::new(action(self.rule));
        catalog.actions.insert("p.a".into(), action);
        if self.rule > 0 {
            catalog
                .rules
                .insert("p.r".into(), Arc::new(rule(self.rule)));
        }
        Packs {
            rules: rules(self.rule, &catalog),
            catalog: Arc::new(catalog),
        }
    }
}

thread_local! {
    static RULES: RefCell<HashMap<u64, Arc<RuleSet>>> = RefCell::default();
}

/// No rule looks at sensors, so there are few sets of rules.
fn rules(version: u64, catalog: &Catalog) -> Arc<RuleSet> {
    RULES.with_borrow_mut(|known| {
        let compile = || {
            let (rules, faults) = RuleSet::compile(Arc::new(catalog.clone()), &Host::default());
            assert!(faults.is_empty(), "{faults:?}");
            Arc::new(rules)
        };
        Arc::clone(known.entry(version).or_insert_with(compile))
    })
}

/// The version of the rule that a set of rules has, by the text that the journal keeps of the set.
pub fn version_in(text: &str) -> Option<&str> {
    text.lines().find_map(|line| line.strip_prefix("p.r "))
}

fn make(rng: &mut Rng) -> Make {
    Make {
        code: rng.below(3),
        enabled: rng.percent(85),
        policy: rng.below(4),
    }
}

fn policy(kind: u64) -> Policy {
    let mut policy = Policy::default();
    let often = |on_limit| Limit {
        burst: 2,
        interval: Duration::from_secs(60),
        on_limit,
        cooldown: Duration::from_secs(20),
    };
    match kind {
        1 => {
            policy.restart.limit = often(OnLimit::Cooldown);
            let dog = &mut policy.watchdog;
            dog.interval = Duration::from_secs(1);
            dog.soft_timeout = Duration::from_secs(2);
            dog.timeout = Duration::from_secs(4);
            dog.poll_timeout = Duration::from_secs(10);
            dog.max_rss_restart = 1500;
            dog.max_lifetime = Duration::from_secs(60);
        }
        2 => {
            policy.restart.policy = RestartWhen::OnFailure;
            policy.restart.limit = often(OnLimit::Park);
            policy.limits.rate.events_per_s = 20.0;
            policy.limits.rate.burst = 5;
            policy.limits.line_bytes = 400;
            policy.journal.durability = Durability::Process;
        }
        3 => {
            policy.restart.initial_delay = Duration::ZERO;
            policy.restart.limit.burst = 0;
            policy.restart.group = Group::OneForAll;
            policy.limits.rate.events_per_s = 20.0;
            policy.limits.rate.burst = 40;
            policy.limits.rate.on_excess = OnExcess::Park;
            policy.limits.protocol_errors.burst = 5;
        }
        _ => {}
    }
    policy
}

fn sensor(reference: &str, made: Make) -> Sensor {
    let class = reference.trim_start_matches("p.");
    let (file, reload) = match class {
        "A" => ("a.py", Reload::Restart),
        "B" => ("b.sh", Reload::Restart),
        _ => ("c", Reload::Overlap),
    };
    Sensor {
        reference: reference.into(),
        pack: "p".into(),
        class_name: class.into(),
        description: String::new(),
        enabled: made.enabled,
        enabled_source: None,
        file_path: PathBuf::from("/packs/p/sensors").join(file),
        poll_interval: None,
        trigger_types: vec!["p.t".into()],
        is_command: false,
        protocol: Protocol::Auto,
        reload,
        code: made.code.to_string(),
        instance: None,
        policy: policy(made.policy),
        policy_sources: Default::default(),
        metadata_file: "sensors/s.yaml".into(),
    }
}

fn trigger(keep: Keep) -> TriggerType {
    TriggerType {
        reference: "p.t".into(),
        pack: "p".into(),
        name: "t".into(),
        description: String::new(),
        payload_schema: json!({}),
        parameters_schema: json!({}),
        payload_check: Arc::new(PayloadCheck::new(&json!({}), None)),
        keep: Some(keep),
        metadata_file: "sensors/s.yaml".into(),
    }
}

fn rule(version: u64) -> Rule {
    Rule {
        reference: "p.r".into(),
        pack: "p".into(),
        name: "r".into(),
        description: String::new(),
        enabled: version < 3,
        enabled_source: None,
        kind: RuleKind::Standard,
        trigger_type: "p.t".into(),
        trigger_parameters: Map::new(),
        missed: Default::default(),
        order: match version {
            2 => RuleOrder::Strict,
            _ => RuleOrder::Any,
        },
        criteria: vec![Criterion {
            key: "trigger.matches".into(),
            operator: "equals".into(),
            pattern: json!(true),
            condition: None,
            mark: Mark::default(),
            operator_mark: Mark::default(),
        }],
        action: "p.a".into(),
        parameters: Map::new(),
        version: version.to_string(),
        metadata_file: "rules/r.yaml".into(),
        source: RuleSource::default(),
    }
}

fn action(rule: u64) -> Action {
    Action {
        reference: "p.a".into(),
        pack: "p".into(),
        name: "a".into(),
        description: String::new(),
        enabled: true,
        enabled_source: None,
        runner: Runner::LocalShellCmd,
        runner_type: "local-shell-cmd".into(),
        entry_point: None,
        parameters: Schemas::default(),
        all_parameters: Schemas::default(),
        output_schema: Map::new(),
        notify: Vec::new(),
        chain: None,
        warm: true,
        on_unknown: match rule {
            2 => OnUnknown::Ask,
            _ => OnUnknown::Fail,
        },
        metadata_file: "actions/a.yaml".into(),
    }
}
