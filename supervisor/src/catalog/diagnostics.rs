//! What is wrong in a file, said so that the reader can mend it at once.

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde::Serialize;

use super::model::Mark;
use super::sources::SourceFile;

/// Longest line, in characters, that a diagnostic quotes; longer ones are cut at their end.
const QUOTED_CHARS: usize = 300;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Something is left out because of it.
    Error,
    /// All is used, but probably not as its author meant.
    Warning,
}

/// A place in a file and, where it can be shown, its line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Place {
    /// 1-based line; 0 when the fault is of the whole file.
    pub line: usize,
    /// 1-based column in characters; 0 when the fault is of the whole file.
    pub column: usize,
    /// Characters to underline.
    pub width: usize,
    /// Said beside the underlining.
    pub label: Option<String>,
    /// The line itself.
    pub source_line: Option<String>,
}

/// One fault in one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// The file as the user knows it.
    pub file: String,
    /// What is wrong, one sentence.
    pub message: String,
    /// Where; its fields stand beside the others in JSON.
    #[serde(flatten)]
    pub place: Place,
    /// A second place that has to do with it, in the same file.
    pub related: Option<Place>,
    /// What to do.
    pub help: Option<String>,
}

/// A range of one line of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Where it begins.
    pub start: Mark,
    /// Characters; at least 1 when shown.
    pub width: usize,
}

impl Diagnostic {
    /// A fault at `span` of `file`.
    pub fn at(
        severity: Severity,
        file: &SourceFile,
        span: Span,
        message: impl Into<String>,
    ) -> Self {
        Self {
            severity,
            file: file.shown.clone(),
            message: message.into(),
            place: Place::of(file, span),
            related: None,
            help: None,
        }
    }

    /// An [`Severity::Error`] at `span` of `file`.
    pub fn error(file: &SourceFile, span: Span, message: impl Into<String>) -> Self {
        Self::at(Severity::Error, file, span, message)
    }

    /// A [`Severity::Warning`] at `span` of `file`.
    pub fn warning(file: &SourceFile, span: Span, message: impl Into<String>) -> Self {
        Self::at(Severity::Warning, file, span, message)
    }

    /// A fault of a whole file or folder, named as users know it.
    pub fn of_file(
        severity: Severity,
        shown: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            severity,
            file: shown.into(),
            message: message.into(),
            place: Place::default(),
            related: None,
            help: None,
        }
    }

    /// Says what to do.
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.help = Some(text.into());
        self
    }

    /// Says it only when there is something to say.
    pub fn maybe_help(mut self, text: Option<String>) -> Self {
        self.help = text.or(self.help);
        self
    }

    /// Says `text` beside the underlined part.
    pub fn label(mut self, text: impl Into<String>) -> Self {
        self.place.label = Some(text.into());
        self
    }

    /// Shows a second place of the same file.
    pub fn with_related(mut self, file: &SourceFile, span: Span, label: &str) -> Self {
        let mut place = Place::of(file, span);
        place.label = Some(label.to_owned());
        self.related = Some(place);
        self
    }

    /// True for an error.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// For a terminal: message, place, the line with carets, help. No newline at the end.
    pub fn render(&self, color: bool) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let mut group = level.primary_title(self.message.as_str()).element(snippet(
            &self.file,
            &self.place,
            AnnotationKind::Primary,
        ));
        if let Some(related) = &self.related {
            group = group.element(snippet(&self.file, related, AnnotationKind::Context));
        }
        let mut report: Vec<Group<'_>> = vec![group];
        if let Some(help) = &self.help {
            report.push(Group::with_title(
                Level::HELP.secondary_title(help.as_str()),
            ));
        }
        let renderer = match color {
            true => Renderer::styled(),
            false => Renderer::plain(),
        };
        renderer.decor_style(DecorStyle::Ascii).render(&report)
    }
}

/// The excerpt of one place. A fault of a whole file has an empty one, which still names the file,
/// and so has a place too far right to be shown.
fn snippet<'a>(
    file: &'a str,
    place: &'a Place,
    kind: AnnotationKind,
) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
    let Some(line) = place.source_line.as_deref() else {
        return Snippet::source("").path(match (place.line, place.column) {
            (0, _) => file.to_owned(),
            (line, column) => format!("{file}:{line}:{column}"),
        });
    };
    let start = byte_of(line, place.column.saturating_sub(1));
    let end = byte_of(line, place.column.saturating_sub(1) + place.width.max(1));
    let annotation = kind.span(start..end.max(start));
    Snippet::source(line)
        .line_start(place.line)
        .path(file)
        .annotation(match &place.label {
            Some(label) => annotation.label(label.as_str()),
            None => annotation,
        })
}

fn byte_of(line: &str, chars: usize) -> usize {
    line.char_indices()
        .nth(chars)
        .map_or(line.len(), |(at, _)| at)
}

impl Place {
    fn of(file: &SourceFile, span: Span) -> Self {
        let line = file.line(span.start.line);
        let shown = span.start.column <= QUOTED_CHARS;
        Self {
            line: span.start.line,
            column: span.start.column,
            width: span.width,
            label: None,
            source_line: line
                .filter(|_| shown)
                .map(|line| line.chars().take(QUOTED_CHARS).collect()),
        }
    }
}

/// The known name nearest to what was written, when it is near enough to be meant.
pub fn nearest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = written.to_lowercase();
    let length = written.chars().count();
    let allowed = (length / 3).clamp(1, 4);
    known
        .into_iter()
        // Comparing takes time and memory for each pair of characters; names of so different
        // lengths are never near.
        .filter(|name| name.chars().count().abs_diff(length) <= allowed)
        .map(|name| {
            let lowered = name.to_lowercase();
            (strsim::damerau_levenshtein(&lower, &lowered), name)
        })
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// `did you mean "x"?`, when some known name is near.
pub fn did_you_mean<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(written, known).map(|name| format!("did you mean \"{name}\"?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> SourceFile {
        SourceFile::new(
            "packs/x/rules/r.yaml",
            "rules/r.yaml",
            "a: 1\nb:  grüße x\n",
        )
    }

    #[test]
    fn rendering_shows_the_place_the_line_and_the_help() {
        let span = Span {
            start: Mark { line: 2, column: 5 },
            width: 5,
        };
        let shown = Diagnostic::error(&file(), span, "no such greeting")
            .label("here")
            .help("say hello")
            .render(false);
        assert_eq!(
            shown,
            "error: no such greeting\n --> packs/x/rules/r.yaml:2:5\n  |\n2 | b:  grüße x\n  |     ^^^^^ here\n  |\nhelp: say hello"
        );
    }

    #[test]
    fn a_fault_of_a_whole_file_names_it() {
        let shown = Diagnostic::of_file(Severity::Warning, "packs/x", "is empty").render(false);
        assert!(shown.contains("warning: is empty"), "{shown}");
        assert!(shown.contains("packs/x"), "{shown}");
    }

    #[test]
    fn a_place_too_far_right_is_told_without_its_line() {
        let file = SourceFile::new("r.yaml", "r.yaml", "a: ".to_owned() + &"x".repeat(2000));
        let start = Mark {
            line: 1,
            column: 1000,
        };
        let shown = Diagnostic::error(&file, Span { start, width: 1 }, "m").render(false);
        assert!(shown.contains("r.yaml:1:1000"), "{shown}");
        assert!(!shown.contains("xxx"), "{shown}");
    }

    #[test]
    fn json_has_the_place_beside_the_message() {
        let span = Span {
            start: Mark { line: 1, column: 4 },
            width: 1,
        };
        let json = serde_json::to_value(Diagnostic::warning(&file(), span, "m")).unwrap();
        assert_eq!(json["severity"], "warning");
        assert_eq!((&json["line"], &json["column"]), (&1.into(), &4.into()));
        assert_eq!(json["source_line"], "a: 1");
    }

    #[test]
    fn the_nearest_name_is_near() {
        assert_eq!(
            nearest("greter_than", ["greaterthan", "lt"]),
            Some("greaterthan")
        );
        assert_eq!(nearest("enabeld", ["enabled", "name"]), Some("enabled"));
        assert_eq!(nearest("zzz", ["enabled", "gt"]), None);
        assert_eq!(nearest(&"x".repeat(4 << 20), ["enabled"]), None);
    }
}
