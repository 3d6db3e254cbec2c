//! Templates over a rich context: any text compiles and renders, or says why not; the output is
//! bounded; what it says of its parts is true of its text; and it leaves the event as it was.

use std::sync::LazyLock;

use petrel_supervisor::rules::jinja::Value as Jinja;
use petrel_supervisor::rules::jinja::budget::MAX_OUTPUT;
use petrel_supervisor::rules::template::Templates;
use serde_json::json;

/// Most bytes of an error.
const MAX_ERROR: usize = 16 << 10;

/// All that a payload can hold.
const WHOLE: &str = "{{ trigger }}";

thread_local! {
    static CONTEXT: Jinja = context();
}

static WRITTEN: LazyLock<String> = LazyLock::new(written);

/// Renders any text.
pub fn check(data: &[u8]) {
    let Ok(source) = std::str::from_utf8(data) else {
        return;
    };
    let mut templates = Templates::default();
    if let Err(why) = templates.add(source) {
        assert!(why.len() <= MAX_ERROR, "{} bytes: {}", why.len(), &source);
        return;
    }
    templates.names(source);
    templates.is_operation(source);
    if let Some((start, end)) = templates.lone_expression(source) {
        assert!(source.get(start..end).is_some(), "{start}..{end}");
    }
    let first = render(&templates, source);
    match &first {
        Ok(text) => assert!(text.len() <= MAX_OUTPUT, "{} bytes", text.len()),
        Err(why) => assert!(why.len() <= MAX_ERROR, "{} bytes", why.len()),
    }
    if !is_random(source) {
        assert_eq!(first, render(&templates, source));
    }
    assert_eq!(written(), *WRITTEN, "the event was changed");
}

/// What asks for chance, on purpose.
fn is_random(source: &str) -> bool {
    ["random", "lipsum", "shuffle"]
        .iter()
        .any(|word| source.contains(word))
}

fn render(templates: &Templates, source: &str) -> Result<String, String> {
    CONTEXT.with(|context| templates.render(source, context))
}

fn written() -> String {
    let mut templates = Templates::default();
    templates.add(WHOLE).expect("a template");
    render(&templates, WHOLE).expect("a payload can be written")
}

fn context() -> Jinja {
    Jinja::from(&json!({
        "trigger": {
            "path": "/var/log/syslog", "time": 1480310219.11, "n": 3, "neg": -7, "f": 2.0,
            "big": 123456789012345678_i64, "t": true, "no": false, "none": null,
            "s": "Hello World", "u": "日本語 ünï", "html": "<b>&\"x\"</b>", "csv": "a,b,,c",
            "json": "{\"k\": [1, 2, {\"z\": null}]}", "yaml": "a: 1\nb: [x, y]\n",
            "list": [3, 1, 2], "words": ["b", "a", "C"], "mixed": [1, "a", null, true, 2.5],
            "empty": [], "d": {"a": 1, "b": {"c": [10, 20, {"e": "deep"}]}, "x-y": "dash"},
            "objs": [{"name": "n1", "v": 5, "on": true}, {"name": "n2", "v": 1, "on": false}],
            "template": "{{ 7*7 }}", "version": "1.2.3", "ms": 1800000,
            "long": "x".repeat(10_000), "many": (0..1000).collect::<Vec<i32>>(),
        },
        "n": 3, "x": "text", "action_context": {"user": "stanley"}, "config_context": {"url": "http://x"},
    }))
}
