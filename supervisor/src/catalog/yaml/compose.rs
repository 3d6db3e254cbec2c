//! Events of libyaml to a tree of nodes: anchors, merges, tags, duplicate keys and the budget.

use std::collections::HashMap;

use libyaml_safer::{Error, ErrorKind, Event, EventData, Mark as YamlMark, Parser};

use super::node::{Data, Node, python_float};
use super::resolve::{self, YAML};
use super::{MAX_BYTES, MAX_DEPTH, MAX_EXPANDED, MAX_NODES};
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

/// A document and what is odd in it.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// The document; `null` for an empty text.
    pub root: Node,
    /// In the order of the text.
    pub remarks: Vec<Remark>,
}

type Composed<T> = Result<T, Box<Fault>>;

/// The one document of `text`.
///
/// # Errors
/// The first fault, in the order in which PyYAML finds them: syntax before values.
pub fn parse(text: &str) -> Result<Parsed, Box<Fault>> {
    if text.len() > MAX_BYTES {
        let message = format!("larger than {} MiB", MAX_BYTES >> 20);
        return Err(fault(FaultKind::Budget, Span::default(), message));
    }
    let mut bytes = text.as_bytes();
    let mut parser = Parser::new();
    parser.set_input_string(&mut bytes);
    let mut composer = Composer {
        text,
        parser,
        anchors: HashMap::new(),
        remarks: Vec::new(),
        first_fault: None,
        nodes: 0,
        expanded: 0,
    };
    let root = composer.document()?;
    match composer.first_fault {
        Some(fault) => Err(fault),
        None => Ok(Parsed {
            root,
            remarks: composer.remarks,
        }),
    }
}

fn fault(kind: FaultKind, span: Span, message: impl Into<String>) -> Box<Fault> {
    Box::new(Fault {
        kind,
        span,
        message: message.into(),
        context: None,
    })
}

struct Anchor {
    span: Span,
    /// None while the anchored collection is still being read.
    node: Option<Node>,
    nodes: usize,
    bytes: usize,
}

struct Composer<'t> {
    text: &'t str,
    parser: Parser<&'t mut &'t [u8]>,
    anchors: HashMap<String, Anchor>,
    remarks: Vec<Remark>,
    /// The first value that cannot be made; reported when the syntax turns out well.
    first_fault: Option<Box<Fault>>,
    nodes: usize,
    expanded: usize,
}

/// What a plain scalar without a tag may be beside a value.
#[derive(Clone, Copy, PartialEq)]
enum Role {
    Value,
    /// `<<`, only as a key.
    Merge,
    /// `=`, as a key its text and as a value an error, in PyYAML.
    Default,
}

/// A node and its role.
struct Part {
    node: Node,
    role: Role,
}

impl Composer<'_> {
    fn document(&mut self) -> Composed<Node> {
        let mut root = Node {
            data: Data::Null,
            span: Span::default(),
        };
        let mut documents = 0;
        loop {
            let event = self.next()?;
            match event.data {
                EventData::StreamEnd => return Ok(root),
                EventData::DocumentStart { .. } if documents > 0 => {
                    let span = point(event.start_mark);
                    return Err(fault(
                        FaultKind::Composer,
                        span,
                        "a second document begins here",
                    ));
                }
                EventData::DocumentStart { .. } => {
                    documents += 1;
                    let first = self.next()?;
                    root = self.node(first, 0)?.node;
                }
                _ => {}
            }
        }
    }

    fn next(&mut self) -> Composed<Event> {
        self.parser.parse().map_err(|error| self.syntax(&error))
    }

    fn syntax(&self, error: &Error) -> Box<Fault> {
        let kind = match error.kind() {
            ErrorKind::Scanner => FaultKind::Scanner,
            ErrorKind::Parser => FaultKind::Parser,
            ErrorKind::Composer => FaultKind::Composer,
            _ => FaultKind::Reader,
        };
        let span = match error.problem_mark() {
            Some(mark) => point(mark),
            None => self.first_control_character(),
        };
        let mut found = fault(kind, span, error.problem());
        found.context = error
            .context()
            .zip(error.context_mark())
            .map(|(context, mark)| (context.to_owned(), point(mark)));
        found
    }

    /// The reader tells no place; its only fault in valid UTF-8 is a character out of range.
    fn first_control_character(&self) -> Span {
        let refused = |c: char| c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{85}');
        let before = self.text.split(refused).next().unwrap_or("");
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        Span {
            start: Mark { line, column },
            width: 1,
        }
    }

    fn spend(&mut self, nodes: usize, bytes: usize, span: Span) -> Composed<()> {
        self.nodes += nodes;
        self.expanded += bytes;
        if self.nodes > MAX_NODES {
            let message = format!("more than {MAX_NODES} values, aliases expanded");
            return Err(fault(FaultKind::Budget, span, message));
        }
        if self.expanded > MAX_EXPANDED {
            let message = format!("more than {} MiB, aliases expanded", MAX_EXPANDED >> 20);
            return Err(fault(FaultKind::Budget, span, message));
        }
        Ok(())
    }

    /// A value that cannot be made: remembered, and null in its place.
    fn refuse(&mut self, kind: FaultKind, span: Span, message: impl Into<String>) -> Data {
        let found = fault(kind, span, message);
        self.first_fault.get_or_insert(found);
        Data::Null
    }

    fn node(&mut self, event: Event, depth: usize) -> Composed<Part> {
        let span = span(event.start_mark, event.end_mark);
        if depth > MAX_DEPTH {
            let message = format!("nested deeper than {MAX_DEPTH}");
            return Err(fault(FaultKind::Budget, span, message));
        }
        if let EventData::Alias { anchor } = &event.data {
            let node = self.alias(anchor, span)?;
            return Ok(value(node));
        }
        let (nodes, bytes) = (self.nodes, self.expanded);
        let anchor = self.open_anchor(&event.data, span)?;
        let key = self.content(event.data, span, depth)?;
        if let Some(entry) = anchor.and_then(|name| self.anchors.get_mut(&name)) {
            entry.node = Some(key.node.clone());
            entry.nodes = self.nodes - nodes;
            entry.bytes = self.expanded - bytes;
        }
        Ok(key)
    }

    fn alias(&mut self, name: &str, span: Span) -> Composed<Node> {
        let Some(anchor) = self.anchors.get(name) else {
            let message = format!("the alias *{name} has no anchor &{name} before it");
            return Err(fault(FaultKind::Composer, span, message));
        };
        let Some(mut node) = anchor.node.clone() else {
            let message = format!("*{name} stands for something that contains it");
            return Err(fault(FaultKind::Composer, span, message));
        };
        let (nodes, bytes) = (anchor.nodes, anchor.bytes);
        self.spend(nodes, bytes, span)?;
        node.span = span;
        Ok(node)
    }

    fn open_anchor(&mut self, data: &EventData, span: Span) -> Composed<Option<String>> {
        let (EventData::Scalar { anchor, .. }
        | EventData::SequenceStart { anchor, .. }
        | EventData::MappingStart { anchor, .. }) = data
        else {
            return Ok(None);
        };
        let Some(name) = anchor.clone() else {
            return Ok(None);
        };
        let entry = Anchor {
            span,
            node: None,
            nodes: 0,
            bytes: 0,
        };
        if let Some(first) = self.anchors.insert(name.clone(), entry) {
            let mut found = fault(
                FaultKind::Composer,
                span,
                format!("a second anchor &{name}"),
            );
            found.context = Some(("the first one".into(), first.span));
            return Err(found);
        }
        Ok(Some(name))
    }

    fn content(&mut self, data: EventData, span: Span, depth: usize) -> Composed<Part> {
        match data {
            EventData::Scalar {
                tag,
                value,
                plain_implicit,
                ..
            } => self.scalar(tag, value, plain_implicit, span),
            EventData::SequenceStart { tag, .. } => {
                let data = self.sequence(tag.as_deref(), span, depth)?;
                Ok(plain(data, span))
            }
            EventData::MappingStart { tag, .. } => {
                let data = self.mapping(tag.as_deref(), span, depth)?;
                Ok(plain(data, span))
            }
            _ => Err(fault(FaultKind::Parser, span, "a value is missing here")),
        }
    }

    fn scalar(
        &mut self,
        tag: Option<String>,
        text: String,
        implicit: bool,
        span: Span,
    ) -> Composed<Part> {
        self.spend(1, text.len(), span)?;
        let explicit = tag.filter(|tag| tag != "!");
        let name = match &explicit {
            Some(tag) => match tag.strip_prefix(YAML) {
                Some(name) => name,
                None => return Ok(plain(self.unknown_tag(tag, span), span)),
            },
            None if implicit => resolve::implicit(&text),
            None => "str",
        };
        let role = match name {
            "merge" => Role::Merge,
            "value" => Role::Default,
            _ => Role::Value,
        };
        let data = match name {
            "merge" | "value" => Data::Text(text),
            "null" | "str" | "bool" | "int" | "float" | "timestamp" | "binary" => {
                match resolve::construct(name, &text) {
                    Ok(data) => data,
                    Err(message) => self.refuse(FaultKind::Value, span, message),
                }
            }
            "seq" | "map" | "set" | "omap" | "pairs" => {
                let message = format!("!!{name} on a single value");
                self.refuse(FaultKind::Constructor, span, message)
            }
            _ => self.unknown_tag(&format!("!!{name}"), span),
        };
        if !exact_in_json(&data) {
            self.remarks.push(Remark::Rounded(span));
        }
        let node = Node { data, span };
        Ok(Part { node, role })
    }

    fn unknown_tag(&mut self, tag: &str, span: Span) -> Data {
        self.refuse(
            FaultKind::Constructor,
            span,
            format!("the tag {tag} is not one of YAML's own"),
        )
    }

    fn sequence(&mut self, tag: Option<&str>, at: Span, depth: usize) -> Composed<Data> {
        self.spend(1, 0, at)?;
        let mut items = Vec::new();
        loop {
            let event = self.next()?;
            if event.data == EventData::SequenceEnd {
                break;
            }
            let item = self.node(event, depth + 1)?;
            items.push(self.value_of(item));
        }
        Ok(match short(tag, "seq") {
            "seq" => Data::List(items),
            "omap" | "pairs" => self.pairs(items, at),
            other => self.refuse_collection(other, at, "list"),
        })
    }

    /// `<<` is only a key: as a value PyYAML has no constructor for it, nor for `=`.
    fn value_of(&mut self, part: Part) -> Node {
        if part.role != Role::Value {
            let span = part.node.span;
            self.refuse(
                FaultKind::Constructor,
                span,
                "this needs quotes: alone it has a meaning of its own in YAML",
            );
        }
        part.node
    }

    fn refuse_collection(&mut self, tag: &str, at: Span, what: &str) -> Data {
        let message = format!("the tag {tag} does not fit a {what}");
        self.refuse(FaultKind::Constructor, at, message)
    }

    fn pairs(&mut self, items: Vec<Node>, at: Span) -> Data {
        let mut pairs = Vec::with_capacity(items.len());
        for item in items {
            match item.data {
                Data::Map(mut entries) if entries.len() == 1 => pairs.extend(entries.pop()),
                _ => {
                    return self.refuse(
                        FaultKind::Constructor,
                        at,
                        "each item must be one `key: value`",
                    );
                }
            }
        }
        Data::Pairs(pairs)
    }

    fn mapping(&mut self, tag: Option<&str>, at: Span, depth: usize) -> Composed<Data> {
        self.spend(1, 0, at)?;
        let (mut own, mut merged) = (Vec::new(), Vec::new());
        loop {
            let event = self.next()?;
            if event.data == EventData::MappingEnd {
                break;
            }
            let key = self.node(event, depth + 1)?;
            let event = self.next()?;
            let value = self.node(event, depth + 1)?;
            let value = self.value_of(value);
            match key.role == Role::Merge {
                true => self.merge(value, &mut merged),
                false => own.push((key.node, value)),
            }
        }
        let entries = self.unite(merged, own);
        Ok(match short(tag, "map") {
            "map" => Data::Map(entries),
            "set" => Data::Set(entries.into_iter().map(|(key, _)| key).collect()),
            other => self.refuse_collection(other, at, "map"),
        })
    }

    fn merge(&mut self, value: Node, merged: &mut Vec<(Node, Node)>) {
        let span = value.span;
        match value.data {
            Data::Map(entries) => merged.extend(entries),
            // The first map of the list wins, so it comes last.
            Data::List(maps) => {
                for map in maps.into_iter().rev() {
                    match map.data {
                        Data::Map(entries) => merged.extend(entries),
                        _ => drop(self.refuse(
                            FaultKind::Constructor,
                            map.span,
                            "<< merges maps only",
                        )),
                    }
                }
            }
            _ => drop(self.refuse(
                FaultKind::Constructor,
                span,
                "<< merges a map or a list of maps",
            )),
        }
    }

    /// A key keeps its first place and its last value. Only keys written twice are remarked upon,
    /// not those that override a merge.
    fn unite(&mut self, merged: Vec<(Node, Node)>, own: Vec<(Node, Node)>) -> Vec<(Node, Node)> {
        let mut places: HashMap<String, usize> = HashMap::with_capacity(own.len());
        let mut written: HashMap<String, Span> = HashMap::with_capacity(own.len());
        let mut entries: Vec<(Node, Node)> = Vec::with_capacity(merged.len() + own.len());
        let inherited = merged.len();
        for (at, (key, value)) in merged.into_iter().chain(own).enumerate() {
            let Some(identity) = identity(&key) else {
                self.refuse(
                    FaultKind::Constructor,
                    key.span,
                    "a list or map cannot be a key",
                );
                continue;
            };
            if at >= inherited
                && let Some(first) = written.insert(identity.clone(), key.span)
            {
                self.remarks.push(Remark::Duplicate {
                    key: key.scalar_text().unwrap_or_default(),
                    first,
                    second: key.span,
                });
            }
            match places.get(&identity) {
                Some(&place) => entries[place].1 = value,
                None => {
                    places.insert(identity, entries.len());
                    entries.push((key, value));
                }
            }
        }
        entries
    }
}

fn value(node: Node) -> Part {
    let role = Role::Value;
    Part { node, role }
}

fn plain(data: Data, span: Span) -> Part {
    value(Node { data, span })
}

/// A tag without YAML's prefix; the default where there is none.
fn short<'a>(tag: Option<&'a str>, default: &'a str) -> &'a str {
    match tag {
        None | Some("!") => default,
        Some(tag) => tag.strip_prefix(YAML).unwrap_or(tag),
    }
}

/// Equal for keys that are equal in Python, where 1, 1.0 and True are the same key.
fn identity(key: &Node) -> Option<String> {
    Some(match &key.data {
        Data::Null => "z".into(),
        Data::Bool(flag) => format!("n{}", u8::from(*flag)),
        Data::Int(number) => format!("n{number}"),
        Data::BigInt(digits) => format!("n{digits}"),
        Data::Float(number) if number.fract() == 0.0 && number.abs() < 1e18 => {
            format!("n{}", *number as i128)
        }
        Data::Float(number) => format!("n{}", python_float(*number)),
        Data::Text(text) => format!("s{text}"),
        Data::Time(text) => format!("t{text}"),
        Data::Bytes(bytes) => format!("b{bytes:?}"),
        Data::List(_) | Data::Map(_) | Data::Set(_) | Data::Pairs(_) => return None,
    })
}

fn exact_in_json(data: &Data) -> bool {
    match data {
        Data::Int(number) => i64::try_from(*number).is_ok() || u64::try_from(*number).is_ok(),
        Data::BigInt(_) => false,
        _ => true,
    }
}

fn mark(at: YamlMark) -> Mark {
    Mark {
        line: at.line as usize + 1,
        column: at.column as usize + 1,
    }
}

fn point(at: YamlMark) -> Span {
    Span {
        start: mark(at),
        width: 1,
    }
}

/// Of what goes on over several lines, only the beginning is underlined.
fn span(start: YamlMark, end: YamlMark) -> Span {
    let width = match start.line == end.line {
        true => end.column.saturating_sub(start.column) as usize,
        false => 1,
    };
    Span {
        start: mark(start),
        width: width.max(1),
    }
}
