//! Packs and `petrel.yaml` as data: everything here is a pure function of file contents.

pub mod model;
pub mod policy;
pub mod schema;

pub use model::*;
