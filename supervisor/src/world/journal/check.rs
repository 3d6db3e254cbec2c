//! Whether a journal is what it should be: for SQLite, and for us.

use rusqlite::Connection;
use serde::Serialize;

/// Most faults of one kind that are told.
const MOST: usize = 20;

/// What was found.
#[derive(Debug, Serialize)]
pub struct Checked {
    /// Nothing is wrong.
    pub ok: bool,
    /// What is.
    pub faults: Vec<String>,
}

/// What no row may be, and the query that counts those and finds the first.
const INVARIANTS: [(&str, &str); 9] = [
    (
        "executions belong to an event that is not there",
        "SELECT count(*), min(seq) FROM executions WHERE event IS NOT NULL
         AND NOT EXISTS (SELECT 1 FROM events WHERE events.seq = event)",
    ),
    (
        "executions were asked for before their event was accepted",
        "SELECT count(*), min(executions.seq) FROM executions JOIN events ON events.seq = event
         WHERE requested < received",
    ),
    (
        "executions have a status that there is not",
        "SELECT count(*), min(seq) FROM executions WHERE status NOT IN ('requested', 'delayed',
         'running', 'pending', 'succeeded', 'failed', 'timeout', 'abandoned', 'canceled')",
    ),
    (
        "executions are over and nobody knows when",
        "SELECT count(*), min(seq) FROM executions WHERE ended IS NULL
         AND status NOT IN ('requested', 'delayed', 'running', 'pending')",
    ),
    (
        "executions are not over and have an end",
        "SELECT count(*), min(seq) FROM executions WHERE ended IS NOT NULL
         AND status IN ('requested', 'delayed', 'running', 'pending')",
    ),
    (
        "executions come from one that was asked for later",
        "SELECT count(*), min(seq) FROM executions WHERE parent >= seq",
    ),
    (
        "executions have parameters, a cause or a result that is no JSON",
        "SELECT count(*), min(seq) FROM executions WHERE NOT json_valid(parameters)
         OR NOT json_valid(cause) OR NOT json_valid(ifnull(result, 'null'))",
    ),
    (
        "events have a payload or verdicts that are no JSON",
        "SELECT count(*), min(seq) FROM events
         WHERE NOT json_valid(payload) OR NOT json_valid(verdict)",
    ),
    (
        "events were judged by rules whose text is not there",
        "SELECT count(*), min(seq) FROM events
         WHERE rule_set NOT IN (SELECT hash FROM rule_sets)",
    ),
];

/// Looks at all of it; `quick` leaves out what SQLite compares between tables and their indexes.
///
/// # Errors
/// When it cannot be read at all.
pub fn check(db: &Connection, quick: bool) -> rusqlite::Result<Checked> {
    let mut faults = of_sqlite(db, quick)?;
    for (what, query) in INVARIANTS {
        let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get(1)?));
        match db.query_row(query, [], row) {
            Ok((0, _)) => {}
            Ok((count, first)) => {
                let first: Option<i64> = first;
                faults.push(format!(
                    "{count} {what}: the first has number {}",
                    first.unwrap_or(0)
                ));
            }
            // Of a damaged file some can be read, and that it is damaged stands above.
            Err(error) => faults.push(format!("cannot see whether {what}: {error}")),
        }
    }
    Ok(Checked {
        ok: faults.is_empty(),
        faults,
    })
}

fn of_sqlite(db: &Connection, quick: bool) -> rusqlite::Result<Vec<String>> {
    let name = if quick {
        "quick_check"
    } else {
        "integrity_check"
    };
    let mut statement = db.prepare(&format!("PRAGMA {name}({MOST})"))?;
    let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
    let all: Result<Vec<_>, _> = rows.collect();
    let found = all.unwrap_or_else(|error| vec![error.to_string()]);
    Ok(found.into_iter().filter(|text| text != "ok").collect())
}
