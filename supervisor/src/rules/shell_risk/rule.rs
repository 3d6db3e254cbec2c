//! The places of a rule from which an event reaches a shell, with line and column.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::scan::{Place, unquoted};
use crate::catalog::diagnostics::{Diagnostic, Span};
use crate::catalog::sources::SourceFile;
use crate::catalog::{Action, Mark, Rule};

/// Runners that give `cmd` to a shell.
const SHELLS: &[&str] = &[
    "local-shell-cmd",
    "remote-shell-cmd",
    "run-local",
    "run-remote",
];
/// What no event can fill.
const OWN: &[&str] = &[
    "st2kv",
    "system",
    "action_context",
    "config_context",
    "loop",
    "range",
];
/// Most warnings for one command.
const MAX_TOLD: usize = 20;
const TYPES: [&str; 3] = ["boolean", "integer", "number"];

/// A warning for each place of a rule from which an event reaches the shell of its action unquoted:
/// in a `cmd` that the rule gives, or in a parameter that the action puts into its own `cmd`.
pub fn warnings(rule: &Rule, action: &Action) -> Vec<Diagnostic> {
    if !SHELLS.contains(&action.runner_type.as_str()) {
        return Vec::new();
    }
    let flow = Flow { rule, action };
    if let Some(Value::String(cmd)) = rule.parameters.get("cmd") {
        return flow.given(cmd);
    }
    let default = action
        .all_parameters
        .get("cmd")
        .and_then(|cmd| cmd.get("default"));
    default
        .and_then(Value::as_str)
        .map_or_else(Vec::new, |cmd| flow.built_in(cmd))
}

/// The parameters that were looked into, and whether an event can fill them.
type Seen = BTreeMap<String, bool>;

struct Flow<'r> {
    rule: &'r Rule,
    action: &'r Action,
}

impl Flow<'_> {
    fn given(&self, cmd: &str) -> Vec<Diagnostic> {
        let file = self.file();
        let mut from = self.start("cmd");
        let mut out = Vec::new();
        for place in unquoted(cmd) {
            let written = &cmd[place.start..place.end];
            let at = find(&file.text, from, written);
            from = at.map_or(from, |at| at + written.len());
            if out.len() == MAX_TOLD {
                break;
            }
            if self.carries(&place, &mut Seen::new()) {
                let found = match place.within {
                    None => "event data reaches the shell unquoted".to_owned(),
                    Some(quote) => format!("the {quote} around it undo what shell_quote does"),
                };
                let span = at.map_or_else(|| self.key("cmd"), |at| span(&file.text, at, written));
                out.push(Diagnostic::warning(&file, span, found).help(cure(&place)));
            }
        }
        out
    }

    /// The parameters of the rule that the action's own `cmd` does not quote.
    fn built_in(&self, cmd: &str) -> Vec<Diagnostic> {
        let file = self.file();
        let mut out: Vec<Diagnostic> = Vec::new();
        for place in unquoted(cmd) {
            let mut seen = Seen::new();
            if out.len() == MAX_TOLD || !self.carries(&place, &mut seen) {
                continue;
            }
            let sources: Vec<_> = seen.into_iter().filter(|(_, filled)| *filled).collect();
            for name in sources
                .iter()
                .map(|(name, _)| name)
                .filter(|name| self.rule.parameters.contains_key(*name))
            {
                let Some(written) = self.template_of(name) else {
                    continue;
                };
                let at = find(&file.text, self.start(name), &written);
                let span = at.map_or_else(|| self.key(name), |at| span(&file.text, at, &written));
                let message = format!(
                    "event data reaches the shell unquoted: the cmd of {} has {}",
                    self.action.reference,
                    &cmd[place.start..place.end],
                );
                let help = format!("in the action, {}", cure(&place));
                let found = Diagnostic::warning(&file, span, message).help(help);
                if !out.contains(&found) {
                    out.push(found);
                }
            }
        }
        out
    }

    /// Whether an event can fill the expression; `seen` gets the parameters that it goes through.
    fn carries(&self, place: &Place, seen: &mut Seen) -> bool {
        let mut carries = false;
        for name in &place.names {
            carries |= match self.action.all_parameters.get(name) {
                Some(schema) => self.filled(name, schema, seen),
                None => !OWN.contains(&name.as_str()),
            };
        }
        // An expression that cannot be read may be anything.
        carries || (place.names.is_empty() && place.expression.contains("trigger"))
    }

    fn filled(&self, name: &str, schema: &Value, seen: &mut Seen) -> bool {
        let kind = schema.get("type").and_then(Value::as_str);
        if kind.is_some_and(|kind| TYPES.contains(&kind)) {
            return false;
        }
        if let Some(filled) = seen.get(name) {
            return *filled;
        }
        // A parameter that depends on itself gets no value.
        seen.insert(name.to_owned(), false);
        let given = self.rule.parameters.get(name);
        let given = given.or_else(|| schema.get("default"));
        let filled = given.is_some_and(|value| self.any(value, seen));
        seen.insert(name.to_owned(), filled);
        filled
    }

    fn any(&self, value: &Value, seen: &mut Seen) -> bool {
        match value {
            Value::String(text) => unquoted(text).iter().any(|place| self.carries(place, seen)),
            Value::Array(items) => items.iter().any(|item| self.any(item, seen)),
            Value::Object(map) => map.values().any(|item| self.any(item, seen)),
            _ => false,
        }
    }

    /// The first expression in what the rule gives for a parameter, as it is written.
    fn template_of(&self, name: &str) -> Option<String> {
        fn first(flow: &Flow<'_>, value: &Value) -> Option<String> {
            match value {
                Value::String(text) => {
                    let mut places = unquoted(text).into_iter();
                    let found = places.find(|place| flow.carries(place, &mut Seen::new()))?;
                    Some(text[found.start..found.end].to_owned())
                }
                Value::Array(items) => items.iter().find_map(|item| first(flow, item)),
                Value::Object(map) => map.values().find_map(|item| first(flow, item)),
                _ => None,
            }
        }
        first(self, self.rule.parameters.get(name)?)
    }

    fn file(&self) -> SourceFile {
        SourceFile {
            shown: self.rule.source.file.clone(),
            relative: self.rule.metadata_file.clone(),
            text: Arc::clone(&self.rule.source.text),
            document: None,
            diagnostics: Vec::new(),
        }
    }

    /// Where the key of a parameter stands; the action's reference where it is not known.
    fn key(&self, name: &str) -> Span {
        let source = &self.rule.source;
        let (start, width) = match source.parameters.get(name) {
            Some(mark) => (*mark, name.chars().count()),
            None => (source.action, self.rule.action.chars().count()),
        };
        Span { start, width }
    }

    /// The byte of the rule's text at which a parameter begins.
    fn start(&self, name: &str) -> usize {
        let mark = self.key(name).start;
        let text = &self.rule.source.text;
        let mut lines = text.split_inclusive('\n');
        let before: usize = lines
            .by_ref()
            .take(mark.line.saturating_sub(1))
            .map(str::len)
            .sum();
        let line = lines.next().unwrap_or_default();
        let column = line.char_indices().nth(mark.column.saturating_sub(1));
        before + column.map_or(0, |(at, _)| at)
    }
}

fn cure(place: &Place) -> String {
    match place.within {
        None => format!(
            "write {{{{ {} }}}}, without quotes around it",
            quoted(&place.expression)
        ),
        Some(quote) => format!(
            "leave the {quote} around {{{{ {} }}}} out",
            place.expression
        ),
    }
}

/// The expression through the filter, which binds more tightly than any operator.
fn quoted(expression: &str) -> String {
    let simple = expression
        .chars()
        .all(|c| c.is_alphanumeric() || "_.|[]'\"() ".contains(c));
    let word = [" if ", " or ", " and ", " not ", " in ", " is "]
        .iter()
        .any(|word| expression.contains(word));
    match simple && !word {
        true => format!("{expression} | shell_quote"),
        false => format!("({expression}) | shell_quote"),
    }
}

/// Text of a template in the file, as YAML writes it: as it is, or with doubled quotes, or escaped.
fn find(text: &str, from: usize, written: &str) -> Option<usize> {
    let rest = text.get(from..)?;
    let forms = [
        written.to_owned(),
        written.replace('\'', "''"),
        written.replace('"', "\\\""),
    ];
    let found = forms.iter().filter_map(|form| rest.find(form.as_str()));
    found.min().map(|at| at + from)
}

fn span(text: &str, at: usize, written: &str) -> Span {
    let before = &text[..at];
    let line = before.matches('\n').count() + 1;
    let column = before
        .rsplit('\n')
        .next()
        .unwrap_or_default()
        .chars()
        .count()
        + 1;
    Span {
        start: Mark { line, column },
        width: written.chars().count(),
    }
}

#[cfg(test)]
mod tests {
    use crate::catalog::sources::testing::{pack, sources};
    use crate::catalog::{Diagnostic, build};
    use crate::config::Settings;

    const GREET: &str = "name: greet\nrunner_type: local-shell-cmd\nparameters:\n  who: {type: string}\n  times: {type: integer}\n  text: {type: string, default: 'hello {{ who }}'}\n  cmd: {default: 'say {{ text }} {{ times }} {{ who | shell_quote }}', immutable: true}\n";
    const RUN: &str = "name: run\nrunner_type: remote-shell-cmd\n";

    fn told(action: &str, parameters: &str) -> Vec<Diagnostic> {
        let text = format!(
            "name: r\ntrigger: {{type: core.st2.webhook, parameters: {{url: u}}}}\naction:\n  ref: p.{action}\n  parameters:\n{parameters}"
        );
        let files = [
            ("rules/r.yaml", text.as_str()),
            ("actions/greet.yaml", GREET),
        ];
        let run = RUN.replace("remote", "local");
        let mut files = files.to_vec();
        files.push(("actions/run.yaml", &run));
        let built = build(&sources(vec![pack("p", &files)]), &Settings::default());
        assert!(built.diagnostics.is_empty(), "{:?}", built.diagnostics);
        let catalog = built.catalog;
        let rule = &catalog.rules["p.r"];
        super::warnings(rule, &catalog.actions[&rule.action])
    }

    #[test]
    fn each_place_of_a_command_is_told_with_its_cure() {
        let found = told(
            "run",
            "    cmd: |\n      ls {{ trigger.a }} {{ st2kv.system.b }}\n      rm \"{{ trigger.a }}\" {{ trigger.c | shell_quote }}\n",
        );
        let places: Vec<_> = found
            .iter()
            .map(|one| (one.place.line, one.place.column))
            .collect();
        assert_eq!(places, [(7, 10), (8, 11)]);
        assert_eq!(
            found[0].help.as_deref(),
            Some("write {{ trigger.a | shell_quote }}, without quotes around it")
        );
        let found = told("run", "    cmd: 'ls {{ trigger[''a''] + \"b\" }}'\n");
        assert_eq!((found[0].place.line, found[0].place.column), (6, 14));
        assert!(
            found[0]
                .help
                .as_deref()
                .unwrap()
                .contains("(trigger['a'] + \"b\") | shell_quote")
        );
        let found = told("run", "    cmd: ls \"{{ trigger.a | shell_quote }}\"\n");
        assert!(found[0].message.contains("undo"), "{found:?}");
    }

    #[test]
    fn an_event_is_followed_through_the_parameters_of_the_action() {
        let found = told(
            "greet",
            "    who: 'x {{ trigger.name }}'\n    times: '{{ trigger.n }}'\n",
        );
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].place.line, found[0].place.column), (6, 13));
        assert!(found[0].message.contains("{{ text }}"), "{found:?}");
        for harmless in [
            "    who: me\n    times: '{{ trigger.n }}'\n",
            "    who: '{{ trigger.name | shell_quote }}'\n",
            "    who: '{{ trigger.name }}'\n    text: hello\n",
            "    who: '{{ st2kv.system.name }}'\n",
        ] {
            assert!(told("greet", harmless).is_empty(), "{harmless}");
        }
    }
}
