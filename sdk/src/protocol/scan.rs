//! What must be known of a line before, or without, parsing it: its depth and its id.

use super::Id;

/// Deepest nesting of arrays and objects in a line. serde_json refuses the 128th level, so
/// whatever passes can be parsed as a tree, alone or inside an envelope.
pub const MAX_DEPTH: usize = 127;

/// Whether the text nests deeper than [`MAX_DEPTH`]. Raw values are scanned by serde_json without
/// counting, so it must be counted here.
pub(super) fn too_deep(text: &[u8]) -> bool {
    if memchr::memchr2_iter(b'[', b'{', text).count() <= MAX_DEPTH {
        return false;
    }
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        match byte {
            b'"' => at = string_end(text, at).unwrap_or(text.len()),
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return true;
        }
        at += 1;
    }
    false
}

/// The id of a message of which only the beginning is there, or which is not JSON as a whole.
///
/// It is found if the line begins as an object and its member `id`, a number or a text, is complete
/// within `prefix`.
pub fn id_in_prefix(prefix: &[u8]) -> Option<Id> {
    let mut at = skip_space(prefix, 0);
    if prefix.get(at) != Some(&b'{') {
        return None;
    }
    let mut depth = 0_usize;
    while let Some(&byte) = prefix.get(at) {
        match byte {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.checked_sub(1)?,
            b'"' => {
                let end = string_end(prefix, at)?;
                let colon = skip_space(prefix, end + 1);
                if depth == 1 && &prefix[at..=end] == b"\"id\"" && prefix.get(colon) == Some(&b':')
                {
                    return value_at(prefix, skip_space(prefix, colon + 1));
                }
                at = end;
            }
            _ => {}
        }
        at += 1;
    }
    None
}

/// A complete number or text that begins at a position.
fn value_at(text: &[u8], start: usize) -> Option<Id> {
    let end = match text.get(start)? {
        b'"' => string_end(text, start)? + 1,
        // A number is complete only when something else follows it.
        _ => {
            start
                + text[start..]
                    .iter()
                    .position(|b| b",} \t\r\n".contains(b))?
        }
    };
    serde_json::from_slice(&text[start..end]).ok()
}

/// The position of the quote that ends the string which begins at `start`.
fn string_end(text: &[u8], start: usize) -> Option<usize> {
    let mut at = start + 1;
    while let Some(&byte) = text.get(at) {
        match byte {
            b'"' => return Some(at),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    None
}

fn skip_space(text: &[u8], start: usize) -> usize {
    let rest = text.get(start..).unwrap_or_default();
    start + rest.iter().take_while(|b| b.is_ascii_whitespace()).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_is_found_in_a_beginning() {
        let id = |text: &str| id_in_prefix(text.as_bytes());
        let seven = Some(Id::from(7));
        assert_eq!(id(r#"{"jsonrpc":"2.0","id":7,"method":"disp"#), seven);
        assert_eq!(
            id(r#"{"params":{"id":1,"a":[{"id":2}]}, "id" : 7 }"#),
            seven
        );
        assert_eq!(id(r#"{"a":"\"id\":1","id":7,"#), seven);
        assert_eq!(id(r#"{"id":"a\"b","x"#), Some(Id::Text("a\"b".into())));
    }

    #[test]
    fn a_cut_or_strange_id_is_none() {
        let cut = [r#"{"id":7"#, r#"{"id":"ab"#, r#"{"id""#, r#"{"id":"#];
        let strange = [
            r#"{"id":null,"#,
            r#"{"id":[7],"#,
            r#"[{"id":7}]"#,
            "id: 7,",
            "",
        ];
        for text in cut.into_iter().chain(strange) {
            assert_eq!(id_in_prefix(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn depth_counts_brackets_outside_of_texts() {
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(!too_deep(nested(MAX_DEPTH).as_bytes()));
        assert!(too_deep(nested(MAX_DEPTH + 1).as_bytes()));
        assert!(!too_deep(
            format!("\"{}\\\"{}\"", nested(500), "[".repeat(500)).as_bytes()
        ));
        assert!(serde_json::from_str::<serde_json::Value>(&nested(MAX_DEPTH)).is_ok());
    }
}
