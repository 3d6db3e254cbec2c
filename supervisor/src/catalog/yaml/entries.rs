//! The entries of a map: what `<<` brings in, what is written, which of two keys counts.

use std::collections::HashMap;

use super::compose::Composer;
use super::fault::{FaultKind, Remark};
use super::node::{Data, Node, python_float};
use crate::catalog::diagnostics::Span;

impl Composer<'_> {
    /// Adds what a `<<` brings in.
    pub fn merge(&mut self, value: Node, merged: &mut Vec<(Node, Node)>) {
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
    pub fn unite(
        &mut self,
        merged: Vec<(Node, Node)>,
        own: Vec<(Node, Node)>,
    ) -> Vec<(Node, Node)> {
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
                self.remark(Remark::Duplicate {
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
