-- The journal, version 4. Times are microseconds since 1970 UTC; texts of JSON are kept as written.

-- The version; the highest numbers that were given, where their rows are gone.
CREATE TABLE IF NOT EXISTS meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- What a rule-set hash in `events` stands for: one row per set of rules that ever judged.
CREATE TABLE IF NOT EXISTS rule_sets (
    hash TEXT PRIMARY KEY,
    text TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Rule sets that judge no more, and the last event that each may have judged.
CREATE TABLE IF NOT EXISTS retired (
    hash TEXT PRIMARY KEY,
    last INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Events of each trigger type, ever: accepted, of these matched by a rule, of these without a row.
CREATE TABLE IF NOT EXISTS counts (
    trigger  TEXT PRIMARY KEY,
    accepted INTEGER NOT NULL,
    matched  INTEGER NOT NULL,
    dropped  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS events (
    seq       INTEGER PRIMARY KEY,
    trigger   TEXT NOT NULL,
    sensor    TEXT NOT NULL,
    received  INTEGER NOT NULL,
    time      TEXT,
    trace_tag TEXT,
    payload   TEXT NOT NULL,
    verdict   TEXT NOT NULL,
    rule_set  TEXT NOT NULL,
    -- Of the trigger, where it is a type with parameters.
    trigger_ref TEXT
) STRICT;
-- Events on which a rule failed: the failed enforcements.
CREATE INDEX IF NOT EXISTS events_failed ON events (seq) WHERE instr(verdict, '"f":') > 0;

-- Idempotency keys within their window: who came first.
CREATE TABLE IF NOT EXISTS seen (
    sensor   TEXT NOT NULL,
    trigger  TEXT NOT NULL,
    key      TEXT NOT NULL,
    event    INTEGER NOT NULL,
    received INTEGER NOT NULL,
    PRIMARY KEY (sensor, trigger, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS seen_received ON seen (received);

-- The identity of an execution that a rule asked for is (event, rule, rule version).
CREATE TABLE IF NOT EXISTS executions (
    seq          INTEGER PRIMARY KEY,
    event        INTEGER,
    rule         TEXT NOT NULL,
    rule_version TEXT NOT NULL,
    action       TEXT NOT NULL,
    parameters   TEXT NOT NULL,
    status       TEXT NOT NULL,
    boot         TEXT,
    requested    INTEGER NOT NULL,
    started      INTEGER,
    ended        INTEGER,
    result       TEXT,
    -- JSON: who asked, and what led to it.
    cause        TEXT NOT NULL,
    -- The execution that it comes from: that of its chain, or the one that is tried again.
    parent       INTEGER,
    -- JSON: how far a chain is.
    progress     TEXT,
    UNIQUE (event, rule, rule_version)
) STRICT;
-- Those that are not over. A query that wants them says `ended IS NULL`: a list of words as the
-- condition of an index is used by no query.
DROP INDEX IF EXISTS executions_open;
CREATE INDEX IF NOT EXISTS executions_unended ON executions (status, seq) WHERE ended IS NULL;
-- The owed, by the line in which they wait; and those of them that are tried once more.
CREATE INDEX IF NOT EXISTS executions_owed ON executions (rule, seq) WHERE status = 'requested';
CREATE INDEX IF NOT EXISTS executions_again ON executions (seq)
    WHERE status = 'requested' AND parent IS NOT NULL;
-- Those that no event asked for: they go by themselves.
CREATE INDEX IF NOT EXISTS executions_alone ON executions (seq) WHERE event IS NULL;
CREATE INDEX IF NOT EXISTS executions_parent ON executions (parent) WHERE parent IS NOT NULL;

-- `secret`: the value is ciphertext.
CREATE TABLE IF NOT EXISTS datastore (
    scope   TEXT NOT NULL,
    name    TEXT NOT NULL,
    value   TEXT NOT NULL,
    expires INTEGER,
    secret  INTEGER NOT NULL,
    PRIMARY KEY (scope, name)
) STRICT, WITHOUT ROWID;

-- Up to when a timer's moments are settled: fired, or passed over.
CREATE TABLE IF NOT EXISTS timers (
    ref     TEXT PRIMARY KEY,
    settled INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What is kept of a sensor: JSON.
CREATE TABLE IF NOT EXISTS sensors (
    ref    TEXT PRIMARY KEY,
    memory TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- What sensors said that was refused.
CREATE TABLE IF NOT EXISTS rejected (
    seq     INTEGER PRIMARY KEY,
    sensor  TEXT NOT NULL,
    at      INTEGER NOT NULL,
    code    INTEGER NOT NULL,
    reason  TEXT NOT NULL,
    trigger TEXT,
    data    BLOB NOT NULL,
    sha256  TEXT
) STRICT;

-- The newest ends of sensors that nobody asked for: JSON, what is listed and what is shown of one.
CREATE TABLE IF NOT EXISTS crashes (
    sensor     TEXT NOT NULL,
    generation INTEGER NOT NULL,
    summary    TEXT NOT NULL,
    details    TEXT NOT NULL,
    PRIMARY KEY (sensor, generation)
) STRICT, WITHOUT ROWID;
