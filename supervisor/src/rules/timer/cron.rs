//! When a cron timer fires: APScheduler's search (`triggers/cron/__init__.py`, 3.11), step by step,
//! because what it does around a change of the clock follows from its steps.
//!
//! A field that does not fit is raised, the less significant ones fall to their minimum, and the
//! search goes on from there. A raised date is reached by adding the difference on the clock to the
//! moment, so a change of the clock in between moves it; a field that is set keeps the date as it
//! is read on the clock, and a time that the clock leaves out is told by the offset before it.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};
use serde_json::{Map, Value};

use super::field::Field;
use super::kind::Kind;
use super::{TimerFault, quoted};

/// Steps of one search. Whatever a calendar can give comes within 400 years, which take less; more
/// means a date like 31 February, that never comes.
const MAX_STEPS: usize = 400_000;
/// Fields in [`Kind::ALL`].
const FIELDS: usize = Kind::ALL.len();

/// A cron timer.
#[derive(Clone, Debug)]
pub struct Cron {
    fields: [Field; FIELDS],
    zone: TimeZone,
}

/// A date as the clock shows it; `later` is true for the second of two times with one reading.
#[derive(Clone, Copy, Debug)]
struct Shown {
    at: DateTime,
    later: bool,
}

impl Cron {
    /// Reads the fields among the parameters of a rule.
    pub(super) fn parse(
        parameters: &Map<String, Value>,
        zone: TimeZone,
    ) -> Result<Self, TimerFault> {
        let given = |kind: Kind| parameters.get(kind.name()).filter(|it| !it.is_null());
        let last = Kind::ALL
            .into_iter()
            .rev()
            .find(|kind| given(*kind).is_some());
        let read = |kind: Kind| match given(kind) {
            Some(value) => Field::parse(kind, &text(kind, value)?),
            None => Field::absent(kind, last.is_some_and(|last| kind > last)),
        };
        let fields = Kind::ALL.map(read);
        let fields = fields.into_iter().collect::<Result<Vec<_>, _>>()?;
        let fields = fields.try_into().expect("one field of each kind");
        Ok(Self { fields, zone })
    }

    /// The first firing strictly after a moment; none when no date fits.
    pub(super) fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let whole = after.as_nanosecond().div_euclid(1_000_000_000);
        let start = i64::try_from(whole).ok()?.checked_add(1)?;
        let mut shown = self.show(Timestamp::from_second(start).ok()?);
        let mut index = 0;
        for _ in 0..MAX_STEPS {
            let Some(field) = self.fields.get(index) else {
                return self.moment(shown);
            };
            let kind = Kind::ALL[index];
            match field.next(shown.at) {
                Some(value) if value == kind.of(shown.at) => index += 1,
                Some(value) if kind.is_real() => {
                    shown.at = below(shown.at, kind, value)?;
                    index += 1;
                }
                Some(_) => (shown, index) = self.raise(shown, index)?,
                None => (shown, index) = self.raise(shown, index.checked_sub(1)?)?,
            }
        }
        None
    }

    /// Adds one to the given field, or to the next more significant one that is not at its end.
    /// None when all are.
    fn raise(&self, shown: Shown, from: usize) -> Option<(Shown, usize)> {
        let raisable = |index: &usize| {
            let kind = Kind::ALL[*index];
            kind.is_real() && kind.of(shown.at) != kind.max_at(shown.at)
        };
        let index = (0..=from).rev().find(raisable)?;
        let kind = Kind::ALL[index];
        let wanted = below(shown.at, kind, kind.of(shown.at) + 1)?;
        let moment = self.offset(shown).to_timestamp(wanted).ok()?;
        Some((self.show(moment), index))
    }

    /// The offset that the clock has where it shows this date.
    fn offset(&self, shown: Shown) -> Offset {
        match self.zone.to_ambiguous_timestamp(shown.at).offset() {
            AmbiguousOffset::Unambiguous { offset } => offset,
            AmbiguousOffset::Gap { before, after } | AmbiguousOffset::Fold { before, after } => {
                match shown.later {
                    false => before,
                    true => after,
                }
            }
        }
    }

    fn moment(&self, shown: Shown) -> Option<Timestamp> {
        self.offset(shown).to_timestamp(shown.at).ok()
    }

    fn show(&self, moment: Timestamp) -> Shown {
        let offset = self.zone.to_offset(moment);
        let at = offset.to_datetime(moment);
        let ambiguous = self.zone.to_ambiguous_timestamp(at).offset();
        let later = matches!(ambiguous, AmbiguousOffset::Fold { after, .. } if after == offset);
        Shown { at, later }
    }
}

/// The date with one field set and the less significant ones at their minimum.
fn below(at: DateTime, kind: Kind, value: i64) -> Option<DateTime> {
    let pick = |other: Kind| match other.cmp(&kind) {
        std::cmp::Ordering::Less => other.of(at),
        std::cmp::Ordering::Equal => value,
        std::cmp::Ordering::Greater => other.min(),
    };
    let small = |other: Kind| i8::try_from(pick(other)).ok();
    let year = i16::try_from(pick(Kind::Year)).ok()?;
    let date = Date::new(year, small(Kind::Month)?, small(Kind::Day)?).ok()?;
    let time = Time::new(
        small(Kind::Hour)?,
        small(Kind::Minute)?,
        small(Kind::Second)?,
        0,
    );
    Some(date.to_datetime(time.ok()?))
}

/// Text or a whole number, as the parameter schema of `core.st2.CronTimer` has it.
fn text(kind: Kind, value: &Value) -> Result<String, TimerFault> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) if !number.is_f64() => Ok(number.to_string()),
        other => Err(TimerFault::at(
            kind.name(),
            format!(
                "{} is neither text nor a whole number",
                quoted(&other.to_string())
            ),
        )),
    }
}
