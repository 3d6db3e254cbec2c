//! Payload schemas.

/// Checks payloads.
#[derive(Debug)]
pub struct PayloadCheck;
