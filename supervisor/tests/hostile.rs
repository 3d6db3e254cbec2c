//! Hostile input of rules: a clear error within a second, whatever it is.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use petrel_supervisor::rules::criteria::{Scope, Test};
use petrel_supervisor::rules::jinja::Value as Jinja;
use petrel_supervisor::rules::path::Path;
use petrel_supervisor::rules::store::{NoKeys, Store};
use petrel_supervisor::rules::template::Templates;
use serde_json::{Value, json};

/// What comes out, in less than a second; built for speed or not.
#[expect(clippy::disallowed_methods, reason = "the bound is one of time")]
fn within_a_second<T>(what: &str, run: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = run();
    let most = Duration::from_secs(if cfg!(debug_assertions) { 10 } else { 1 });
    assert!(start.elapsed() < most, "{what} took {:?}", start.elapsed());
    result
}

fn render(source: &str, trigger: &Value) -> Result<String, String> {
    let mut templates = Templates::default();
    let context = Jinja::from(&json!({"trigger": trigger}));
    templates.add(source)?;
    templates.render(source, &context)
}

fn refused(source: &str, trigger: &Value) {
    let shown: String = source.chars().take(60).collect();
    let result = within_a_second(&shown, || render(source, trigger));
    assert!(result.is_err(), "{shown}: {:.100?}", result.ok());
}

#[test]
fn templates_that_want_too_much_are_refused() {
    for source in [
        "{{ 'x' * 10**9 }}",
        "{{ [1] * 10**9 }}",
        "{{ (1,) * 10**12 }}",
        "{{ 'x' * 10**30 }}",
        "{{ 9**(9**9) }}",
        "{{ 2**(10**12) }}",
        "{{ 10**(9**6) }}",
        "{{ '%99999999d' % 1 }}",
        "{{ '%.99999999f' % 1.5 }}",
        "{{ '%*d' % (10**9, 1) }}",
        "{{ '{:999999999}'.format(1) }}",
        "{{ '{:.999999999f}'.format(1.5) }}",
        "{{ 'a'.ljust(10**9) }}",
        "{{ 'a'.center(10**9) }}",
        "{{ 'a'.zfill(10**9) }}",
        "{{ '\t\t\t'.expandtabs(10**9) }}",
        "{{ 'a' | center(10**9) }}",
        "{{ 'a\nb' | indent(10**9) }}",
        "{{ range(10**9) | list }}",
        "{{ lipsum(10**9) }}",
        "{{ [1] | batch(10**9, 0) | list }}",
        "{{ [1] | slice(10**9) | list }}",
        "{{ [1] | to_json_string(indent=10**9) }}",
        "{{ ('x' * 10**6).replace('x', 'y' * 10**6) }}",
        "{{ ('x' * 10**6) | replace('', 'y' * 100) }}",
        "{{ ('x' * 10**6) | regex_replace('x', 'y' * 10**4) }}",
        "{{ ('y' * 10**4).join(['a'] * 10**5) }}",
        "{% for a in range(99999) %}{% for b in range(99999) %}x{% endfor %}{% endfor %}",
        "{% for a in range(99999) %}{{ 'x' * 100 }}{% endfor %}",
        "{% set ns = namespace(l=['x']) %}{% for a in range(99) %}{% set ns.l = ns.l + ns.l %}{% endfor %}",
        "{% set ns = namespace(s='x') %}{% for a in range(99) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
        "{% set ns = namespace(n=3) %}{% for a in range(99) %}{% set ns.n = ns.n * ns.n %}{% endfor %}",
        "{% macro m(n) %}{{ m(n) }}{% endmacro %}{{ m(1) }}",
        "{% macro m(n) %}{{ m(n) }}{{ m(n) }}{% endmacro %}{{ m(1) }}",
        "{% for x in [[1]] recursive %}{{ loop([[1]]) }}{% endfor %}",
        "{% block b %}{{ self.b() }}{% endblock %}",
        "{% set l = [] %}{{ l.append(l) }}{{ l }}",
        "{% set d = {} %}{{ d.update(k=d) }}{{ d }}",
        "{% set d = {} %}{{ d.update(k=[d.items()]) }}{{ d }}",
        "{% set ns = namespace() %}{% set ns.me = [ns] %}{{ ns }}",
        "{% set ns = namespace(l=[]) %}{% for a in range(90000) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l }}",
        "{% set ns = namespace(l=[]) %}{% for a in range(90000) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l == [ns.l] }}",
        "{% set ns = namespace(l=()) %}{% for a in range(90000) %}{% set ns.l = (ns.l,) %}{% endfor %}{{ {ns.l: 1} }}",
        "{% set ns = namespace(l={}) %}{% for a in range(90000) %}{% set ns.l = {'k': ns.l} %}{% endfor %}{{ ns.l | to_json_string }}",
        "{% set ns = namespace(l={}) %}{% for a in range(90000) %}{% set ns.l = {'k': ns.l} %}{% endfor %}{{ ns.l | to_yaml_string }}",
    ] {
        refused(source, &json!({}));
    }
}

#[test]
fn templates_that_are_nested_too_deeply_are_refused() {
    for (open, close) in [
        ("(", ")"),
        ("[", "]"),
        ("{1: ", "}"),
        ("not ", ""),
        ("-", ""),
        ("1 if 1 else ", ""),
        ("x(", ")"),
        ("x[", "]"),
        ("x|default(", ")"),
        ("1 is eq ", ""),
    ] {
        let source = format!("{{{{ {}1{} }}}}", open.repeat(50_000), close.repeat(50_000));
        refused(&source, &json!({}));
    }
    let blocks = format!(
        "{}x{}",
        "{% if 1 %}".repeat(20_000),
        "{% endif %}".repeat(20_000)
    );
    refused(&blocks, &json!({}));
    refused(&"{{".repeat(200_000), &json!({}));
    refused(&"{%".repeat(200_000), &json!({}));
    refused(&"{#".repeat(200_000), &json!({}));
    refused(&"{% raw %}".repeat(50_000), &json!({}));
}

#[test]
fn long_chains_are_answered_or_refused() {
    for source in [
        format!("{{{{ 1{} }}}}", " + 1".repeat(100_000)),
        format!("{{{{ 'a'{} }}}}", " | upper".repeat(100_000)),
        format!("{{{{ trigger{} }}}}", ".a".repeat(100_000)),
        format!("{{{{ trigger{} }}}}", "['a']".repeat(100_000)),
        format!("{{{{ 1{} }}}}", " and 1".repeat(100_000)),
        format!("{{{{ x{} }}}}", "()".repeat(100_000)),
        format!("{{{{ 1{} }}}}", " is defined".repeat(100_000)),
        format!("{{% if 0 %}}{}{{% endif %}}", "{% elif 0 %}".repeat(50_000)),
    ] {
        let shown: String = source.chars().take(30).collect();
        let _ = within_a_second(&shown, || render(&source, &json!({})));
    }
}

#[test]
fn there_is_no_way_out_of_the_sandbox() {
    for source in [
        "{{ ''.__class__ }}",
        "{{ ''.__class__.__mro__ }}",
        "{{ ''['__class__'] }}",
        "{{ '' | attr('__class__') }}",
        "{{ trigger.__init__.__globals__ }}",
        "{{ '{0.__class__}'.format(1) }}",
        "{{ '{0[__class__]}'.format('x') }}",
        "{{ (['x'] | map(attribute='__class__') | list)[0] }}",
        "{{ self.__dict__ }}",
        "{{ range.__globals__ }}",
        "{{ cycler.__init__.__globals__.os }}",
        "{% include '/etc/passwd' %}",
        "{% import 'os' as os %}",
        "{% extends 'x' %}",
    ] {
        refused(source, &json!({"a": 1}));
    }
}

#[test]
fn hostile_texts_of_events_are_refused_or_read() {
    let deep = "[".repeat(1_000_000);
    refused("{{ trigger.t | from_json_string }}", &json!({"t": deep}));
    refused("{{ trigger.t | from_yaml_string }}", &json!({"t": deep}));
    let maps = "{\"a\":".repeat(1_000_000);
    refused("{{ trigger.t | from_json_string }}", &json!({"t": maps}));
    let digits = "9".repeat(3_000_000);
    refused(
        "{{ trigger.t | int(default=nope) + 1 }}",
        &json!({"t": digits}),
    );
    let aliases = "a: &a [x,x,x,x,x,x,x,x,x]\n".to_owned()
        + &(b'b'..=b'i')
            .map(|c| {
                let (c, before) = (char::from(c), char::from(c - 1));
                format!("{c}: &{c} [{}]\n", vec![format!("*{before}"); 9].join(","))
            })
            .collect::<String>();
    refused("{{ trigger.t | from_yaml_string }}", &json!({"t": aliases}));
}

#[test]
fn what_a_template_renders_is_never_rendered_again() {
    let event = json!({"text": "{{ 7 * 7 }}{% raw %}", "list": ["{{ nope }}"]});
    let text = render("{{ trigger.text }} {{ trigger.list }}", &event);
    assert_eq!(text.as_deref(), Ok("{{ 7 * 7 }}{% raw %} ['{{ nope }}']"));
    assert_eq!(
        render(
            "{% filter upper %}{{ trigger.text }}{% endfilter %}",
            &event
        )
        .as_deref(),
        Ok("{{ 7 * 7 }}{% RAW %}")
    );
}

fn judge(operator: &str, pattern: &str, value: &Value) -> Result<bool, String> {
    let mut templates = Templates::default();
    let store: Arc<dyn Store> = Arc::new(NoKeys);
    let payload = json!({"v": value});
    let roots = [("trigger", &payload)];
    let pattern = json!(pattern);
    let test = Test::compile(
        "trigger.v",
        operator,
        &pattern,
        None,
        &mut templates,
        &mut |_| {},
    );
    let test = test.ok_or("no such operator")?;
    let outcome = test.judge(&templates, &Scope::new(&roots, None, &store));
    match outcome.errors.first() {
        Some(error) => Err(error.clone()),
        None => Ok(outcome.holds),
    }
}

#[test]
fn regular_expressions_end() {
    let text = json!("a".repeat(5_000) + "!");
    for pattern in [
        "(a+)+$",
        "(a|a)*$",
        "(a*)*b",
        r"(a+)+\1b",
        r"(?=(a+))\1{3,}(a+)+c",
        "(.*)*x",
        "((a{1,50}){1,50}){1,50}",
        "(?:a?){5000}a{5000}",
        "a{1000}{1000}{1000}",
        r"(?:\w?){3400}\w{3400}$",
        r"\w{6900}",
        r"(?:\w{1,80}){1,80}b",
        r"(?:(?:\w{200})(?=\w)){34}b",
        r"[\w.+-]{1,64}@[\w-]{1,63}(\.[\w-]{1,63}){1,8}",
    ] {
        for operator in ["regex", "iregex", "matchregex"] {
            // It finds, does not find, or says that it needs too much: each is an answer.
            let _ = within_a_second(pattern, || judge(operator, pattern, &text));
        }
    }
    let letters = within_a_second("letters", || {
        judge("regex", &r"\w(?=)".repeat(2_000), &text)
    });
    assert!(letters.is_err());
    let nested = "(".repeat(100_000) + &")".repeat(100_000);
    let deep = within_a_second("nested groups", || judge("regex", &nested, &text));
    assert!(deep.is_err());
    let stars = "*a".repeat(2_000);
    let _ = within_a_second("wildcards", || judge("matchwildcard", &stars, &text));
}

#[test]
fn paths_end() {
    let mut deep = json!(1);
    for _ in 0..100 {
        deep = json!({"a": deep, "b": [1, 2, 3]});
    }
    let roots = [("trigger", &deep)];
    for path in [
        "$..*..*..*..*",
        "trigger..*..*..(a | b)..*",
        "(((((trigger)))))..*",
    ] {
        let parsed = Path::parse(path).unwrap();
        let _ = within_a_second(path, || parsed.first(&roots));
    }
    for path in ["(".repeat(5_000), "a.".repeat(5_000), "[0]".repeat(3_000)] {
        let result = within_a_second("a long path", || Path::parse(&path));
        assert!(result.is_err());
    }
}

#[test]
fn parameters_do_not_render_what_they_rendered() {
    use petrel_supervisor::catalog::{Action, Runner};
    use petrel_supervisor::rules::parameters::{Given, Plan};
    let schemas = json!({"a": {}, "b": {}, "c": {"type": "object"}, "d": {"default": "{{ a }}"}});
    let schemas = schemas.as_object().unwrap().clone();
    let action = Action {
        reference: "p.a".into(),
        pack: "p".into(),
        name: "a".into(),
        description: String::new(),
        enabled: true,
        enabled_source: None,
        runner: Runner::Noop,
        runner_type: "noop".into(),
        entry_point: None,
        parameters: schemas.clone().into(),
        output_schema: serde_json::Map::new(),
        notify: Vec::new(),
        on_unknown: petrel_supervisor::catalog::OnUnknown::Fail,
        warm: true,
        chain: None,
        all_parameters: schemas.into(),
        metadata_file: String::new(),
    };
    let given =
        json!({"a": "{{ trigger.t }}", "b": "<{{ a }}>", "c": {"k": "{{ a }}", "l": ["{{a}}"]}});
    let mut templates = Templates::default();
    let plan = Plan::compile(
        &action,
        given.as_object().unwrap(),
        Given::Templates,
        &mut templates,
        |_, _| {},
    )
    .unwrap();
    let trigger = Jinja::from(&json!({"t": "{{ 6 * 7 }}"}));
    let base = BTreeMap::from([("trigger".to_owned(), trigger)]);
    let filled = plan.fill(&action, &templates, &base).unwrap();
    let wanted = json!({
        "a": "{{ 6 * 7 }}",
        "b": "<{{ 6 * 7 }}>",
        "c": {"k": "{{ 6 * 7 }}", "l": ["{{ 6 * 7 }}"]},
        "d": "{{ 6 * 7 }}",
    });
    assert_eq!(Value::Object(filled), wanted);
}
