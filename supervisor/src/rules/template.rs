//! Jinja as StackStorm has it: strict, blocks trimmed, values written as Python writes them, and a
//! budget of work and output for every rendering.

use std::collections::HashSet;
use std::sync::Arc;

use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior, Value};

use super::cipher::{self, Cipher};
use super::{filters, python};

/// Work that one rendering may do; also bounds its memory, at about 64 bytes a unit.
const FUEL: u64 = 200_000;
/// Longest text that one rendering may give, bytes.
const MAX_OUTPUT: usize = 4 << 20;

/// Compiled templates; a template is named by its own text.
pub struct Templates {
    environment: Environment<'static>,
}

impl std::fmt::Debug for Templates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Templates").finish_non_exhaustive()
    }
}

/// True for text that StackStorm takes for a template.
pub fn is_template(text: &str) -> bool {
    text.contains("{{") || text.contains("{%")
}

impl Default for Templates {
    fn default() -> Self {
        Self::new(None)
    }
}

impl Templates {
    /// No templates yet. With a cipher, `decrypt_kv` reads encrypted values.
    pub fn new(cipher: Option<Arc<Cipher>>) -> Self {
        let mut environment = Environment::new();
        let syntax = SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .build();
        environment.set_syntax(syntax.expect("the default delimiters are valid"));
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        environment
            .set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.set_fuel(Some(FUEL));
        environment.set_formatter(|out, _, value| {
            if value.is_undefined() {
                return Err(Error::from(ErrorKind::UndefinedError));
            }
            let written = match value.as_str() {
                Some(text) => out.write_str(text),
                None => out.write_str(&python::text(value)),
            };
            written.map_err(Error::from)
        });
        filters::add_to(&mut environment);
        cipher::add_to(&mut environment, cipher);
        Self { environment }
    }

    /// Compiles a template.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn add(&mut self, source: &str) -> Result<(), String> {
        self.environment
            .add_template_owned(source.to_owned(), source.to_owned())
            .map_err(|error| explain(&error, source))
    }

    /// The names that a compiled template asks its context for.
    pub fn names(&self, source: &str) -> HashSet<String> {
        let template = self.environment.get_template(source);
        let mut names = template.map_or_else(|_| HashSet::new(), |t| t.undeclared_variables(false));
        names.retain(|name| !self.environment.globals().any(|(global, _)| global == name));
        names
    }

    /// Renders a compiled template.
    ///
    /// # Errors
    /// What went wrong, with the part of the template that did.
    pub fn render(&self, source: &str, context: &Value) -> Result<String, String> {
        let template = self
            .environment
            .get_template(source)
            .map_err(|error| explain(&error, source))?;
        let text = template
            .render(context.clone())
            .map_err(|error| explain(&error, source))?;
        match text.len() > MAX_OUTPUT {
            true => Err(format!("the text is longer than {} MiB", MAX_OUTPUT >> 20)),
            false => Ok(text),
        }
    }
}

fn explain(error: &Error, source: &str) -> String {
    let part = error
        .range()
        .and_then(|range| source.get(range))
        .unwrap_or("")
        .trim();
    match (error.kind(), error.detail()) {
        (ErrorKind::UndefinedError, _) if !part.is_empty() => format!("{part} is undefined"),
        (ErrorKind::OutOfFuel, _) => "the template does too much".to_owned(),
        (kind, Some(detail)) if part.is_empty() => format!("{kind}: {detail}"),
        (kind, Some(detail)) => format!("{kind}: {detail} (in {part})"),
        (kind, None) => format!("{kind} (in {part})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use minijinja::value::Serde;
    use serde_json::json;

    fn render(source: &str) -> Result<String, String> {
        let mut templates = Templates::default();
        templates.add(source)?;
        let context = json!({"trigger": {
            "time": 1480310219.11, "d": {"a": [1, null, true, 2.0]}, "s": "it's", "n": 3,
        }});
        templates.render(source, &Value::from(Serde(&context)))
    }

    #[test]
    fn values_are_written_as_python_writes_them() {
        for (template, text) in [
            ("[{{trigger.time}}]", "[1480310219.11]"),
            ("{{ trigger.d }}", "{'a': [1, None, True, 2.0]}"),
            ("{{ trigger.s }}", "it's"),
            ("{{ [trigger.s] }}", "[\"it's\"]"),
            ("{{ none }} {{ true }}", "None True"),
            (
                "{{ trigger.d.items() | list }}",
                "[('a', [1, None, True, 2.0])]",
            ),
            ("{% if trigger.n %}\nyes\n{% endif %}\n", "yes\n"),
            ("{{ trigger.s.upper() }}", "IT'S"),
            ("<b>{{ '<' }}", "<b><"),
        ] {
            assert_eq!(render(template).as_deref(), Ok(text), "{template}");
        }
    }

    #[test]
    fn what_is_undefined_is_an_error_that_names_it() {
        let error = render("x {{ trigger.nope }}").unwrap_err();
        assert!(error.contains("trigger.nope"), "{error}");
        assert!(render("{{ nope }}").is_err());
        assert!(render("{{ nope.x }}").is_err());
        assert_eq!(
            render("{{ trigger.nope | default('x') }}").as_deref(),
            Ok("x")
        );
    }

    #[test]
    fn work_is_bounded() {
        let loops = "{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}";
        assert!(render(loops).is_err());
        assert!(render("{{ 'x' * 100000000 }}").is_err());
    }
}
