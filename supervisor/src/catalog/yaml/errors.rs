//! Faults of YAML in the words of a person who wants to mend the file.

use super::fault::{Fault, FaultKind, Remark};
use crate::catalog::diagnostics::{Diagnostic, Span};
use crate::catalog::model::Mark;
use crate::catalog::sources::SourceFile;

/// The diagnostic of a file that is not a YAML document.
pub fn explain(file: &SourceFile, fault: &Fault) -> Diagnostic {
    let line = file.line(fault.span.start.line).unwrap_or("");
    let template = (fault.kind != FaultKind::Budget).then(|| near_template(file, fault));
    let diagnostic = match template.flatten() {
        Some((template, span)) => Diagnostic::error(
            file,
            span,
            "a template must stand in quotes: YAML takes {{ }} without them for a map",
        )
        .help(format!("write \"{template}\"")),
        None => {
            Diagnostic::error(file, fault.span, message(fault, line)).maybe_help(help(fault, line))
        }
    };
    match &fault.context {
        Some((context, span)) if span.start.line != fault.span.start.line => {
            let label = block(fault).map_or(context.clone(), |(what, _)| {
                format!("the {what} begins here")
            });
            diagnostic.with_related(file, *span, &label)
        }
        _ => diagnostic,
    }
}

/// The warnings of a file that is valid and has something odd in it.
pub fn remarks(file: &SourceFile, remarks: &[Remark]) -> Vec<Diagnostic> {
    remarks
        .iter()
        .map(|remark| explain_remark(file, remark))
        .collect()
}

fn explain_remark(file: &SourceFile, remark: &Remark) -> Diagnostic {
    match remark {
        Remark::Duplicate { key, first, second } => {
            let message = format!("the key \"{key}\" appears twice, only the last one counts");
            Diagnostic::warning(file, *second, message)
                .label("second, counts")
                .with_related(file, *first, "first, ignored")
                .help(format!(
                    "remove one of them; in criteria, tell them apart by a tag: {key}#1 and {key}#2"
                ))
        }
        Remark::Rounded(span) => {
            Diagnostic::warning(file, *span, "this number is too large to be kept exactly")
                .help("put it in quotes if it is a name and not a quantity")
        }
    }
}

/// Most of a line that a hint repeats.
const QUOTED_CHARS: usize = 200;

fn message(fault: &Fault, line: &str) -> String {
    let at = character(line, fault.span);
    match (fault.kind, fault.message.as_str(), at) {
        (FaultKind::Scanner, _, Some('\t')) => "a tab cannot indent YAML".to_owned(),
        (FaultKind::Scanner, "found character that cannot start any token", Some(c)) => {
            format!("a value cannot begin with {c:?} unless it is quoted")
        }
        (FaultKind::Scanner, "mapping values are not allowed in this context", _) => {
            "a colon makes a key here, where no key can stand".to_owned()
        }
        (FaultKind::Reader, ..) => "a control character, which YAML does not allow".to_owned(),
        (FaultKind::Parser, ..) if block(fault).is_some() => {
            let (what, since) = block(fault).unwrap_or_default();
            format!(
                "not valid YAML: this does not go on with the {what} that begins in line {}, column {}",
                since.start.line, since.start.column
            )
        }
        (FaultKind::Scanner | FaultKind::Parser, problem, _) => match &fault.context {
            Some((context, _)) => format!("not valid YAML: {problem} {context}"),
            None => format!("not valid YAML: {problem}"),
        },
        (_, problem, _) => problem.to_owned(),
    }
}

fn help(fault: &Fault, line: &str) -> Option<String> {
    let at = character(line, fault.span);
    Some(match (fault.kind, fault.message.as_str(), at) {
        (FaultKind::Scanner, _, Some('\t')) => "indent with spaces".to_owned(),
        (FaultKind::Scanner, "found character that cannot start any token", _) => {
            format!("put the value in quotes: {}", quoted(line, fault.span))
        }
        (FaultKind::Scanner, "mapping values are not allowed in this context", _) => {
            "put text with a colon in quotes, or indent this line like its neighbours".to_owned()
        }
        (FaultKind::Scanner, _, Some('*')) | (FaultKind::Composer, _, Some('*')) => {
            format!(
                "text that begins with * needs quotes: {}",
                quoted(line, fault.span)
            )
        }
        (FaultKind::Scanner, ..) if line.contains(": *") || line.contains("- *") => {
            "text that begins with * needs quotes".to_owned()
        }
        (FaultKind::Parser, ..) if block(fault).is_some() => {
            let column = block(fault).unwrap_or_default().1.start.column;
            format!(
                "indent it by {} spaces to go on, or by more to belong to the line above",
                column.saturating_sub(1)
            )
        }
        (FaultKind::Parser, ..) if fault.context.is_some() => {
            "check the indentation of this line and the brackets and quotes before it".to_owned()
        }
        (FaultKind::Composer, "a second document begins here", _) => {
            "a pack file holds one document: remove the second ---".to_owned()
        }
        _ => return None,
    })
}

/// The block list or map that was being read when a line did not fit, and where it begins.
fn block(fault: &Fault) -> Option<(&'static str, Span)> {
    let (context, span) = fault.context.as_ref()?;
    match context.as_str() {
        "while parsing a block collection" => Some(("list", *span)),
        "while parsing a block mapping" => Some(("map", *span)),
        _ => None,
    }
}

fn character(line: &str, span: Span) -> Option<char> {
    line.chars().nth(span.start.column.checked_sub(1)?)
}

/// The rest of the line from the fault on, in quotes.
fn quoted(line: &str, span: Span) -> String {
    let rest = line.chars().skip(span.start.column - 1);
    let rest: String = rest.take(QUOTED_CHARS).collect();
    format!("'{}'", rest.trim_end().replace('\'', "''"))
}

/// An unquoted template on the line of the fault or the one before, and where it stands.
fn near_template<'f>(file: &'f SourceFile, fault: &Fault) -> Option<(&'f str, Span)> {
    let last = fault.span.start.line;
    let found = [last, last.saturating_sub(1)]
        .into_iter()
        .find_map(|number| {
            let line = file.line(number)?;
            let (at, template) = unquoted_template(line)?;
            let column = line[..at].chars().count() + 1;
            let start = Mark {
                line: number,
                column,
            };
            let width = template.chars().count();
            Some((template, Span { start, width }))
        });
    // What stands before the fault in the same line may be its cause, what stands after is not.
    found.filter(|(_, span)| {
        let at = fault.span.start;
        (span.start.line, span.start.column) <= (at.line, at.column)
    })
}

/// The template of a line whose value begins with `{{` or `{%` outside quotes.
fn unquoted_template(line: &str) -> Option<(usize, &str)> {
    let opens = ["{{", "{%"].iter();
    let at = opens.filter_map(|open| line.find(open)).min()?;
    let before = line[..at].trim_end();
    let starts = before.is_empty() || before.ends_with([':', '-', ',', '[', '?']);
    let rest = line[at..].trim_end();
    let end = rest
        .char_indices()
        .nth(QUOTED_CHARS)
        .map_or(rest.len(), |(end, _)| end);
    starts.then(|| (at, &rest[..end]))
}

#[cfg(test)]
mod tests {
    use crate::catalog::sources::SourceFile;

    fn shown(text: &str) -> String {
        let file = SourceFile::new("r.yaml", "r.yaml", text);
        let all: Vec<_> = file.diagnostics.iter().map(|d| d.render(false)).collect();
        all.join("\n")
    }

    #[test]
    fn an_unquoted_template_is_told_to_be_quoted() {
        let shown = shown("action:\n  text: {{ trigger.x }}\n");
        assert!(shown.contains("r.yaml:2:9"), "{shown}");
        assert!(shown.contains("write \"{{ trigger.x }}\""), "{shown}");
    }

    #[test]
    fn a_tab_and_a_percent_sign_are_named() {
        assert!(shown("a: 1\n\tb: 2").contains("indent with spaces"));
        assert!(shown("a: %x").contains("'%x'"), "{}", shown("a: %x"));
        assert!(
            shown("minute: */5").contains("needs quotes"),
            "{}",
            shown("minute: */5")
        );
    }

    #[test]
    fn a_duplicate_key_shows_both_places() {
        let shown = shown("a: 1\nb: 2\na: 3\n");
        assert!(
            shown.contains("first, ignored") && shown.contains("second, counts"),
            "{shown}"
        );
    }
}
