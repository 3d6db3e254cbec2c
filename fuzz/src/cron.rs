//! Timers: any parameters make a timer or say why not; the next firing is after the moment asked
//! for, and of two moments the later one never has the earlier firing.

use arbitrary::{Result, Unstructured};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use petrel_supervisor::rules::timer::Timer;
use serde_json::{Map, Value};

use crate::json;

/// Most bytes of a message.
const MAX_ERROR: usize = 4 << 10;

/// Firings that are looked at, one after the other.
const FIRINGS: usize = 4;

const TYPES: &[&str] = &[
    "core.st2.CronTimer",
    "core.st2.IntervalTimer",
    "core.st2.DateTimer",
];

const FIELDS: &[&str] = &[
    "year",
    "month",
    "day",
    "week",
    "day_of_week",
    "hour",
    "minute",
    "second",
    "timezone",
    "unit",
    "delta",
    "date",
];

const VALUES: &[&str] = &[
    "*",
    "*/5",
    "1-5",
    "1,3,5",
    "last",
    "1st mon",
    "last fri",
    "jan-mar",
    "mon",
    "*/0",
    "30-2",
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "seconds",
    "weeks",
    "2026-03-29 02:30:00",
    "2026-10-25T02:30:00+01:00",
    "31",
    "2",
    "0",
    "53",
    "9999",
];

struct Case {
    kind: &'static str,
    parameters: Map<String, Value>,
    after: Timestamp,
    later: Timestamp,
}

/// Makes any timer, and asks it for its firings.
pub fn check(data: &[u8]) {
    let recorded = json::case(data).and_then(|case| recorded(&case));
    let case = recorded.or_else(|| made(&mut Unstructured::new(data)).ok());
    if let Some(case) = case {
        fire(&case);
    }
}

fn recorded(case: &Value) -> Option<Case> {
    let mut parameters = case["cron"].as_object()?.clone();
    parameters.insert("timezone".into(), case["timezone"].clone());
    let after: Timestamp = case["after"].as_str()?.parse().ok()?;
    Some(Case {
        kind: TYPES[0],
        parameters,
        after,
        later: after,
    })
}

fn made(from: &mut Unstructured<'_>) -> Result<Case> {
    let kind = match from.ratio(3, 4)? {
        true => TYPES[0],
        false => from.choose(TYPES)?,
    };
    let mut parameters = Map::new();
    for _ in 0..from.int_in_range(0..=6)? {
        let field = *from.choose(FIELDS)?;
        parameters.insert(field.to_owned(), value(from)?);
    }
    Ok(Case {
        kind,
        parameters,
        after: moment(from)?,
        later: moment(from)?,
    })
}

fn value(from: &mut Unstructured<'_>) -> Result<Value> {
    Ok(match from.int_in_range(0..=4)? {
        0 => json::value(from)?,
        1 => Value::from(from.arbitrary::<u8>()?),
        2 => Value::from(from.arbitrary::<String>()?),
        _ => Value::from(*from.choose(VALUES)?),
    })
}

/// Mostly in this century.
fn moment(from: &mut Unstructured<'_>) -> Result<Timestamp> {
    let second = match from.ratio(7, 8)? {
        true => from.int_in_range(0..=3_000_000_000_i64)?,
        false => from.int_in_range(-60_000_000_000..=250_000_000_000_i64)?,
    };
    let nanosecond = from.int_in_range(0..=999_999_999)?;
    Ok(Timestamp::new(second, nanosecond).unwrap_or(Timestamp::UNIX_EPOCH))
}

fn fire(case: &Case) {
    let timer = match Timer::parse(case.kind, &case.parameters, &TimeZone::UTC) {
        Ok(Some(timer)) => timer,
        Ok(None) => panic!("{} is a timer", case.kind),
        Err(fault) => {
            let length = fault.to_string().len();
            return assert!(length <= MAX_ERROR, "{length} bytes");
        }
    };
    let (after, later) = (case.after.min(case.later), case.after.max(case.later));
    let anchor = case.after;
    let (first, second) = (timer.next(anchor, after), timer.next(anchor, later));
    match (first, second) {
        (Some(first), Some(second)) => assert!(first <= second, "{first} > {second}"),
        (None, Some(second)) => panic!("never after {after}, but {second} after {later}"),
        _ => {}
    }
    let mut moment = after;
    for _ in 0..FIRINGS {
        let Some(next) = timer.next(anchor, moment) else {
            break;
        };
        assert!(next > moment, "{next} is not after {moment}");
        moment = next;
    }
}
