//! Reading the keys of a map: what is there, of the right kind, and nothing unknown beside it.

use serde_json::{Map, Value};

use super::diagnostics::{Diagnostic, Severity, Span, did_you_mean, nearest};
use super::sources::SourceFile;
use super::yaml::{Data, Node};

/// Most unknown keys of one map that are told.
const MOST_UNKNOWN: usize = 50;
/// Most of an unknown key that is told.
const NAME_CHARS: usize = 100;

/// The map under the reader's eyes. Errors are collected in `out`; [`Fields::faulty`] tells
/// whether one of them came from this map.
pub struct Fields<'a, 'o> {
    /// The map.
    pub node: &'a Node,
    /// Its file.
    pub file: &'a SourceFile,
    /// Where the faults go.
    pub out: &'o mut Vec<Diagnostic>,
    /// True once something in the map was wrong enough to leave it out.
    pub faulty: bool,
}

impl<'a, 'o> Fields<'a, 'o> {
    /// Begins with `node`, which must be a map: what it is called is said when it is not.
    pub fn of(
        node: &'a Node,
        file: &'a SourceFile,
        what: &str,
        out: &'o mut Vec<Diagnostic>,
    ) -> Option<Self> {
        if node.as_map().is_none() {
            let message = format!("{what} must be a map, this is {}", node.kind());
            out.push(Diagnostic::error(file, node.span, message));
            return None;
        }
        Some(Self {
            node,
            file,
            out,
            faulty: false,
        })
    }

    /// Reports every key that is not among `known`, with the nearest that is.
    pub fn only(&mut self, known: &[&str], severity: Severity, what: &str) {
        let entries = self.node.as_map().unwrap_or_default().iter();
        let names =
            entries.map(|(key, _)| (key, key.scalar_text().unwrap_or_else(|| "null".into())));
        let unknown = names.filter(|(_, name)| !known.contains(&name.as_str()));
        for (key, mut name) in unknown.take(MOST_UNKNOWN) {
            if let Some((end, _)) = name.char_indices().nth(NAME_CHARS) {
                name.truncate(end);
            }
            let message = format!("unknown key \"{name}\" in {what}");
            let help = did_you_mean(&name, known.iter().copied()).or_else(|| {
                (severity == Severity::Error).then(|| format!("known keys: {}", known.join(", ")))
            });
            let found = Diagnostic::at(severity, self.file, key.span, message).maybe_help(help);
            self.faulty |= found.is_error();
            self.out.push(found);
        }
    }

    /// The value of a key; `null` counts as absent.
    pub fn get(&self, key: &str) -> Option<&'a Node> {
        self.node.get(key).filter(|node| !node.is_null())
    }

    /// Where a key stands, or the map where it is absent.
    pub fn span_of(&self, key: &str) -> Span {
        self.node
            .entry(key)
            .map_or(self.node.span, |(key, _)| key.span)
    }

    /// Reports an error at `span`.
    pub fn error(&mut self, span: Span, message: impl Into<String>, help: Option<String>) {
        self.faulty = true;
        self.out
            .push(Diagnostic::error(self.file, span, message).maybe_help(help));
    }

    /// Reports a warning at `span`.
    pub fn warn(&mut self, span: Span, message: impl Into<String>, help: Option<String>) {
        self.out
            .push(Diagnostic::warning(self.file, span, message).maybe_help(help));
    }

    /// A scalar as text, empty when absent. StackStorm takes a number for text here, too.
    pub fn text(&mut self, key: &str) -> String {
        let Some(node) = self.get(key) else {
            return String::new();
        };
        node.scalar_text().unwrap_or_else(|| {
            self.error(
                node.span,
                format!("\"{key}\" must be text, this is {}", node.kind()),
                None,
            );
            String::new()
        })
    }

    /// Text that must be there and not be empty.
    pub fn required_text(&mut self, key: &str, what: &str) -> Option<(String, Span)> {
        let Some(node) = self.get(key) else {
            self.missing(key, what);
            return None;
        };
        let text = self.text(key);
        if text.is_empty() && node.scalar_text().is_some() {
            self.error(node.span, format!("\"{key}\" of {what} is empty"), None);
        }
        (!text.is_empty()).then_some((text, node.span))
    }

    /// Reports that a key is missing; a key that looks like a misspelling of it is pointed at.
    pub fn missing(&mut self, key: &str, what: &str) {
        let written = self.node.as_map().unwrap_or_default();
        let names: Vec<&str> = written.iter().filter_map(|(k, _)| k.as_text()).collect();
        let near = nearest(key, names.iter().copied());
        let span = near.map_or(self.first_key(), |name| self.span_of(name));
        if let Some(name) = near {
            // The misspelt key was told as unknown; once is enough.
            let told = format!("unknown key \"{name}\" ");
            let (shown, line) = (self.file.shown.as_str(), span.start.line);
            self.out.retain(|one| {
                one.file != shown || one.place.line != line || !one.message.starts_with(&told)
            });
        }
        let help = match near {
            Some(name) if self.get(name).is_some() => format!("rename \"{name}\" to \"{key}\""),
            _ => format!("add  {key}: …"),
        };
        self.error(span, format!("{what} has no \"{key}\""), Some(help));
    }

    fn first_key(&self) -> Span {
        let first = self.node.as_map().and_then(|entries| entries.first());
        first.map_or(self.node.span, |(key, _)| key.span)
    }

    /// A boolean, `default` when absent.
    pub fn flag(&mut self, key: &str, default: bool) -> bool {
        let Some(node) = self.get(key) else {
            return default;
        };
        match &node.data {
            Data::Bool(flag) => *flag,
            _ => {
                let message = format!("\"{key}\" must be true or false, this is {}", node.kind());
                self.error(node.span, message, None);
                default
            }
        }
    }

    /// A map as JSON, empty when absent.
    pub fn object(&mut self, key: &str) -> Map<String, Value> {
        match self.map(key).map(Node::to_json) {
            Some(Value::Object(map)) => map,
            _ => Map::new(),
        }
    }

    /// The node of a map; none when absent or, with an error, of another kind.
    pub fn map(&mut self, key: &str) -> Option<&'a Node> {
        self.of_kind(key, "a map", |node| node.as_map().is_some())
    }

    /// The node of a list; none when absent or, with an error, of another kind.
    pub fn list(&mut self, key: &str) -> Option<&'a Node> {
        self.of_kind(key, "a list", |node| node.as_list().is_some())
    }

    fn of_kind(&mut self, key: &str, kind: &str, is: fn(&Node) -> bool) -> Option<&'a Node> {
        let node = self.get(key)?;
        if is(node) {
            return Some(node);
        }
        let message = format!("\"{key}\" must be {kind}, this is {}", node.kind());
        self.error(node.span, message, None);
        None
    }
}
