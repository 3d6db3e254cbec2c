//! Filters for HTML and addresses.

use crate::rules::jinja::arguments::Args;
use crate::rules::jinja::convert::is_space;
use crate::rules::jinja::error::{Error, Result, type_error, value_error};
use crate::rules::jinja::execute::Interpreter;
use crate::rules::jinja::iterate::all_of;
use crate::rules::jinja::markup::{escape, escape_text, strip_tags};
use crate::rules::jinja::repr;
use crate::rules::jinja::value::Value;

fn marked(text: String) -> Value {
    Value::Markup(text.into())
}

/// `escape`
pub fn escape_filter(interpreter: &mut Interpreter<'_>, value: Value, args: Args) -> Result<Value> {
    args.positional("escape", 0, 0)?;
    let text = escape(&value)?;
    interpreter.budget.text(text.len())?;
    Ok(marked(text))
}

/// `forceescape`
pub fn force_escape(interpreter: &mut Interpreter<'_>, value: Value, args: Args) -> Result<Value> {
    args.positional("forceescape", 0, 0)?;
    let text = escape_text(&repr::text(&value)?);
    interpreter.budget.text(text.len())?;
    Ok(marked(text))
}

/// `safe`
pub fn safe(_: &mut Interpreter<'_>, value: Value, args: Args) -> Result<Value> {
    args.positional("safe", 0, 0)?;
    repr::text(&value).map(marked)
}

/// `striptags`
pub fn striptags(interpreter: &mut Interpreter<'_>, value: Value, args: Args) -> Result<Value> {
    args.positional("striptags", 0, 0)?;
    let text = repr::text(&value)?;
    interpreter.budget.text(text.len())?;
    Ok(Value::from(strip_tags(&text)))
}

/// `xmlattr`
pub fn xmlattr(interpreter: &mut Interpreter<'_>, value: Value, args: Args) -> Result<Value> {
    let space = args.bind("xmlattr", &["autospace"], 0)?.flag(0, true)?;
    let Value::Dict(dict) = &value else {
        value.defined()?;
        let kind = value.type_name();
        let message = format!("'{kind}' object has no attribute 'items'");
        return Err(Error::new("AttributeError", message));
    };
    let mut parts = Vec::new();
    for (key, value) in dict.pairs() {
        if value.is_none() || !value.is_defined() {
            continue;
        }
        let name = key
            .as_str()
            .ok_or_else(|| type_error("expected string or bytes-like object"))?;
        if name.contains([' ', '\t', '\n', '\r', '\u{b}', '\u{c}', '/', '>', '=']) {
            let name = repr::repr(&key)?;
            let message = format!("Invalid character in attribute name: {name}");
            return Err(value_error(message));
        }
        parts.push(format!("{}=\"{}\"", escape(&key)?, escape(&value)?));
    }
    let text = parts.join(" ");
    let text = match space && !text.is_empty() {
        true => format!(" {text}"),
        false => text,
    };
    interpreter.budget.text(text.len())?;
    Ok(interpreter.written(text))
}

fn quoted(value: &Value, query: bool) -> Result<String> {
    let bytes = match value {
        Value::Bytes(bytes) => bytes.to_vec(),
        other => repr::text(other)?.into_bytes(),
    };
    let mut out = String::new();
    for byte in bytes {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'.' | b'-' | b'~' => {
                out.push(char::from(byte));
            }
            b'/' if !query => out.push('/'),
            b' ' if query => out.push('+'),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    Ok(out)
}

/// `urlencode`
pub fn urlencode(interpreter: &mut Interpreter<'_>, value: Value, args: Args) -> Result<Value> {
    args.positional("urlencode", 0, 0)?;
    let pairs = match &value {
        Value::Dict(dict) => dict.pairs(),
        Value::List(_)
        | Value::Tuple(_)
        | Value::View(..)
        | Value::Stream(_)
        | Value::Range(..) => {
            let mut pairs = Vec::new();
            for pair in all_of(&value)? {
                let items = all_of(&pair)?;
                let [key, value]: [Value; 2] = items
                    .try_into()
                    .map_err(|_| value_error("not enough values to unpack (expected 2)"))?;
                pairs.push((key, value));
            }
            pairs
        }
        _ => return quoted(&value, false).map(Value::from),
    };
    let mut parts = Vec::new();
    for (key, value) in &pairs {
        parts.push(format!("{}={}", quoted(key, true)?, quoted(value, true)?));
    }
    let text = parts.join("&");
    interpreter.budget.text(text.len())?;
    Ok(Value::from(text))
}

/// `urlize`: addresses become links.
pub fn urlize(interpreter: &mut Interpreter<'_>, value: Value, args: Args) -> Result<Value> {
    let names = [
        "trim_url_limit",
        "nofollow",
        "target",
        "rel",
        "extra_schemes",
    ];
    let bound = args.bind("urlize", &names, 0)?;
    let limit = bound.some(0).map(|_| bound.int(0, 0)).transpose()?;
    let mut rel: Vec<String> = match bound.some(3) {
        Some(_) => bound
            .text(3)?
            .split_whitespace()
            .map(str::to_owned)
            .collect(),
        None => Vec::new(),
    };
    rel.extend(bound.flag(1, false)?.then(|| "nofollow".to_owned()));
    rel.push("noopener".to_owned());
    rel.sort();
    rel.dedup();
    let mut tail = format!(" rel=\"{}\"", escape_text(&rel.join(" ")));
    if bound.some(2).is_some() {
        tail.push_str(&format!(" target=\"{}\"", escape_text(&bound.text(2)?)));
    }
    let schemes = match bound.some(4) {
        Some(all) => all_of(all)?
            .iter()
            .map(repr::text)
            .collect::<Result<Vec<_>>>()?,
        None => Vec::new(),
    };
    let text = escape(&value)?;
    interpreter.budget.text(text.len().saturating_mul(3))?;
    let mut out = String::new();
    let mut word = String::new();
    for c in text.chars() {
        if is_space(c) {
            out.push_str(&linked(&word, limit, &tail, &schemes));
            word.clear();
            out.push(c);
        } else {
            word.push(c);
        }
    }
    out.push_str(&linked(&word, limit, &tail, &schemes));
    Ok(interpreter.written(out))
}

fn linked(word: &str, limit: Option<i64>, tail: &str, schemes: &[String]) -> String {
    let (mut head, mut middle, mut end) = (String::new(), word.to_owned(), String::new());
    while let Some(open) = ["(", "<", "&lt;"]
        .iter()
        .find(|open| middle.starts_with(**open))
    {
        head.push_str(open);
        middle = middle[open.len()..].to_owned();
    }
    let closing = [")", ">", ".", ",", "\n", "&gt;"];
    while let Some(close) = closing.iter().find(|close| middle.ends_with(**close)) {
        end.insert_str(0, close);
        middle.truncate(middle.len() - close.len());
    }
    for (open, close) in [("(", ")"), ("<", ">"), ("&lt;", "&gt;")] {
        let missing = middle
            .matches(open)
            .count()
            .saturating_sub(middle.matches(close).count());
        for _ in 0..missing {
            let Some(at) = end.find(close) else { break };
            let to = at + close.len();
            middle.push_str(&end[..to]);
            end.drain(..to);
        }
    }
    let shown = |text: &str| match limit {
        Some(limit) if text.chars().count() as i64 > limit => {
            let cut: String = text
                .chars()
                .take(usize::try_from(limit).unwrap_or(0))
                .collect();
            format!("{cut}...")
        }
        _ => text.to_owned(),
    };
    let address = middle.starts_with("http://") || middle.starts_with("https://");
    let host = middle.split('/').next().unwrap_or_default();
    let named = |text: &str| text.contains('.') && text.split('.').all(|part| !part.is_empty());
    let known = [".com", ".net", ".org", ".io", ".gov", ".edu", ".mil"];
    let bare = host.starts_with("www.") && named(host)
        || (known.iter().any(|end| host.ends_with(end)) && named(host) && !middle.contains('@'));
    let linked = if address {
        format!("<a href=\"{middle}\"{tail}>{}</a>", shown(&middle))
    } else if bare && !middle.contains(':') {
        format!("<a href=\"https://{middle}\"{tail}>{}</a>", shown(&middle))
    } else if let Some(mail) = middle.strip_prefix("mailto:").filter(|mail| is_mail(mail)) {
        format!("<a href=\"{middle}\">{mail}</a>")
    } else if is_mail(&middle) {
        format!("<a href=\"mailto:{middle}\">{middle}</a>")
    } else if schemes
        .iter()
        .any(|s| middle != *s && middle.starts_with(s.as_str()))
    {
        format!("<a href=\"{middle}\"{tail}>{middle}</a>")
    } else {
        middle
    };
    head + &linked + &end
}

fn is_mail(text: &str) -> bool {
    let Some((name, host)) = text.split_once('@') else {
        return false;
    };
    !name.is_empty() && !host.contains(['@', ':']) && !name.contains(':') && {
        let mut parts = host.split('.');
        host.contains('.') && parts.all(|part| !part.is_empty())
    }
}
