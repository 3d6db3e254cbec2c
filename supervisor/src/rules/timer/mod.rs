//! Timers: `core.st2.IntervalTimer`, `core.st2.DateTimer` and `core.st2.CronTimer`, from the
//! parameters of a rule's trigger to the moments at which they fire. The parameters are those of
//! StackStorm (`st2common/constants/triggers.py`), the moments those of APScheduler 3.11. Time
//! zones come with the program, so they mean the same on every host.

mod cron;
mod date;
mod field;
mod kind;
#[cfg(test)]
mod tests;

use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

pub use cron::Cron;

use crate::catalog::diagnostics::did_you_mean;

/// Longest interval, seconds: Python's longest `timedelta`.
const MAX_INTERVAL_S: i64 = 999_999_999 * 86_400;
/// Longest part of what was written that a message shows, characters.
const MAX_QUOTED: usize = 64;
/// Units of an interval, and the seconds of one.
const UNITS: [(&str, i64); 5] = [
    ("weeks", 604_800),
    ("days", 86_400),
    ("hours", 3600),
    ("minutes", 60),
    ("seconds", 1),
];

/// What a rule on one of the timer triggers asks for.
#[derive(Clone, Debug)]
pub enum Timer {
    /// Again and again, after the same time each; a day is 24 hours whatever the clocks do.
    Interval {
        /// Time between two firings, at least one second.
        every: SignedDuration,
    },
    /// Once.
    Date {
        /// When.
        at: Timestamp,
    },
    /// Whenever the calendar and the clock fit.
    Cron(Box<Cron>),
}

/// Why the parameters of a timer are refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", parameter.as_ref().map_or(String::new(), |name| format!("{name}: ")))]
pub struct TimerFault {
    /// The parameter at fault; none where several or a missing one are.
    pub parameter: Option<String>,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
}

impl TimerFault {
    fn at(parameter: &str, message: impl Into<String>) -> Self {
        Self {
            parameter: Some(parameter.to_owned()),
            message: message.into(),
            help: None,
        }
    }

    fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl Timer {
    /// Reads `trigger.parameters` of a rule; none when the trigger type is not a timer. A date or
    /// a cron timer that names no zone is in the local one.
    ///
    /// # Errors
    /// The first parameter that is unknown, missing or wrong.
    pub fn parse(
        trigger_type: &str,
        parameters: &Map<String, Value>,
        local: &TimeZone,
    ) -> Result<Option<Self>, TimerFault> {
        let known: &[&str] = match trigger_type {
            "core.st2.IntervalTimer" => &["unit", "delta", "timezone"],
            "core.st2.DateTimer" => &["date", "timezone"],
            "core.st2.CronTimer" => &[
                "year",
                "month",
                "day",
                "week",
                "day_of_week",
                "hour",
                "minute",
                "second",
                "timezone",
            ],
            _ => return Ok(None),
        };
        only(known, parameters)?;
        let zone = zone(parameters)?.unwrap_or_else(|| local.clone());
        let timer = match known[0] {
            "unit" => interval(parameters)?,
            "date" => date::parse(required(parameters, "date")?, &zone)?,
            _ => Self::Cron(Box::new(Cron::parse(parameters, zone)?)),
        };
        Ok(Some(timer))
    }

    /// The first firing strictly after `after`; none when there is none any more. For an interval,
    /// `anchor` is its last scheduled moment, or when it was first seen; it first fires one
    /// interval later.
    pub fn next(&self, anchor: Timestamp, after: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Interval { every } => {
                let every = every.as_nanos();
                let passed = after.as_nanosecond() - anchor.as_nanosecond();
                let count = passed.div_euclid(every).max(0) + 1;
                Timestamp::from_nanosecond(anchor.as_nanosecond() + count * every).ok()
            }
            Self::Date { at } => (*at > after).then_some(*at),
            Self::Cron(cron) => cron.next(after),
        }
    }
}

fn only(known: &[&str], parameters: &Map<String, Value>) -> Result<(), TimerFault> {
    match parameters.keys().find(|key| !known.contains(&key.as_str())) {
        None => Ok(()),
        Some(key) => {
            let fault = TimerFault::at(key, "this timer has no such parameter");
            let has = || format!("it has {}", known.join(", "));
            Err(fault.help(suggestion(key, known).unwrap_or_else(has)))
        }
    }
}

/// A question for the known name that is near to what was written. Long text is near to none.
fn suggestion(written: &str, known: &[&str]) -> Option<String> {
    match written.len() <= MAX_QUOTED {
        true => did_you_mean(written, known.iter().copied()),
        false => None,
    }
}

/// What was written, cut where it is long.
fn quoted(text: &str) -> String {
    match text.char_indices().nth(MAX_QUOTED) {
        None => format!("`{text}`"),
        Some((end, _)) => format!("`{}...`", &text[..end]),
    }
}

fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

fn required<'a>(parameters: &'a Map<String, Value>, key: &str) -> Result<&'a Value, TimerFault> {
    let given = parameters.get(key).filter(|value| !value.is_null());
    given.ok_or_else(|| TimerFault::at(key, "is missing"))
}

fn zone(parameters: &Map<String, Value>) -> Result<Option<TimeZone>, TimerFault> {
    let name = match parameters.get("timezone") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(name)) => name,
        Some(other) => {
            return Err(TimerFault::at(
                "timezone",
                format!("{} is not text", quoted(&other.to_string())),
            ));
        }
    };
    let known = TimeZoneDatabase::bundled();
    if let Ok(zone) = known.get(name) {
        return Ok(Some(zone));
    }
    let names: Vec<_> = known.available().map(|name| name.to_string()).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let fault = TimerFault::at(
        "timezone",
        format!("there is no time zone {}", quoted(name)),
    );
    let example = || "use a name like `Europe/Berlin` or `UTC`".to_owned();
    Err(fault.help(suggestion(name, &names).unwrap_or_else(example)))
}

fn interval(parameters: &Map<String, Value>) -> Result<Timer, TimerFault> {
    let unit = required(parameters, "unit")?;
    let names = UNITS.map(|(name, _)| name);
    let known = UNITS.iter().find(|(name, _)| unit.as_str() == Some(name));
    let Some((_, seconds)) = known else {
        let fault = TimerFault::at("unit", format!("{} is not a unit", quoted(&plain(unit))));
        let near = unit.as_str().and_then(|unit| suggestion(unit, &names));
        return Err(fault.help(near.unwrap_or_else(|| format!("use one of {}", names.join(", ")))));
    };
    let delta = required(parameters, "delta")?;
    let wrong =
        |what: &str| TimerFault::at("delta", format!("{} is {what}", quoted(&plain(delta))));
    let whole = delta.as_i64().or(delta.as_u64().map(|_| i64::MAX));
    let whole = whole.ok_or_else(|| match delta {
        Value::String(_) => wrong("text").help("write the number without quotes"),
        _ => wrong("not a whole number"),
    })?;
    if whole < 0 {
        return Err(wrong("below 0").help("use 1 or more"));
    }
    let every = whole
        .checked_mul(*seconds)
        .filter(|it| *it <= MAX_INTERVAL_S);
    let every = every.ok_or_else(|| wrong("too long"))?;
    // An interval of nothing is one second, as in APScheduler.
    let every = SignedDuration::from_secs(every.max(1));
    Ok(Timer::Interval { every })
}
