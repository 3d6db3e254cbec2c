//! How many events each trigger type had, ever: also those of which the journal keeps no more than
//! that. They go to the journal with whatever is written next, and now and then by themselves.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Counts wait so long for something else to be written.
const ALONE: Duration = Duration::from_secs(30);

/// And go along no more often than this.
const TOGETHER: Duration = Duration::from_secs(1);

/// Events of a trigger type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Accepted.
    pub accepted: u64,
    /// Of these, a rule matched.
    pub matched: u64,
    /// Of these, the journal has nothing but their number.
    pub dropped: u64,
}

/// The counts of a trigger type, by its reference.
pub type Counted = (String, Counts);

/// See the module.
#[derive(Debug, Default)]
pub struct Tally {
    all: Vec<Counted>,
    places: HashMap<String, usize>,
    dirty: BTreeSet<usize>,
    dirty_since: Option<Duration>,
    written: Duration,
}

impl Tally {
    /// As the journal has it.
    pub fn new(known: Vec<Counted>) -> Self {
        let places = known.iter().enumerate();
        Self {
            places: places.map(|(at, (name, _))| (name.clone(), at)).collect(),
            all: known,
            ..Self::default()
        }
    }

    /// What another one had that is not in the journal yet.
    pub fn resume(&mut self, handed: Vec<Counted>) {
        for (name, counts) in handed {
            let at = self.place(&name);
            self.all[at].1 = counts;
            self.dirty.insert(at);
            self.dirty_since = Some(Duration::ZERO);
        }
    }

    /// Where a trigger type is counted.
    pub fn place(&mut self, trigger: &str) -> usize {
        if let Some(at) = self.places.get(trigger) {
            return *at;
        }
        let at = self.all.len();
        self.all.push((trigger.to_owned(), Counts::default()));
        self.places.insert(trigger.to_owned(), at);
        at
    }

    /// More of them.
    pub fn count(&mut self, at: usize, more: Counts, now: Duration) {
        let counts = &mut self.all[at].1;
        counts.accepted += more.accepted;
        counts.matched += more.matched;
        counts.dropped += more.dropped;
        self.touch(at, now);
    }

    /// One was there before, and does not count.
    pub fn take_back(&mut self, at: usize, less: Counts, now: Duration) {
        let counts = &mut self.all[at].1;
        counts.accepted -= less.accepted.min(counts.accepted);
        counts.matched -= less.matched.min(counts.matched);
        counts.dropped -= less.dropped.min(counts.dropped);
        self.touch(at, now);
    }

    fn touch(&mut self, at: usize, now: Duration) {
        self.dirty.insert(at);
        self.dirty_since.get_or_insert(now);
    }

    /// What may go along with something else that is written.
    pub fn along(&mut self, now: Duration) -> Vec<Counted> {
        match self.dirty_since.is_some() && now.saturating_sub(self.written) >= TOGETHER {
            true => self.take(now),
            false => Vec::new(),
        }
    }

    /// What is to be written though nothing else is.
    pub fn due(&mut self, now: Duration) -> Vec<Counted> {
        match self.deadline().is_some_and(|at| at <= now) {
            true => self.take(now),
            false => Vec::new(),
        }
    }

    /// When that is.
    pub fn deadline(&self) -> Option<Duration> {
        self.dirty_since.map(|since| since + ALONE)
    }

    /// All that is not written.
    pub fn take(&mut self, now: Duration) -> Vec<Counted> {
        (self.dirty_since, self.written) = (None, now);
        let dirty = std::mem::take(&mut self.dirty).into_iter();
        dirty.map(|at| self.all[at].clone()).collect()
    }

    /// The same, which stays unwritten.
    pub fn unwritten(&self) -> Vec<Counted> {
        let dirty = self.dirty.iter();
        dirty.map(|at| self.all[*at].clone()).collect()
    }

    /// What people see.
    pub fn view(&self) -> Value {
        let mut all: Vec<_> = self.all.iter().collect();
        all.sort_by(|one, other| one.0.cmp(&other.0));
        let rows = all.into_iter().map(|(name, counts)| {
            json!({
                "trigger": name,
                "accepted": counts.accepted,
                "matched": counts.matched,
                "dropped": counts.dropped,
            })
        });
        rows.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn one(matched: u64) -> Counts {
        Counts {
            accepted: 1,
            matched,
            dropped: 1 - matched,
        }
    }

    #[test]
    fn counts_go_along_once_a_second_and_alone_after_half_a_minute() {
        let known = Counts {
            accepted: 7,
            ..Counts::default()
        };
        let mut tally = Tally::new(vec![("p.a".into(), known)]);
        assert!(tally.along(9 * SECOND).is_empty());
        let (a, b) = (tally.place("p.a"), tally.place("p.b"));
        tally.count(a, one(1), 9 * SECOND);
        let along = tally.along(9 * SECOND);
        assert_eq!(
            (along.len(), along[0].1.accepted, along[0].1.matched),
            (1, 8, 1)
        );
        tally.count(b, one(0), 9 * SECOND);
        assert!(tally.along(9 * SECOND).is_empty());
        assert_eq!(tally.deadline(), Some(39 * SECOND));
        assert!(tally.due(38 * SECOND).is_empty());
        assert_eq!(tally.unwritten().len(), 1);
        assert_eq!(tally.due(39 * SECOND), [("p.b".to_owned(), one(0))]);
        assert_eq!((tally.deadline(), tally.unwritten().len()), (None, 0));
        tally.take_back(b, one(0), 40 * SECOND);
        assert_eq!(
            tally.take(40 * SECOND),
            [("p.b".to_owned(), Counts::default())]
        );
    }
}
