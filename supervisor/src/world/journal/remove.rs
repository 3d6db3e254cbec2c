//! Removes what may go, in transactions of some milliseconds: events with all that came of them, and
//! executions that no event asked for with theirs.

use std::collections::BTreeMap;
use std::time::Duration;

use rusqlite::{Connection, Row, Transaction, params};

use crate::core::clock::Wall;
use crate::core::record::Status;
use crate::core::retention::fate::Fate;
use crate::core::retention::{Place, Remove, Removed, Unsettled};
use crate::world::clock;

/// Rows that are looked at between two looks at the clock.
const CHUNK: usize = 256;

/// The longest that commits wait, where not more was written since than is removed in that time.
const SLICE: Duration = Duration::from_millis(3);

/// What stands in one row, or in a tree of them.
struct Root {
    seq: u64,
    trigger: String,
    at: Wall,
    bytes: u64,
    is_child: bool,
}

/// An execution that belongs to a root.
struct Member {
    root: u64,
    seq: u64,
    status: Status,
    ended: Option<Wall>,
}

/// Removes from a place on; at least so many rows are looked at, if there are.
///
/// # Errors
/// When the journal cannot be read or written; it is then as it was.
pub fn remove(db: &mut Connection, order: &Remove, least: usize) -> rusqlite::Result<Removed> {
    let begun = clock::now().mono;
    let transaction = db.transaction()?;
    let mut slice = Slice {
        db: &transaction,
        order,
        removed: Removed::default(),
        unsettled: BTreeMap::new(),
    };
    let (mut place, mut looked) = (Some(order.from), 0);
    while let Some(from) = place {
        let late = clock::now().mono.saturating_sub(begun) >= SLICE;
        if looked > 0 && late && looked >= least {
            break;
        }
        place = slice.chunk(from)?;
        looked += CHUNK;
    }
    let mut removed = slice.removed;
    removed.unsettled = slice.unsettled.into_values().collect();
    removed.next = place;
    if place.is_none() {
        forget_rule_sets(&transaction, &order.rule_set)?;
    }
    transaction.commit()?;
    Ok(removed)
}

struct Slice<'t> {
    db: &'t Transaction<'t>,
    order: &'t Remove,
    removed: Removed,
    unsettled: BTreeMap<String, Unsettled>,
}

impl Slice<'_> {
    fn chunk(&mut self, from: Place) -> rusqlite::Result<Option<Place>> {
        match from {
            Place::Events(seq) => self.events(seq).map(Some),
            Place::Executions(seq) => self.executions(seq),
            Place::Rejected => self.rejected(),
        }
    }

    fn events(&mut self, from: u64) -> rusqlite::Result<Place> {
        let rows = roots(
            self.db,
            "SELECT seq, trigger, received, octet_length(payload) + octet_length(verdict), 0
             FROM events WHERE seq >= ?1 ORDER BY seq LIMIT ?2",
            from,
        )?;
        let (old, next) = self.old_of(&rows);
        if let Some((first, last)) = old.first().zip(old.last()) {
            let members = members(
                self.db,
                "SELECT event, seq FROM executions WHERE event BETWEEN ?1 AND ?2",
                (first.seq, last.seq),
            )?;
            let kept = self.judge(old, &members)?;
            self.delete_events((first.seq, last.seq), &kept)?;
            self.removed.events += (old.len() - kept.len()) as u64;
        }
        Ok(next.map_or(Place::Executions(0), Place::Events))
    }

    /// All of the range but what is kept.
    fn delete_events(&self, (first, last): (u64, u64), kept: &[u64]) -> rusqlite::Result<()> {
        let mut from = first;
        for end in kept.iter().copied().chain([last + 1]) {
            if from < end {
                self.db
                    .prepare_cached("DELETE FROM events WHERE seq BETWEEN ?1 AND ?2")?
                    .execute(params![from as i64, end as i64 - 1])?;
            }
            from = end + 1;
        }
        keep_number(self.db, "last_event", "SELECT max(seq) FROM events", last)
    }

    /// Those that no event asked for, and that come from none that is there.
    fn executions(&mut self, from: u64) -> rusqlite::Result<Option<Place>> {
        let rows = roots(
            self.db,
            "SELECT seq, '', requested, octet_length(parameters) + ifnull(octet_length(result), 0),
                 EXISTS (SELECT 1 FROM executions AS above WHERE above.seq = one.parent)
             FROM executions AS one WHERE event IS NULL AND seq >= ?1 ORDER BY seq LIMIT ?2",
            from,
        )?;
        let (old, next) = self.old_of(&rows);
        let roots: Vec<_> = old.iter().filter(|one| !one.is_child).collect();
        if let Some((first, last)) = roots.first().zip(roots.last()) {
            let members = members(
                self.db,
                "SELECT seq, seq FROM executions WHERE event IS NULL AND seq BETWEEN ?1 AND ?2",
                (first.seq, last.seq),
            )?;
            self.judge(roots, &members)?;
        }
        Ok(next.map(Place::Executions))
    }

    /// What is old enough, and where to go on; none at the end or at the first that is too young.
    /// What came before something old is old, whatever the clock said.
    fn old_of<'r>(&mut self, rows: &'r [Root]) -> (&'r [Root], Option<u64>) {
        let old = rows.iter().rposition(|row| row.at < self.order.before);
        let count = old.map_or(0, |at| at + 1);
        let goes_on = (rows.len() == CHUNK).then(|| rows[CHUNK - 1].seq + 1);
        let Some(young) = rows.get(count) else {
            return (rows, goes_on);
        };
        self.is_kept_until(young.at);
        let of_future = young.at > self.order.now;
        (&rows[..count], goes_on.filter(|_| of_future))
    }

    fn is_kept_until(&mut self, at: Wall) {
        let first = self.removed.young.map_or(at, |young| young.min(at));
        self.removed.young = Some(first);
    }

    /// Removes the executions of what goes; the numbers of what stays, rising.
    fn judge<'r>(
        &mut self,
        roots: impl IntoIterator<Item = &'r Root>,
        members: &[Member],
    ) -> rusqlite::Result<Vec<u64>> {
        let mut kept = Vec::new();
        for root in roots {
            let from = members.partition_point(|one| one.root < root.seq);
            let own = members[from..]
                .iter()
                .take_while(|one| one.root == root.seq);
            let states = own.clone().map(|one| (one.status, one.ended));
            match Fate::of(states, self.order) {
                Fate::Goes => {
                    for member in own {
                        self.delete_execution(member.seq)?;
                    }
                    continue;
                }
                Fate::Young(at) => self.is_kept_until(at),
                Fate::Failed(at) => {
                    let first = self.removed.failed.map_or(at, |first| first.min(at));
                    self.removed.failed = Some(first);
                }
                Fate::Waits => self.note_unsettled(root),
            }
            kept.push(root.seq);
        }
        Ok(kept)
    }

    fn note_unsettled(&mut self, root: &Root) {
        // What a row takes beside its texts.
        const ROW: u64 = 400;
        let all = self.unsettled.entry(root.trigger.clone()).or_default();
        all.trigger.clone_from(&root.trigger);
        all.events += 1;
        all.bytes += root.bytes + ROW;
    }

    fn delete_execution(&mut self, seq: u64) -> rusqlite::Result<()> {
        self.db
            .prepare_cached("DELETE FROM executions WHERE seq = ?1")?
            .execute([seq as i64])?;
        self.removed.executions += 1;
        let highest = "SELECT max(seq) FROM executions";
        keep_number(self.db, "last_execution", highest, seq)
    }

    fn rejected(&mut self) -> rusqlite::Result<Option<Place>> {
        let gone = self
            .db
            .prepare_cached(
                "DELETE FROM rejected WHERE seq IN (SELECT seq FROM rejected ORDER BY seq LIMIT 32)",
            )?
            .execute([])?;
        self.removed.rejected += gone as u64;
        Ok((gone > 0).then_some(Place::Rejected))
    }
}

fn roots(db: &Connection, text: &str, from: u64) -> rusqlite::Result<Vec<Root>> {
    let mut statement = db.prepare_cached(text)?;
    let rows = statement.query_map(params![from as i64, CHUNK as i64], |row| {
        Ok(Root {
            seq: row.get::<_, i64>(0)? as u64,
            trigger: row.get(1)?,
            at: Wall(row.get(2)?),
            bytes: row.get::<_, i64>(3)? as u64,
            is_child: row.get(4)?,
        })
    })?;
    rows.collect()
}

/// All executions that come from those that `first` finds in a range, in the order of their roots.
fn members(db: &Connection, first: &str, (from, to): (u64, u64)) -> rusqlite::Result<Vec<Member>> {
    let text = format!(
        "WITH RECURSIVE tree (root, seq) AS (
             {first}
             UNION ALL
             SELECT tree.root, child.seq FROM tree JOIN executions AS child ON child.parent = tree.seq
         )
         SELECT root, tree.seq, status, ended FROM tree JOIN executions USING (seq) ORDER BY root"
    );
    let mut statement = db.prepare_cached(&text)?;
    let rows = statement.query_map(params![from as i64, to as i64], member)?;
    rows.collect()
}

fn member(row: &Row<'_>) -> rusqlite::Result<Member> {
    let word: String = row.get(2)?;
    Ok(Member {
        root: row.get::<_, i64>(0)? as u64,
        seq: row.get::<_, i64>(1)? as u64,
        status: Status::from_word(&word).ok_or(rusqlite::Error::InvalidQuery)?,
        ended: row.get::<_, Option<i64>>(3)?.map(Wall),
    })
}

/// A number is never used twice, also where the row that had it is gone: `gone` was one, and
/// `highest` finds what is left.
fn keep_number(db: &Connection, key: &str, highest: &str, gone: u64) -> rusqlite::Result<()> {
    let left: Option<i64> = db
        .prepare_cached(highest)?
        .query_row([], |row| row.get(0))?;
    match left.is_none_or(|left| left < gone as i64) {
        true => remember_number(db, key, gone),
        false => Ok(()),
    }
}

/// The highest number that was ever given.
pub fn remember_number(db: &Connection, key: &str, number: u64) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT INTO meta VALUES (?1, CAST(?2 AS TEXT)) ON CONFLICT (key) DO UPDATE
         SET value = CAST(max(CAST(value AS INTEGER), ?2) AS TEXT)",
    )?
    .execute(params![key, number as i64])?;
    Ok(())
}

/// A set of rules that judges no more goes with the last event that it judged. All events of sets
/// before the current one are here by now.
fn forget_rule_sets(db: &Connection, current: &str) -> rusqlite::Result<()> {
    db.execute("DELETE FROM retired WHERE hash = ?1", [current])?;
    db.execute(
        "INSERT INTO retired SELECT hash, (SELECT ifnull(max(seq), 0) FROM events) FROM rule_sets
         WHERE hash <> ?1 AND hash NOT IN (SELECT hash FROM retired)",
        [current],
    )?;
    let over = "SELECT hash FROM retired WHERE last < (SELECT min(seq) FROM events)
                OR NOT EXISTS (SELECT 1 FROM events)";
    db.execute(&format!("DELETE FROM rule_sets WHERE hash IN ({over})"), [])?;
    db.execute(
        "DELETE FROM retired WHERE hash NOT IN (SELECT hash FROM rule_sets)",
        [],
    )?;
    Ok(())
}
