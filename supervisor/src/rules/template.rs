//! Templates, compiled once and rendered for each event.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::cipher::Cipher;
use super::jinja::ast::{Kind, Stmt, Template};
use super::jinja::budget::Budget;
use super::jinja::execute::Tools;
use super::jinja::{self, Error, Value, names};

/// Compiled templates; a template is named by its own text.
#[derive(Debug, Default)]
pub struct Templates {
    compiled: HashMap<String, Arc<Template>>,
    tools: Tools,
}

/// Steps of all templates that one criterion renders: a search renders them for each item.
const MAX_STEPS: usize = 10_000_000;

/// Work that is shared by the renderings of one criterion.
#[derive(Debug, Default)]
pub struct Spent(Cell<usize>);

impl Spent {
    /// Pays for work.
    pub fn pay(&self, steps: usize) {
        self.0.set(self.0.get().saturating_add(steps));
    }

    /// # Errors
    /// When the renderings did too much together.
    pub fn check(&self) -> Result<(), String> {
        match self.0.get() <= MAX_STEPS {
            true => Ok(()),
            false => Err("the criterion does too much for all its items".to_owned()),
        }
    }
}

/// True for text that StackStorm takes for a template.
pub fn is_template(text: &str) -> bool {
    text.contains("{{") || text.contains("{%")
}

impl Templates {
    /// No templates yet. With a cipher, `decrypt_kv` reads encrypted values.
    pub fn new(cipher: Option<Arc<Cipher>>) -> Self {
        let tools = Tools {
            cipher,
            ..Tools::default()
        };
        Self {
            tools,
            ..Self::default()
        }
    }

    /// Compiles a template.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn add(&mut self, source: &str) -> Result<(), String> {
        if !self.compiled.contains_key(source) {
            let template = jinja::parse(source).map_err(|error| explain(&error, source))?;
            self.compiled.insert(source.to_owned(), Arc::new(template));
        }
        Ok(())
    }

    /// The names that a compiled template asks its context for.
    pub fn names(&self, source: &str) -> HashSet<String> {
        let template = self.compiled.get(source);
        template.map_or_else(HashSet::new, |template| names::asked_for(template))
    }

    /// The place of the expression of which a compiled template consists alone, in bytes.
    pub fn lone_expression(&self, source: &str) -> Option<(usize, usize)> {
        match self.compiled.get(source)?.body.as_slice() {
            // A tuple without parentheses is none once a filter stands behind it.
            [Stmt::Output(expr)]
                if !matches!(expr.kind, Kind::Tuple(_)) && !source.contains('\r') =>
            {
                Some((expr.start, expr.end))
            }
            _ => None,
        }
    }

    /// True when that expression is an operator's, which binds less than a filter.
    pub fn is_operation(&self, source: &str) -> bool {
        let body = self
            .compiled
            .get(source)
            .map(|template| template.body.as_slice());
        let Some([Stmt::Output(expr)]) = body else {
            return false;
        };
        !matches!(
            expr.kind,
            Kind::Constant(_)
                | Kind::Name(_)
                | Kind::List(_)
                | Kind::Dict(_)
                | Kind::Attribute(..)
                | Kind::Item(..)
                | Kind::Slice(..)
                | Kind::Call(..)
                | Kind::Filter(..)
        )
    }

    /// Renders a compiled template.
    ///
    /// # Errors
    /// What went wrong, with the part of the template that did.
    pub fn render(&self, source: &str, context: &Value) -> Result<String, String> {
        self.render_within(source, context, &Spent::default())
    }

    /// Renders a compiled template as one of several that share `spent`.
    ///
    /// # Errors
    /// As for [`Templates::render`], and when they do too much together.
    pub fn render_within(
        &self,
        source: &str,
        context: &Value,
        spent: &Spent,
    ) -> Result<String, String> {
        spent.check()?;
        let Some(template) = self.compiled.get(source) else {
            return Err(format!("\"{source}\" was not compiled"));
        };
        self.rendered(template, context, spent)
            .map_err(|error| explain(&error, &template.source))
    }

    /// What an event has is shared between rules. A template that changes it gets its own.
    fn rendered(
        &self,
        template: &Template,
        context: &Value,
        spent: &Spent,
    ) -> jinja::Result<String> {
        let budget = Budget::default();
        let result = match jinja::render(template, context, &budget, &self.tools) {
            Err(error) if error.kind == jinja::error::SHARED => {
                let own = jinja::own_copy(context, &budget)?;
                jinja::render(template, &own, &budget, &self.tools)
            }
            result => result,
        };
        spent.pay(budget.used());
        result
    }
}

fn explain(error: &Error, source: &str) -> String {
    let part = error.at.and_then(|(start, end)| source.get(start..end));
    let part = part.unwrap_or("").trim();
    let missing = error.kind == "UndefinedError"
        && ["has no attribute", "is undefined", "has no element"]
            .iter()
            .any(|words| error.message.contains(words));
    let shown: String = part.chars().take(80).collect();
    let line = line_of(error, source);
    let line = match line > 1 {
        true => format!(", line {line} of the template"),
        false => String::new(),
    };
    match (missing, part.is_empty()) {
        (true, false) => format!("{shown} is undefined ({}{line})", error.message),
        (_, true) => format!("{}: {}{line}", error.kind, error.message),
        _ => format!("{}: {} (in {shown}{line})", error.kind, error.message),
    }
}

fn line_of(error: &Error, source: &str) -> usize {
    let before = error.at.and_then(|(start, _)| source.get(..start));
    1 + before.map_or(0, |text| text.matches('\n').count())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn render(source: &str) -> Result<String, String> {
        let mut templates = Templates::default();
        templates.add(source)?;
        let context = json!({"trigger": {
            "time": 1480310219.11, "d": {"a": [1, null, true, 2.0]}, "s": "it's", "n": 3,
        }});
        templates.render(source, &Value::from(&context))
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
            ("{{ '%05.1f|%-4s|' % (2, 'x') }}", "002.0|x   |"),
            ("{{ 2 ** 100 }}", "1267650600228229401496703205376"),
        ] {
            assert_eq!(render(template).as_deref(), Ok(text), "{template}");
        }
    }

    #[test]
    fn a_template_may_change_its_own_copy_of_the_event() {
        let source = "{{ trigger.d.a.append(7) }}{{ trigger.d.a }}";
        let mut templates = Templates::default();
        templates.add(source).unwrap();
        let context = Value::from(&json!({"trigger": {"d": {"a": [1]}}}));
        for _ in 0..2 {
            let text = templates.render(source, &context);
            assert_eq!(text.as_deref(), Ok("None[1, 7]"));
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
    fn errors_tell_their_line() {
        let error = render("a\n{{ 1 + 'x' }}").unwrap_err();
        assert!(
            error.contains("line 2") && error.contains("1 + 'x'"),
            "{error}"
        );
    }
}
