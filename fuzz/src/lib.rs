//! What must hold for any input: one module for each fuzz target. The targets themselves only hand
//! over bytes, so that all of this is free of unsafe code.

#![forbid(unsafe_code)]

pub mod criteria;
pub mod cron;
pub mod json;
pub mod jsonpath;
pub mod templates;
pub mod yaml;
