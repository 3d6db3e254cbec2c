//! Dates as packs write them: ISO 8601, mail headers, and the bare numbers that StackStorm's
//! `dateutil` takes for a day of this month (`10`) or of this year (`10.5` is 5 October).

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::fmt::rfc2822;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::python;

/// The time that a value names; what names no zone is UTC.
///
/// # Errors
/// That the value is not a date.
pub fn parse(value: &Value, now: Timestamp) -> Result<Timestamp, String> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(_) => python::text_of_json(value),
        other => {
            return Err(format!(
                "a date is text, not '{}'",
                python::type_name(other)
            ));
        }
    };
    iso(&text)
        .or_else(|| rfc2822::parse(&text).ok().map(|zoned| zoned.timestamp()))
        .or_else(|| number(&text, now))
        .or_else(|| super::loose_dates::parse(&text, now))
        .ok_or_else(|| format!("\"{text}\" is not a date"))
}

fn iso(text: &str) -> Option<Timestamp> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time);
    }
    match text.parse::<DateTime>() {
        Ok(time) => in_utc(time),
        Err(_) => midnight(text.parse::<Date>().ok()?),
    }
}

fn midnight(date: Date) -> Option<Timestamp> {
    in_utc(date.to_datetime(Time::midnight()))
}

fn in_utc(time: DateTime) -> Option<Timestamp> {
    let zoned = time.to_zoned(TimeZone::UTC).ok()?;
    Some(zoned.timestamp())
}

fn number(text: &str, now: Timestamp) -> Option<Timestamp> {
    let digits = text.trim_start_matches('-');
    let today = now.to_zoned(TimeZone::UTC).date();
    let small = |text: &str| (text.len() <= 2).then(|| text.parse::<i8>().ok()).flatten();
    let date = match digits.split_once('.') {
        None => Date::new(today.year(), today.month(), small(digits)?),
        Some((month, day)) => match small(day)? {
            // A float without a fraction: `10.0` is the tenth.
            0 => Date::new(today.year(), today.month(), small(month)?),
            day => Date::new(today.year(), small(month)?, day),
        },
    };
    midnight(date.ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn dates_are_read_in_every_form_that_packs_use() {
        let now: Timestamp = "2026-11-24T10:00:00Z".parse().unwrap();
        for (value, time) in [
            (json!("2014-07-01T00:01:01.000000"), "2014-07-01T00:01:01Z"),
            (json!("2014-07-01T00:01:01+02:00"), "2014-06-30T22:01:01Z"),
            (json!("20200101T000000Z"), "2020-01-01T00:00:00Z"),
            (json!("1970-01-01"), "1970-01-01T00:00:00Z"),
            (
                json!("Mon, 01 Jan 2001 00:00:00 GMT"),
                "2001-01-01T00:00:00Z",
            ),
            (json!(10), "2026-11-10T00:00:00Z"),
            (json!("10.5"), "2026-10-05T00:00:00Z"),
        ] {
            let expected = time.parse::<Timestamp>().unwrap();
            assert_eq!(parse(&value, now), Ok(expected), "{value}");
        }
        for value in [json!("v1"), json!(""), json!(null), json!(["x"])] {
            assert!(parse(&value, now).is_err(), "{value}");
        }
    }
}
