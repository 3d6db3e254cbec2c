//! Events of libyaml to a tree of nodes: anchors, merges, tags, duplicate keys and the budget.

use std::collections::HashMap;

use libyaml_safer::{Event, EventData};

use super::events::{Events, guarded};
use super::fault::{Fault, FaultKind, Remark, fault, point, span};
use super::node::{Data, Node};
use super::padding;
use super::resolve::{self, YAML};
use super::{MAX_BYTES, MAX_DEPTH, MAX_EXPANDED, MAX_NODES, MAX_REMARKS};
use crate::catalog::diagnostics::Span;
use crate::catalog::model::Mark;

/// A document and what is odd in it.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// The document; `null` for an empty text.
    pub root: Node,
    /// In the order of the text; of very many, the first.
    pub remarks: Vec<Remark>,
}

/// What every step gives: the first fault of the syntax ends all.
pub type Composed<T> = Result<T, Box<Fault>>;

/// The one document of `text`.
///
/// # Errors
/// The first fault, in the order in which PyYAML finds them: syntax before values.
pub fn parse(text: &str) -> Composed<Parsed> {
    if text.len() > MAX_BYTES {
        let message = format!("larger than {} MiB", MAX_BYTES >> 20);
        return Err(fault(FaultKind::Budget, Span::default(), message));
    }
    if let Some(line) = many_tag_directives(text) {
        let message = format!("more than {MAX_TAG_DIRECTIVES} %TAG directives");
        let start = Mark { line, column: 1 };
        return Err(fault(FaultKind::Budget, Span { start, width: 4 }, message));
    }
    guarded(text, |line| {
        let padded = padding::padded(text);
        let mut bytes = padded.as_bytes();
        compose(Events::new(text, &mut bytes, line))
    })
}

/// Most `%TAG` lines: the scanner compares each with all before it.
const MAX_TAG_DIRECTIVES: usize = 100;

/// The line of the first directive that is one too many.
fn many_tag_directives(text: &str) -> Option<usize> {
    let numbered = text.lines().enumerate();
    let mut directives = numbered.filter(|(_, line)| line.starts_with("%TAG"));
    directives.nth(MAX_TAG_DIRECTIVES).map(|(at, _)| at + 1)
}

fn compose(events: Events<'_>) -> Composed<Parsed> {
    let mut composer = Composer {
        events,
        anchors: HashMap::new(),
        remarks: Vec::new(),
        first_fault: None,
        fault_level: 0,
        level: 0,
        nodes: 0,
        expanded: 0,
        kept: 0,
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

struct Anchor {
    span: Span,
    /// None while the anchored collection is still being read.
    node: Option<Node>,
    nodes: usize,
    bytes: usize,
}

/// The tree under construction.
pub struct Composer<'t> {
    events: Events<'t>,
    anchors: HashMap<String, Anchor>,
    remarks: Vec<Remark>,
    /// The first value that cannot be made; reported when the syntax turns out well.
    first_fault: Option<Box<Fault>>,
    /// How deep that value stands: PyYAML makes outer values before inner ones.
    fault_level: usize,
    /// How deep the value stands that is being read.
    level: usize,
    nodes: usize,
    expanded: usize,
    /// What the anchors keep, in nodes: anchors in anchors keep the inner ones again.
    kept: usize,
}

/// About the memory of a node; the text of a scalar counts as so many.
const BYTES_OF_NODE: usize = 64;

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
            let event = self.events.next()?;
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
                    let first = self.events.next()?;
                    let part = self.node(first, 0)?;
                    root = self.value_of(part);
                }
                _ => {}
            }
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

    /// Remembers what is odd, as long as anybody would read it.
    pub fn remark(&mut self, remark: Remark) {
        if self.remarks.len() < MAX_REMARKS {
            self.remarks.push(remark);
        }
    }

    /// A value that cannot be made: remembered, and null in its place.
    pub fn refuse(&mut self, kind: FaultKind, span: Span, message: impl Into<String>) -> Data {
        let found = fault(kind, span, message);
        let order = |level: usize, span: Span| (level, span.start.line, span.start.column);
        let mine = order(self.level, span);
        let first = self.first_fault.as_ref();
        if first.is_none_or(|first| mine < order(self.fault_level, first.span)) {
            self.first_fault = Some(found);
            self.fault_level = self.level;
        }
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
        let data = padding::unpadded(
            self.events.text,
            self.events.lines,
            event.data,
            event.start_mark,
            event.end_mark,
        );
        let key = self.content(data, span, depth)?;
        let (nodes, bytes) = (self.nodes - nodes, self.expanded - bytes);
        if let Some(entry) = anchor.and_then(|name| self.anchors.get_mut(&name)) {
            self.kept += nodes + bytes / BYTES_OF_NODE;
            if self.kept > MAX_NODES {
                let message = format!("more than {MAX_NODES} values under anchors");
                return Err(fault(FaultKind::Budget, span, message));
            }
            entry.node = Some(key.node.clone());
            (entry.nodes, entry.bytes) = (nodes, bytes);
        }
        Ok(key)
    }

    fn alias(&mut self, name: &str, span: Span) -> Composed<Node> {
        let Some(anchor) = self.anchors.get(name) else {
            let message = format!("the alias *{name} has no anchor &{name} before it");
            return Err(fault(FaultKind::Composer, span, message));
        };
        if anchor.node.is_none() {
            let message = format!("*{name} stands for something that contains it");
            let data = self.refuse(FaultKind::Composer, span, message);
            return Ok(Node { data, span });
        }
        let (nodes, bytes) = (anchor.nodes, anchor.bytes);
        self.spend(nodes, bytes, span)?;
        let known = self
            .anchors
            .get(name)
            .and_then(|anchor| anchor.node.clone());
        let data = known.map_or(Data::Null, |node| node.data);
        Ok(Node { data, span })
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
            } => {
                self.level = depth;
                self.scalar(tag, value, plain_implicit, span)
            }
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
                    Err(message) if name == "binary" => {
                        self.refuse(FaultKind::Constructor, span, message)
                    }
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
            self.remark(Remark::Rounded(span));
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
            let event = self.events.next()?;
            if event.data == EventData::SequenceEnd {
                break;
            }
            let item = self.node(event, depth + 1)?;
            items.push(self.value_of(item));
        }
        self.level = depth;
        Ok(match short(tag, "seq") {
            "seq" => Data::List(items),
            "omap" | "pairs" => self.pairs(items),
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

    fn pairs(&mut self, items: Vec<Node>) -> Data {
        let mut pairs = Vec::with_capacity(items.len());
        for item in items {
            match item.data {
                Data::Map(mut entries) if entries.len() == 1 => pairs.extend(entries.pop()),
                _ => {
                    let message = "each item must be one `key: value`";
                    return self.refuse(FaultKind::Constructor, item.span, message);
                }
            }
        }
        Data::Pairs(pairs)
    }

    fn mapping(&mut self, tag: Option<&str>, at: Span, depth: usize) -> Composed<Data> {
        self.spend(1, 0, at)?;
        let (mut own, mut merged) = (Vec::new(), Vec::new());
        loop {
            let event = self.events.next()?;
            if event.data == EventData::MappingEnd {
                break;
            }
            let key = self.node(event, depth + 1)?;
            let event = self.events.next()?;
            let value = self.node(event, depth + 1)?;
            let value = self.value_of(value);
            match key.role == Role::Merge {
                true => self.merge(value, &mut merged),
                false => own.push((key.node, value)),
            }
        }
        self.level = depth + 1;
        let entries = self.unite(merged, own);
        self.level = depth;
        Ok(match short(tag, "map") {
            "map" => Data::Map(entries),
            "set" => Data::Set(entries.into_iter().map(|(key, _)| key).collect()),
            other => self.refuse_collection(other, at, "map"),
        })
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

fn exact_in_json(data: &Data) -> bool {
    match data {
        Data::Int(number) => i64::try_from(*number).is_ok() || u64::try_from(*number).is_ok(),
        Data::BigInt(_) => false,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> (FaultKind, usize, usize) {
        let fault = parse(text).unwrap_err();
        (fault.kind, fault.span.start.line, fault.span.start.column)
    }

    #[test]
    fn a_tag_before_a_comma_is_a_fault_with_its_place() {
        for (text, line, column) in [
            ("[!a,]", 1, 2),
            ("a: 1\nb: ['!x,', !y,]", 2, 12),
            ("[!,]", 1, 2),
            ("a: x\n\r[!b,]", 3, 2),
        ] {
            assert_eq!(refused(text), (FaultKind::Scanner, line, column), "{text}");
        }
    }

    #[test]
    fn bombs_are_refused_where_they_exceed_the_budget() {
        let aliases = format!(
            "a: &a {}\nb: [{}]",
            "x".repeat(100_000),
            "*a,".repeat(20_000)
        );
        let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x]\n");
        for at in 1..20 {
            let before = format!("*a{},", at - 1).repeat(9);
            bomb += &format!("a{at}: &a{at} [{before}]\n");
        }
        let nest: String = (0..90).map(|at| format!("&a{at} [")).collect();
        let nest = format!("{nest}{}{}", "x,".repeat(100_000), "]".repeat(90));
        let tags: String = (0..200).map(|at| format!("%TAG !a{at}! b\n")).collect();
        for (text, line) in [
            ("[".repeat(1_000_000), 1),
            ("- ".repeat(1_000_000), 1),
            (aliases, 2),
            (bomb, 6),
            (
                "k: &k {a: 1}\nm:\n".to_owned() + &"  <<: *k\n".repeat(200_000),
                62_501,
            ),
            (
                (0..200_000).map(|at| format!("k{at}: 1\n")).collect(),
                125_000,
            ),
            (nest, 1),
            (tags + "--- a", 101),
            ("x".repeat(MAX_BYTES + 1), 0),
        ] {
            let (kind, at, _) = refused(&text);
            assert_eq!((kind, at), (FaultKind::Budget, line), "{}", &text[..40]);
        }
    }

    #[test]
    fn a_character_out_of_range_is_placed_on_its_line_whatever_breaks_lines() {
        for break_ in ["\n", "\r", "\r\n", "\u{85}", "\u{2028}"] {
            let text = format!("a{break_}bc\0");
            assert_eq!(refused(&text), (FaultKind::Reader, 2, 3), "{text:?}");
        }
    }

    /// Each block scalar once counted the lines of the whole text: an hour for this one.
    #[test]
    fn many_block_scalars_without_a_break_at_the_end_are_read_in_one_go() {
        let text = "- |\n  a\n".repeat(200_000) + "- b";
        let items = parse(&text).unwrap().root.as_list().map(<[Node]>::len);
        assert_eq!(items, Some(200_001));
    }

    #[test]
    fn syntax_goes_before_values_and_outer_values_before_inner_ones() {
        for (text, kind, line, column) in [
            ("=", FaultKind::Constructor, 1, 1),
            ("&a [*a]\n", FaultKind::Composer, 1, 5),
            ("&a [*a", FaultKind::Parser, 2, 1),
            ("a: !!pairs [a: 1, b]\n", FaultKind::Constructor, 1, 19),
            ("a: b\nc\n ", FaultKind::Scanner, 3, 2),
            ("a: \"x\\", FaultKind::Scanner, 1, 6),
        ] {
            assert_eq!(refused(text), (kind, line, column), "{text:?}");
        }
    }

    #[test]
    fn of_many_oddities_the_first_are_told() {
        let parsed = parse(&"a: 1\n".repeat(5000)).unwrap();
        assert_eq!(parsed.remarks.len(), MAX_REMARKS);
    }
}
