//! `notify` of an action: whom to tell when it is over (StackStorm's `NotificationSchema`).

use serde_json::{Map, Value};

use super::diagnostics::Severity;
use super::fields::Fields;

/// After which ends a message goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// `on-complete`: any.
    Complete,
    /// `on-success`.
    Success,
    /// `on-failure`: any other.
    Failure,
}

impl When {
    /// The key and the word of the default message.
    const ALL: [(Self, &'static str); 3] = [
        (Self::Complete, "on-complete"),
        (Self::Success, "on-success"),
        (Self::Failure, "on-failure"),
    ];

    /// As in "Action p.a succeeded."
    pub fn word(self) -> &'static str {
        match self {
            Self::Complete => "completed",
            Self::Success => "succeeded",
            Self::Failure => "failed",
        }
    }
}

/// One section of `notify`.
#[derive(Clone, Debug, PartialEq)]
pub struct Notify {
    /// After which ends.
    pub when: When,
    /// A template; StackStorm's own words when absent.
    pub message: Option<String>,
    /// Values of templates.
    pub data: Map<String, Value>,
    /// Whom: `routes`, once `channels`.
    pub routes: Vec<String>,
}

/// Reads the map under `notify`; nothing when it is absent.
pub fn sections(fields: &mut Fields<'_, '_>) -> Vec<Notify> {
    let Some(node) = fields.map("notify") else {
        return Vec::new();
    };
    let Some(mut inner) = Fields::of(node, fields.file, "\"notify\"", fields.out) else {
        return Vec::new();
    };
    inner.only(
        &When::ALL.map(|(_, key)| key),
        Severity::Warning,
        "\"notify\"",
    );
    let mut sections = Vec::new();
    for (when, key) in When::ALL {
        let Some(node) = inner.map(key) else { continue };
        if let Some(mut section) = Fields::of(node, inner.file, key, inner.out) {
            sections.push(one(when, &mut section));
        }
    }
    sections
}

fn one(when: When, fields: &mut Fields<'_, '_>) -> Notify {
    let known = ["message", "data", "routes", "channels"];
    fields.only(&known, Severity::Warning, "this section");
    let mut routes = Vec::new();
    for key in ["routes", "channels"] {
        let items = fields.list(key).and_then(|node| node.as_list());
        routes.extend(
            items
                .unwrap_or_default()
                .iter()
                .filter_map(|n| n.scalar_text()),
        );
    }
    let message = fields.text("message");
    Notify {
        when,
        message: (!message.is_empty()).then_some(message),
        data: fields.object("data"),
        routes,
    }
}
