//! `wordwrap` and `pprint`: Python's `textwrap` and `pprint`.

use std::sync::LazyLock;

use fancy_regex::Regex;

use crate::rules::jinja::arguments::Args;
use crate::rules::jinja::budget::{Budget, MAX_VALUE_DEPTH};
use crate::rules::jinja::error::{Error, Result, limit, value_error};
use crate::rules::jinja::execute::Interpreter;
use crate::rules::jinja::repr;
use crate::rules::jinja::value::Value;

/// `wordwrap`
pub fn wordwrap(interpreter: &mut Interpreter<'_>, value: Value, args: Args) -> Result<Value> {
    let names = [
        "width",
        "break_long_words",
        "wrapstring",
        "break_on_hyphens",
    ];
    let bound = args.bind("wordwrap", &names, 0)?;
    let (width, long, hyphens) = (
        bound.int(0, 79)?,
        bound.flag(1, true)?,
        bound.flag(3, true)?,
    );
    let between = bound.some(2).map_or(Ok("\n".into()), |_| bound.text(2))?;
    value.defined()?;
    let Some(text) = value.as_str() else {
        let kind = value.type_name();
        let message = format!("'{kind}' object has no attribute 'splitlines'");
        return Err(Error::new("AttributeError", message));
    };
    interpreter
        .budget
        .text(text.len().saturating_mul(2 + between.len()))?;
    let mut lines = Vec::new();
    for line in crate::rules::jinja::lines(text) {
        let wrapped = wrap(&line, width, long, hyphens)?;
        lines.push(wrapped.join(&between));
    }
    Ok(Value::from(lines.join(&between)))
}

const BLANKS: &str = r"[\t\n\x0b\x0c\r ]";

static CHUNKS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let word = r#"[\w!"'&.,?]"#;
    let letter = r"[^\d\W]";
    let not_blank = r"[^\t\n\x0b\x0c\r ]";
    let pattern = format!(
        r"{BLANKS}+|(?<={word})-{{2,}}(?=\w)|{not_blank}+?(?:-(?:(?<={letter}{{2}}-)|(?<={letter}-{letter}-))(?={letter}-?{letter})|(?={BLANKS}|\z)|(?<={word})(?=-{{2,}}\w))"
    );
    Regex::new(&pattern).ok()
});

fn chunks(line: &str, hyphens: bool) -> Result<Vec<String>> {
    let blank = |c: char| "\t\n\u{b}\u{c}\r ".contains(c);
    let mut out: Vec<String> = Vec::new();
    let regex = CHUNKS.as_ref().filter(|_| hyphens && line.contains('-'));
    let Some(regex) = regex else {
        let mut last = None;
        for c in line.chars() {
            match out.last_mut().filter(|_| last == Some(blank(c))) {
                Some(chunk) => chunk.push(c),
                None => out.push(c.into()),
            }
            last = Some(blank(c));
        }
        return Ok(out);
    };
    let mut at = 0;
    for found in regex.find_iter(line) {
        let found = found.map_err(|_| limit("the text is too long to be wrapped"))?;
        if found.start() > at {
            out.push(line[at..found.start()].to_owned());
        }
        out.push(found.as_str().to_owned());
        at = found.end();
    }
    if at < line.len() {
        out.push(line[at..].to_owned());
    }
    out.retain(|chunk| !chunk.is_empty());
    Ok(out)
}

fn wrap(line: &str, width: i64, long: bool, hyphens: bool) -> Result<Vec<String>> {
    let Some(width) = usize::try_from(width).ok().filter(|width| *width > 0) else {
        return Err(value_error(format!("invalid width {width} (must be > 0)")));
    };
    let mut chunks = chunks(line, hyphens)?;
    chunks.reverse();
    let length = |text: &str| text.chars().count();
    let is_blank = |text: &str| text.trim().is_empty();
    let mut lines: Vec<String> = Vec::new();
    while let Some(next) = chunks.last() {
        if is_blank(next) && !lines.is_empty() {
            chunks.pop();
        }
        let (mut current, mut used) = (Vec::new(), 0);
        while let Some(chunk) = chunks.last() {
            let size = length(chunk);
            if used + size > width {
                break;
            }
            used += size;
            current.extend(chunks.pop());
        }
        if chunks.last().is_some_and(|chunk| length(chunk) > width) {
            let room = (width - used).max(if width < 1 { 1 } else { 0 });
            if long {
                split_long(&mut chunks, &mut current, room, hyphens);
            } else if current.is_empty() {
                current.extend(chunks.pop());
            }
        }
        if current.last().is_some_and(|last| is_blank(last)) {
            current.pop();
        }
        if !current.is_empty() {
            lines.push(current.concat());
        }
    }
    Ok(lines)
}

fn split_long(chunks: &mut [String], current: &mut Vec<String>, room: usize, hyphens: bool) {
    let Some(chunk) = chunks.last_mut() else {
        return;
    };
    let chars: Vec<char> = chunk.chars().collect();
    let mut end = room;
    if hyphens && chars.len() > room {
        let hyphen = chars[..room].iter().rposition(|c| *c == '-');
        if let Some(at) = hyphen.filter(|at| *at > 0 && chars[..*at].iter().any(|c| *c != '-')) {
            end = at + 1;
        }
    }
    current.push(chars[..end.min(chars.len())].iter().collect());
    *chunk = chars[end.min(chars.len())..].iter().collect();
}

/// `pprint`
pub fn pprint(interpreter: &mut Interpreter<'_>, value: Value, args: Args) -> Result<Value> {
    args.positional("pprint", 0, 0)?;
    let mut out = String::new();
    pretty(&mut out, &value, 0, 0, 0, interpreter.budget)?;
    Ok(Value::from(out))
}

fn sorted(value: &Value, budget: &Budget) -> Result<Value> {
    Ok(match value {
        Value::Dict(dict) => {
            let pairs = dict.pairs();
            let pairs = crate::rules::jinja::sorted_pairs(pairs.clone(), budget).unwrap_or(pairs);
            let mut entries = crate::rules::jinja::cells::Entries::new();
            for (key, value) in pairs {
                entries.insert(key.key()?, sorted(&value, budget)?);
            }
            Value::dict(entries)
        }
        Value::List(list) => {
            let items = list.items();
            Value::list(
                items
                    .iter()
                    .map(|item| sorted(item, budget))
                    .collect::<Result<_>>()?,
            )
        }
        other => other.clone(),
    })
}

fn pretty(
    out: &mut String,
    value: &Value,
    indent: usize,
    allowance: usize,
    depth: usize,
    budget: &Budget,
) -> Result<()> {
    budget.work(1)?;
    if depth > MAX_VALUE_DEPTH.min(100) {
        return Err(limit("a value is nested too deeply to be printed"));
    }
    let flat = repr::repr(&sorted(value, budget)?)?;
    budget.text(flat.len())?;
    if flat.chars().count() <= 80usize.saturating_sub(indent + allowance) {
        out.push_str(&flat);
        return Ok(());
    }
    let line = |out: &mut String| {
        out.push_str(",\n");
        out.push_str(&" ".repeat(indent + 1));
    };
    match value {
        Value::Dict(dict) => {
            let pairs = dict.pairs();
            let pairs = crate::rules::jinja::sorted_pairs(pairs.clone(), budget).unwrap_or(pairs);
            out.push('{');
            for (at, (key, value)) in pairs.iter().enumerate() {
                if at > 0 {
                    line(out);
                }
                let key = repr::repr(key)?;
                out.push_str(&key);
                out.push_str(": ");
                let last = at + 1 == pairs.len();
                let room = if last { allowance + 1 } else { 1 };
                let inner = indent + 1 + key.chars().count() + 2;
                pretty(out, value, inner, room, depth + 1, budget)?;
            }
            out.push('}');
        }
        Value::List(_) | Value::Tuple(_) => {
            let items = crate::rules::jinja::iterate::all_of(value)?;
            let (open, close) = match value {
                Value::List(_) => ("[", "]"),
                _ if items.len() == 1 => ("(", ",)"),
                _ => ("(", ")"),
            };
            out.push_str(open);
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    line(out);
                }
                let last = at + 1 == items.len();
                let room = if last { allowance + close.len() } else { 1 };
                pretty(out, item, indent + 1, room, depth + 1, budget)?;
            }
            out.push_str(close);
        }
        Value::Str(text) => pretty_text(out, text, indent, allowance, depth)?,
        _ => out.push_str(&flat),
    }
    Ok(())
}

/// Long text, as pieces below each other.
fn pretty_text(
    out: &mut String,
    text: &str,
    mut indent: usize,
    mut allowance: usize,
    depth: usize,
) -> Result<()> {
    let quoted = |text: &str| {
        let mut out = String::new();
        repr::quote(&mut out, text);
        out
    };
    if depth == 0 {
        indent += 1;
        allowance += 1;
    }
    let most = 80usize.saturating_sub(indent);
    let lines = crate::rules::jinja::lines_with_ends(text);
    let mut pieces = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let whole = quoted(line);
        let last = at + 1 == lines.len();
        let room = most.saturating_sub(if last { allowance } else { 0 });
        if whole.chars().count() <= room {
            pieces.push(whole);
            continue;
        }
        let mut parts: Vec<String> = Vec::new();
        let mut start = true;
        for c in line.chars() {
            let blank = c.is_whitespace();
            match parts.last_mut() {
                Some(part) if blank || !start => part.push(c),
                _ => parts.push(c.into()),
            }
            start = blank;
        }
        let mut current = String::new();
        let count = parts.len();
        for (place, part) in parts.into_iter().enumerate() {
            let candidate = format!("{current}{part}");
            let final_part = place + 1 == count && last;
            let room = most.saturating_sub(if final_part { allowance } else { 0 });
            if quoted(&candidate).chars().count() > room {
                if !current.is_empty() {
                    pieces.push(quoted(&current));
                }
                current = part;
            } else {
                current = candidate;
            }
        }
        if !current.is_empty() {
            pieces.push(quoted(&current));
        }
    }
    if pieces.len() == 1 {
        out.push_str(&pieces[0]);
        return Ok(());
    }
    out.push_str(if depth == 0 { "(" } else { "" });
    out.push_str(&pieces.join(&format!("\n{}", " ".repeat(indent))));
    out.push_str(if depth == 0 { ")" } else { "" });
    Ok(())
}
