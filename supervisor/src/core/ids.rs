//! Identifiers as users see them: 24 hexadecimal digits, like StackStorm's, in order of creation.
//!
//! Layout: 8 digits of Unix seconds, 1 digit of kind, 15 digits of the journal's sequence number,
//! so that a row is found by its primary key and no index of texts is needed.

use super::clock::Wall;

/// What an identifier names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An event.
    Event = 0xe,
    /// An execution.
    Execution = 0xa,
}

/// The identifier of the row `seq` that was made at `at`.
pub fn format(kind: Kind, at: Wall, seq: u64) -> String {
    format!("{:08x}{}", at.seconds() as u32, ending(kind, seq))
}

/// What identifiers of this row end with, whenever it was made.
pub fn ending(kind: Kind, seq: u64) -> String {
    format!("{:x}{seq:015x}", kind as u8)
}

/// The row that `id` names, if it is an identifier of this kind.
pub fn parse(kind: Kind, id: &str) -> Option<u64> {
    let well_formed = id.len() == 24 && id.bytes().all(|b| b.is_ascii_hexdigit());
    let of_kind = well_formed && u8::from_str_radix(&id[8..9], 16).ok()? == kind as u8;
    of_kind
        .then(|| u64::from_str_radix(&id[9..], 16).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_names_its_row_and_its_kind() {
        let id = format(Kind::Event, Wall(1_480_310_219_110_000), 77);
        assert_eq!(id.len(), 24);
        assert_eq!(parse(Kind::Event, &id), Some(77));
        assert_eq!(parse(Kind::Execution, &id), None);
        assert_eq!(parse(Kind::Event, "zz"), None);
    }

    #[test]
    fn ids_sort_by_creation_within_a_second() {
        let ids = [9, 10, 4096].map(|seq| format(Kind::Execution, Wall(0), seq));
        assert!(ids.is_sorted());
    }
}
