//! YAML as StackStorm reads it: PyYAML's safe loader, that is YAML 1.1, with the place of every
//! node, duplicate keys noticed, and a budget that a hostile file cannot exceed.

mod compose;
mod entries;
mod errors;
mod events;
mod fault;
mod node;
mod padding;
mod resolve;

pub use compose::{Parsed, parse};
pub use errors::{explain, remarks};
pub use fault::{Fault, FaultKind, Remark};
pub use node::{Data, Node, python_float};
pub use resolve::implicit;

/// Largest file, bytes.
pub const MAX_BYTES: usize = 4 << 20;
/// Most nodes, aliases expanded.
pub const MAX_NODES: usize = 250_000;
/// Deepest nesting.
pub const MAX_DEPTH: usize = 100;
/// Most bytes of scalars, aliases expanded.
pub const MAX_EXPANDED: usize = 16 << 20;
/// Most oddities of one file that are told.
const MAX_REMARKS: usize = 100;
