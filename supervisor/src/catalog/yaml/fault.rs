//! What a text has wrong, and where.

use libyaml_safer::Mark as YamlMark;

use crate::catalog::diagnostics::Span;
use crate::catalog::model::Mark;

/// Which step refused the file; the names are those of PyYAML's exceptions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// A character that YAML does not allow.
    Reader,
    /// Not a token.
    Scanner,
    /// Tokens in the wrong order.
    Parser,
    /// Unknown or doubled anchors, more than one document.
    Composer,
    /// A tag or key that cannot be a value.
    Constructor,
    /// Text that is not what its tag says (Python's `ValueError`).
    Value,
    /// Larger, deeper or more expanded than the budget allows.
    Budget,
}

/// Why a text is not a document.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// Which step refused it.
    pub kind: FaultKind,
    /// Where.
    pub span: Span,
    /// What is wrong.
    pub message: String,
    /// What was being read, and since where.
    pub context: Option<(String, Span)>,
}

/// Something that is allowed and rarely meant.
#[derive(Clone, Debug, PartialEq)]
pub enum Remark {
    /// A key written twice in one map; the last one counts.
    Duplicate {
        /// The key.
        key: String,
        /// The one that is ignored.
        first: Span,
        /// The one that counts.
        second: Span,
    },
    /// An integer that JSON cannot carry exactly.
    Rounded(Span),
}

/// Longest message; names of tags and anchors may be as long as the file.
const MESSAGE_CHARS: usize = 300;

/// A fault without context.
pub fn fault(kind: FaultKind, span: Span, message: impl Into<String>) -> Box<Fault> {
    let mut message = message.into();
    if let Some((end, _)) = message.char_indices().nth(MESSAGE_CHARS) {
        message.truncate(end);
        message.push('…');
    }
    Box::new(Fault {
        kind,
        span,
        message,
        context: None,
    })
}

/// A place of libyaml, which counts from 0.
pub fn mark(at: YamlMark) -> Mark {
    Mark {
        line: at.line as usize + 1,
        column: at.column as usize + 1,
    }
}

/// One character.
pub fn point(at: YamlMark) -> Span {
    Span {
        start: mark(at),
        width: 1,
    }
}

/// Of what goes on over several lines, only the beginning is underlined.
pub fn span(start: YamlMark, end: YamlMark) -> Span {
    let width = match start.line == end.line {
        true => end.column.saturating_sub(start.column) as usize,
        false => 1,
    };
    Span {
        start: mark(start),
        width: width.max(1),
    }
}
