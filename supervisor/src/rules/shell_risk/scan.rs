//! The places of a command's template where a value is put in without quotes of its own.

use super::expression::Expression;

/// One `{{ … }}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Byte at which `{{` begins.
    pub start: usize,
    /// Byte after `}}`.
    pub end: usize,
    /// What stands between, without blanks around it.
    pub expression: String,
    /// The names that it reads, such as `trigger`.
    pub names: Vec<String>,
    /// It ends in `shell_quote` and stands within these quotes, which undo that.
    pub within: Option<char>,
}

/// Every place of `template` that the shell reads unquoted: an expression that does not end in
/// `shell_quote`, unless it is a constant, a number or a comparison; and one that does, within
/// quotes. What stands in comments and raw blocks is text.
pub fn unquoted(template: &str) -> Vec<Place> {
    let mut found = Vec::new();
    let (mut rest, mut quote) = (0, None);
    while let Some((start, open)) = next_tag(template, rest) {
        quote = quote_after(&template[rest..start], quote);
        let Some(end) = end_of(template, start, open) else {
            break;
        };
        if open == "{{" {
            found.extend(risk(template, start, end, quote));
        }
        rest = end;
        if open == "{%" && inner(template, start, end) == "raw" {
            let (text, after) = raw(template, end);
            quote = quote_after(text, quote);
            rest = after;
        }
    }
    found
}

fn risk(template: &str, start: usize, end: usize, quote: Option<char>) -> Option<Place> {
    let text = inner(template, start, end);
    let expression = Expression::new(text);
    let within = match expression.as_ref() {
        Some(expression) if expression.is_quoted() => Some(quote?),
        Some(expression) if expression.is_harmless() => return None,
        _ => None,
    };
    Some(Place {
        start,
        end,
        expression: text.to_owned(),
        names: expression.map_or_else(Vec::new, |expression| expression.names()),
        within,
    })
}

/// Where the next tag begins, and with what.
fn next_tag(template: &str, from: usize) -> Option<(usize, &'static str)> {
    let mut braces = template[from..].match_indices('{').map(|(at, _)| at + from);
    braces.find_map(|at| {
        let mut tags = ["{{", "{%", "{#"].into_iter();
        let open = tags.find(|open| template[at..].starts_with(open))?;
        Some((at, open))
    })
}

/// The byte after a tag; quotes in expressions may hold anything.
fn end_of(template: &str, start: usize, open: &str) -> Option<usize> {
    let body = start + 2;
    if open == "{#" {
        return Some(template[body..].find("#}")? + body + 2);
    }
    let close = if open == "{{" { "}}" } else { "%}" };
    let (mut quote, mut escaped) = (None, false);
    for (at, c) in template[body..].char_indices() {
        match quote {
            _ if escaped => escaped = false,
            Some(_) if c == '\\' => escaped = true,
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if c == '\'' || c == '"' => quote = Some(c),
            None if template[body + at..].starts_with(close) => return Some(body + at + 2),
            None => {}
        }
    }
    None
}

fn inner(template: &str, start: usize, end: usize) -> &str {
    let text = &template[start + 2..end - 2];
    text.trim_matches(|c: char| c == '-' || c == '+' || c.is_whitespace())
}

/// The text of a raw block whose opening tag ends at `from`, and where what follows it begins.
fn raw(template: &str, from: usize) -> (&str, usize) {
    let mut at = from;
    while let Some(start) = template[at..].find("{%").map(|found| found + at) {
        let Some(end) = template[start..].find("%}").map(|found| found + start + 2) else {
            break;
        };
        if inner(template, start, end) == "endraw" {
            return (&template[from..start], end);
        }
        at = start + 2;
    }
    (&template[from..], template.len())
}

/// Whether the shell is within quotes after this text.
fn quote_after(text: &str, mut quote: Option<char>) -> Option<char> {
    let mut escaped = false;
    for c in text.chars() {
        match quote {
            _ if escaped => escaped = false,
            None | Some('"') if c == '\\' => escaped = true,
            Some(open) if c == open => quote = None,
            None if c == '\'' || c == '"' => quote = Some(c),
            _ => {}
        }
    }
    quote
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expressions(template: &str) -> Vec<String> {
        unquoted(template)
            .into_iter()
            .map(|one| one.expression)
            .collect()
    }

    #[test]
    fn what_reaches_the_shell_as_it_came_is_found() {
        for template in [
            "rm {{ trigger.x }}",
            "{{- trigger.x -}}",
            "{{trigger.x}}",
            "{{ trigger['a|b'] | upper }}",
            "{{ trigger.x | shell_quote | upper }}",
            "{{ trigger.a ~ trigger.b | shell_quote }}",
            "{{ trigger.x if trigger.y else 'z' }}",
            "{{ trigger.x or 1 }}",
            "{{ '%s' % trigger.x }}",
            "{{ trigger.list | join(' ') }}",
            "{{ trigger.x | default('a' | shell_quote) }}",
            "{{ f(trigger.x) }}",
            "{{ [trigger.x] }}",
            "{{ trigger.n * 3 }}",
            "'{{ trigger.x }}'",
            "{{ ( }}",
        ] {
            assert_eq!(unquoted(template).len(), 1, "{template}");
        }
    }

    #[test]
    fn what_cannot_carry_a_command_is_not() {
        for template in [
            "ls {{ trigger.x | shell_quote }}",
            "ls {{ (trigger.x ~ '/') | shell_quote }}",
            "{{ trigger.n | int }}{{ trigger.n | float + 1 }}{{ -trigger.n | int }}",
            "{{ 'text' }}{{ 5 }}{{ 'a' ~ 1 | upper }}{{ true }}",
            "{{ trigger.x == 'y' }}{{ trigger.x is defined }}{{ not trigger.x }}",
            "{{ trigger.a | shell_quote if trigger.b else '' }}",
            "{{ (trigger.x | int) }}{{ trigger.list | length }}",
            "{% if trigger.x %}a{% endif %}{# {{ trigger.x }} #}",
            "{% raw %}{{ trigger.x }}{% endraw %}",
            "no template at all: }} {{",
        ] {
            assert_eq!(expressions(template), Vec::<String>::new(), "{template}");
        }
    }

    #[test]
    fn quotes_around_a_quoted_value_undo_it() {
        for (template, within) in [
            ("echo \"{{ trigger.x | shell_quote }}\"", '"'),
            ("echo 'a {{ trigger.x | shell_quote }}'", '\''),
            ("echo \"\\\" {{ trigger.x | shell_quote }}\"", '"'),
        ] {
            assert_eq!(unquoted(template)[0].within, Some(within), "{template}");
        }
        let fine = "echo \"a\" {{ trigger.x | shell_quote }} 'b' \\' {{ trigger.y | shell_quote }}";
        assert_eq!(expressions(fine), Vec::<String>::new());
    }

    #[test]
    fn places_and_names_are_those_of_the_template() {
        let template = "é {{ a.b | upper }} {{ '}}' ~ f(c['d'], e=g) }}";
        let found = unquoted(template);
        assert_eq!(&template[found[0].start..found[0].end], "{{ a.b | upper }}");
        assert_eq!(
            &template[found[1].start..found[1].end],
            "{{ '}}' ~ f(c['d'], e=g) }}"
        );
        assert_eq!(found[0].names, ["a"]);
        assert_eq!(found[1].names, ["f", "c", "g"]);
    }

    #[test]
    fn deep_and_long_templates_are_done_at_once() {
        let deep = format!(
            "{{{{ {} trigger.x {} }}}}",
            "(".repeat(100_000),
            ")".repeat(100_000)
        );
        assert_eq!(unquoted(&deep).len(), 1);
        let long = "{{ trigger.x }}".repeat(50_000);
        assert_eq!(unquoted(&long).len(), 50_000);
        let open = "{% raw %}".repeat(20_000);
        assert!(unquoted(&open).is_empty());
    }
}
