//! Action chains: the YAML under the `entry_point` of an `action-chain` (StackStorm's
//! `action_chain_runner`; reference st2.md 7.10).

use serde_json::{Map, Value};

use super::diagnostics::{Diagnostic, Severity, did_you_mean};
use super::fields::Fields;
use super::notify::{self, Notify};
use super::sources::SourceFile;

const TASK_KEYS: &[&str] = &[
    "name",
    "ref",
    "parameters",
    "params",
    "on-success",
    "on-failure",
    "publish",
    "notify",
];

/// One task.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// Its name.
    pub name: String,
    /// Reference of its action.
    pub action: String,
    /// Templates.
    pub parameters: Map<String, Value>,
    /// The task after a success.
    pub on_success: Option<usize>,
    /// The task after any other end.
    pub on_failure: Option<usize>,
    /// What its end adds to the context: templates.
    pub publish: Map<String, Value>,
    /// Whom to tell when it is over.
    pub notify: Vec<Notify>,
}

/// A chain, its references resolved.
#[derive(Clone, Debug, PartialEq)]
pub struct Chain {
    /// In written order; never empty.
    pub tasks: Vec<Task>,
    /// The first to run.
    pub start: usize,
    /// Templates, known to every task.
    pub vars: Map<String, Value>,
}

struct Draft {
    task: Task,
    next: [String; 2],
}

/// Reads a chain.
pub fn chain(file: &SourceFile, out: &mut Vec<Diagnostic>) -> Option<Chain> {
    let mut fields = Fields::of(file.document.as_ref()?, file, "a chain", out)?;
    fields.only(
        &["chain", "default", "vars"],
        Severity::Warning,
        "the chain",
    );
    let vars = fields.object("vars");
    let Some(list) = fields.list("chain") else {
        fields.missing("chain", "the file");
        return None;
    };
    let items = fields.few(list.as_list().unwrap_or_default(), "tasks");
    let mut drafts = Vec::new();
    for item in items {
        let mut inner = Fields::of(item, file, "a task", fields.out)?;
        let draft = draft(&mut inner);
        let faulty = inner.faulty;
        fields.faulty |= faulty;
        drafts.extend(draft);
    }
    let names: Vec<String> = drafts.iter().map(|one| one.task.name.clone()).collect();
    let start = start(&mut fields, &drafts, &names);
    for (draft, item) in drafts.iter_mut().zip(items) {
        let keys = ["on-success", "on-failure"];
        for (at, key) in keys.into_iter().enumerate() {
            let (wanted, task) = (draft.next[at].clone(), draft.task.name.clone());
            if wanted.is_empty() {
                continue;
            }
            let found = names.iter().position(|name| *name == wanted);
            if found.is_none() {
                let message = format!(
                    "Unable to find node with name \"{wanted}\" referenced in \"{key}\" in task \"{task}\"."
                );
                let span = item.get(key).map_or(item.span, |node| node.span);
                let help = did_you_mean(&wanted, names.iter().map(String::as_str));
                fields.error(span, message, help);
            }
            match at {
                0 => draft.task.on_success = found,
                _ => draft.task.on_failure = found,
            }
        }
    }
    let start = start.filter(|_| !fields.faulty)?;
    Some(Chain {
        tasks: drafts.into_iter().map(|draft| draft.task).collect(),
        start,
        vars,
    })
}

/// `default`, else the first task that no other leads to, else the first.
fn start(fields: &mut Fields<'_, '_>, drafts: &[Draft], names: &[String]) -> Option<usize> {
    if drafts.is_empty() {
        fields.error(fields.span_of("chain"), "the chain has no tasks", None);
        return None;
    }
    let default = fields.text("default");
    if default.is_empty() {
        let is_led_to = |name: &String| drafts.iter().any(|one| one.next.contains(name));
        let first = names.iter().position(|name| !is_led_to(name));
        return Some(first.unwrap_or(0));
    }
    let found = names.iter().position(|name| *name == default);
    if found.is_none() {
        let message =
            format!("Unable to find node with name \"{default}\" referenced in \"default\".");
        let help = did_you_mean(&default, names.iter().map(String::as_str));
        fields.error(fields.span_of("default"), message, help);
    }
    found
}

fn draft(fields: &mut Fields<'_, '_>) -> Option<Draft> {
    fields.only(TASK_KEYS, Severity::Warning, "a task");
    let name = fields.required_text("name", "the task");
    let action = fields.required_text("ref", "the task");
    let (new, old) = (fields.get("parameters"), fields.get("params"));
    if let (Some(_), Some(old)) = (new, old) {
        let message =
            "Either \"params\" or \"parameters\" attribute needs to be provided, but not both";
        fields.error(old.span, message, None);
    }
    let key = if old.is_some() {
        "params"
    } else {
        "parameters"
    };
    let next = ["on-success", "on-failure"].map(|key| fields.text(key));
    Some(Draft {
        task: Task {
            name: name?.0,
            action: action?.0,
            parameters: fields.object(key),
            on_success: None,
            on_failure: None,
            publish: fields.object("publish"),
            notify: notify::sections(fields),
        },
        next,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Option<Chain>, Vec<String>) {
        let mut out = Vec::new();
        let file = SourceFile::new("c.yaml", "actions/chains/c.yaml", text);
        let found = chain(&file, &mut out);
        (found, out.into_iter().map(|one| one.message).collect())
    }

    #[test]
    fn a_chain_begins_where_nothing_leads_to() {
        let text =
            "chain:\n- {name: b, ref: p.a}\n- {name: a, ref: p.a, on-success: b, params: {x: 1}}\n";
        let (found, told) = read(text);
        let found = found.expect("a chain");
        assert!(told.is_empty(), "{told:?}");
        assert_eq!((found.start, found.tasks[1].on_success), (1, Some(0)));
        let (found, _) = read("chain:\n- {name: a, ref: p.a, on-success: a}\n");
        assert_eq!(found.map(|one| one.start), Some(0));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, said) in [
            ("chain: []\n", "no tasks"),
            ("default: x\n", "has no \"chain\""),
            (
                "default: x\nchain:\n- {name: a, ref: p.a}\n",
                "in \"default\"",
            ),
            (
                "chain:\n- {name: a, ref: p.a, on-failure: b}\n",
                "in \"on-failure\" in task \"a\"",
            ),
            (
                "chain:\n- {name: a, ref: p.a, params: {}, parameters: {}}\n",
                "not both",
            ),
            ("chain:\n- {name: a}\n", "has no \"ref\""),
        ] {
            let (found, told) = read(text);
            assert_eq!(found, None, "{text}");
            assert!(
                told.iter().any(|one| one.contains(said)),
                "{text}: {told:?}"
            );
        }
    }
}
