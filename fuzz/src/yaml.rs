//! YAML of a pack: the tree is within its budget, every place is in the text, faults can be shown,
//! and a document written as JSON reads back the same.

use petrel_supervisor::catalog::diagnostics::Span;
use petrel_supervisor::catalog::yaml::{self, Data, Fault, MAX_DEPTH, MAX_NODES, Node};
use petrel_supervisor::catalog::{Diagnostic, SourceFile};
use serde_json::Value;

/// Most bytes of one diagnostic as it is shown, beside the lines of the file that it shows.
const MAX_SHOWN: usize = 16 << 10;

/// Reads any text.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let places = Places::of(text);
    match yaml::parse(text) {
        Ok(parsed) => {
            let nodes = tree(&parsed.root, 0, &places);
            assert!(nodes <= MAX_NODES, "{nodes} nodes");
            written_again(&parsed.root.to_json());
        }
        Err(fault) => places.holds_fault(&fault),
    }
    let file = SourceFile::new("fuzz.yaml", "fuzz.yaml", text);
    shown(&file.diagnostics, text);
}

/// Lines of a text as YAML counts them, each with its length in characters.
struct Places {
    lines: Vec<usize>,
}

impl Places {
    fn of(text: &str) -> Self {
        let mut lines = vec![0];
        let mut after_return = false;
        for c in text.chars() {
            let is_break = matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}');
            let second = after_return && c == '\n';
            after_return = c == '\r';
            match (is_break, lines.last_mut()) {
                (true, _) if second => {}
                (true, _) => lines.push(0),
                (false, Some(length)) => *length += 1,
                (false, None) => {}
            }
        }
        Self { lines }
    }

    /// The end of the text, one line further on where libyaml is at the end of its stream, is still
    /// a place of it.
    fn hold(&self, span: Span) {
        let (line, column) = (span.start.line, span.start.column);
        let length = match line.checked_sub(1) {
            Some(at) if at == self.lines.len() => 0,
            Some(at) => self.lines[at],
            None => panic!("line 0"),
        };
        assert!((1..=length + 2).contains(&column), "{line}:{column}");
        assert!(span.width >= 1, "{line}:{column} is nothing wide");
    }

    fn holds_fault(&self, fault: &Fault) {
        // A text that is too large has no place.
        if fault.span != Span::default() {
            self.hold(fault.span);
        }
        if let Some((_, span)) = &fault.context {
            self.hold(*span);
        }
    }
}

/// How many nodes there are.
fn tree(node: &Node, depth: usize, places: &Places) -> usize {
    assert!(depth <= MAX_DEPTH + 1, "deeper than {MAX_DEPTH}");
    if depth == 0 && node.is_null() && node.span == Span::default() {
        return 1;
    }
    // What an alias brings keeps the places where it was written.
    places.hold(node.span);
    let below = |node: &Node| tree(node, depth + 1, places);
    1 + match &node.data {
        Data::List(items) | Data::Set(items) => items.iter().map(below).sum(),
        Data::Map(pairs) | Data::Pairs(pairs) => pairs
            .iter()
            .map(|(key, value)| below(key) + below(value))
            .sum(),
        _ => 0,
    }
}

fn shown(diagnostics: &[Diagnostic], text: &str) {
    for diagnostic in diagnostics {
        let shown = diagnostic.render(false);
        assert!(!shown.is_empty());
        // A line of the file and its underline.
        assert!(
            shown.len() <= MAX_SHOWN + 8 * text.len(),
            "{} bytes",
            shown.len()
        );
    }
}

/// JSON is YAML, but for what only JSON writes: exponents without a point, characters that YAML
/// wants escaped, and keys longer than a line of YAML may have.
fn written_again(value: &Value) {
    let text = value.to_string();
    if !is_yaml(value) || text.len() > yaml::MAX_BYTES / 2 {
        return;
    }
    match yaml::parse(&text) {
        Ok(parsed) => assert_eq!(parsed.root.to_json(), *value, "{text}"),
        Err(fault) => panic!("{fault:?}: {text}"),
    }
}

fn is_yaml(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) => true,
        Value::Number(number) => !number.to_string().contains('e'),
        Value::String(text) => is_printable(text),
        Value::Array(items) => items.iter().all(is_yaml),
        Value::Object(map) => map
            .iter()
            .all(|(key, value)| key.len() < 100 && is_printable(key) && is_yaml(value)),
    }
}

fn is_printable(text: &str) -> bool {
    let odd = |c: char| {
        matches!(
            c,
            '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
        ) || c > '\u{ffff}'
    };
    !text.chars().any(odd)
}
