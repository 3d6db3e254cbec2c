//! The fields of a cron timer: their names, their bounds, and their value in a date.

use jiff::civil::{Date, DateTime};

/// The fields, most significant first: the order in which they are searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Year,
    Month,
    Day,
    Week,
    DayOfWeek,
    Hour,
    Minute,
    Second,
}

const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
impl Kind {
    pub(super) const ALL: [Kind; 8] = [
        Kind::Year,
        Kind::Month,
        Kind::Day,
        Kind::Week,
        Kind::DayOfWeek,
        Kind::Hour,
        Kind::Minute,
        Kind::Second,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Year => "year",
            Kind::Month => "month",
            Kind::Day => "day",
            Kind::Week => "week",
            Kind::DayOfWeek => "day_of_week",
            Kind::Hour => "hour",
            Kind::Minute => "minute",
            Kind::Second => "second",
        }
    }

    /// False for what follows from the other fields: the week and the day of the week.
    pub(super) fn is_real(self) -> bool {
        !matches!(self, Kind::Week | Kind::DayOfWeek)
    }

    /// Smallest value.
    pub(super) fn min(self) -> i64 {
        match self {
            Kind::Year => 1970,
            Kind::Month | Kind::Day | Kind::Week => 1,
            _ => 0,
        }
    }

    /// Largest value that any date has.
    pub(super) fn max(self) -> i64 {
        match self {
            Kind::Year => 9999,
            Kind::Month => 12,
            Kind::Day => 31,
            Kind::Week => 53,
            Kind::DayOfWeek => 6,
            Kind::Hour => 23,
            Kind::Minute | Kind::Second => 59,
        }
    }

    /// Largest value in the month of a date.
    pub(super) fn max_at(self, at: DateTime) -> i64 {
        match self {
            Kind::Day => i64::from(at.days_in_month()),
            other => other.max(),
        }
    }

    /// The value that a date has.
    pub(super) fn of(self, at: DateTime) -> i64 {
        match self {
            Kind::Year => i64::from(at.year()),
            Kind::Month => i64::from(at.month()),
            Kind::Day => i64::from(at.day()),
            Kind::Week => i64::from(at.date().iso_week_date().week()),
            Kind::DayOfWeek => weekday(at.date()),
            Kind::Hour => i64::from(at.hour()),
            Kind::Minute => i64::from(at.minute()),
            Kind::Second => i64::from(at.second()),
        }
    }

    /// What the field is when its rule does not give it but gives a more significant one.
    pub(super) fn default_text(self) -> &'static str {
        match self {
            Kind::Year | Kind::Week | Kind::DayOfWeek => "*",
            Kind::Month | Kind::Day => "1",
            Kind::Hour | Kind::Minute | Kind::Second => "0",
        }
    }

    /// Names of the values, from the smallest.
    pub(super) fn names(self) -> &'static [&'static str] {
        match self {
            Kind::Month => &MONTHS,
            Kind::DayOfWeek => &WEEKDAYS,
            _ => &[],
        }
    }

    /// What may be written, for messages.
    pub(super) fn allowed(self) -> String {
        match self {
            Kind::Month => "use 1 to 12 or jan..dec".into(),
            Kind::Day => "use 1 to 31, `last`, or a day like `2nd fri` or `last sun`".into(),
            Kind::DayOfWeek => "use 0 (Monday) to 6 (Sunday) or mon..sun".into(),
            other => format!("use {} to {}", other.min(), other.max()),
        }
    }
}

/// 0 is Monday.
pub(super) fn weekday(date: Date) -> i64 {
    i64::from(date.weekday().to_monday_zero_offset())
}
