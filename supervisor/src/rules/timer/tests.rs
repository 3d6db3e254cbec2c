use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::{Timer, TimerFault};

fn parse(kind: &str, parameters: Value) -> Result<Timer, TimerFault> {
    let kind = format!("core.st2.{kind}");
    let parameters = parameters.as_object().unwrap();
    Timer::parse(&kind, parameters, &TimeZone::UTC).map(Option::unwrap)
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// The first firings of a cron timer strictly after a moment.
fn firings(parameters: Value, after: &str, count: usize) -> Vec<String> {
    let timer = parse("CronTimer", parameters).unwrap();
    let mut moment = at(after);
    let mut next = || {
        moment = timer.next(moment, moment)?;
        Some(moment.to_string())
    };
    (0..count).map_while(|_| next()).collect()
}

#[test]
fn intervals_keep_their_phase() {
    let timer = parse("IntervalTimer", json!({"unit": "minutes", "delta": 5})).unwrap();
    let anchor = at("2026-11-24T10:00:07Z");
    for (after, next) in [
        ("2026-11-24T09:00:00Z", "2026-11-24T10:05:07Z"),
        ("2026-11-24T10:00:07Z", "2026-11-24T10:05:07Z"),
        ("2026-11-24T10:05:06.9Z", "2026-11-24T10:05:07Z"),
        ("2026-11-24T10:05:07Z", "2026-11-24T10:10:07Z"),
        ("2026-11-24T12:00:00Z", "2026-11-24T12:00:07Z"),
    ] {
        assert_eq!(timer.next(anchor, at(after)), Some(at(next)), "{after}");
    }
    let nothing = parse("IntervalTimer", json!({"unit": "hours", "delta": 0})).unwrap();
    assert_eq!(
        nothing.next(anchor, anchor),
        Some(at("2026-11-24T10:00:08Z"))
    );
    let long = parse(
        "IntervalTimer",
        json!({"unit": "days", "delta": 999_999_999}),
    )
    .unwrap();
    assert_eq!(long.next(anchor, anchor), None);
}

#[test]
fn dates_are_read_in_their_zone() {
    for (date, zone, moment) in [
        ("2030-01-02T03:04:05Z", "Asia/Tokyo", "2030-01-02T03:04:05Z"),
        (
            "2030-01-02T03:04:05+02:00",
            "Asia/Tokyo",
            "2030-01-02T01:04:05Z",
        ),
        ("2030-01-02 03:04:05", "Asia/Tokyo", "2030-01-01T18:04:05Z"),
        ("2030-01-02", "Asia/Tokyo", "2030-01-01T15:00:00Z"),
        (
            "Mon, 01 Jan 2035 00:00:00 GMT",
            "Asia/Tokyo",
            "2035-01-01T00:00:00Z",
        ),
        // Left out by the clock, and shown twice.
        (
            "2030-03-10 02:30:00",
            "America/New_York",
            "2030-03-10T07:30:00Z",
        ),
        (
            "2030-11-03 01:30:00",
            "America/New_York",
            "2030-11-03T05:30:00Z",
        ),
    ] {
        let timer = parse("DateTimer", json!({"date": date, "timezone": zone})).unwrap();
        let before = at("2026-01-01T00:00:00Z");
        assert_eq!(timer.next(before, before), Some(at(moment)), "{date}");
        assert_eq!(timer.next(before, at(moment)), None, "{date}");
    }
}

#[test]
fn a_clock_that_jumps_is_followed_as_apscheduler_follows_it() {
    let new_york = |hour: u8| json!({"hour": hour, "minute": 30, "timezone": "America/New_York"});
    // 02:30 does not exist on 8 March: it is told by the offset before.
    assert_eq!(
        firings(new_york(2), "2026-03-07T12:00:00Z", 2),
        ["2026-03-08T07:30:00Z", "2026-03-09T06:30:00Z"]
    );
    // 01:30 exists twice on 1 November: it fires at both.
    assert_eq!(
        firings(new_york(1), "2026-10-31T12:00:00Z", 3),
        [
            "2026-11-01T05:30:00Z",
            "2026-11-01T06:30:00Z",
            "2026-11-02T06:30:00Z"
        ]
    );
    let half_an_hour = json!({"hour": 1, "minute": 45, "timezone": "Australia/Lord_Howe"});
    assert_eq!(
        firings(half_an_hour, "2026-04-03T20:00:00Z", 3),
        [
            "2026-04-04T14:45:00Z",
            "2026-04-04T15:15:00Z",
            "2026-04-05T15:15:00Z"
        ]
    );
}

#[test]
fn what_never_comes_ends_the_search() {
    for never in [
        json!({"month": 2, "day": 31}),
        json!({"month": 6, "week": 53}),
        json!({"day": "5th mon", "month": 2, "day_of_week": "tue"}),
        json!({"week": 53, "month": "2-11"}),
        json!({"year": 2020}),
        json!({"year": "2027-9999/2", "month": 2, "day": 29}),
    ] {
        assert_eq!(firings(never.clone(), "2026-11-24T00:00:00Z", 1), [""; 0]);
    }
}

#[test]
fn parameters_are_refused_with_the_cure() {
    for (kind, parameters, message, help) in [
        (
            "CronTimer",
            json!({"minute": 75}),
            "minute: `75`: 75 is above 59",
            "use 0 to 59",
        ),
        (
            "CronTimer",
            json!({"day_of_week": 7}),
            "day_of_week: `7`: 7 is above 6",
            "use 0 (Monday) to 6 (Sunday) or mon..sun",
        ),
        (
            "CronTimer",
            json!({"day_of_week": "monday"}),
            "day_of_week: `monday` is not the short name of a day of the week; write `mon`",
            "use 0 (Monday) to 6 (Sunday) or mon..sun",
        ),
        (
            "CronTimer",
            json!({"minutes": 5}),
            "minutes: this timer has no such parameter",
            "did you mean \"minute\"?",
        ),
        (
            "CronTimer",
            json!({"hour": true}),
            "hour: `true` is neither text nor a whole number",
            "",
        ),
        (
            "CronTimer",
            json!({"timezone": "Europe/Berln"}),
            "timezone: there is no time zone `Europe/Berln`",
            "did you mean \"Europe/Berlin\"?",
        ),
        ("IntervalTimer", json!({"delta": 5}), "unit: is missing", ""),
        (
            "IntervalTimer",
            json!({"unit": "second", "delta": 5}),
            "unit: `second` is not a unit",
            "did you mean \"seconds\"?",
        ),
        (
            "IntervalTimer",
            json!({"unit": "seconds", "delta": "5"}),
            "delta: `5` is text",
            "write the number without quotes",
        ),
        (
            "IntervalTimer",
            json!({"unit": "seconds", "delta": -5}),
            "delta: `-5` is below 0",
            "use 1 or more",
        ),
        (
            "DateTimer",
            json!({"date": "soon"}),
            "date: `soon` is not a date",
            "write it as 2030-12-31T23:59:59Z, or without the Z in the timer's zone",
        ),
    ] {
        let fault = parse(kind, parameters.clone()).unwrap_err();
        assert_eq!(fault.to_string(), message, "{parameters}");
        assert_eq!(fault.help.as_deref().unwrap_or(""), help, "{parameters}");
    }
    let other = Timer::parse(
        "core.st2.webhook",
        &json!({}).as_object().unwrap().clone(),
        &TimeZone::UTC,
    );
    assert!(other.unwrap().is_none());
}

#[test]
fn long_text_is_refused_at_once() {
    let long = "x".repeat(1 << 20);
    for parameters in [
        json!({"minute": long}),
        json!({"timezone": long}),
        json!({"minute": "1,".repeat(1 << 20)}),
        json!({"day_of_week": long}),
        json!({"minute": "9".repeat(1 << 20)}),
    ] {
        let fault = parse("CronTimer", parameters).unwrap_err();
        assert!(fault.to_string().len() < 300);
    }
}
