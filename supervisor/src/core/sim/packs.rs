//! Two sensors, one rule, one action.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Map, json};

use crate::catalog::policy::Policy;
use crate::catalog::schema::PayloadCheck;
use crate::catalog::{
    Action, Catalog, Protocol, Rule, RuleKind, RuleSource, Runner, Sensor, TriggerType,
};

pub fn catalog() -> Catalog {
    let mut catalog = Catalog::default();
    // One that our host runs, one that only prints.
    for (class, file) in [("A", "a.py"), ("B", "b.sh")] {
        let sensor = sensor(class, file);
        catalog
            .sensors
            .insert(sensor.reference.clone(), Arc::new(sensor));
    }
    catalog
        .trigger_types
        .insert("p.t".into(), Arc::new(trigger()));
    catalog.rules.insert("p.r".into(), Arc::new(rule()));
    catalog.actions.insert("p.a".into(), Arc::new(action()));
    catalog
}

fn sensor(class: &str, file: &str) -> Sensor {
    Sensor {
        reference: format!("p.{class}"),
        pack: "p".into(),
        class_name: class.into(),
        description: String::new(),
        enabled: true,
        enabled_source: None,
        file_path: PathBuf::from("/packs/p/sensors").join(file),
        poll_interval: None,
        trigger_types: vec!["p.t".into()],
        protocol: Protocol::Auto,
        policy: Policy::default(),
        policy_sources: Default::default(),
        metadata_file: "sensors/s.yaml".into(),
    }
}

fn trigger() -> TriggerType {
    TriggerType {
        reference: "p.t".into(),
        pack: "p".into(),
        name: "t".into(),
        description: String::new(),
        payload_schema: json!({}),
        parameters_schema: json!({}),
        payload_check: Arc::new(PayloadCheck::new(&json!({}), None)),
        metadata_file: "sensors/s.yaml".into(),
    }
}

fn rule() -> Rule {
    Rule {
        reference: "p.r".into(),
        pack: "p".into(),
        name: "r".into(),
        description: String::new(),
        enabled: true,
        enabled_source: None,
        kind: RuleKind::Standard,
        trigger_type: "p.t".into(),
        trigger_parameters: Map::new(),
        missed: Default::default(),
        criteria: Vec::new(),
        action: "p.a".into(),
        parameters: Map::new(),
        version: "1".into(),
        metadata_file: "rules/r.yaml".into(),
        source: RuleSource::default(),
    }
}

fn action() -> Action {
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
        parameters: Map::new(),
        all_parameters: Map::new(),
        output_schema: Map::new(),
        notify: Vec::new(),
        chain: None,
        metadata_file: "actions/a.yaml".into(),
    }
}
