//! A criterion, compiled, and what it makes of an event (`st2reactor/rules/filter.py`; st2.md 5.3
//! and 5.4).

use std::borrow::Cow;
use std::cell::OnceCell;
use std::sync::Arc;

use fancy_regex::Regex;
use jiff::Timestamp;
use serde_json::Value;

use super::jinja::Value as Jinja;
use super::operators::{self, Given, Operator};
use super::path::{Path, Roots};
use super::regex;
use super::store::{Owner, Store, st2kv, system};
use super::template::{Spent, Templates};

/// How the items of a `search` must fit its children.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Condition {
    Any,
    All,
    AnyToAny,
    AllToAny,
}

const CONDITIONS: &[(&str, Condition)] = &[
    ("any", Condition::Any),
    ("all", Condition::All),
    ("any2any", Condition::AnyToAny),
    ("all2any", Condition::AllToAny),
];

/// Most errors of the items of a search that are told.
const MAX_ERRORS: usize = 10;

/// What a regular expression that backtracks too much counts as, in steps of templates.
const BACKTRACKING_STEPS: usize = 1_000_000;

/// One criterion, ready for events.
#[derive(Debug)]
pub struct Test {
    key: String,
    path: Result<Path, String>,
    operator: Operator,
    pattern: Pattern,
    regex: Option<Result<Regex, String>>,
    children: Vec<Test>,
    condition: Result<Condition, String>,
}

#[derive(Debug)]
enum Pattern {
    Plain(Value),
    /// A template: with `to_complex`, which keeps the type, and as it stands.
    Template {
        typed: Option<String>,
        text: String,
    },
    /// Not a valid template.
    Faulty(String),
}

/// What a criterion sees of an event.
pub struct Scope<'v> {
    /// Names with their values.
    pub roots: &'v Roots<'v>,
    /// The time of the event.
    pub now: Option<Timestamp>,
    /// The datastore as it is for the event.
    pub store: &'v Arc<dyn Store>,
    context: OnceCell<Jinja>,
    /// What a criterion did so far for the items of its search.
    spent: Option<&'v Spent>,
}

impl<'v> Scope<'v> {
    /// A scope with these names.
    pub fn new(roots: &'v Roots<'v>, now: Option<Timestamp>, store: &'v Arc<dyn Store>) -> Self {
        Self {
            roots,
            now,
            store,
            context: OnceCell::new(),
            spent: None,
        }
    }

    /// The scope of an item of a search, whose criterion did so much already.
    fn of_item(roots: &'v Roots<'v>, outer: &Scope<'v>, spent: &'v Spent) -> Self {
        Self {
            spent: Some(spent),
            ..Self::new(roots, outer.now, outer.store)
        }
    }

    /// The names for templates; made when the first template needs them.
    pub fn context(&self) -> &Jinja {
        self.context.get_or_init(|| {
            let roots = self.roots.iter();
            let values = roots.map(|(name, value)| ((*name).to_owned(), Jinja::from(*value)));
            Jinja::map(values.chain([
                ("st2kv".to_owned(), st2kv(self.store)),
                ("system".to_owned(), system(self.store)),
            ]))
        })
    }
}

/// What a test found: whether it holds, and what went wrong on the way.
#[derive(Debug, Default)]
pub struct Outcome {
    /// It holds.
    pub holds: bool,
    /// Errors; one makes the test not hold, but not the search around it.
    pub errors: Vec<String>,
}

/// A fault of a criterion that is seen before any event.
#[derive(Debug, PartialEq)]
pub enum Fault {
    /// No such operator; the rule is refused.
    Operator(String),
    /// It can never hold; the rule is kept, as StackStorm keeps it.
    Hopeless(String),
}

impl Test {
    /// Compiles a criterion as written. `fault` hears of what is wrong in it.
    pub fn compile(
        key: &str,
        operator: &str,
        pattern: &Value,
        condition: Option<&str>,
        templates: &mut Templates,
        fault: &mut dyn FnMut(Fault),
    ) -> Option<Self> {
        let Some(found) = operators::find(operator) else {
            fault(Fault::Operator(operator.to_owned()));
            return None;
        };
        let mut test = Self {
            key: key.to_owned(),
            path: Path::parse(key.split('#').next().unwrap_or("")),
            operator: found,
            pattern: Pattern::Plain(Value::Null),
            regex: None,
            children: Vec::new(),
            condition: Ok(Condition::Any),
        };
        match found {
            Operator::Search => test.search(pattern, condition, templates, fault)?,
            _ => test.pattern(pattern, templates),
        }
        for why in test.hopeless() {
            fault(Fault::Hopeless(why));
        }
        Some(test)
    }

    fn pattern(&mut self, pattern: &Value, templates: &mut Templates) {
        self.pattern = match pattern {
            Value::String(text) => prepare(text, templates),
            other => Pattern::Plain(other.clone()),
        };
        if let Pattern::Plain(Value::String(text)) = &self.pattern {
            self.regex = operators::compiled(self.operator, text);
        }
    }

    fn search(
        &mut self,
        pattern: &Value,
        condition: Option<&str>,
        templates: &mut Templates,
        fault: &mut dyn FnMut(Fault),
    ) -> Option<()> {
        self.condition = condition_of(condition);
        let children = pattern.as_object().into_iter().flatten();
        for (key, child) in children {
            let text = |name: &str| child.get(name).and_then(Value::as_str);
            let pattern = child.get("pattern").unwrap_or(&Value::Null);
            // A child without a type never holds, silently.
            let operator = text("type").unwrap_or("nequals");
            let condition = text("condition");
            let test = Self::compile(key, operator, pattern, condition, templates, fault)?;
            self.children.push(test);
        }
        Some(())
    }

    fn hopeless(&self) -> Vec<String> {
        let pattern = match &self.pattern {
            Pattern::Faulty(why) => Some(format!("its pattern is not a valid template: {why}")),
            _ => None,
        };
        let regex = self
            .regex
            .as_ref()
            .and_then(|regex| regex.as_ref().err().cloned());
        let path = self.path.as_ref().err().cloned();
        let condition = self.condition.as_ref().err().cloned();
        [path, pattern, regex, condition]
            .into_iter()
            .flatten()
            .collect()
    }

    /// Judges one event.
    pub fn judge(&self, templates: &Templates, scope: &Scope<'_>) -> Outcome {
        let mut errors = Vec::new();
        let holds = self
            .holds(templates, scope, &mut errors)
            .unwrap_or_else(|why| {
                errors.push(format!("criterion \"{}\": {why}", self.key));
                false
            });
        Outcome { holds, errors }
    }

    fn holds(
        &self,
        templates: &Templates,
        scope: &Scope<'_>,
        errors: &mut Vec<String>,
    ) -> Result<bool, String> {
        let rendered;
        let pattern = match &self.pattern {
            Pattern::Plain(value) => value,
            Pattern::Faulty(why) => return Err(why.clone()),
            Pattern::Template { typed, text } => {
                rendered = render(typed.as_deref(), text, templates, scope)?;
                &rendered
            }
        };
        let path = self.path.as_ref().map_err(Clone::clone)?;
        let value = match path.datastore_key() {
            Some(key) => Cow::Owned(scope.store.get(Owner::System, &key).into()),
            None => path
                .first(scope.roots)?
                .unwrap_or(Cow::Borrowed(&Value::Null)),
        };
        let value = value.as_ref();
        if self.operator == Operator::Search {
            return self.items(value, templates, scope, errors);
        }
        let given = Given {
            regex: self.regex.as_ref(),
            now: scope.now,
        };
        let spent = scope.spent;
        spent.map_or(Ok(()), Spent::check)?;
        let result = operators::apply(self.operator, value, pattern, &given);
        if let (Err(why), Some(spent)) = (&result, spent)
            && why == regex::TOO_MUCH
        {
            spent.pay(BACKTRACKING_STEPS);
        }
        result
    }

    /// What the event has, and the pattern as rendered, as far as they can be told.
    pub fn look(&self, templates: &Templates, scope: &Scope<'_>) -> (Option<Value>, Option<Value>) {
        let path = self.path.as_ref().ok();
        let actual = path
            .and_then(|path| path.first(scope.roots).ok().flatten())
            .map(Cow::into_owned);
        let wanted = match &self.pattern {
            Pattern::Plain(value) => Some(value.clone()),
            Pattern::Faulty(_) => None,
            Pattern::Template { typed, text } => {
                render(typed.as_deref(), text, templates, scope).ok()
            }
        };
        (actual, wanted)
    }

    fn items(
        &self,
        value: &Value,
        templates: &Templates,
        scope: &Scope<'_>,
        errors: &mut Vec<String>,
    ) -> Result<bool, String> {
        let condition = self.condition.clone()?;
        let letters: Vec<Value>;
        let items: &[Value] = match value {
            Value::Array(items) => items,
            Value::Object(_) => std::slice::from_ref(value),
            Value::String(text) => {
                letters = text.chars().map(|c| Value::String(c.into())).collect();
                &letters
            }
            other => {
                let kind = super::python::type_name(other);
                return Err(format!("'{kind}' object is not iterable"));
            }
        };
        // Every child sees every item, so that its errors are told whatever the others say.
        let mut fits = Vec::with_capacity(items.len());
        let mut untold = 0_usize;
        let own = Spent::default();
        let spent = scope.spent.unwrap_or(&own);
        for item in items {
            let roots = [("item", item)];
            let inner = Scope::of_item(&roots, scope, spent);
            let results = self
                .children
                .iter()
                .map(|child| child.judge(templates, &inner));
            let results: Vec<Outcome> = results.collect();
            let all = results.iter().all(|one| one.holds);
            let any = results.iter().any(|one| one.holds);
            for error in results.into_iter().flat_map(|one| one.errors) {
                match errors.len() < MAX_ERRORS {
                    true => errors.push(error),
                    false => untold += 1,
                }
            }
            fits.push((all, any));
        }
        if untold > 0 {
            errors.push(format!("{untold} more errors of the items are not told"));
        }
        Ok(match condition {
            Condition::Any => fits.iter().any(|(all, _)| *all),
            Condition::All => fits.iter().all(|(all, _)| *all),
            Condition::AnyToAny => fits.iter().any(|(_, any)| *any),
            Condition::AllToAny => fits.iter().all(|(_, any)| *any),
        })
    }
}

fn condition_of(written: Option<&str>) -> Result<Condition, String> {
    let found = CONDITIONS.iter().find(|(name, _)| Some(*name) == written);
    found.map(|(_, condition)| *condition).ok_or_else(|| {
        let written = written.unwrap_or("None");
        format!("The '{written}' condition is not recognized for type search, 'any', 'all', 'any2any' and 'all2any' are allowed")
    })
}

/// Every pattern that is text is a template for StackStorm; most have nothing to render.
fn prepare(text: &str, templates: &mut Templates) -> Pattern {
    if !text.contains("{{") && !text.contains("{%") && !text.contains("{#") {
        let bare = text.strip_suffix('\n').unwrap_or(text);
        return Pattern::Plain(Value::String(bare.to_owned()));
    }
    if let Err(why) = templates.add(text) {
        return Pattern::Faulty(why);
    }
    let typed = match templates.lone_expression(text) {
        Some((start, end)) => Some(whole(text, start, end)),
        None => typed(text),
    };
    let typed = typed.filter(|typed| templates.add(typed).is_ok());
    Pattern::Template {
        typed,
        text: text.to_owned(),
    }
}

/// The value of a pattern that is one expression: all of it goes through `to_complex`.
fn whole(text: &str, start: usize, end: usize) -> String {
    format!(
        "{}({}) | to_complex{}",
        &text[..start],
        &text[start..end],
        &text[end..]
    )
}

/// StackStorm's way to a typed value: ` | to_complex` before the last `}}` of the first line that
/// has a template. It binds tighter than operators, which `whole` avoids where it can.
fn typed(text: &str) -> Option<String> {
    let mut before = 0;
    for line in text.split_inclusive('\n') {
        if let (Some(open), Some(close)) = (line.find("{{"), line.rfind("}}"))
            && open + 2 <= close
        {
            let at = before + close;
            return Some(format!("{} | to_complex{}", &text[..at], &text[at..]));
        }
        before += line.len();
    }
    None
}

fn render(
    typed: Option<&str>,
    text: &str,
    templates: &Templates,
    scope: &Scope<'_>,
) -> Result<Value, String> {
    let own = Spent::default();
    let spent = scope.spent.unwrap_or(&own);
    let failed = |why| format!("Failed to render pattern value \"{text}\": {why}");
    if let Some(typed) = typed {
        let rendered = templates
            .render_within(typed, scope.context(), spent)
            .map_err(failed)?;
        if let Ok(value) = serde_json::from_str(&rendered) {
            return Ok(value);
        }
    }
    let rendered = templates
        .render_within(text, scope.context(), spent)
        .map_err(failed)?;
    Ok(Value::String(rendered))
}
