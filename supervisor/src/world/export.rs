//! The journal as lines of JSON: each event with what the rules said of it and all executions that
//! came of it, then those that no event asked for with theirs. Sealed values stay sealed.

use rusqlite::Connection;
use serde_json::{Value, json};

use super::journal::query::{self, Span};
use crate::catalog::Catalog;
use crate::core::view::{self, ExecutionRow};

/// Rows of one look at the journal; between two, what is written can be moved into its file.
const PAGE: usize = 200;

/// Gives each line to `line`, which ends it by false.
///
/// # Errors
/// When the journal cannot be read.
pub fn lines(
    db: &Connection,
    catalog: &Catalog,
    span: &Span,
    mut line: impl FnMut(String) -> bool,
) -> rusqlite::Result<()> {
    let mut after = 0;
    loop {
        let page = query::events_after(db, span, after, PAGE)?;
        let Some(last) = page.last().map(|row| row.seq) else {
            break;
        };
        after = last;
        for row in page {
            let mut shown = view::event(&row, true);
            shown["executions"] = all(&query::caused_by(db, row.seq)?, catalog);
            if !line(shown.to_string() + "\n") {
                return Ok(());
            }
        }
    }
    match span.is_of_events() {
        true => Ok(()),
        false => alone(db, catalog, span, line),
    }
}

fn alone(
    db: &Connection,
    catalog: &Catalog,
    span: &Span,
    mut line: impl FnMut(String) -> bool,
) -> rusqlite::Result<()> {
    let mut after = 0;
    loop {
        let page = query::alone_after(db, span, after, PAGE)?;
        let Some(last) = page.last() else {
            return Ok(());
        };
        after = *last;
        for seq in page {
            let rows = query::with_children(db, seq)?;
            let shown = json!({"id": null, "executions": all(&rows, catalog)});
            if !line(shown.to_string() + "\n") {
                return Ok(());
            }
        }
    }
}

fn all(rows: &[ExecutionRow], catalog: &Catalog) -> Value {
    rows.iter()
        .map(|row| view::execution(row, catalog))
        .collect()
}
