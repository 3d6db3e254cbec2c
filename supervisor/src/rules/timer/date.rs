//! The date of a date timer.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::fmt::rfc2822;
use jiff::tz::{AmbiguousOffset, TimeZone};
use serde_json::Value;

use super::{Timer, TimerFault, quoted};
use crate::rules::dates;

/// Reads a date; one that names no zone is in the given one.
pub(super) fn parse(value: &Value, zone: &TimeZone) -> Result<Timer, TimerFault> {
    let Some(text) = value.as_str() else {
        return Err(TimerFault::at(
            "date",
            format!("{} is not text", quoted(&value.to_string())),
        ));
    };
    let at = moment(text.trim(), zone).ok_or_else(|| {
        let fault = TimerFault::at("date", format!("{} is not a date", quoted(text)));
        fault.help("write it as 2030-12-31T23:59:59Z, or without the Z in the timer's zone")
    })?;
    Ok(Timer::Date { at })
}

fn moment(text: &str, zone: &TimeZone) -> Option<Timestamp> {
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Some(moment);
    }
    if let Ok(date) = text.parse::<DateTime>() {
        return shown(date, zone);
    }
    if let Ok(date) = text.parse::<Date>() {
        return shown(date.into(), zone);
    }
    if let Ok(zoned) = rfc2822::parse(text) {
        return Some(zoned.timestamp());
    }
    other(text, zone)
}

/// Any other form that rules know. What they read without a zone, they read as UTC; and what means
/// another date on another day has no place in a timer.
fn other(text: &str, zone: &TimeZone) -> Option<Timestamp> {
    let value = Value::from(text);
    let on = |day: &str| dates::parse(&value, day.parse().ok()?).ok();
    let read = on("2000-01-02T00:00:00Z").filter(|at| on("2001-03-04T00:00:00Z") == Some(*at))?;
    match names_zone(text) {
        true => Some(read),
        false => shown(TimeZone::UTC.to_datetime(read), zone),
    }
}

/// True for a text with a time of day that ends with `Z`, `UTC`, `GMT`, `+02:00` or `-0500`.
fn names_zone(text: &str) -> bool {
    let Some((_, tail)) = text.split_once(':') else {
        return false;
    };
    let upper = tail.to_uppercase();
    let shape: String = tail.chars().filter(|c| *c != ':').collect();
    let mut end = shape.chars().rev();
    let digits = end.by_ref().take(4).all(|c| c.is_ascii_digit());
    let offset = digits && end.next().is_some_and(|c| c == '+' || c == '-');
    offset || ["Z", "UTC", "GMT"].iter().any(|name| upper.ends_with(name))
}

/// A date as the clock of a zone shows it. Where the clock shows it twice the first is meant, and
/// where it leaves it out, the offset before counts, as with APScheduler.
fn shown(date: DateTime, zone: &TimeZone) -> Option<Timestamp> {
    let offset = match zone.to_ambiguous_timestamp(date).offset() {
        AmbiguousOffset::Unambiguous { offset } => offset,
        AmbiguousOffset::Gap { before, .. } | AmbiguousOffset::Fold { before, .. } => before,
    };
    offset.to_timestamp(date).ok()
}
