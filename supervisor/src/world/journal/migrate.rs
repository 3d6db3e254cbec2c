//! Journals of earlier versions, brought up to date in one transaction.

use rusqlite::{Connection, OptionalExtension};

/// The version of the file; none for a new one.
///
/// # Errors
/// When the file cannot be read.
pub fn version(db: &Connection) -> rusqlite::Result<Option<String>> {
    let tables = "SELECT count(*) FROM sqlite_master WHERE name = 'meta'";
    match db.query_row(tables, [], |row| row.get::<_, i64>(0))? {
        0 => Ok(None),
        _ => db
            .query_row("SELECT value FROM meta WHERE key = 'version'", [], |row| {
                row.get(0)
            })
            .optional(),
    }
}

/// Version 1 had no timers, no scopes of keys and no parameters of triggers.
///
/// # Errors
/// When the file cannot be written; it is then as it was.
pub fn from_1(db: &Connection) -> rusqlite::Result<()> {
    db.execute_batch(
        "BEGIN IMMEDIATE;
         ALTER TABLE events ADD COLUMN trigger_ref TEXT;
         ALTER TABLE datastore RENAME TO datastore_1;
         CREATE TABLE datastore (
             scope TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, expires INTEGER,
             secret INTEGER NOT NULL, PRIMARY KEY (scope, name)
         ) STRICT, WITHOUT ROWID;
         INSERT INTO datastore SELECT 'st2kv.system', key, value, expires, 0 FROM datastore_1;
         DROP TABLE datastore_1;
         UPDATE meta SET value = '2' WHERE key = 'version';
         COMMIT;",
    )
}

/// Version 2 had executions of rules only.
///
/// # Errors
/// When the file cannot be written; it is then as it was.
pub fn from_2(db: &Connection) -> rusqlite::Result<()> {
    db.execute_batch(
        "BEGIN IMMEDIATE;
         DROP INDEX IF EXISTS executions_open;
         ALTER TABLE executions RENAME TO executions_2;
         CREATE TABLE executions (
             seq INTEGER PRIMARY KEY, event INTEGER, rule TEXT NOT NULL,
             rule_version TEXT NOT NULL, action TEXT NOT NULL, parameters TEXT NOT NULL,
             status TEXT NOT NULL, boot TEXT, requested INTEGER NOT NULL, started INTEGER,
             ended INTEGER, result TEXT, cause TEXT NOT NULL, parent INTEGER, progress TEXT,
             UNIQUE (event, rule, rule_version)
         ) STRICT;
         INSERT INTO executions SELECT *, '{\"by\":\"rule\"}', NULL, NULL FROM executions_2;
         DROP TABLE executions_2;
         UPDATE meta SET value = '3' WHERE key = 'version';
         COMMIT;",
    )
}

/// Version 3 had no crashes; their table is made like a new journal's.
///
/// # Errors
/// When the file cannot be written; it is then as it was.
pub fn from_3(db: &Connection) -> rusqlite::Result<()> {
    db.execute_batch("UPDATE meta SET value = '4' WHERE key = 'version';")
}
