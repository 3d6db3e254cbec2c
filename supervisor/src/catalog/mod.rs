//! Packs and `petrel.yaml` as data: everything here is a pure function of file contents.

mod action_file;
pub mod action_policy;
pub mod build;
#[cfg(test)]
mod build_tests;
pub mod chain;
pub mod diagnostics;
pub mod fields;
pub mod knobs;
mod manifest;
pub mod model;
pub mod notify;
mod overrides;
pub mod pack_config;
mod parameter;
pub mod policy;
mod rule_file;
pub mod runners;
pub mod schema;
pub mod schemas;
mod sensor_file;
pub mod sources;
pub mod system;
mod trigger_parameters;
pub mod yaml;

pub use build::{Builder, Built, build, check_schemas};
pub use diagnostics::{Diagnostic, Severity};
pub use manifest::name_of;
pub use model::*;
pub use sources::{EntryPoint, PackSource, SourceFile, Sources};
