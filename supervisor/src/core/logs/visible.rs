//! Text that does nothing to a terminal.

use std::borrow::Cow;
use std::fmt::Write;

/// Control characters and those that turn the direction of writing are shown by their numbers; line
/// ends and tabs stay.
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.contains(is_hidden) {
        return text.into();
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match (is_hidden(character), u32::from(character)) {
            (false, _) => shown.push(character),
            (true, number @ ..0x100) => drop(write!(shown, "\\x{number:02x}")),
            (true, number) => drop(write!(shown, "\\u{{{number:x}}}")),
        }
    }
    shown.into()
}

fn is_hidden(character: char) -> bool {
    let turns = matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns || character.is_control() && !matches!(character, '\n' | '\t')
}
