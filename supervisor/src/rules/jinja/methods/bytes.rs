//! Methods of bytes, and how text becomes them.

use std::sync::Arc;

use crate::rules::jinja::arguments::Args;
use crate::rules::jinja::error::{Error, Result, type_error};
use crate::rules::jinja::value::Value;

/// A method of bytes.
pub fn call(bytes: &Arc<[u8]>, name: &str, args: Args) -> Result<Value> {
    let other = |args: Args| match args.positional(name, 1, 1)?.value(0) {
        Value::Bytes(other) => Ok(other),
        _ => Err(type_error("a bytes-like object is required")),
    };
    Ok(match name {
        "decode" => {
            let bound = args.bind("decode", &["encoding", "errors"], 0)?;
            let encoding = bound.get(0).map(|_| bound.text(0)).transpose()?;
            let errors = bound.get(1).map(|_| bound.text(1)).transpose()?;
            decode(
                bytes,
                encoding.as_deref().unwrap_or("utf-8"),
                errors.as_deref(),
            )?
        }
        "startswith" => Value::Bool(bytes.starts_with(&other(args)?)),
        "endswith" => Value::Bool(bytes.ends_with(&other(args)?)),
        "hex" => {
            args.positional(name, 0, 0)?;
            let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
            Value::from(digits.collect::<String>())
        }
        "upper" => Value::Bytes(bytes.to_ascii_uppercase().into()),
        "lower" => Value::Bytes(bytes.to_ascii_lowercase().into()),
        _ => Value::Bytes(bytes.trim_ascii().into()),
    })
}

fn decode(bytes: &[u8], encoding: &str, errors: Option<&str>) -> Result<Value> {
    let wrong = || {
        Error::new(
            "UnicodeDecodeError",
            format!("'{encoding}' codec can't decode"),
        )
    };
    Ok(Value::from(match named(encoding)? {
        Encoding::Latin => bytes
            .iter()
            .map(|byte| char::from(*byte))
            .collect::<String>(),
        Encoding::Ascii if !bytes.is_ascii() && errors.is_none_or(|e| e == "strict") => {
            return Err(wrong());
        }
        _ => match (std::str::from_utf8(bytes), errors) {
            (Ok(text), _) => text.to_owned(),
            (_, Some("replace")) => String::from_utf8_lossy(bytes).into_owned(),
            (_, Some("ignore")) => String::from_utf8_lossy(bytes).replace('\u{fffd}', ""),
            _ => return Err(wrong()),
        },
    }))
}

enum Encoding {
    Utf8,
    Ascii,
    Latin,
}

fn named(name: &str) -> Result<Encoding> {
    let plain = name.to_ascii_lowercase().replace('_', "-");
    match plain.as_str() {
        "utf-8" | "utf8" | "u8" => Ok(Encoding::Utf8),
        "ascii" | "us-ascii" => Ok(Encoding::Ascii),
        "latin-1" | "latin1" | "iso-8859-1" | "l1" => Ok(Encoding::Latin),
        _ => Err(Error::new(
            "LookupError",
            format!("unknown encoding: {name}"),
        )),
    }
}

/// `text.encode(encoding, errors)`.
///
/// # Errors
/// For characters that the encoding does not have.
pub fn encode(text: &str, encoding: &str, errors: &str) -> Result<Value> {
    let most = match named(encoding)? {
        Encoding::Utf8 => return Ok(Value::Bytes(text.as_bytes().into())),
        Encoding::Ascii => 0x80,
        Encoding::Latin => 0x100,
    };
    let mut out = Vec::new();
    for c in text.chars() {
        let code = c as u32;
        match (code < most, errors) {
            (true, _) => out.push(code as u8),
            (_, "ignore") => {}
            (_, "replace") => out.push(b'?'),
            (_, "xmlcharrefreplace") => out.extend(format!("&#{code};").into_bytes()),
            (_, "backslashreplace") => {
                out.extend(crate::rules::jinja::ascii(&c.to_string()).into_bytes());
            }
            _ => {
                let message = format!("'{encoding}' codec can't encode character {c:?}");
                return Err(Error::new("UnicodeEncodeError", message));
            }
        }
    }
    Ok(Value::Bytes(out.into()))
}
