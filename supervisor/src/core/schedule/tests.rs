use std::sync::Arc;

use jiff::tz::TimeZone;

use super::*;
use crate::rules::Trigger;

const SECOND: i64 = 1_000_000;

fn rule(kind: &str, parameters: Value, missed: WhenMissed) -> TimerRule {
    let parameters = parameters.as_object().expect("a map").clone();
    let kind = format!("core.st2.{kind}");
    let timer = Timer::parse(&kind, &parameters, &TimeZone::UTC);
    TimerRule {
        timer: timer.expect("it is valid").expect("it is a timer"),
        trigger: Arc::new(Trigger::new(&kind, parameters)),
        missed,
    }
}

fn every(seconds: i64, missed: WhenMissed) -> TimerRule {
    let parameters = json!({"unit": "seconds", "delta": seconds});
    rule("IntervalTimer", parameters, missed)
}

fn armed(rule: TimerRule, settled: i64, now: i64) -> Schedule {
    let known = HashMap::from([(rule.trigger.reference.clone(), Wall(settled))]);
    Schedule::new([rule], &known, Wall(now))
}

/// The moments in seconds, with how many each makes up for and whether it is told.
fn taken(schedule: &mut Schedule, now: i64) -> Vec<(i64, u64, bool)> {
    let firings = schedule.take(Wall(now)).into_iter();
    firings
        .map(|one| (one.due.as_microsecond() / SECOND, one.missed, one.told))
        .collect()
}

#[test]
fn a_new_timer_begins_now_and_keeps_its_phase() {
    let rule = every(10, WhenMissed::RunOnce);
    let mut schedule = Schedule::new([rule], &HashMap::new(), Wall(3 * SECOND));
    assert_eq!(schedule.next(), Some(Wall(13 * SECOND)));
    assert_eq!(taken(&mut schedule, 13 * SECOND - 1), []);
    assert_eq!(taken(&mut schedule, 14 * SECOND), [(13, 0, true)]);
    assert_eq!(schedule.next(), Some(Wall(23 * SECOND)));
}

#[test]
fn what_was_missed_is_made_up_once_all_or_not() {
    let now = 35 * SECOND;
    for (missed, firings) in [
        (WhenMissed::RunOnce, vec![(30, 2, true)]),
        (
            WhenMissed::All,
            vec![(10, 0, true), (20, 0, true), (30, 0, true)],
        ),
        (WhenMissed::Skip, vec![(30, 2, false)]),
    ] {
        let mut schedule = armed(every(10, missed), 0, now);
        assert_eq!(taken(&mut schedule, now), firings, "{missed:?}");
        assert_eq!(schedule.next(), Some(Wall(40 * SECOND)));
        assert_eq!(taken(&mut schedule, now), []);
    }
    // A moment that is just over is not missed.
    let mut schedule = armed(every(10, WhenMissed::Skip), 0, 0);
    assert_eq!(taken(&mut schedule, 10 * SECOND + 5), [(10, 0, true)]);
}

#[test]
fn a_hundred_years_of_seconds_are_one_moment_found_at_once() {
    let now = 100 * 365 * 86_400 * SECOND + 7;
    let cron = rule("CronTimer", json!({"second": "*"}), WhenMissed::RunOnce);
    let mut schedule = armed(cron, 0, now);
    assert_eq!(
        taken(&mut schedule, now),
        [(now / SECOND, MOST_COUNTED, true)]
    );
    let yearly = rule(
        "CronTimer",
        json!({"month": 2, "day": 29}),
        WhenMissed::Skip,
    );
    let mut schedule = armed(yearly, 0, now);
    assert_eq!(taken(&mut schedule, now).len(), 1);
}

#[test]
fn many_missed_moments_come_in_portions() {
    let mut schedule = armed(every(1, WhenMissed::All), 0, 0);
    assert_eq!(taken(&mut schedule, 250 * SECOND).len(), MOST_AT_ONCE);
    assert_eq!(schedule.next(), Some(Wall(101 * SECOND)));
}

#[test]
fn a_clock_that_is_set_back_does_not_silence_an_interval() {
    let mut schedule = armed(every(10, WhenMissed::RunOnce), 1000 * SECOND, 0);
    assert_eq!(taken(&mut schedule, 5 * SECOND), []);
    assert_eq!(schedule.next(), Some(Wall(15 * SECOND)));
}

#[test]
fn a_date_finer_than_the_journal_fires_once() {
    let date = json!({"date": "1970-01-01T00:00:09.0000005Z"});
    let rule = rule("DateTimer", date, WhenMissed::RunOnce);
    let mut schedule = armed(rule.clone(), 0, 0);
    assert_eq!(taken(&mut schedule, 10 * SECOND), [(9, 0, true)]);
    let known = schedule.known();
    let again = Schedule::new([rule], &known, Wall(10 * SECOND));
    assert_eq!((again.next(), again.over().count()), (None, 1));
}

#[test]
fn times_are_written_as_python_writes_them() {
    let shown = |micros| python_time(timestamp(Wall(micros)));
    assert_eq!(
        shown(1_767_323_045_678_901),
        "2026-01-02 03:04:05.678901+00:00"
    );
    assert_eq!(shown(0), "1970-01-01 00:00:00+00:00");
}
