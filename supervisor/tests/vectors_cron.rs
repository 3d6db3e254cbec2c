//! The recorded firings of APScheduler, replayed. `PETREL_VECTORS` names another folder of the same
//! form.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::PathBuf;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use petrel_supervisor::rules::timer::Timer;
use serde_json::{Value, json};

/// Cases of the file; none where another folder does not have it.
fn cases() -> Option<Vec<Value>> {
    let given = std::env::var_os("PETREL_VECTORS").map(PathBuf::from);
    let elsewhere = given.is_some();
    let ours = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors");
    let folder = given.unwrap_or_else(ours);
    match std::fs::read_to_string(folder.join("cron.json")) {
        Ok(text) => Some(serde_json::from_str(&text).unwrap()),
        Err(_) if elsewhere => None,
        Err(error) => panic!("cron.json: {error}"),
    }
}

/// The recorded list of a case, or why the timer is refused. The first firing may be at `after`.
fn answer(case: &Value, count: usize) -> Result<Value, String> {
    let mut parameters = case["cron"].as_object().unwrap().clone();
    parameters.insert("timezone".into(), case["timezone"].clone());
    let timer = Timer::parse("core.st2.CronTimer", &parameters, &TimeZone::UTC);
    let timer = timer.map_err(|fault| fault.to_string())?.unwrap();
    let Some(after) = case["after"].as_str() else {
        return Ok(Value::Null);
    };
    let mut moment = after.parse::<Timestamp>().unwrap() - SignedDuration::from_nanos(1);
    let mut next = || {
        moment = timer.next(moment, moment)?;
        Some(json!(moment.to_string()))
    };
    Ok((0..count).map_while(|_| next()).collect())
}

/// True where APScheduler repeats one moment: from the second of two times with one reading, it
/// steps back to the first and finds the same again.
fn stands_still(case: &Value) -> bool {
    let recorded = case["next"].as_array();
    recorded.is_some_and(|list| list.windows(2).any(|pair| pair[0] == pair[1]))
}

#[test]
fn cron_vectors() {
    let Some(all) = cases() else { return };
    let (mut right, mut deliberate, mut wrong) = (0, 0, Vec::new());
    for case in &all {
        let count = case["next"].as_array().map_or(0, |list| list.len().max(6));
        let same = match answer(case, count) {
            Ok(list) => list == case["next"] && case.get("error").is_none(),
            Err(_) => case.get("error").is_some(),
        };
        match same {
            true => right += 1,
            false if stands_still(case) => deliberate += 1,
            false => wrong.push(format!("{case}\n    {:?}", answer(case, count))),
        }
    }
    println!(
        "cron.json: {right} of {}, {deliberate} deliberate",
        all.len()
    );
    assert!(
        wrong.is_empty(),
        "{} cases fail:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
