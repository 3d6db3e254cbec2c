//! What people ask the journal; on a read-only connection, never on the writer's.

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::core::cause::Cause;
use crate::core::clock::Wall;
use crate::core::ids;
use crate::core::record::{Execution, Status};
use crate::core::view::{EnforcementRow, EventRow, ExecutionRow, RejectedRow};

/// A page of rows, newest first, and how many there are in all.
#[derive(Debug)]
pub struct Page<T> {
    /// At most as many as were asked for.
    pub rows: Vec<T>,
    /// In all.
    pub total: u64,
}

/// Which rows, how many.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// At most so many.
    pub limit: usize,
    /// After so many.
    pub offset: usize,
    /// Of this action or trigger only.
    pub reference: Option<String>,
    /// With this status only.
    pub status: Option<Status>,
}

/// An execution, for the core.
///
/// # Errors
/// When a column is not of its type.
pub fn execution_from_row(row: &Row<'_>) -> rusqlite::Result<Execution> {
    let parameters: String = row.get("parameters")?;
    Ok(Execution {
        seq: row.get::<_, i64>("seq")? as u64,
        event: row
            .get::<_, Option<i64>>("event")?
            .map(|event| event as u64),
        rule: row.get("rule")?,
        rule_version: row.get("rule_version")?,
        action: row.get("action")?,
        parameters: serde_json::from_str(&parameters).unwrap_or_default(),
        status: status(row)?,
        requested: Wall(row.get("requested")?),
        started: row.get::<_, Option<i64>>("started")?.map(Wall),
        cause: cause(row)?,
        progress: row.get("progress")?,
        over: None,
    })
}

fn cause(row: &Row<'_>) -> rusqlite::Result<Cause> {
    let text: String = row.get("cause")?;
    Ok(serde_json::from_str(&text).unwrap_or_default())
}

fn status(row: &Row<'_>) -> rusqlite::Result<Status> {
    let word: String = row.get("status")?;
    Status::from_word(&word).ok_or(rusqlite::Error::InvalidQuery)
}

fn event_row(row: &Row<'_>) -> rusqlite::Result<EventRow> {
    Ok(EventRow {
        seq: row.get::<_, i64>("seq")? as u64,
        trigger: row.get("trigger")?,
        trigger_ref: row.get("trigger_ref")?,
        sensor: row.get("sensor")?,
        received: Wall(row.get("received")?),
        time: row.get("time")?,
        trace_tag: row.get("trace_tag")?,
        payload: row.get("payload")?,
        verdict: row.get("verdict")?,
    })
}

fn execution_row(row: &Row<'_>) -> rusqlite::Result<ExecutionRow> {
    let event: Option<i64> = row.get("event")?;
    let received: Option<i64> = row.get("event_received")?;
    Ok(ExecutionRow {
        seq: row.get::<_, i64>("seq")? as u64,
        event: event
            .zip(received)
            .map(|(event, at)| (event as u64, Wall(at))),
        trigger: row.get("event_trigger")?,
        rule: row.get("rule")?,
        action: row.get("action")?,
        parameters: row.get("parameters")?,
        status: status(row)?,
        requested: Wall(row.get("requested")?),
        started: row.get::<_, Option<i64>>("started")?.map(Wall),
        ended: row.get::<_, Option<i64>>("ended")?.map(Wall),
        result: row.get("result")?,
        cause: cause(row)?,
    })
}

const EXECUTIONS: &str = "SELECT executions.*, events.received AS event_received,
     events.trigger AS event_trigger
     FROM executions LEFT JOIN events ON events.seq = executions.event";

/// The newest events.
///
/// # Errors
/// When the journal cannot be read.
pub fn events(db: &Connection, wanted: &Wanted) -> rusqlite::Result<Page<EventRow>> {
    let mut statement = db.prepare_cached(
        "SELECT * FROM events WHERE (?1 IS NULL OR trigger = ?1)
         ORDER BY seq DESC LIMIT ?2 OFFSET ?3",
    )?;
    let page = params![wanted.reference, wanted.limit as i64, wanted.offset as i64];
    let rows = statement
        .query_map(page, event_row)?
        .collect::<Result<_, _>>()?;
    let total = db.query_row(
        "SELECT count(*) FROM events WHERE (?1 IS NULL OR trigger = ?1)",
        params![wanted.reference],
        |row| row.get::<_, i64>(0),
    )?;
    Ok(Page {
        rows,
        total: total as u64,
    })
}

/// One event.
///
/// # Errors
/// When the journal cannot be read.
pub fn event(db: &Connection, seq: u64) -> rusqlite::Result<Option<EventRow>> {
    db.prepare_cached("SELECT * FROM events WHERE seq = ?1")?
        .query_row([seq as i64], event_row)
        .optional()
}

/// The newest executions.
///
/// # Errors
/// When the journal cannot be read.
pub fn executions(db: &Connection, wanted: &Wanted) -> rusqlite::Result<Page<ExecutionRow>> {
    const WHERE: &str = "WHERE (?1 IS NULL OR action = ?1) AND (?2 IS NULL OR status = ?2)";
    let status = wanted.status.map(Status::word);
    let listing = format!("{EXECUTIONS} {WHERE} ORDER BY executions.seq DESC LIMIT ?3 OFFSET ?4");
    let mut statement = db.prepare_cached(&listing)?;
    let (limit, offset) = (wanted.limit as i64, wanted.offset as i64);
    let page = params![wanted.reference, status, limit, offset];
    let rows = statement
        .query_map(page, execution_row)?
        .collect::<Result<_, _>>()?;
    let total = db.query_row(
        &format!("SELECT count(*) FROM executions {WHERE}"),
        params![wanted.reference, status],
        |row| row.get::<_, i64>(0),
    )?;
    Ok(Page {
        rows,
        total: total as u64,
    })
}

/// Which of all, in the order in which they came.
#[derive(Clone, Debug, Default)]
pub struct Span {
    /// Accepted, or asked for, then or later.
    pub since: Option<Wall>,
    /// Before this.
    pub until: Option<Wall>,
    /// Of this trigger type only.
    pub trigger: Option<String>,
    /// Of this sensor only.
    pub sensor: Option<String>,
}

impl Span {
    /// Only events can be of it.
    pub fn is_of_events(&self) -> bool {
        self.trigger.is_some() || self.sensor.is_some()
    }
}

/// Events with higher numbers, the first first.
///
/// # Errors
/// When the journal cannot be read.
pub fn events_after(
    db: &Connection,
    span: &Span,
    after: u64,
    most: usize,
) -> rusqlite::Result<Vec<EventRow>> {
    let mut statement = db.prepare_cached(
        "SELECT * FROM events WHERE seq > ?1 AND received >= ?2 AND received < ?3
         AND (?4 IS NULL OR trigger = ?4) AND (?5 IS NULL OR sensor = ?5) ORDER BY seq LIMIT ?6",
    )?;
    let (from, to) = (
        span.since.unwrap_or(Wall(i64::MIN)),
        span.until.unwrap_or(Wall(i64::MAX)),
    );
    let given = params![
        after as i64,
        from.0,
        to.0,
        span.trigger,
        span.sensor,
        most as i64
    ];
    statement.query_map(given, event_row)?.collect()
}

/// Numbers of executions with higher ones that come from no event and no other execution.
///
/// # Errors
/// When the journal cannot be read.
pub fn alone_after(
    db: &Connection,
    span: &Span,
    after: u64,
    most: usize,
) -> rusqlite::Result<Vec<u64>> {
    let mut statement = db.prepare_cached(
        "SELECT seq FROM executions AS one WHERE event IS NULL AND seq > ?1
         AND requested >= ?2 AND requested < ?3
         AND NOT EXISTS (SELECT 1 FROM executions AS above WHERE above.seq = one.parent)
         ORDER BY seq LIMIT ?4",
    )?;
    let (from, to) = (
        span.since.unwrap_or(Wall(i64::MIN)),
        span.until.unwrap_or(Wall(i64::MAX)),
    );
    let given = params![after as i64, from.0, to.0, most as i64];
    let rows = statement.query_map(given, |row| row.get::<_, i64>(0).map(|seq| seq as u64))?;
    rows.collect()
}

/// An execution and all that come from it.
///
/// # Errors
/// When the journal cannot be read.
pub fn with_children(db: &Connection, seq: u64) -> rusqlite::Result<Vec<ExecutionRow>> {
    descendants(db, "SELECT ?1", seq)
}

/// The executions that rules asked for on an event, and all that come from those.
///
/// # Errors
/// When the journal cannot be read.
pub fn caused_by(db: &Connection, event: u64) -> rusqlite::Result<Vec<ExecutionRow>> {
    descendants(db, "SELECT seq FROM executions WHERE event = ?1", event)
}

fn descendants(db: &Connection, first: &str, of: u64) -> rusqlite::Result<Vec<ExecutionRow>> {
    let text = format!(
        "WITH RECURSIVE tree (seq) AS (
             {first}
             UNION
             SELECT child.seq FROM tree JOIN executions AS child ON child.parent = tree.seq
         )
         {EXECUTIONS} JOIN tree ON tree.seq = executions.seq ORDER BY executions.seq"
    );
    let mut statement = db.prepare_cached(&text)?;
    statement.query_map([of as i64], execution_row)?.collect()
}

/// The newest enforcements: executions that rules asked for, and rules that failed on an event.
///
/// # Errors
/// When the journal cannot be read.
pub fn enforcements(db: &Connection, wanted: &Wanted) -> rusqlite::Result<Page<EnforcementRow>> {
    const ALL: &str = "
        SELECT event, received, rule, executions.seq AS execution, requested, NULL AS reason
            FROM executions JOIN events ON events.seq = event
        UNION ALL
        SELECT seq, received, failed.key, NULL, NULL, failed.value
            FROM events, json_each(verdict, '$.f') AS failed WHERE instr(verdict, '\"f\":') > 0";
    let listing = format!(
        "SELECT * FROM ({ALL}) WHERE ?1 IS NULL OR rule = ?1
         ORDER BY event DESC, rule LIMIT ?2 OFFSET ?3"
    );
    let page = params![wanted.reference, wanted.limit as i64, wanted.offset as i64];
    let mut statement = db.prepare_cached(&listing)?;
    let rows = statement.query_map(page, |row| {
        let execution: Option<i64> = row.get("execution")?;
        let requested: Option<i64> = row.get("requested")?;
        Ok(EnforcementRow {
            event: (
                row.get::<_, i64>("event")? as u64,
                Wall(row.get("received")?),
            ),
            rule: row.get("rule")?,
            execution: execution
                .zip(requested)
                .map(|(seq, at)| (seq as u64, Wall(at))),
            failure: row.get("reason")?,
        })
    })?;
    let rows = rows.collect::<Result<_, _>>()?;
    let counting = format!("SELECT count(*) FROM ({ALL}) WHERE ?1 IS NULL OR rule = ?1");
    let total: i64 = db.query_row(&counting, [&wanted.reference], |row| row.get(0))?;
    Ok(Page {
        rows,
        total: total as u64,
    })
}

/// Identifiers of the executions that come from this one, the first first.
///
/// # Errors
/// When the journal cannot be read.
pub fn children(db: &Connection, seq: u64) -> rusqlite::Result<Vec<String>> {
    let mut statement =
        db.prepare_cached("SELECT seq, requested FROM executions WHERE parent = ?1 ORDER BY seq")?;
    let rows = statement.query_map([seq as i64], |row| {
        let (seq, at): (i64, i64) = (row.get(0)?, row.get(1)?);
        Ok(ids::format(ids::Kind::Execution, Wall(at), seq as u64))
    })?;
    rows.collect()
}

/// One execution.
///
/// # Errors
/// When the journal cannot be read.
pub fn execution(db: &Connection, seq: u64) -> rusqlite::Result<Option<ExecutionRow>> {
    db.prepare_cached(&format!("{EXECUTIONS} WHERE executions.seq = ?1"))?
        .query_row([seq as i64], execution_row)
        .optional()
}

/// The executions that come from one, the oldest first.
///
/// # Errors
/// When the journal cannot be read.
pub fn come_from(db: &Connection, parent: u64) -> rusqlite::Result<Vec<ExecutionRow>> {
    let text = format!("{EXECUTIONS} WHERE executions.parent = ?1 ORDER BY executions.seq");
    let mut statement = db.prepare_cached(&text)?;
    statement
        .query_map([parent as i64], execution_row)?
        .collect()
}

fn rejected_row(row: &Row<'_>) -> rusqlite::Result<RejectedRow> {
    Ok(RejectedRow {
        seq: row.get::<_, i64>("seq")? as u64,
        sensor: row.get("sensor")?,
        at: Wall(row.get("at")?),
        code: row.get("code")?,
        reason: row.get("reason")?,
        trigger: row.get("trigger")?,
        data: row.get("data")?,
        sha256: row.get("sha256")?,
    })
}

/// The newest refused messages, of one sensor or of all.
///
/// # Errors
/// When the journal cannot be read.
pub fn rejected(db: &Connection, wanted: &Wanted) -> rusqlite::Result<Page<RejectedRow>> {
    const WHERE: &str = "WHERE ?1 IS NULL OR sensor = ?1";
    let listing = format!("SELECT * FROM rejected {WHERE} ORDER BY seq DESC LIMIT ?2 OFFSET ?3");
    let mut statement = db.prepare_cached(&listing)?;
    let page = params![wanted.reference, wanted.limit as i64, wanted.offset as i64];
    let rows = statement
        .query_map(page, rejected_row)?
        .collect::<Result<_, _>>()?;
    let counting = format!("SELECT count(*) FROM rejected {WHERE}");
    let total: i64 = db.query_row(&counting, [&wanted.reference], |row| row.get(0))?;
    Ok(Page {
        rows,
        total: total as u64,
    })
}

/// One refused message.
///
/// # Errors
/// When the journal cannot be read.
pub fn one_rejected(db: &Connection, seq: u64) -> rusqlite::Result<Option<RejectedRow>> {
    db.prepare_cached("SELECT * FROM rejected WHERE seq = ?1")?
        .query_row([seq as i64], rejected_row)
        .optional()
}

/// Summaries of a sensor's crashes, the newest first, at most so many: JSON texts.
///
/// # Errors
/// When the journal cannot be read.
pub fn crashes(db: &Connection, sensor: &str, most: usize) -> rusqlite::Result<Vec<String>> {
    let mut statement = db.prepare_cached(
        "SELECT summary FROM crashes WHERE sensor = ?1 ORDER BY generation DESC LIMIT ?2",
    )?;
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let rows = statement.query_map(params![sensor, most], |row| row.get(0))?;
    rows.collect()
}

/// Summary and details of one crash: JSON texts.
///
/// # Errors
/// When the journal cannot be read.
pub fn crash(
    db: &Connection,
    sensor: &str,
    generation: u64,
) -> rusqlite::Result<Option<(String, String)>> {
    db.prepare_cached("SELECT summary, details FROM crashes WHERE sensor = ?1 AND generation = ?2")?
        .query_row(params![sensor, generation as i64], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()
}
