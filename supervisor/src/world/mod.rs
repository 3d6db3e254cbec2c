//! All that touches the outside.

pub mod packs;
